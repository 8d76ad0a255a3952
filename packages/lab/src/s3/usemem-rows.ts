/**
 * `lab s3`, usemem: n threads write twice the budget and free it, beside n processes of the host in as much memory. The
 * mail's run (`usemem --init-time -O -y -x -n 48 1G`, 16 GiB of memory, 48 GiB of ramdisk) went from 6482.58 to
 * 6539.28 MB/s, freeing from 371,371.67 to 363,060 µs.
 */
import { ColumnAbsent, type Run } from '../benchmark.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { QUIRE } from '../quire.ts';
import { mib, type Results } from '../report.ts';
import { pairedRatio } from '../stats.ts';
import { HOST, type HostRound, HostUsemem } from '../usemem/host-usemem.ts';
import { type QuireRound, QuireUsemem, type Stats } from '../usemem/quire-usemem.ts';
import { STEP_BYTES } from '../usemem/share.ts';

export interface UsememSizes {
  readonly budgetBytes: number;
  readonly pages: number;
  readonly rounds: number;
  /** How near the host's peak total has to come to the budget. */
  readonly tolerance: number;
}

interface Samples {
  readonly quire: QuireRound[];
  readonly host: HostRound[];
  readonly huge: HostRound[];
}

const MAIL = { throughput: { before: 6482.58, after: 6539.28 }, free: { before: 371_371.67, after: 363_060 } };
const HOST_HUGE = 'host_thp';

/** Rows by number of threads; the ratios are those of the last number. Returns the stats of Quire's last full round. */
export async function measureUsemem(
  sizes: UsememSizes,
  threadCounts: readonly number[],
  run: Run,
  results: Results,
): Promise<Stats[]> {
  results.facts('all', 'usemem', {
    dataMib: mib(sizes.pages * PAGE_BYTES),
    totalMib: mib(sizes.budgetBytes),
    stepBytes: STEP_BYTES,
    mailBeforeMBs: MAIL.throughput.before,
    mailAfterMBs: MAIL.throughput.after,
    mailFreeBeforeUs: MAIL.free.before,
    mailFreeAfterUs: MAIL.free.after,
  });
  const host = openHost(sizes, results);
  const stats: Stats[] = [];
  try {
    await host?.findLimit(threadCounts[0], sizes.tolerance, run.progress);
    for (const threads of threadCounts) {
      const samples = await measureThreads(sizes, threads, host, run);
      report(samples, sizes, threads, threads === threadCounts.at(-1), results);
      stats.push(...samples.quire.map(({ written }) => written));
    }
    describeHost(host, results);
  } finally {
    host?.close();
  }
  return stats;
}

function openHost(sizes: UsememSizes, results: Results): HostUsemem | null {
  try {
    return new HostUsemem(sizes.pages, sizes.budgetBytes);
  } catch (error) {
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(error.column, error.message);
    return null;
  }
}

async function measureThreads(
  sizes: UsememSizes,
  threads: number,
  host: HostUsemem | null,
  run: Run,
): Promise<Samples> {
  const samples: Samples = { quire: [], host: [], huge: [] };
  const open = { budget: sizes.budgetBytes, swap: [{ tier: 'compressed', codec: 'lz4' }], threads: 'auto' } as const;
  const quire = await QuireUsemem.start(QUIRE, { open, pages: sizes.pages, threads });
  try {
    for (let round = 1; round <= sizes.rounds; round += 1) {
      if (round > 1 && !run.hasTime()) break;
      samples.quire.push(await quire.round());
      if (host !== null) {
        samples.host.push(await host.round(threads, false));
        samples.huge.push(await host.round(threads, true));
      }
      run.progress(`usemem n ${threads}, ${round}/${sizes.rounds}: ${lineOf(samples, sizes)}`);
    }
    await quire.end();
  } finally {
    await quire.kill();
  }
  return samples;
}

type Timed = Pick<QuireRound, 'writeUs' | 'freeUs'>;

function report(samples: Samples, sizes: UsememSizes, threads: number, isLast: boolean, results: Results): void {
  const columns: [string, readonly Timed[]][] = [
    [QUIRE, samples.quire],
    [HOST, samples.host],
    [HOST_HUGE, samples.huge],
  ];
  for (const [column, rounds] of columns) {
    if (rounds.length === 0) continue;
    results.measured(column, `usemem_${threads}_throughput`, 'MB/s', rounds.map(megabytesPerSecond(sizes)));
    results.measured(column, `usemem_${threads}_free`, 'µs', rounds.map(freeUs));
  }
  results.measured(QUIRE, `usemem_${threads}_free_done`, 'µs', samples.quire.map(freeDoneUs));
  for (const [column, rounds] of columns.slice(1)) {
    if (rounds.length === 0) continue;
    const suffix = `${column === HOST ? '' : '_huge_pages'}${isLast ? '' : `_n${threads}`}`;
    const isGoal = column === HOST && isLast;
    const faster = pairedRatio(rounds.map(writeUs), samples.quire.map(writeUs));
    results.ratio(`usemem_throughput_vs_host${suffix}`, faster, isGoal ? { atLeast: 2 } : {});
    const freer = pairedRatio(rounds.map(freeUs), samples.quire.map(freeUs));
    results.ratio(`usemem_free_vs_host${suffix}`, freer, isGoal ? { atLeast: 4 } : {});
    // The host has freed everything when munmap returns, Quire when its daemon has.
    const done = pairedRatio(rounds.map(freeUs), samples.quire.map(freeDoneUs));
    results.ratio(`usemem_free_done_vs_host${suffix}`, done);
  }
}

const writeUs = (round: Timed) => round.writeUs;
const freeUs = (round: Timed) => round.freeUs;
const freeDoneUs = (round: QuireRound) => round.freeDoneUs;

function megabytesPerSecond(sizes: UsememSizes): (round: Timed) => number {
  return (round) => (sizes.pages * PAGE_BYTES) / round.writeUs;
}

function lineOf(samples: Samples, sizes: UsememSizes): string {
  const columns = Object.entries(samples) as [string, readonly Timed[]][];
  return columns
    .map(([name, rounds]) => [name, rounds.at(-1)] as const)
    .map(([name, last]) =>
      last === undefined
        ? ''
        : `${name} ${megabytesPerSecond(sizes)(last).toFixed(0)} MB/s, free ${last.freeUs.toFixed(0)} µs`,
    )
    .filter((text) => text !== '')
    .join('; ');
}

function describeHost(host: HostUsemem | null, results: Results): void {
  if (host === null) return;
  results.facts(HOST, 'usemem', { swap: `zram ${host.swap.algorithm}`, killedAndRunAgain: host.killedCount });
}
