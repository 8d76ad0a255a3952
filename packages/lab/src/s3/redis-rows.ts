/**
 * `lab s3`, redis: the mail's `redis-benchmark -r 3000000 -n 3000000 -d 1024 -c 12 -P 32 -t get` against valkey with
 * `maxmemory 2560M` in a machine of 2 GiB with zram: 3,385,017 requests a second before, 3,433,309 after. Here the data is
 * 1.25 times what the same share of this machine's run holds, Debian's redis stands for valkey, and both servers get
 * one total of resident and compressed bytes (server/pressure.ts).
 */
import { ColumnAbsent, type Run } from '../benchmark.ts';
import { Corpus, corpusFile } from '../corpus.ts';
import { HostSwap } from '../host-swap.ts';
import { mib, type Results } from '../report.ts';
import { measureEqual } from '../server/pressure.ts';
import type { Load } from '../server/rates.ts';
import { VALUE_BYTES, whyNoRedis } from '../server/redis-benchmark.ts';
import { REDIS } from '../server/servers.ts';
import { TextValues } from '../text-values.ts';

export interface RedisSizes {
  readonly keys: number;
  readonly requests: number;
  readonly repetitions: number;
  readonly budgetMib: number;
}

/** Redis stores a 1 KiB value in 1,280 bytes and more, and zram must take all that is not resident. */
const SWAP_PER_DATA = 4;

export async function measureRedis(sizes: RedisSizes, run: Run, results: Results): Promise<void> {
  const missing = whyNoRedis();
  if (missing !== null) {
    results.absent(REDIS, missing);
    return;
  }
  const values = new TextValues(Corpus.load(corpusFile(run.progress)).text, VALUE_BYTES);
  const load: Load = { ...sizes, values, dataBytes: sizes.keys * VALUE_BYTES };
  const { keys, requests } = sizes;
  const mail = { mailBeforeRps: 3_385_017, mailAfterRps: 3_433_309 };
  results.facts('all', 'redis_benchmark', { keys, dataMib: mib(load.dataBytes), requests, ...mail });
  let host: HostSwap | null = null;
  try {
    host = HostSwap.open(REDIS, load.dataBytes * SWAP_PER_DATA);
    await measureEqual({ budgetMib: sizes.budgetMib, load, host }, run, results);
  } catch (error) {
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(error.column, error.message);
  } finally {
    host?.close();
  }
}
