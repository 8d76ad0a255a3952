/** `lab server`: redis-benchmark against Quire's server and Debian's redis-server, all in memory and under pressure. */
import { type Benchmark, ColumnAbsent, type Run } from '../benchmark.ts';
import { Corpus, corpusFile } from '../corpus.ts';
import { HostSwap } from '../host-swap.ts';
import { QUIRE } from '../quire.ts';
import { mib, type Outcome, Results } from '../report.ts';
import { pairedRatio } from '../stats.ts';
import { TextValues } from '../text-values.ts';
import { measureEqual, measureLarger } from './pressure.ts';
import { interleaved, type Load, loadInto, reportRates } from './rates.ts';
import { type BenchmarkFigures, VALUE_BYTES, whyNoRedis } from './redis-benchmark.ts';
import { REDIS, type ServerProcess, startOne, startQuireServer, startRedis } from './servers.ts';

const IN_MEMORY = { keys: 100_000, requests: 2_000_000, repetitions: 5, budgetMib: 512 };
const IN_MEMORY_QUICK = { keys: 50_000, requests: 400_000, repetitions: 3, budgetMib: 256 };
const PRESSURE = { keys: 512_000, requests: 300_000, repetitions: 5, budgetMib: 250 };
const PRESSURE_QUICK = { keys: 128_000, requests: 50_000, repetitions: 3, budgetMib: 62 };
/** Redis stores a 1 KiB value in 1,280 bytes and more, and zram must take all that is not resident. */
const SWAP_PER_DATA = 4;

export const server: Benchmark = {
  name: 'server',
  summary: "redis-benchmark GETs of 1 KiB values: Quire's server beside redis-server, in memory and in half of it",
  run: runServer,
};

async function runServer(run: Run): Promise<Outcome> {
  const results = new Results();
  const values = new TextValues(Corpus.load(corpusFile(run.progress)).text, VALUE_BYTES);
  const missing = whyNoRedis();
  if (missing !== null) {
    results.absent('all', `${missing}; redis-benchmark is what this benchmark measures with`);
    return results.outcome();
  }
  await inMemory(run, results, values);
  await underPressure(run, results, values);
  return results.outcome();
}

async function inMemory(run: Run, results: Results, values: TextValues): Promise<void> {
  const sizes = run.quick ? IN_MEMORY_QUICK : IN_MEMORY;
  const load: Load = { ...sizes, values, dataBytes: sizes.keys * VALUE_BYTES };
  results.facts('all', 'in_memory', { keys: load.keys, dataMib: mib(load.dataBytes), requests: load.requests });
  const servers: ServerProcess[] = [];
  try {
    for (const start of [() => startRedis(null), () => startQuireServer(sizes.budgetMib)]) {
      await startOne(start, servers, results);
    }
    for (const each of servers) await loadInto(each, load);
    const figures = await interleaved(servers, load, run);
    for (const [index, each] of servers.entries()) {
      reportRates(results, 'get_in_memory', each.name, figures[index], { rssMib: mib(each.rssBytes()) });
    }
    const rates = (name: string) => ratesOf(servers, figures, name);
    if (rates(REDIS).length > 0 && rates(QUIRE).length > 0) {
      results.ratio('get_in_memory_vs_redis', pairedRatio(rates(QUIRE), rates(REDIS)), { atLeast: 0.6 });
    }
  } finally {
    for (const each of servers) await each.stop();
  }
}

async function underPressure(run: Run, results: Results, values: TextValues): Promise<void> {
  const sizes = run.quick ? PRESSURE_QUICK : PRESSURE;
  const load: Load = { ...sizes, values, dataBytes: sizes.keys * VALUE_BYTES };
  results.facts('all', 'under_pressure', { keys: load.keys, dataMib: mib(load.dataBytes), requests: load.requests });
  let host: HostSwap | null = null;
  try {
    host = HostSwap.open(REDIS, load.dataBytes * SWAP_PER_DATA);
    const pressure = { budgetMib: sizes.budgetMib, load, host };
    await measureEqual(pressure, run, results);
    await measureLarger(pressure, run, results);
  } catch (error) {
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(`${error.column}_under_pressure`, error.message);
    if (error.column === REDIS) await quireAlone(sizes.budgetMib, load, run, results);
  } finally {
    host?.close();
  }
}

/** Without root there is no redis column under pressure; Quire's still runs. */
async function quireAlone(budgetMib: number, load: Load, run: Run, results: Results): Promise<void> {
  const servers: ServerProcess[] = [];
  try {
    await startOne(() => startQuireServer(budgetMib), servers, results);
    for (const each of servers) {
      await loadInto(each, load);
      const [figures] = await interleaved([each], load, run);
      reportRates(results, 'get_under_pressure', each.name, figures, { budgetMib, rssMib: mib(each.rssBytes()) });
    }
  } finally {
    for (const each of servers) await each.stop();
  }
}

function ratesOf(servers: readonly ServerProcess[], figures: readonly BenchmarkFigures[][], name: string): number[] {
  const index = servers.findIndex((each) => each.name === name);
  return index < 0 ? [] : figures[index].map((figure) => figure.requestsPerSecond);
}
