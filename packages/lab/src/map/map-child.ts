/** One column of `lab map`: loads entries, verifies them, times gets, and watches the JS heap and its pauses. */
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { WrongAnswer } from '../benchmark.ts';
import { serveParent } from '../child.ts';
import { Corpus } from '../corpus.ts';
import { Xorshift32 } from '../rng.ts';
import { keyName, TextValues } from '../text-values.ts';
import { mixed } from './checksum.ts';
import { openStore, type StoreName } from './stores.ts';

export interface MapChildArgs {
  readonly store: StoreName;
  readonly corpusFile: string;
  /** For the files of stores that have some. Whoever starts the child removes it: a child may be killed. */
  readonly folder: string;
  readonly entries: number;
  readonly valueBytes: number;
  readonly budgetBytes: number;
  readonly seed: number;
  /** Keep the key strings and look entries up by them: times the store alone. Otherwise keys are made for each call. */
  readonly keepsKeys: boolean;
}

export interface MapPhaseResult {
  readonly us: number;
  readonly ops: number;
  readonly sum: number;
}

export interface HeapResult {
  readonly growthMb: number;
  readonly gcPauseMaxMs: number;
  readonly gcPauses: number;
  readonly rssMb: number;
}

/** Entries between two looks at the event loop, where the engine reports its pauses. */
const CHUNK = 50_000;
const GC_REPORT_MS = 100;

await serveParent<MapChildArgs>(async (args) => {
  const { entries, valueBytes } = args;
  const values = new TextValues(Corpus.load(args.corpusFile).text, valueBytes);
  const keys = args.keepsKeys ? Array.from({ length: entries }, (_, index) => keyName(index)) : null;
  const key = keys === null ? keyName : (index: number) => keys[index];
  const pauses = watchPauses();
  const heapBefore = heapUsedAfterGc();
  const store = await openStore(args.store, entries, args.budgetBytes, args.folder);
  const rng = new Xorshift32(args.seed);

  async function load(): Promise<MapPhaseResult> {
    const start = performance.now();
    for (let from = 0; from < entries; from += CHUNK) {
      const to = Math.min(entries, from + CHUNK);
      for (let index = from; index < to; index += 1) store.set(key(index), values.value(index));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await store.settle();
    return { us: (performance.now() - start) * 1000, ops: entries, sum: 0 };
  }

  function verify(ops: number): MapPhaseResult {
    const start = performance.now();
    for (let step = 0; step < ops; step += 1) {
      const index = rng.below(entries);
      const value = store.get(key(index));
      if (!isRight(value, values.value(index))) {
        throw new WrongAnswer(`${args.store}: wrong value under ${keyName(index)}`);
      }
    }
    return { us: (performance.now() - start) * 1000, ops, sum: 0 };
  }

  function gets(ops: number): MapPhaseResult {
    let sum = 0;
    const start = performance.now();
    for (let step = 0; step < ops; step += 1) {
      const value = store.get(key(rng.below(entries)));
      if (value === undefined) throw new WrongAnswer(`${args.store}: a key is missing`);
      sum = mixed(sum, value, step);
    }
    return { us: (performance.now() - start) * 1000, ops, sum: sum >>> 0 };
  }

  async function heap(): Promise<HeapResult> {
    await new Promise((resolve) => setTimeout(resolve, GC_REPORT_MS));
    const { maxMs, count } = pauses;
    const rssMb = process.memoryUsage.rss() / 1e6;
    return { growthMb: (heapUsedAfterGc() - heapBefore) / 1e6, gcPauseMaxMs: maxMs, gcPauses: count, rssMb };
  }

  const run = (line: string) => {
    const [phase, ops] = line.split(' ');
    if (phase === 'load') return load();
    if (phase === 'verify') return verify(Number(ops));
    if (phase === 'get') return gets(Number(ops));
    if (phase === 'heap') return heap();
    throw new RangeError(`unknown phase ${line}`);
  };
  return { run, finish: () => store.close() };
});

/** By `length`, not by the view's size: getBinaryFast of lmdb gives a longer view with its `length` set to the value's. */
function isRight(value: Uint8Array | undefined, expected: Uint8Array): boolean {
  if (value === undefined || value.length !== expected.length) return false;
  return Buffer.compare(value.subarray(0, expected.length), expected) === 0;
}

/** Longest and number of collector pauses since the start, forced collections left out. */
function watchPauses(): { maxMs: number; count: number } {
  const seen = { maxMs: 0, count: 0 };
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { flags } = (entry as unknown as { detail: { flags: number } }).detail;
      if ((flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0) continue;
      seen.maxMs = Math.max(seen.maxMs, entry.duration);
      seen.count += 1;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return seen;
}

function heapUsedAfterGc(): number {
  if (globalThis.gc === undefined) throw new Error('start with --expose-gc');
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}
