/**
 * `lab s2`: what a small write into a cached file costs. The mail (seed 001): a 1 KiB write into a 2 MiB folio walks the
 * states of all its 512 blocks. libMicro's six cases on Quire, on Quire with that walk switched on, on Node's fs and on a
 * C loop, the host's file once in folios of 4 KiB and once in the largest that the host makes.
 */
import { type Benchmark, ColumnAbsent, type Run } from '../benchmark.ts';
import { type Child, startNodeChild } from '../child.ts';
import { deviceOf, makeFileFolder } from '../file-folder.ts';
import { builtFile } from '../paths.ts';
import { QUIRE } from '../quire.ts';
import { type Outcome, Results, type Table } from '../report.ts';
import { medianWithoutOutliers, pairedRatio, rounded, spreadOf } from '../stats.ts';
import {
  batchOf,
  CASES,
  caseLine,
  END_CASE,
  LARGE_FOLIO_BYTES,
  SAMPLES,
  SMALL_FOLIO_BYTES,
  type WriteCase,
} from './cases.ts';
import { compileHostFile, startHostFile } from './host-program.ts';
import type { NodeChildArgs } from './node-child.ts';
import type { QuireChildArgs } from './quire-child.ts';

const ROUNDS = 15;
const ROUNDS_QUICK = 5;
/** libMicro's file is made by `dd bs=1024k`. */
const DD_BYTES = 2 ** 20;

const NAIVE = 'quire_naive';
const NODE = 'node_fs';
const HOST_SMALL = 'host_small';
const HOST_LARGE = 'host_large';

interface Column {
  readonly name: string;
  readonly child: Child;
}

/** ns per call, one figure a round, by column and case. */
type Samples = Map<string, Map<string, number[]>>;

export const s2: Benchmark = {
  name: 's2',
  summary:
    'libMicro writes into a cached 10 MB file: Quire, its naive walk, Node fs, the host with small and large folios',
  run: runS2,
};

async function runS2(run: Run): Promise<Outcome> {
  const results = new Results();
  const folder = makeFileFolder('ext4');
  const columns: Column[] = [];
  const { fileSystem } = folder;
  results.facts('host', 'files', {
    fileSystem,
    device: deviceOf(folder.path),
    roundsMax: roundsOf(run),
    samples: SAMPLES,
  });
  try {
    for (const start of starters(folder.path)) await startOne(start, columns, results);
    await describeFolios(columns, results);
    const samples: Samples = new Map();
    await round(columns, new Map());
    for (let index = 0; index < roundsOf(run); index += 1) {
      if (index > 0 && !run.hasTime()) break;
      await round(rotated(columns, index), samples);
      run.progress(`round ${index + 1}: ${columns.map(({ name }) => lastOf(samples, name)).join(', ')}`);
    }
    for (const { child } of columns) await child.end();
    report(samples, results);
    return { ...results.outcome(), tables: [tableOf(samples)] };
  } finally {
    for (const { child } of columns) await child.kill();
    folder.remove();
  }
}

function roundsOf(run: Run): number {
  return run.quick ? ROUNDS_QUICK : ROUNDS;
}

interface Starter {
  readonly name: string;
  start(): Child;
}

function starters(folder: string): Starter[] {
  const file = (name: string) => `${folder}/${name}`;
  const quire = (name: string, naiveWalk: boolean) => () => {
    const args: QuireChildArgs = { largePath: file(`${name}-large`), smallPath: file(`${name}-small`), naiveWalk };
    return startNodeChild(builtFile('s2/quire-child.js'), args);
  };
  const host = (name: string, chunkBytes: number) => () => startHostFile(compileHostFile(name), file(name), chunkBytes);
  const nodeArgs: NodeChildArgs = { path: file(NODE), chunkBytes: DD_BYTES };
  return [
    { name: QUIRE, start: quire(QUIRE, false) },
    { name: NAIVE, start: quire(NAIVE, true) },
    { name: NODE, start: () => startNodeChild(builtFile('s2/node-child.js'), nodeArgs) },
    { name: HOST_SMALL, start: host(HOST_SMALL, SMALL_FOLIO_BYTES) },
    { name: HOST_LARGE, start: host(HOST_LARGE, LARGE_FOLIO_BYTES) },
  ];
}

async function startOne({ name, start }: Starter, columns: Column[], results: Results): Promise<void> {
  let child: Child | null = null;
  try {
    child = start();
    await child.ready(name);
    columns.push({ name, child });
  } catch (error) {
    await child?.kill();
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(name, error.message);
  }
}

/** Every case once in every column; columns take turns case by case, so that a slow stretch of the machine hits all. */
async function round(columns: readonly Column[], samples: Samples): Promise<void> {
  for (const work of CASES) {
    for (const { name, child } of columns) keep(samples, name, work.name, await timed(child, work));
  }
  for (const { name, child } of columns) {
    if (name === NODE) continue;
    keep(samples, name, END_CASE.name, await timed(child, END_CASE));
    if (name === QUIRE) keep(samples, name, SMALL_END, await timed(child, END_CASE, 'small '));
  }
}

/** The end case on the file with folios of 4 KiB, within one process. */
const SMALL_END = `${END_CASE.name}_4k_folios`;

async function timed(child: Child, work: WriteCase, prefix = ''): Promise<number> {
  const { ns } = await child.phase<{ ns: number[] }>(prefix + caseLine(work, SAMPLES, batchOf(work)));
  return medianWithoutOutliers(ns);
}

function keep(samples: Samples, column: string, metric: string, ns: number): void {
  const byCase = samples.get(column) ?? new Map<string, number[]>();
  samples.set(column, byCase);
  byCase.set(metric, [...(byCase.get(metric) ?? []), ns]);
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const from = by % items.length;
  return [...items.slice(from), ...items.slice(0, from)];
}

function lastOf(samples: Samples, column: string): string {
  return `${column} ${samples.get(column)?.get('write_u1k')?.at(-1)?.toFixed(0)} ns`;
}

async function describeFolios(columns: readonly Column[], results: Results): Promise<void> {
  for (const { name, child } of columns) {
    if (name === NODE) results.facts(name, 'folios', { writtenInChunksOf: DD_BYTES });
    else results.facts(name, 'folios', await child.phase('folios'));
  }
}

function report(samples: Samples, results: Results): void {
  for (const [column, byCase] of samples) {
    for (const [metric, ns] of byCase) {
      results.measured(column, metric, 'µs/call', ns.map(toUs), mailNotes(column, metric));
    }
  }
  const of = (column: string, metric: string) => samples.get(column)?.get(metric) ?? [];
  const ratio = (name: string, over: readonly number[], under: readonly number[], target: object) => {
    if (over.length > 0 && under.length > 0) results.ratio(name, pairedRatio(over, under), target);
  };
  const ours = of(QUIRE, 'write_u1k');
  ratio('write_u1k_vs_naive', of(NAIVE, 'write_u1k'), ours, { atLeast: 3 });
  ratio('write_u1k_vs_host_large', of(HOST_LARGE, 'write_u1k'), ours, { atLeast: 20 });
  ratio('write_u1k_vs_host_small', of(HOST_SMALL, 'write_u1k'), ours, { atLeast: 4 });
  ratio('offset_cost', of(QUIRE, END_CASE.name), of(QUIRE, SMALL_END), { atMost: 1.1 });
  for (const { name } of CASES) {
    if (name !== 'write_u1k') ratio(`${name}_vs_host_large`, of(HOST_LARGE, name), of(QUIRE, name), {});
    if (name !== 'write_u1k') ratio(`${name}_vs_host_small`, of(HOST_SMALL, name), of(QUIRE, name), {});
    ratio(`${name}_vs_node_fs`, of(NODE, name), of(QUIRE, name), {});
  }
}

/** The mail's µs of the kernel that a column stands beside. */
function mailNotes(column: string, metric: string): Record<string, number> {
  const mail = CASES.find(({ name }) => name === metric)?.mail ?? null;
  if (mail === null) return {};
  const [small, large, fixed] = mail;
  if (column === HOST_SMALL) return { mailV612: small };
  if (column === HOST_LARGE) return { mailV618: large };
  return column === QUIRE ? { mailV618Fixed: fixed } : {};
}

const toUs = (ns: number) => ns / 1000;

/** As the mail prints it: a line for each case, µs per call. */
function tableOf(samples: Samples): Table {
  const names = [QUIRE, NAIVE, NODE, HOST_SMALL, HOST_LARGE].filter((name) => samples.has(name));
  const median = (column: string, metric: string) => {
    const ns = samples.get(column)?.get(metric) ?? [];
    return ns.length === 0 ? '' : `${rounded(spreadOf(ns).median / 1000)}`;
  };
  return {
    title: 'µs per call; beside it what the mail measured on another machine',
    head: ['case', ...names, 'mail: v6.12', 'mail: v6.18', 'mail: v6.18 + fix'],
    body: CASES.map(({ name, mail }) => [
      name,
      ...names.map((column) => median(column, name)),
      ...(mail ?? []).map(String),
    ]),
  };
}
