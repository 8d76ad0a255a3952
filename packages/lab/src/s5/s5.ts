/**
 * `lab s5`: how much faster is reclaim when compression has threads of its own? The mail (seed 004): on handhelds the rate
 * of `pgsteal_anon` rose by over 260 %. Questions of its thread that nobody answered with numbers: which algorithm, what
 * with zstd, how did scanning and compressing share the processor before, how much memory is in flight.
 *
 * Memory is filled first, and then a number of pages reclaimed while the thread that filled it sleeps: kswapd and its
 * compressors have all processors to themselves. kswapd alone compresses in the same batches, with no ring and no wake-up.
 */
import { availableParallelism } from 'node:os';
import * as zlib from 'node:zlib';
import { type Benchmark, ColumnAbsent, type Run } from '../benchmark.ts';
import { startNodeChild } from '../child.ts';
import { corpusFile, PAGE_BYTES } from '../corpus.ts';
import { builtFile } from '../paths.ts';
import { type Outcome, Results } from '../report.ts';
import { CoreLimit } from './core-limit.ts';
import type { S5Data } from './page-source.ts';
import type { ReclaimSplit } from './reclaim-door.ts';
import type { S5ChildArgs, S5Codec, S5Reclaimed, S5Written } from './s5-child.ts';
import { describeRates, describeSplits, describeWrites, type Samples, variantName } from './s5-report.ts';

export interface Variant {
  readonly codec: S5Codec;
  readonly data: S5Data;
  /** Threads of kcompressd beside kswapd. */
  readonly kcompressd: number;
}

interface Sizes {
  readonly budgetBytes: number;
  readonly rounds: number;
}

const MIB = 2 ** 20;
const SIZES: Sizes = { budgetBytes: 768 * MIB, rounds: 5 };
const SIZES_QUICK: Sizes = { budgetBytes: 96 * MIB, rounds: 1 };
/** Of the budget's frames: far enough from the marks that nothing is reclaimed while memory fills. */
const FILLED_SHARE = 0.8;
/**
 * In the first third V8 compiles the daemons' code, on threads of its own: kswapd alone leaves it a processor for that, kswapd and
 * kcompressd do not.
 */
const WARM_SHARE = 0.3;
const TIMED_SHARE = 0.4;
/** Fresh pages, as a share of the frames: more than what reclaim made free, so that most of them meet full memory. */
const WRITTEN_SHARE = 0.8;
/** A machine with many processors is not asked for more rows than a reader wants. */
const KCOMPRESSD_MAX = 8;
const SEED = 5;
const ZSTD_ABSENT = 'node:zlib has no zstd here: Node 22.15, 23.8 or later is needed';

export const s5: Benchmark = {
  name: 's5',
  summary:
    'pages reclaimed per second: kswapd alone and with threads of kcompressd, lz4 and zstd, text and random bytes',
  run: runS5,
};

async function runS5(run: Run): Promise<Outcome> {
  const sizes = run.quick ? SIZES_QUICK : SIZES;
  const results = new Results();
  const samples: Samples = { reclaimed: new Map(), written: new Map(), splits: new Map(), limits: [] };
  const cores = availableParallelism();
  const corpus = corpusFile(run.progress);
  const codecs: S5Codec[] = 'zstdCompressSync' in zlib ? ['lz4', 'zstd'] : ['lz4'];
  results.facts('all', 'work', {
    budgetMiB: sizes.budgetBytes / MIB,
    filledShare: FILLED_SHARE,
    reclaimedShare: TIMED_SHARE,
    writer: 'asleep while reclaim is timed',
    cores,
  });
  if (!codecs.includes('zstd')) results.absent('zstd', ZSTD_ABSENT);
  const variants = variantsFor(codecs, cores, run.quick);
  const limit = await CoreLimit.start(corpus, cores);
  try {
    for (let round = 0; round < sizes.rounds; round += 1) {
      samples.limits.push(await limit.measure());
      for (let index = 0; index < variants.length; index += 1) {
        if (round > 0 && !run.hasTime()) break;
        const variant = variants[(index + round) % variants.length];
        await runOnce(run, samples, variant, argsFor(variant, sizes, corpus, round));
      }
    }
    for (const codec of codecs) {
      for (const data of ['text', 'random'] as const) await splitOnce(samples, codec, data, sizes, corpus);
    }
  } catch (error) {
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(error.column, error.message);
    return results.outcome();
  } finally {
    await limit.end();
  }
  const tables = [describeRates(results, samples, cores), describeSplits(results, samples)];
  tables.push(describeWrites(results, samples));
  return { ...results.outcome(), tables };
}

/** Alone, then with 1, 2, … threads of kcompressd, up to one more than the cores have room for beside kswapd. */
function variantsFor(codecs: readonly S5Codec[], cores: number, quick: boolean): Variant[] {
  const most = quick ? 1 : Math.min(cores, KCOMPRESSD_MAX);
  const variants: Variant[] = [];
  for (const codec of codecs) {
    for (const data of ['text', 'random'] as const) {
      for (let kcompressd = 0; kcompressd <= most; kcompressd += 1) variants.push({ codec, data, kcompressd });
    }
  }
  return variants;
}

function argsFor({ codec, data, kcompressd }: Variant, sizes: Sizes, corpus: string, round: number): S5ChildArgs {
  const { budgetBytes } = sizes;
  const pages = Math.floor((budgetBytes / PAGE_BYTES) * FILLED_SHARE);
  return { corpusFile: corpus, data, codec, budgetBytes, pages, threads: kcompressd + 1, seed: SEED + round };
}

async function runOnce(run: Run, samples: Samples, variant: Variant, args: S5ChildArgs): Promise<void> {
  const name = variantName(variant);
  const child = startNodeChild(builtFile('s5/s5-child.js'), args);
  try {
    await child.ready(name);
    await child.phase(`reclaim ${Math.floor(args.pages * WARM_SHARE)}`);
    const reclaimed = await child.phase<S5Reclaimed>(`reclaim ${Math.floor(args.pages * TIMED_SHARE)}`);
    keep(samples.reclaimed, name, reclaimed);
    // Pages that do not get smaller leave no room for new ones, and the rows of text say what a writer waits for.
    if (variant.data === 'text') {
      const written = await child.phase<S5Written>(`write ${Math.floor(args.pages * WRITTEN_SHARE)}`);
      keep(samples.written, name, written);
    }
    await child.phase('check');
    await child.end();
    run.progress(`${name}: ${Math.round((reclaimed.pages / reclaimed.ms) * 1000)} pages/s`);
  } finally {
    await child.kill();
  }
}

async function splitOnce(samples: Samples, codec: S5Codec, data: S5Data, sizes: Sizes, corpus: string): Promise<void> {
  const args = { ...argsFor({ codec, data, kcompressd: 0 }, sizes, corpus, 0), threads: 0 };
  const child = startNodeChild(builtFile('s5/s5-child.js'), args);
  try {
    await child.ready(`${codec} ${data}`);
    await child.phase(`split ${Math.floor(args.pages * WARM_SHARE)}`);
    const split = await child.phase<ReclaimSplit>(`split ${Math.floor(args.pages * TIMED_SHARE)}`);
    await child.phase('check');
    await child.end();
    samples.splits.set(`${codec} ${data}`, split);
  } finally {
    await child.kill();
  }
}

function keep<T>(map: Map<string, T[]>, name: string, value: T): void {
  map.set(name, [...(map.get(name) ?? []), value]);
}
