/**
 * `lab policy`: which page to give up. Traces of real workloads, replayed through Quire's two policies, replacements of the
 * literature and OPT, at several sizes of memory. No clock is read: every figure is a count, and the same on any machine.
 *
 *     misses    reads and writes of pages that had no frame, as a share of all, and over those of OPT
 *     cost      the counts at Quire's prices (prices.ts)
 */
import type { Benchmark, Run } from '../benchmark.ts';
import { Corpus, corpusFile } from '../corpus.ts';
import { type Outcome, Results, type Table } from '../report.ts';
import { createOptimal, createPassingOptimal } from './optimal.ts';
import { costOf, memoryFramesOf } from './prices.ts';
import { type Counts, type ReplacementFactory, replay } from './replay.ts';
import { createClock, createLru, createS3Fifo, createSieve } from './textbook.ts';
import { footprintOf, type Trace } from './trace.ts';
import { ALWAYS, createWorkingSet, type ListPolicy } from './working-set.ts';
import { type WorkloadSizes, workloads } from './workloads.ts';

const FULL: WorkloadSizes = {
  pages: 2 ** 15,
  mapKeys: 60_000,
  mapOps: 400_000,
  accountPages: 8192,
  pgbenchEvents: 1_000_000,
};
const QUICK: WorkloadSizes = {
  pages: 2 ** 13,
  mapKeys: 15_000,
  mapOps: 100_000,
  accountPages: 2048,
  pgbenchEvents: 200_000,
};
const SHARES = [0.1, 0.25, 0.5, 0.75];
const PROMOTE_BUCKETS = 1;

/** Quire's policies; the ratios compare the first with the second. */
const OURS = ['active-inactive', 's3-fifo'] as const satisfies readonly ListPolicy[];

interface Column {
  readonly name: string;
  /** For a memory of `share` of the trace's footprint. */
  factory(footprint: number, capacity: number): ReplacementFactory;
}

const COLUMNS: readonly Column[] = [
  plain('opt', createOptimal),
  plain('opt, passing', createPassingOptimal),
  plain('lru', createLru),
  plain('clock', createClock),
  plain('sieve', createSieve),
  plain('s3-fifo (paper)', createS3Fifo),
  ...OURS.map((policy) => ours(`${policy}, always in`, policy, ALWAYS)),
  ...OURS.map((policy) => ours(policy, policy, PROMOTE_BUCKETS)),
];

export const policy: Benchmark = {
  name: 'policy',
  summary: 'which page to give up: traces of real workloads replayed through both policies, others, and OPT',
  run: runPolicy,
};

async function runPolicy(run: Run): Promise<Outcome> {
  const sizes = run.quick ? QUICK : FULL;
  const corpus = Corpus.load(corpusFile(run.progress));
  const results = new Results();
  const tables: Table[] = [];
  for (const workload of workloads) {
    const trace = await workload.record(corpus, sizes);
    const footprint = footprintOf(trace);
    results.facts(trace.name, 'trace', { events: trace.events.length, pages: trace.pages, footprint });
    const counts = COLUMNS.map((column) => SHARES.map((share) => replayed(trace, footprint, share, column)));
    tables.push(missTable(trace, counts), costTable(trace, counts));
    run.progress(`${trace.name}: ${trace.events.length} events over ${footprint} pages replayed`);
  }
  return { ...results.outcome(), tables };
}

function replayed(trace: Trace, footprint: number, share: number, column: Column): Counts {
  const capacity = Math.max(1, Math.floor(footprint * share));
  return replay(trace, capacity, column.factory(footprint, capacity));
}

function missTable(trace: Trace, counts: readonly (readonly Counts[])[]): Table {
  const optimal = counts[0];
  return {
    title: `${trace.name}: misses per 100 uses (over OPT), by resident share of the footprint`,
    head: ['replacement', ...SHARES.map((share) => `${share * 100} %`)],
    body: COLUMNS.map(({ name }, row) => [
      name,
      ...counts[row].map((of, at) => `${(missShare(of) * 100).toFixed(2)} (${over(of.misses, optimal[at].misses)})`),
    ]),
  };
}

function costTable(trace: Trace, counts: readonly (readonly Counts[])[]): Table {
  return {
    title: `${trace.name}: µs per use at Quire's prices`,
    head: ['replacement', ...SHARES.map((share) => `${share * 100} %`)],
    body: COLUMNS.map(({ name }, row) => [name, ...counts[row].map((of) => costOf(of).toFixed(2))]),
  };
}

function missShare({ misses, uses }: Counts): number {
  return uses === 0 ? 0 : misses / uses;
}

function over(value: number, base: number): string {
  return base === 0 ? '–' : (value / base).toFixed(2);
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
