/**
 * `lab s4`, the layer's cost: the usemem run with and without the virtual layer, in turns. Measured on v5 of the mail's
 * series: 4 % less throughput, 19 % longer to free; with its fixes 0.4 % and nothing.
 */
import type { Run } from '../benchmark.ts';
import { PAGE_BYTES } from '../corpus.ts';
import type { Results } from '../report.ts';
import { medianInterval } from '../stats.ts';
import { type QuireRound, QuireUsemem, type Stats } from '../usemem/quire-usemem.ts';

/** One number of threads. */
export interface PairSizes {
  readonly budgetBytes: number;
  readonly pages: number;
  readonly threads: number;
  readonly pairs: number;
  /** Behind the names of the rows and ratios. */
  readonly suffix: string;
}

export const VIRTUAL = 'quire';
export const DIRECT = 'quire_direct';
/** Rounds before the timed ones, beyond the verified one: V8 has compiled everything by then. */
const WARM_ROUNDS = 2;

interface Mode {
  readonly name: string;
  readonly usemem: QuireUsemem;
  readonly rounds: QuireRound[];
  /** Stats before the first timed round. */
  before: Stats;
}

export async function measurePairs(sizes: PairSizes, run: Run, results: Results): Promise<void> {
  const modes: Mode[] = [];
  try {
    for (const [name, virtual] of [
      [VIRTUAL, true],
      [DIRECT, false],
    ] as const) {
      modes.push(await startMode(name, virtual, sizes));
    }
    for (let pair = 1; pair <= sizes.pairs; pair += 1) {
      if (pair > 2 && !run.hasTime()) break;
      // Who goes first alternates: what the first leaves behind (caches, clock) then meets both alike.
      for (const mode of pair % 2 === 0 ? [...modes].reverse() : modes) mode.rounds.push(await mode.usemem.round());
      run.progress(`pair ${pair}/${sizes.pairs}: ${modes.map(lineOf(sizes)).join('; ')}`);
    }
    for (const { usemem } of modes) await usemem.end();
  } finally {
    for (const { usemem } of modes) await usemem.kill();
  }
  report(modes, sizes, results);
}

async function startMode(name: string, virtual: boolean, sizes: PairSizes): Promise<Mode> {
  const swap = [{ tier: 'compressed', codec: 'lz4' }];
  const open = { budget: sizes.budgetBytes, swap, threads: 'auto', virtual } as const;
  const usemem = await QuireUsemem.start(name, { open, pages: sizes.pages, threads: sizes.threads });
  let before: Stats = {};
  for (let round = 0; round < WARM_ROUNDS; round += 1) before = (await usemem.round()).freed;
  return { name, usemem, rounds: [], before };
}

function report(modes: readonly Mode[], sizes: PairSizes, results: Results): void {
  const { suffix } = sizes;
  for (const { name, rounds } of modes) {
    const free = rounds.map(({ freeUs }) => freeUs);
    results.measured(name, `usemem_throughput${suffix}`, 'MB/s', rounds.map(megabytesPerSecond(sizes)));
    results.measured(name, `usemem_free${suffix}`, 'µs', free);
    const done = rounds.map(({ freeDoneUs }) => freeDoneUs);
    results.measured(name, `usemem_free_done${suffix}`, 'µs', done);
  }
  for (const mode of modes) results.facts(mode.name, `reclaim${suffix}`, reclaimOf(mode));
  const [virtual, direct] = modes.map(({ rounds }) => rounds);
  const throughput = virtual.map((round, pair) => direct[pair].writeUs / round.writeUs);
  results.ratio(`virtual_throughput${suffix}`, medianInterval(throughput), { atLeast: 0.99 });
  const free = virtual.map((round, pair) => round.freeUs / direct[pair].freeUs);
  results.ratio(`virtual_free${suffix}`, medianInterval(free), { atMost: 1.01 });
  // All of the work, the part that the call leaves to kswapd too.
  const done = virtual.map((round, pair) => round.freeDoneUs / direct[pair].freeDoneUs);
  results.ratio(`virtual_free_done${suffix}`, medianInterval(done));
  // What the processors spent: on a machine with other guests these spread less than times do.
  const cpuWrite = virtual.map((round, pair) => round.writeCpuUs / direct[pair].writeCpuUs);
  results.ratio(`virtual_cpu_of_write${suffix}`, medianInterval(cpuWrite));
  const cpuFree = virtual.map((round, pair) => round.freeCpuUs / direct[pair].freeCpuUs);
  results.ratio(`virtual_cpu_of_free${suffix}`, medianInterval(cpuFree));
}

function megabytesPerSecond(sizes: PairSizes): (round: QuireRound) => number {
  return (round) => (sizes.pages * PAGE_BYTES) / round.writeUs;
}

/** What was reclaimed in the timed rounds, and by whom. */
function reclaimOf({ rounds, before }: Mode): Record<string, number> {
  const after = rounds[rounds.length - 1].freed;
  const grown = (name: string) => (after[name] - before[name]) / rounds.length;
  const kswapd = grown('pgsteal_kswapd');
  const direct = grown('pgsteal_direct');
  return {
    pagesStolenPerRound: Math.round(kswapd + direct),
    kswapdShare: Number((kswapd / (kswapd + direct)).toFixed(4)),
    swappedOutPerRound: Math.round(grown('pswpout')),
    directReclaimsPerRound: Math.round(grown('allocstall')),
  };
}

function lineOf(sizes: PairSizes): (mode: Mode) => string {
  return ({ name, rounds }) => {
    const last = rounds[rounds.length - 1];
    return `${name} ${megabytesPerSecond(sizes)(last).toFixed(0)} MB/s, free ${last.freeUs.toFixed(0)} µs`;
  };
}
