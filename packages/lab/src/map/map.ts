/**
 * `lab map`: resident 1 KiB values in Quire, lmdb and lru-cache, one process each, taking turns; then millions of small
 * entries in Quire and in a plain Map, for what they do to the JS heap and its pauses.
 */
import { type Benchmark, ColumnAbsent, type Run, WrongAnswer } from '../benchmark.ts';
import { type Child, startNodeChild } from '../child.ts';
import { Corpus, corpusFile } from '../corpus.ts';
import { makeFileFolder } from '../file-folder.ts';
import { builtFile } from '../paths.ts';
import { QUIRE } from '../quire.ts';
import { Results } from '../report.ts';
import { Xorshift32 } from '../rng.ts';
import { pairedRatio, spreadOf } from '../stats.ts';
import { TextValues } from '../text-values.ts';
import { mixed } from './checksum.ts';
import type { HeapResult, MapChildArgs, MapPhaseResult } from './map-child.ts';
import { STORES, type StoreName } from './stores.ts';

const GET = {
  entries: 100_000,
  valueBytes: 1024,
  budgetBytes: 2 ** 29,
  verifies: 20_000,
  gets: 1_000_000,
  repetitions: 7,
};
const GET_QUICK = { ...GET, gets: 300_000, repetitions: 3 };
const SMALL = {
  entries: 5_000_000,
  valueBytes: 100,
  budgetBytes: 2 ** 31,
  verifies: 50_000,
  gets: 1_000_000,
  repetitions: 1,
};
const SMALL_QUICK = { ...SMALL, entries: 500_000, budgetBytes: 2 ** 28, gets: 200_000 };
type Sizes = typeof GET;
type Files = Pick<MapChildArgs, 'corpusFile' | 'folder'>;

const GET_COLUMNS: readonly StoreName[] = ['quire', 'lmdb', 'lmdb_cache', 'lmdb_fast', 'lru-cache', 'map'];
const SMALL_COLUMNS: readonly StoreName[] = ['quire', 'map'];
/** Five million entries of a plain Map need more than Node's default heap. */
const OLD_SPACE_MB = 8_192;
const SEED = 20_240_603;

export const map: Benchmark = {
  name: 'map',
  summary: 'gets of resident 1 KiB values beside lmdb and lru-cache; heap and pauses of 5 million entries beside Map',
  run: async (run) => {
    const results = new Results();
    const folder = makeFileFolder('ext4');
    const files = { corpusFile: corpusFile(run.progress), folder: folder.path };
    try {
      await measureGets(run.quick ? GET_QUICK : GET, files, run, results);
      await measureHeap(run.quick ? SMALL_QUICK : SMALL, files, run, results);
    } finally {
      folder.remove();
    }
    return results.outcome();
  },
};

async function measureGets(sizes: Sizes, files: Files, run: Run, results: Results): Promise<void> {
  results.facts('all', 'get', { entries: sizes.entries, valueBytes: sizes.valueBytes, gets: sizes.gets });
  const expected = expectedSums(sizes, files.corpusFile);
  const children = new Map<StoreName, Child>();
  const ns = new Map<StoreName, number[]>();
  try {
    for (const store of GET_COLUMNS) {
      const child = await startLoaded(store, sizes, files, true, run, results);
      if (child !== null) children.set(store, child);
    }
    for (const [repetition, sum] of expected.entries()) {
      if (repetition > 0 && !run.hasTime()) break;
      for (const [store, child] of children) {
        const got = await child.phase<MapPhaseResult>(`get ${sizes.gets}`);
        if (got.sum !== sum) throw new WrongAnswer(`${store}: checksum ${got.sum}, expected ${sum}`);
        const values = ns.get(store) ?? [];
        ns.set(store, values);
        values.push((got.us * 1000) / got.ops);
      }
      run.progress(
        `get ${repetition + 1}/${sizes.repetitions}: ${[...ns].map(([store, values]) => `${store} ${Math.round(values[repetition])} ns`).join(', ')}`,
      );
    }
    for (const child of children.values()) await child.end();
  } finally {
    for (const child of children.values()) await child.kill();
  }
  for (const [store, values] of ns) results.measured(store, 'get', 'ns/op', values, { returns: STORES[store] });
  reportRatios(ns, results);
}

/** `get_vs_lmdb`: two stores that each return a fresh copy. lmdb's other ways to read, which return shared objects, stand beside it. */
function reportRatios(ns: ReadonlyMap<StoreName, readonly number[]>, results: Results): void {
  const ours = ns.get(QUIRE);
  if (ours === undefined) return;
  for (const store of GET_COLUMNS.slice(1)) {
    const theirs = ns.get(store);
    if (theirs === undefined) continue;
    results.ratio(
      `get_vs_${store.replace('-', '_')}`,
      pairedRatio(theirs, ours),
      store === 'lmdb' ? { atLeast: 1.5 } : undefined,
    );
  }
}

async function measureHeap(sizes: Sizes, files: Files, run: Run, results: Results): Promise<void> {
  results.facts('all', 'heap', { entries: sizes.entries, valueBytes: sizes.valueBytes, gets: sizes.gets });
  const [expected] = expectedSums(sizes, files.corpusFile);
  for (const store of SMALL_COLUMNS) {
    const child = await startLoaded(store, sizes, files, false, run, results);
    if (child === null) continue;
    try {
      const got = await child.phase<MapPhaseResult>(`get ${sizes.gets}`);
      if (got.sum !== expected) throw new WrongAnswer(`${store}: wrong checksum`);
      const heap = await child.phase<HeapResult>('heap');
      await child.end();
      const { growthMb, gcPauseMaxMs, gcPauses, rssMb } = heap;
      run.progress(`${store}: heap +${growthMb.toFixed(1)} MB, longest pause ${gcPauseMaxMs.toFixed(1)} ms`);
      results.measured(store, 'heap_growth', 'MB', [growthMb], { rssMb: Math.round(rssMb) });
      results.measured(store, 'gc_pause_max', 'ms', [gcPauseMaxMs], { pauses: gcPauses });
      results.measured(store, 'get_small', 'ns/op', [(got.us * 1000) / got.ops]);
      if (store !== QUIRE) continue;
      results.ratio('heap_growth_mb', spreadOf([growthMb]), { atMost: 20 });
      results.ratio('gc_pause_max_ms', spreadOf([gcPauseMaxMs]), { atMost: 20 });
    } finally {
      await child.kill();
    }
  }
}

/** A child with its entries loaded and verified; null, and a row that says why, when the store is not here. */
async function startLoaded(
  store: StoreName,
  sizes: Sizes,
  files: Files,
  keepsKeys: boolean,
  run: Run,
  results: Results,
): Promise<Child | null> {
  const { entries, valueBytes, budgetBytes } = sizes;
  const args: MapChildArgs = { store, ...files, entries, valueBytes, budgetBytes, seed: SEED, keepsKeys };
  const nodeArgs = ['--expose-gc', `--max-old-space-size=${OLD_SPACE_MB}`];
  const child = startNodeChild(builtFile('map/map-child.js'), args, { nodeArgs });
  try {
    await child.ready(store);
    const { us } = await child.phase<MapPhaseResult>('load');
    await child.phase(`verify ${sizes.verifies}`);
    run.progress(`${store}: loaded ${entries} entries, ${(us / entries).toFixed(2)} µs each`);
    return child;
  } catch (error) {
    await child.kill();
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(error.column, error.message);
    return null;
  }
}

/** Checksums of each repetition's gets, from the formula of the values. */
function expectedSums(sizes: Sizes, file: string): number[] {
  const values = new TextValues(Corpus.load(file).text, sizes.valueBytes);
  const rng = new Xorshift32(SEED);
  for (let step = 0; step < sizes.verifies; step += 1) rng.next();
  return Array.from({ length: sizes.repetitions }, () => {
    let sum = 0;
    for (let step = 0; step < sizes.gets; step += 1) {
      sum = mixed(sum, values.value(rng.below(sizes.entries)), step);
    }
    return sum >>> 0;
  });
}
