/**
 * 500 MB of text values in 250 MB, twice:
 *
 * - *equal*: both servers get the same total of resident + compressed bytes. Redis cannot hold this data in 250 MB (its
 *   compressed form alone is larger), so the total is the smallest tried at which it survives, found by raising the limit of
 *   its cgroup from a small resident share until it lives through loading, verifying and all of the benchmark.
 * - *larger*: Quire in the 250 MB; redis with as much resident and what zram takes on top of it.
 */
import { type Run, WrongAnswer } from '../benchmark.ts';
import type { HostSwap } from '../host-swap.ts';
import { type HostPeak, PeakWatch } from '../peak-watch.ts';
import { mib, type Results, type Target } from '../report.ts';
import { pairedRatio } from '../stats.ts';
import { interleaved, type Load, loadInto, reportRates } from './rates.ts';
import { benchmarkGets } from './redis-benchmark.ts';
import { REDIS, type ServerProcess, startOne, startQuireServer, startRedis } from './servers.ts';

/** Resident shares of the data that are tried, smallest first. */
const RESIDENT_SHARES = [1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2];
const TRIAL_REQUESTS = 20_000;

export interface Pressure {
  readonly budgetMib: number;
  readonly load: Load;
  readonly host: HostSwap;
}

interface Situation {
  /** Names the rows: `get_<label>`. */
  readonly label: string;
  readonly ratio: string;
  readonly target: Target;
}

/** Redis at a limit, loaded and verified, with the totals watched. */
interface Squeezed {
  readonly redis: ServerProcess;
  readonly watch: PeakWatch;
}

/**
 * Both servers at one total, the smallest at which redis lives through all of it: a limit at which it is killed half way is raised and everything measured anew. Adds rows
 * and `get_under_pressure_vs_redis`.
 */
export async function measureEqual(pressure: Pressure, run: Run, results: Results): Promise<void> {
  const situation = { label: 'equal_total', ratio: 'get_under_pressure_vs_redis', target: { atLeast: 2 } };
  for (const share of RESIDENT_SHARES) {
    const limitMib = mib(pressure.load.dataBytes * share);
    try {
      const squeezed = await squeeze(pressure, pressure.load.dataBytes * share);
      const totalMib = Math.ceil(mib(squeezed.watch.peak.totalBytes));
      run.progress(`redis lives with ${limitMib} MiB resident, ${totalMib} MiB in all`);
      await compare(squeezed, totalMib, situation, pressure, run, results);
      results.facts('all', 'equal_total', { wantedMib: pressure.budgetMib, smallestTriedTotalOfRedisMib: totalMib });
      return;
    } catch (error) {
      if (error instanceof WrongAnswer) throw error;
      run.progress(`redis dies with ${limitMib} MiB resident: ${error instanceof Error ? error.message : error}`);
    }
  }
  results.absent(`${REDIS}_equal_total`, 'redis survived at no limit that was tried');
}

/** Quire in its budget beside redis with that much resident and zram on top. */
export async function measureLarger(pressure: Pressure, run: Run, results: Results): Promise<void> {
  const squeezed = await squeeze(pressure, pressure.budgetMib * 2 ** 20);
  const situation = { label: 'redis_larger', ratio: 'get_under_pressure_vs_larger_redis', target: {} };
  await compare(squeezed, pressure.budgetMib, situation, pressure, run, results);
}

async function compare(
  { redis, watch }: Squeezed,
  quireMib: number,
  situation: Situation,
  { load }: Pressure,
  run: Run,
  results: Results,
): Promise<void> {
  const servers = [redis];
  try {
    await startOne(() => startQuireServer(quireMib), servers, results);
    const quire = servers.at(1);
    if (quire !== undefined) await loadInto(quire, load);
    const [redisRates, quireRates] = await interleaved(servers, load, run);
    const metric = `get_${situation.label}`;
    reportRates(results, metric, REDIS, redisRates, memoryOf(watch.peak));
    if (quire === undefined) return;
    reportRates(results, metric, quire.name, quireRates, { budgetMib: quireMib, rssMib: mib(quire.rssBytes()) });
    results.ratio(situation.ratio, pairedRatio(quireRates.map(rate), redisRates.map(rate)), situation.target);
  } finally {
    watch.stop();
    for (const server of servers) await server.stop();
  }
}

const rate = (figures: { requestsPerSecond: number }) => figures.requestsPerSecond;

async function squeeze({ host, load }: Pressure, limitBytes: number): Promise<Squeezed> {
  host.cgroup.setLimit(limitBytes);
  const redis = await startRedis(host);
  const watch = new PeakWatch(host);
  try {
    await loadInto(redis, load);
    await benchmarkGets(redis.port, load.keys, TRIAL_REQUESTS);
    watch.look();
    return { redis, watch };
  } catch (error) {
    watch.stop();
    await redis.stop();
    throw error;
  }
}

function memoryOf(peak: HostPeak): Record<string, number> {
  const { residentBytes, compressedBytes, totalBytes } = peak;
  return { residentMib: mib(residentBytes), compressedMib: mib(compressedBytes), totalMib: mib(totalBytes) };
}
