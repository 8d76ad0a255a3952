/**
 * `lab tier`: four times the budget of incompressible data, so that most of it lies in the file tier, raw. Reads of 1 KiB at
 * random places beside a bare pread of the same length from a file of the same size, and reads of all of it in order beside
 * a reader of the device.
 *
 * Warm: both files are in the host's page cache, so that what is compared is the cost of the call. Cold: both were put out
 * of it before the phase (cold-file.ts), so that the device is read. Cold and in order, columns take turns every few mebibytes:
 * the device changes its speed threefold within a second, and a ratio of two times that were not the same says nothing. Each piece
 * begins with nothing in the page cache, what the host had read ahead of the last one included.
 */
import { type Benchmark, ColumnAbsent, type Run } from '../benchmark.ts';
import { type Child, startNodeChild } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { deviceOf, makeFileFolder } from '../file-folder.ts';
import { builtFile } from '../paths.ts';
import { QUIRE } from '../quire.ts';
import { mib, type Outcome, Results } from '../report.ts';
import { pairedRatio } from '../stats.ts';
import { dropFromPageCache } from './cold-file.ts';
import type { TierChildArgs } from './tier-child.ts';
import { type TierResult, UNIT_BYTES } from './tier-work.ts';

const BUDGET_BYTES = 64 * 2 ** 20;
const BUDGET_BYTES_QUICK = 16 * 2 ** 20;
const DATA_PER_BUDGET = 4;
/** One call of a reader in order. */
const READ_BYTES = 128 * 1024;
/** Pages that a column reads in order before it is the other's turn, where the device is read: some 20 ms. */
const PIECE_PAGES = (16 * 2 ** 20) / PAGE_BYTES;
const SEED = 20_241_104;
const VERIFIED = 20_000;
const RANDOM = 200_000;
const RANDOM_QUICK = 40_000;
/** Of reads that wait for the device, some 0.1 ms each. */
const RANDOM_COLD = 4_000;
const RANDOM_COLD_QUICK = 1_000;
const ROUNDS = 7;
const ROUNDS_QUICK = 3;

const PREAD = 'pread';
const COLUMNS = [QUIRE, PREAD] as const;
type ColumnName = (typeof COLUMNS)[number];

interface Started {
  readonly name: ColumnName;
  readonly child: Child;
  /** The column's file, as this process can open it. */
  readonly path: string;
}

interface TimedPhase {
  readonly metric: string;
  /** What the children are told, one after the other; columns take turns line by line. */
  readonly lines: readonly string[];
  readonly isCold: boolean;
}

/** µs per operation of each round, by phase and column. */
type Samples = Map<string, Map<ColumnName, number[]>>;

export const tier: Benchmark = {
  name: 'tier',
  summary:
    'the file tier: four times the budget of random bytes, 1 KiB reads beside pread, all in order beside the device',
  run: runTier,
};

async function runTier(run: Run): Promise<Outcome> {
  const results = new Results();
  const folder = makeFileFolder('ext4');
  const budgetBytes = run.quick ? BUDGET_BYTES_QUICK : BUDGET_BYTES;
  const pages = (budgetBytes * DATA_PER_BUDGET) / PAGE_BYTES;
  const { fileSystem } = folder;
  results.facts('all', 'work', {
    budgetMib: mib(budgetBytes),
    dataMib: mib(pages * PAGE_BYTES),
    readInOrderKib: READ_BYTES / 1024,
    fileSystem,
    device: deviceOf(folder.path),
  });
  const started: Started[] = [];
  try {
    for (const name of COLUMNS) await start(name, folder.path, pages, budgetBytes, started, results);
    const warmUp = { metric: 'warm_up', lines: [`sequential ${pages}`], isCold: false };
    const samples = await measure(started, warmUp, phasesOf(run, pages), run, results);
    report(samples, pages, results);
    await describe(started, results);
    for (const { child } of started) await child.end();
  } finally {
    for (const { child } of started) await child.kill();
    folder.remove();
  }
  return results.outcome();
}

function phasesOf({ quick }: Run, pages: number): TimedPhase[] {
  const random = quick ? RANDOM_QUICK : RANDOM;
  const randomCold = quick ? RANDOM_COLD_QUICK : RANDOM_COLD;
  const pieces = Array.from({ length: pages / PIECE_PAGES }, (_, piece) => piece * PIECE_PAGES);
  return [
    { metric: 'random_read_1k', lines: [`random ${random}`], isCold: false },
    { metric: 'sequential', lines: [`sequential ${pages}`], isCold: false },
    { metric: 'random_read_1k_cold', lines: [`random ${randomCold}`], isCold: true },
    { metric: 'sequential_cold', lines: pieces.map((first) => `sequential ${PIECE_PAGES} ${first}`), isCold: true },
  ];
}

/** Fills a column's store and verifies units of it, each in full. */
async function start(
  name: ColumnName,
  folder: string,
  pages: number,
  budgetBytes: number,
  started: Started[],
  results: Results,
): Promise<void> {
  const args: TierChildArgs = { store: name, folder, pages, budgetBytes, readBytes: READ_BYTES, seed: SEED };
  const child = startNodeChild(builtFile('tier/tier-child.js'), args);
  try {
    await child.ready(name);
    await child.phase<TierResult>(`verify ${VERIFIED}`);
    const { path } = await child.phase<{ path: string }>('path');
    started.push({ name, child, path });
  } catch (error) {
    await child.kill();
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(name, error.message);
  }
}

/** The first round is left out. Each begins with what brings both files into the page cache, untimed. */
async function measure(
  started: readonly Started[],
  warmUp: TimedPhase,
  phases: readonly TimedPhase[],
  run: Run,
  results: Results,
): Promise<Samples> {
  const samples: Samples = new Map(phases.map(({ metric }) => [metric, new Map()]));
  const rounds = run.quick ? ROUNDS_QUICK : ROUNDS;
  let mayDrop = true;
  for (let round = 0; round <= rounds; round += 1) {
    if (round > 1 && !run.hasTime()) break;
    await runPhase(started, warmUp, round);
    for (const phase of phases) {
      if (phase.isCold && !mayDrop) continue;
      const sums = await runPhase(started, phase, round);
      if (sums === undefined) {
        mayDrop = false;
        results.absent('cold', 'files cannot be put out of the page cache here (sync and dd of coreutils)');
      } else if (round > 0) for (const [name, { us, ops }] of sums) keep(samples, phase.metric, name, us / ops);
    }
    run.progress(`round ${round} of ${rounds}: ${lastOf(samples)}`);
  }
  return samples;
}

/** All lines of a phase, the columns in turn, who is first in turn too. Undefined when a file could not be dropped. */
async function runPhase(
  started: readonly Started[],
  { lines, isCold }: TimedPhase,
  round: number,
): Promise<Map<ColumnName, TierResult> | undefined> {
  const sums = new Map<ColumnName, TierResult>();
  for (const [turn, line] of lines.entries()) {
    for (let index = 0; index < started.length; index += 1) {
      const { name, child, path } = started[(index + round + turn) % started.length];
      if (isCold && !dropFromPageCache(path)) return undefined;
      const { us, ops } = await child.phase<TierResult>(line);
      const sum = sums.get(name) ?? { us: 0, ops: 0 };
      sums.set(name, { us: sum.us + us, ops: sum.ops + ops });
    }
  }
  return sums;
}

function keep(samples: Samples, metric: string, name: ColumnName, us: number): void {
  const byColumn = samples.get(metric);
  byColumn?.set(name, [...(byColumn.get(name) ?? []), us]);
}

function lastOf(samples: Samples): string {
  return [...samples]
    .map(([metric, byColumn]) => {
      const figures = [...byColumn].map(([name, us]) => `${name} ${us[us.length - 1].toFixed(2)}`);
      return `${metric} ${figures.join(' ')} µs`;
    })
    .join(', ');
}

function report(samples: Samples, pages: number, results: Results): void {
  for (const name of COLUMNS) {
    for (const [metric, byColumn] of samples) {
      const us = byColumn.get(name) ?? [];
      if (us.length === 0) continue;
      const unit = metric.startsWith('random') ? `µs/${UNIT_BYTES} bytes` : 'µs/page';
      results.measured(name, metric, unit, us);
    }
  }
  ratio(samples, 'random_read_1k', 'tier_random_read_vs_pread', results, { atMost: 1.5 });
  ratio(samples, 'random_read_1k_cold', 'tier_random_read_vs_pread_cold', results, { atMost: 1.5 });
  throughput(samples, 'sequential_cold', 'tier_sequential_vs_device', results, { atLeast: 0.8 });
  throughput(samples, 'sequential', 'tier_sequential_vs_page_cache', results, {});
  results.facts('all', 'pages', { pages });
}

/** Time of Quire over time of pread. */
function ratio(samples: Samples, metric: string, name: string, results: Results, target: { atMost?: number }): void {
  const quire = samples.get(metric)?.get(QUIRE) ?? [];
  const pread = samples.get(metric)?.get(PREAD) ?? [];
  if (quire.length > 0 && pread.length > 0) results.ratio(name, pairedRatio(quire, pread), target);
}

/** Throughput of Quire over throughput of the device. */
function throughput(
  samples: Samples,
  metric: string,
  name: string,
  results: Results,
  target: { atLeast?: number },
): void {
  const quire = samples.get(metric)?.get(QUIRE) ?? [];
  const pread = samples.get(metric)?.get(PREAD) ?? [];
  if (quire.length > 0 && pread.length > 0) results.ratio(name, pairedRatio(pread, quire), target);
}

/** Where the pages were, and what was done to read them. */
async function describe(started: readonly Started[], results: Results): Promise<void> {
  const quire = started.find(({ name }) => name === QUIRE);
  if (quire === undefined) return;
  const stats = await quire.child.phase<Record<string, unknown>>('stats');
  const facts: Record<string, number> = {};
  for (const [name, value] of Object.entries(stats)) if (SHOWN.test(name)) facts[name] = Number(value);
  results.facts(QUIRE, 'counters', facts);
}

const SHOWN = /^(file_|swap_ra|transient_reads|pswpin|pgmajfault|zswpwb|nr_region_pages)/;
