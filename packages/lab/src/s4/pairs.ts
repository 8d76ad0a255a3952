/**
 * `lab s4`, the layer's cost: the usemem run with and without the virtual layer, in turns. Measured on v5 of the mail's
 * series: 4 % less throughput, 19 % longer to free; with its fixes 0.4 % and nothing.
 */
import type { Run } from '../benchmark.ts';
import { PAGE_BYTES } from '../corpus.ts';
import type { Results } from '../report.ts';
import { medianInterval, spreadOf } from '../stats.ts';
import { type QuireRound, QuireUsemem, type Stats } from '../usemem/quire-usemem.ts';

/** One number of threads. */
export interface PairSizes {
  readonly budgetBytes: number;
  readonly pages: number;
  readonly threads: number;
  /** Pairs of processes, one after the other. */
  readonly crews: number;
  /** Pairs of rounds of each. */
  readonly pairs: number;
  /** Behind the names of the rows and ratios. */
  readonly suffix: string;
}

export const VIRTUAL = 'quire';
export const DIRECT = 'quire_direct';
/** Rounds before the timed ones, beyond the verified one: V8 has compiled everything by then. */
const WARM_ROUNDS = 4;

interface Mode {
  readonly name: string;
  readonly usemem: QuireUsemem;
  readonly rounds: QuireRound[];
  /** Stats before the first timed round. */
  before: Stats;
}

/** What two processes have measured, one of each mode. */
type Crew = readonly [virtual: Mode, direct: Mode];

/**
 * A process keeps what it began with: where its memory lies, and what V8 made of the code. That moves all its rounds together by
 * some 5 %, either mode against itself too. So the ratios are of crews, not of pairs: the median of a crew's pairs is one
 * sample, and the interval is that of as many samples as there were crews.
 */
export async function measurePairs(sizes: PairSizes, run: Run, results: Results): Promise<void> {
  const crews: Crew[] = [];
  for (let crew = 1; crew <= sizes.crews; crew += 1) {
    if (crew > 2 && !run.hasTime()) break;
    crews.push(await measureCrew(sizes, crew));
    const modes = crews[crews.length - 1].map(lineOf(sizes)).join('; ');
    run.progress(`crew ${crew}/${sizes.crews}, ${sizes.pairs} pairs, the last: ${modes}`);
  }
  report(crews, sizes, results);
}

async function measureCrew(sizes: PairSizes, crew: number): Promise<Crew> {
  const started: Mode[] = [];
  try {
    // Who is first alternates, in starting and in each pair: what the first leaves behind (caches, clock) then meets both alike.
    const names = crew % 2 === 0 ? [DIRECT, VIRTUAL] : [VIRTUAL, DIRECT];
    for (const name of names) started.push(await startMode(name, sizes));
    for (let pair = 1; pair <= sizes.pairs; pair += 1) {
      for (const mode of pair % 2 === 0 ? [...started].reverse() : started) {
        mode.rounds.push(await mode.usemem.round());
      }
    }
    for (const { usemem } of started) await usemem.end();
  } finally {
    for (const { usemem } of started) await usemem.kill();
  }
  return crew % 2 === 0 ? [started[1], started[0]] : [started[0], started[1]];
}

async function startMode(name: string, sizes: PairSizes): Promise<Mode> {
  const swap = [{ tier: 'compressed', codec: 'lz4' }];
  const open = { budget: sizes.budgetBytes, swap, threads: 'auto', virtual: name === VIRTUAL } as const;
  const usemem = await QuireUsemem.start(name, { open, pages: sizes.pages, threads: sizes.threads });
  let before: Stats = {};
  for (let round = 0; round < WARM_ROUNDS; round += 1) before = (await usemem.round()).freed;
  return { name, usemem, rounds: [], before };
}

function report(crews: readonly Crew[], sizes: PairSizes, results: Results): void {
  const { suffix } = sizes;
  for (const [mode, name] of [VIRTUAL, DIRECT].entries()) {
    const rounds = crews.flatMap((crew) => crew[mode].rounds);
    const free = rounds.map(({ freeUs }) => freeUs);
    results.measured(name, `usemem_throughput${suffix}`, 'MB/s', rounds.map(megabytesPerSecond(sizes)));
    results.measured(name, `usemem_free${suffix}`, 'µs', free);
    const done = rounds.map(({ freeDoneUs }) => freeDoneUs);
    results.measured(name, `usemem_free_done${suffix}`, 'µs', done);
  }
  for (const [mode, name] of [VIRTUAL, DIRECT].entries()) {
    const modes = crews.map((crew) => crew[mode]);
    results.facts(name, `reclaim${suffix}`, reclaimOf(modes));
  }
  const ratio = (of: (virtual: QuireRound, direct: QuireRound) => number) => medianInterval(crews.map(perCrew(of)));
  results.ratio(
    `virtual_throughput${suffix}`,
    ratio((virtual, direct) => direct.writeUs / virtual.writeUs),
    {
      atLeast: 0.99,
    },
  );
  results.ratio(
    `virtual_free${suffix}`,
    ratio((virtual, direct) => virtual.freeUs / direct.freeUs),
    { atMost: 1.01 },
  );
  // All of the work, the part that the call leaves to kswapd too.
  results.ratio(
    `virtual_free_done${suffix}`,
    ratio((virtual, direct) => virtual.freeDoneUs / direct.freeDoneUs),
  );
  // What the processors spent: on a machine with other guests these spread less than times do.
  results.ratio(
    `virtual_cpu_of_write${suffix}`,
    ratio((virtual, direct) => virtual.writeCpuUs / direct.writeCpuUs),
  );
  results.ratio(
    `virtual_cpu_of_free${suffix}`,
    ratio((virtual, direct) => virtual.freeCpuUs / direct.freeCpuUs),
  );
}

/** The median over the pairs of a crew. */
function perCrew(of: (virtual: QuireRound, direct: QuireRound) => number): (crew: Crew) => number {
  return ([virtual, direct]) => spreadOf(virtual.rounds.map((round, pair) => of(round, direct.rounds[pair]))).median;
}

function megabytesPerSecond(sizes: PairSizes): (round: QuireRound) => number {
  return (round) => (sizes.pages * PAGE_BYTES) / round.writeUs;
}

/** What was reclaimed in the timed rounds, and by whom. */
function reclaimOf(modes: readonly Mode[]): Record<string, number> {
  const grown = (name: string) => {
    let sum = 0;
    for (const { rounds, before } of modes) sum += rounds[rounds.length - 1].freed[name] - before[name];
    return sum / modes.reduce((count, { rounds }) => count + rounds.length, 0);
  };
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
