/**
 * `lab policy`: which page to give up. Traces of real workloads, replayed through Quire's two policies, replacements of the
 * literature and OPT, at several sizes of memory. No clock is read: every figure is a count, and the same on any machine.
 *
 *     misses    reads and writes of pages that had no frame, as a share of all, and over those of OPT
 *     cost      the counts at Quire's prices (prices.ts), and over those of OPT that may read in passing
 *
 * `--record DIR` keeps the traces, `--trace FILE` replays one of them, or of another program (trace-file.ts).
 *
 * Rows named after a policy bring a page in at the third of three close touches, as Quire does; "always in" at the first, as a kernel does.
 */
import { join } from 'node:path';
import type { Benchmark, Run } from '../benchmark.ts';
import { Corpus, corpusFile } from '../corpus.ts';
import { type Outcome, Results, type Table } from '../report.ts';
import { type Spread, spreadOf } from '../stats.ts';
import { createOptimal, createPassingOptimal } from './optimal.ts';
import { costOf, memoryFramesOf } from './prices.ts';
import { type Counts, type ReplacementFactory, replay } from './replay.ts';
import { createClock, createLru, createS3Fifo, createSieve } from './textbook.ts';
import { footprintOf, type Trace } from './trace.ts';
import { readTrace, writeTrace } from './trace-file.ts';
import { ALWAYS, createWorkingSet, type ListPolicy } from './working-set.ts';
import { type WorkloadSizes, workloads } from './workloads.ts';

const FULL: WorkloadSizes = {
  pages: 2 ** 15,
  mapKeys: 60_000,
  mapOps: 200_000,
  accountPages: 8192,
  pgbenchEvents: 600_000,
};
const QUICK: WorkloadSizes = {
  pages: 2 ** 13,
  mapKeys: 15_000,
  mapOps: 100_000,
  accountPages: 2048,
  pgbenchEvents: 200_000,
};
/** Resident pages as a share of the trace's footprint. */
const SHARES = [0.1, 0.25, 0.5, 0.75];
/** PROMOTE_BUCKETS of the core, first, and others beside it. */
const WINDOWS = [1, 2, 4, 8, 16, ALWAYS];
const DEFAULT = 'active-inactive';
const OTHER = 's3-fifo';
const OPTIMAL = 'opt';
const PASSING_OPTIMAL = 'opt, passing';

interface Column {
  readonly name: string;
  /** For a memory with `capacity` of the `footprint` pages resident. */
  factory(footprint: number, capacity: number): ReplacementFactory;
}

const COLUMNS: readonly Column[] = [
  plain(OPTIMAL, createOptimal),
  plain(PASSING_OPTIMAL, createPassingOptimal),
  plain('lru', createLru),
  plain('clock', createClock),
  plain('sieve', createSieve),
  plain('s3-fifo of the paper', createS3Fifo),
  ours(`${DEFAULT}, always in`, DEFAULT, ALWAYS),
  ours(`${OTHER}, always in`, OTHER, ALWAYS),
  ours(DEFAULT, DEFAULT, WINDOWS[0]),
  ours(OTHER, OTHER, WINDOWS[0]),
];

/** Counts of every column at every share, of one trace. */
interface Replays {
  readonly trace: Trace;
  readonly byColumn: ReadonlyMap<string, readonly Counts[]>;
  /** Of the default, by window. */
  readonly byWindow: readonly (readonly Counts[])[];
}

export const policy: Benchmark = {
  name: 'policy',
  summary: 'which page to give up: traces of real workloads replayed through both policies, others, and OPT',
  run: runPolicy,
};

async function runPolicy(run: Run): Promise<Outcome> {
  const results = new Results();
  const all: Replays[] = [];
  for await (const trace of tracesOf(run)) {
    const footprint = footprintOf(trace);
    results.facts(trace.name, 'trace', { events: trace.events.length, pages: trace.pages, footprint });
    const atShares = (column: Column) => SHARES.map((share) => replayed(trace, footprint, share, column));
    all.push({
      trace,
      byColumn: new Map(COLUMNS.map((column) => [column.name, atShares(column)])),
      byWindow: WINDOWS.map((window) => atShares(ours('', DEFAULT, window))),
    });
    run.progress(`${trace.name}: ${trace.events.length} events over ${footprint} pages replayed`);
  }
  const missesOf = (counts: Counts) => counts.misses;
  const compare = (ratio: string, name: string, base: string, figure = costOf): void => {
    const spread = against(all, name, base, figure);
    if (spread !== undefined) results.ratio(ratio, spread);
  };
  compare('s3_fifo_misses_vs_default', OTHER, DEFAULT, missesOf);
  compare('s3_fifo_cost_vs_default', OTHER, DEFAULT);
  compare('s3_fifo_cost_vs_default_always_in', `${OTHER}, always in`, `${DEFAULT}, always in`);
  compare('default_cost_vs_always_in', DEFAULT, `${DEFAULT}, always in`);
  compare('default_cost_vs_opt', DEFAULT, PASSING_OPTIMAL);
  return { ...results.outcome(), tables: [summary(all), windows(all), ...all.flatMap(tablesOf)] };
}

/** One after the other, as a trace is some megabytes: that of a file, or of each workload. */
async function* tracesOf({ quick, record, trace, progress }: Run): AsyncGenerator<Trace, void, undefined> {
  if (typeof trace === 'string') {
    yield readTrace(trace);
    return;
  }
  const corpus = Corpus.load(corpusFile(progress));
  for (const workload of workloads) {
    const recorded = await workload.record(corpus, quick ? QUICK : FULL);
    if (typeof record === 'string') writeTrace(join(record, `${recorded.name}.trace`), recorded);
    yield recorded;
  }
}

function replayed(trace: Trace, footprint: number, share: number, column: Column): Counts {
  const capacity = Math.max(1, Math.floor(footprint * share));
  return replay(trace, capacity, column.factory(footprint, capacity));
}

/**
 * One column's figure over another's at each trace and share: geometric mean, least and most. Where the base's is 0, as in a
 * trace that needs less memory than it seems, there is nothing to compare; undefined when that is so everywhere.
 */
function against(
  all: readonly Pick<Replays, 'byColumn'>[],
  name: string,
  base: string,
  figure: (counts: Counts) => number,
): Spread | undefined {
  const quotients = all.flatMap(({ byColumn }) =>
    SHARES.map((_, at) => figure(countsOf(byColumn, name)[at]) / figure(countsOf(byColumn, base)[at])),
  );
  const finite = quotients.filter((quotient) => Number.isFinite(quotient) && quotient > 0);
  return finite.length === 0 ? undefined : { ...spreadOf(finite), median: geometricMean(finite) };
}

function shown(spread: Spread | undefined): string {
  return spread === undefined ? '–' : spread.median.toFixed(3);
}

function summary(all: readonly Replays[]): Table {
  return {
    title: 'All traces and sizes, geometric means: misses per 100 uses; µs per use at the prices of the core',
    head: ['replacement', 'misses', 'over OPT', 'cost', 'over OPT, passing'],
    body: COLUMNS.map(({ name }) => {
      const mean = (figure: (counts: Counts) => number) =>
        geometricMean(all.flatMap(({ byColumn }) => countsOf(byColumn, name).map(figure)));
      return [
        name,
        mean(missesPer100).toFixed(2),
        shown(against(all, name, OPTIMAL, (counts) => counts.misses)),
        mean(costOf).toFixed(3),
        shown(against(all, name, PASSING_OPTIMAL, costOf)),
      ];
    }),
  };
}

function windows(all: readonly Replays[]): Table {
  const cells = (replays: readonly Replays[]) =>
    WINDOWS.map((_, row) => geometricMean(replays.flatMap(({ byWindow }) => byWindow[row].map(costOf))).toFixed(2));
  return {
    title: `${DEFAULT}: µs per use by the window of promotion, in 64ths of memory; geometric means over the sizes`,
    head: ['trace', ...WINDOWS.map((window) => (window === ALWAYS ? 'always in' : `${window}`))],
    body: [...all.map((replays) => [replays.trace.name, ...cells([replays])]), ['all', ...cells(all)]],
  };
}

function tablesOf({ trace, byColumn }: Replays): Table[] {
  const head = ['replacement', ...SHARES.map((share) => `${share * 100} %`)];
  const optimal = countsOf(byColumn, OPTIMAL);
  const table = (title: string, cell: (counts: Counts, at: number) => string): Table => ({
    title: `${trace.name}: ${title}, by resident share`,
    head,
    body: COLUMNS.map(({ name }) => [name, ...countsOf(byColumn, name).map(cell)]),
  });
  return [
    table('misses per 100 uses (over OPT)', (counts, at) => {
      const over = optimal[at].misses === 0 ? '–' : (counts.misses / optimal[at].misses).toFixed(2);
      return `${missesPer100(counts).toFixed(2)} (${over})`;
    }),
    table('µs per use', (counts) => costOf(counts).toFixed(2)),
  ];
}

function countsOf(byColumn: ReadonlyMap<string, readonly Counts[]>, name: string): readonly Counts[] {
  const counts = byColumn.get(name);
  if (counts === undefined) throw new RangeError(`no column ${name}`);
  return counts;
}

function missesPer100({ misses, uses }: Counts): number {
  return uses === 0 ? 0 : (misses / uses) * 100;
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

function plain(name: string, factory: ReplacementFactory): Column {
  return { name, factory: () => factory };
}

function ours(name: string, policy: ListPolicy, promoteBuckets: number): Column {
  return {
    name,
    factory: (footprint, capacity) => {
      const options = { policy, memoryFrames: memoryFramesOf(footprint, capacity), promoteBuckets };
      return (frames, trace) => createWorkingSet(frames, trace, options);
    },
  };
}
