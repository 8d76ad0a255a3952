/**
 * A stress run: daemons and attached workers on one instance with a quarter of the memory that the data needs, in a
 * region, a map and a file, while compaction moves pages beneath them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Quire } from '../api/quire.ts';
import type { QuireStats } from '../api/stats.ts';
import { KIB, MIB } from '../base/units.ts';
import type { CompactionPolicy } from '../compaction/policy.ts';
import { RECLAIM_POLICIES } from '../reclaim/policy.ts';
import { Random } from '../simulator/random.ts';
import { CellWork } from './cell-work.ts';
import { FileCells } from './file-cells.ts';
import { KeyWork } from './key-work.ts';
import { cellOffsets, SharedState, type StressPlan, type WorkerReport, type WorkerStart } from './plan.ts';
import { TierSwitch } from './tier-switch.ts';
import { Values } from './values.ts';

export interface StressOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly budgetBytes: number;
  readonly workers: number;
  /** Default: drawn from the seed. */
  readonly compaction?: CompactionPolicy;
  /** Called every `sampleSeconds` of the run. */
  readonly sampleSeconds?: number;
  readonly onSample?: (seconds: number, stats: QuireStats) => void;
  /** False: direct mode, without a file tier and with less data. */
  readonly virtual?: boolean;
}

export interface StressResult {
  /** One for each thing that was wrong. */
  readonly failures: string[];
  readonly counts: Record<string, number>;
  readonly stats: QuireStats;
  readonly dataBytes: number;
  readonly runSeconds: number;
}

/** Half of the data in cells, half in the map; together four times the budget. */
const DATA_SHARE = 4;
/** As much as the compressed tier alone can hold, nearly. */
const DATA_SHARE_DIRECT = 1.25;
/** File tier over data: tight enough that segments have to be cleaned. */
const FILE_SHARE = 0.8;
const COMPRESSED = { tier: 'compressed' } as const;
/** Mean length of a value (stress/values.ts). */
const MEAN_BYTES = 4 * KIB;

export async function runStress(options: StressOptions): Promise<StressResult> {
  const virtual = options.virtual ?? true;
  const dataBytes = options.budgetBytes * (virtual ? DATA_SHARE : DATA_SHARE_DIRECT);
  const each = Math.ceil(dataBytes / 2 / MEAN_BYTES);
  const values = new Values(options.seed);
  const cellBytes = cellOffsets(values, each)[each];
  const regionBytes = Math.ceil(cellBytes / MIB) * MIB;
  const { seed, seconds, workers } = options;
  const directory = mkdtempSync(join(tmpdir(), 'quire-stress-'));
  const filePath = join(directory, 'cells');
  writeFileSync(filePath, '');
  const data = { cells: each, keys: each, regionBytes, fileCells: each, filePath };
  const plan: StressPlan = { seed, seconds, workers, isVirtual: virtual, ...data };
  const buffer = new SharedArrayBuffer(SharedState.bytesFor(plan));
  const shared = new SharedState(plan, buffer);
  const quire = await Quire.open({
    budget: options.budgetBytes,
    swap: virtual ? [COMPRESSED, { tier: 'file', size: Math.floor(dataBytes * FILE_SHARE) }] : [COMPRESSED],
    virtual,
    threads: daemonThreads(),
    compaction: options.compaction ?? compactionFor(seed),
    reclaim: RECLAIM_POLICIES[(seed >>> 2) % RECLAIM_POLICIES.length],
  });
  const counts: Record<string, number> = {
    cell_reads: 0,
    cell_writes: 0,
    cell_pins: 0,
    key_reads: 0,
    key_writes: 0,
    iterations: 0,
  };
  const random = new Random(seed);
  // Opened before the workers start: whoever opens a map first makes it.
  const cells = new CellWork(quire, plan, shared, values, random, counts);
  const keys = new KeyWork(quire, plan, shared, values, random, counts);
  const fileCells = await FileCells.open(quire, plan, shared, values, random, counts);
  const tiers = virtual ? new TierSwitch(quire, random, Math.floor(dataBytes * FILE_SHARE), counts) : undefined;
  const sampler = new Sampler(quire, options);
  const { reports, runSeconds, failures: ofTiers } = await work(plan, quire, buffer, shared, tiers, sampler);
  const failures = reports.flatMap((report) =>
    report.failure === undefined ? [] : [`worker ${report.index}: ${report.failure}`],
  );
  failures.push(...ofTiers);
  if (failures.length === 0) failures.push(...(await lookAtAll(plan, cells, keys, fileCells)));
  const stats = failures.length === 0 ? quire.stats() : ({} as QuireStats);
  try {
    await quire.close();
  } catch (error) {
    failures.push(
      `close: ${error instanceof Error ? `${error.stack}\n  cause: ${String(error.cause)}` : String(error)}`,
    );
  }
  rmSync(directory, { recursive: true, force: true });
  for (const report of reports)
    for (const [name, count] of Object.entries(report.counts)) counts[name] = (counts[name] ?? 0) + count;
  return { failures, counts, stats, dataBytes: cellBytes + each * MEAN_BYTES * 2, runSeconds };
}

/** Those with which callers compact, a daemon compacts, and both. */
export function compactionFor(seed: number): CompactionPolicy {
  return (['direct', 'stocked', 'background'] as const)[seed % 3];
}

/** 'auto' of a machine with more than two cores; kswapd and a thread of kcompressd anywhere. */
function daemonThreads(): number | 'auto' {
  return availableParallelism() > 2 ? 'auto' : 2;
}

/** Looks at the instance now and then, while it is at work. */
class Sampler {
  private readonly quire: Quire;
  private readonly everySeconds: number;
  private readonly onSample: StressOptions['onSample'];
  private nextSeconds: number;

  constructor(quire: Quire, options: StressOptions) {
    this.quire = quire;
    this.everySeconds = options.sampleSeconds ?? Number.POSITIVE_INFINITY;
    this.nextSeconds = this.everySeconds;
    this.onSample = options.onSample;
  }

  look(seconds: number): void {
    if (seconds < this.nextSeconds) return;
    this.nextSeconds += this.everySeconds;
    this.onSample?.(seconds, this.quire.stats());
  }
}

async function work(
  plan: StressPlan,
  quire: Quire,
  buffer: SharedArrayBuffer,
  shared: SharedState,
  tiers: TierSwitch | undefined,
  sampler: Sampler,
): Promise<{ reports: WorkerReport[]; runSeconds: number; failures: string[] }> {
  const done = Array.from({ length: plan.workers }, (_, index) =>
    startWorker({ plan, index, handle: quire.handle, shared: buffer }),
  );
  const all = Promise.all(done);
  while (Atomics.load(shared.control, 1) < plan.workers && Atomics.load(shared.control, 0) !== 2) await sleep(20);
  const start = performance.now();
  const switched = tiers?.run(() => Atomics.load(shared.control, 0) !== 2);
  while (performance.now() - start < plan.seconds * 1000 && Atomics.load(shared.control, 0) !== 2) {
    await sleep(50);
    sampler.look((performance.now() - start) / 1000);
  }
  Atomics.store(shared.control, 0, 2);
  const reports = await all;
  return { reports, runSeconds: (performance.now() - start) / 1000, failures: (await switched) ?? [] };
}

function startWorker(start: WorkerStart): Promise<WorkerReport> {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: start, execArgv: [] });
  return new Promise((resolve) => {
    let report: WorkerReport | undefined;
    worker.on('message', (message: WorkerReport) => {
      report = message;
    });
    let failure = 'it ended without a report';
    worker.on('error', (error) => {
      failure = String(error);
    });
    worker.on('exit', () => resolve(report ?? { index: start.index, counts: {}, failure }));
  });
}

/** Nobody is at work any more: every cell and key must be what its last version says. */
async function lookAtAll(plan: StressPlan, cells: CellWork, keys: KeyWork, file: FileCells): Promise<string[]> {
  try {
    for (let cell = 0; cell < plan.fileCells; cell++) file.read(cell);
    await file.checkDisk(plan.filePath);
    await file.close();
    for (let cell = 0; cell < plan.cells; cell++) cells.read(cell);
    for (let key = 0; key < plan.keys; key++) keys.read(key);
    return keys.map.isValid() ? [] : ['the map is not valid'];
  } catch (error) {
    return [error instanceof Error ? String(error.stack) : String(error)];
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
