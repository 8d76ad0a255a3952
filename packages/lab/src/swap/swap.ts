/**
 * `lab swap`: 1 GiB of real text in 0.68 GiB, the first job of Quire, beside the host kernel doing the same work with
 * anonymous memory, a cgroup and zram. Both hold resident + compressed bytes to the same total.
 */
import { type Benchmark, ColumnAbsent, type Run, WrongAnswer } from '../benchmark.ts';
import { startNodeChild } from '../child.ts';
import { Corpus, corpusFile, PAGE_BYTES } from '../corpus.ts';
import { pageCluster } from '../host-swap.ts';
import { builtFile } from '../paths.ts';
import { QUIRE } from '../quire.ts';
import { mib, type Outcome, Results } from '../report.ts';
import { Xorshift32 } from '../rng.ts';
import { pairedRatio } from '../stats.ts';
import { touchMemory } from '../touch-memory.ts';
import { HOST, HostColumn, type HostResult, TOUCHED_SHARE } from './host-column.ts';
import type { QuireChildArgs } from './quire-child.ts';
import { measureSequential } from './sequential.ts';
import { corpusStore, type PhaseResult, phaseLines, runPhase, type Work, workOf } from './workload.ts';

const BUDGET_SHARE = 0.68;
const PAGES = 2 ** 18;
const PAGES_QUICK = 2 ** 16;
const REPETITIONS = 5;
const REPETITIONS_QUICK = 3;
const TOLERANCE = 0.005;
const TOLERANCE_QUICK = 0.015;
const SEED = 20_240_601;

/** A phase's name in the report and the ratio that issue 2 asks for. */
const TIMED = [
  { phase: 'fill', metric: 'fill', atLeast: 2 },
  { phase: 'random', metric: 'random_read_1k', atLeast: 5 },
  { phase: 'hot', metric: 'hot_cold_read_1k', atLeast: 3 },
] as const;

const HOST_HUGE = 'host_thp';

/** µs per operation of each repetition, by column and phase. */
type Samples = Map<string, Map<string, number[]>>;

export const swap: Benchmark = {
  name: 'swap',
  summary: '1 GiB of text in 0.68 GiB: fill, random and hot/cold 1 KiB reads; Quire beside the host kernel with zram',
  run: runSwap,
};

async function runSwap(run: Run): Promise<Outcome> {
  const work = workOf(run.quick ? PAGES_QUICK : PAGES);
  const budgetBytes = Math.floor(work.pages * PAGE_BYTES * BUDGET_SHARE);
  const file = corpusFile(run.progress);
  const expected = expectedPhases(file, work);
  const results = new Results();
  results.facts('all', 'work', { dataMib: mib(work.pages * PAGE_BYTES), totalMib: mib(budgetBytes), ...opsOf(work) });

  const columns: Column[] = [];
  const host = openHost(file, work, budgetBytes, results);
  try {
    if (host !== null) {
      await host.findLimit(false, run.quick ? TOLERANCE_QUICK : TOLERANCE, run.progress);
      columns.push(hostColumn(HOST, host, false), hostColumn(HOST_HUGE, host, true));
    }
    columns.push(quireColumn(file, work, budgetBytes));
    const samples = await measure(columns, expected, run, results);
    report(samples, results);
    for (const column of columns) column.describe(results);
    await measureSequential(file, work.pages, budgetBytes, run, results);
  } finally {
    host?.swap.close();
  }
  return results.outcome();
}

interface Column {
  readonly name: string;
  repetition(seed: number): Promise<readonly PhaseResult[]>;
  describe(results: Results): void;
}

function openHost(file: string, work: Work, totalBytes: number, results: Results): HostColumn | null {
  try {
    return new HostColumn(file, work, totalBytes);
  } catch (error) {
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(error.column, error.message);
    return null;
  }
}

function hostColumn(name: string, host: HostColumn, isHuge: boolean): Column {
  let last: HostResult | null = null;
  return {
    name,
    async repetition(seed) {
      last = await host.repetition(seed, isHuge);
      return last.phases;
    },
    describe(results) {
      if (last === null) return;
      const { peak } = last;
      results.facts(name, 'memory', {
        residentMib: mib(peak.residentBytes),
        compressedMib: mib(peak.compressedBytes),
        totalMib: mib(peak.totalBytes),
        pages: isHuge ? 'transparent huge pages' : 'base pages',
        swap: `zram ${host.swap.algorithm}`,
        pageCluster: pageCluster(),
        killedAndRunAgain: host.killedCount,
      });
    },
  };
}

function quireColumn(file: string, work: Work, budgetBytes: number): Column {
  let rssGrowthBytes = 0;
  return {
    name: QUIRE,
    async repetition(seed) {
      const args: QuireChildArgs = { corpusFile: file, pages: work.pages, seed, budgetBytes };
      const child = startNodeChild(builtFile('swap/quire-child.js'), args);
      try {
        await child.ready(QUIRE);
        await touchMemory(budgetBytes * TOUCHED_SHARE);
        const phases: PhaseResult[] = [];
        for (const line of phaseLines(work)) phases.push(await child.phase<PhaseResult>(line));
        rssGrowthBytes = (await child.phase<{ rssGrowthBytes: number }>('usage')).rssGrowthBytes;
        await child.end();
        return phases;
      } finally {
        await child.kill();
      }
    },
    describe(results) {
      results.facts(QUIRE, 'memory', { budgetMib: mib(budgetBytes), rssGrowthMib: mib(rssGrowthBytes) });
    },
  };
}

/** Repetitions of all columns, interleaved. A column that turns out absent is taken off the list. */
async function measure(
  columns: Column[],
  expected: readonly PhaseResult[],
  run: Run,
  results: Results,
): Promise<Samples> {
  const samples: Samples = new Map();
  const repetitions = run.quick ? REPETITIONS_QUICK : REPETITIONS;
  for (let repetition = 1; repetition <= repetitions; repetition += 1) {
    if (repetition > 1 && !run.hasTime()) break;
    for (const column of [...columns]) {
      try {
        const phases = await column.repetition(SEED);
        check(column.name, phases, expected);
        keep(samples, column.name, phases);
        run.progress(`${column.name} ${repetition}/${repetitions}: ${phases.map(phaseText).join(', ')}`);
      } catch (error) {
        if (!(error instanceof ColumnAbsent)) throw error;
        columns.splice(columns.indexOf(column), 1);
        results.absent(column.name, error.message);
      }
    }
  }
  return samples;
}

function report(samples: Samples, results: Results): void {
  for (const [column, byPhase] of samples) {
    for (const { phase, metric } of TIMED) results.measured(column, metric, 'µs/op', byPhase.get(phase) ?? []);
  }
  const quire = samples.get(QUIRE);
  if (quire === undefined) return;
  for (const { phase, metric, atLeast } of TIMED) {
    const ours = quire.get(phase) ?? [];
    // The host as it is set up: anonymous memory is in base pages unless a program asks otherwise (THP "madvise"). What asking brings is shown beside it.
    const base = samples.get(HOST)?.get(phase) ?? [];
    const huge = samples.get(HOST_HUGE)?.get(phase) ?? [];
    if (base.length > 0) results.ratio(metric, pairedRatio(base, ours), { atLeast });
    if (huge.length > 0) results.ratio(`${metric}_vs_huge_pages`, pairedRatio(huge, ours));
  }
}

/** The checksums every column must reach: the same walk over the corpus itself. */
function expectedPhases(file: string, work: Work): PhaseResult[] {
  const corpus = Corpus.load(file);
  const rng = new Xorshift32(SEED);
  const store = corpusStore(corpus);
  return phaseLines(work).map((line) => runPhase(line, store, corpus, work.pages, rng));
}

function check(column: string, phases: readonly PhaseResult[], expected: readonly PhaseResult[]): void {
  for (const [index, phase] of phases.entries()) {
    const { sum, ops } = expected[index];
    if (phase.sum !== sum || phase.ops !== ops) {
      throw new WrongAnswer(
        `${column}, ${phase.phase}: checksum ${phase.sum} over ${phase.ops} reads, expected ${sum}`,
      );
    }
  }
}

function keep(samples: Samples, column: string, phases: readonly PhaseResult[]): void {
  const byPhase = samples.get(column) ?? new Map<string, number[]>();
  samples.set(column, byPhase);
  for (const { phase, us, ops } of phases) {
    const values = byPhase.get(phase) ?? [];
    byPhase.set(phase, values);
    values.push(us / ops);
  }
}

function opsOf(work: Work): Record<string, number> {
  return { verifiedReads: work.verifyOps, randomReads: work.randomOps, hotColdReads: work.hotOps };
}

function phaseText(phase: PhaseResult): string {
  return `${phase.phase} ${(phase.us / phase.ops).toFixed(2)} µs`;
}
