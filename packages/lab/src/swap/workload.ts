/**
 * The work of `lab swap`, over anything that can be written and read at an offset. native/host-swap.c does the same with
 * plain memory. Reads are 1 KiB, aligned to 1 KiB.
 *
 *     fill     each page of the corpus in order, 4 KiB writes
 *     verify   uniform reads, each compared in full with the corpus; also the warm-up of what follows
 *     random   uniform reads
 *     hot      80 % of reads go to 20 % of the pages; after each tenth of the phase a quarter of the hot set is replaced
 *              (CacheLib: two thirds of an hour's popular objects are gone an hour later)
 *
 * A timed read adds one word of its result to a checksum. The expected checksum comes from the same walk over the corpus
 * itself, so every timed read is checked without a comparison inside the timed loop.
 */
import { WrongAnswer } from '../benchmark.ts';
import { type Corpus, PAGE_BYTES } from '../corpus.ts';
import type { Xorshift32 } from '../rng.ts';

export const UNIT_BYTES = 1024;
const UNITS = PAGE_BYTES / UNIT_BYTES;
const UNIT_WORDS = UNIT_BYTES / 4;

/* The same constants stand in native/host-swap.c. */
const HOT_PER_CENT_OF_PAGES = 20;
const HOT_PER_CENT_OF_READS = 80;
const HOT_STEPS = 10;
const HOT_SHIFT_DIVISOR = 4;
/** Odd, so multiplying by it modulo a power of two is a bijection: neighbours in rank are scattered over the pages. */
const SCATTER = 2654435761;

/** What a column is to the workload. */
export interface Store {
  write(offset: number, bytes: Uint8Array): void;
  read(offset: number, target: Uint8Array): void;
}

export interface PhaseResult {
  readonly phase: string;
  readonly us: number;
  readonly ops: number;
  /** Checksum of the words read; 0 for a phase without one. */
  readonly sum: number;
}

export interface Work {
  readonly pages: number;
  readonly verifyOps: number;
  readonly randomOps: number;
  readonly hotOps: number;
}

/** @param pages a power of two */
export function workOf(pages: number): Work {
  return { pages, verifyOps: pages >> 3, randomOps: pages, hotOps: pages * 2 };
}

/** The lines a child obeys, in order. */
export function phaseLines(work: Work): string[] {
  return ['fill', `verify ${work.verifyOps}`, `random ${work.randomOps}`, `hot ${work.hotOps}`];
}

/** Runs the phase named by a parent's line. Throws WrongAnswer when a verified read differs. */
export function runPhase(line: string, store: Store, corpus: Corpus, pages: number, rng: Xorshift32): PhaseResult {
  const [phase, count] = line.split(' ');
  const ops = Number(count);
  if (phase === 'fill') return fill(store, corpus, pages);
  if (phase === 'verify') return verify(store, corpus, pages, ops, rng);
  if (phase === 'random') return randomReads(store, pages, ops, rng);
  if (phase === 'hot') return hotColdReads(store, pages, ops, rng);
  if (phase === 'text') return fillText(store, corpus, pages);
  if (phase === 'scan') return scan(store, pages);
  throw new RangeError(`unknown phase ${line}`);
}

/** A store that holds the corpus by its formula: the source of expected checksums. */
export function corpusStore(corpus: Corpus): Store {
  const page = new Uint8Array(PAGE_BYTES);
  return {
    write: () => undefined,
    read(offset, target) {
      corpus.page(Math.floor(offset / PAGE_BYTES), page);
      const from = offset % PAGE_BYTES;
      target.set(page.subarray(from, from + target.length));
    },
  };
}

function fill(store: Store, corpus: Corpus, pages: number): PhaseResult {
  const page = new Uint8Array(PAGE_BYTES);
  const start = performance.now();
  for (let index = 0; index < pages; index += 1) {
    corpus.page(index, page);
    store.write(index * PAGE_BYTES, page);
  }
  return resultOf('fill', start, pages, 0);
}

/** The text in its own order, over again when it is at its end. */
function fillText(store: Store, corpus: Corpus, pages: number): PhaseResult {
  const start = performance.now();
  for (let index = 0; index < pages; index += 1) store.write(index * PAGE_BYTES, textPage(corpus, index));
  return resultOf('text', start, pages, 0);
}

function textPage(corpus: Corpus, index: number): Uint8Array {
  const from = (index % Math.floor(corpus.text.length / PAGE_BYTES)) * PAGE_BYTES;
  return corpus.text.subarray(from, from + PAGE_BYTES);
}

/** Each page in order, whole. */
function scan(store: Store, pages: number): PhaseResult {
  const words = new Uint32Array(PAGE_BYTES / 4);
  const target = new Uint8Array(words.buffer);
  let sum = 0;
  const start = performance.now();
  for (let index = 0; index < pages; index += 1) {
    store.read(index * PAGE_BYTES, target);
    sum = (Math.imul(sum, 31) + words[index & (words.length - 1)]) | 0;
  }
  return resultOf('scan', start, pages, sum >>> 0);
}

/** What `scan` must find after `fillText`. */
export function scanSum(corpus: Corpus, pages: number): number {
  return scan({ write: () => undefined, read: (at, target) => target.set(textPage(corpus, at / PAGE_BYTES)) }, pages)
    .sum;
}

function verify(store: Store, corpus: Corpus, pages: number, ops: number, rng: Xorshift32): PhaseResult {
  const page = new Uint8Array(PAGE_BYTES);
  const target = new Uint8Array(UNIT_BYTES);
  const start = performance.now();
  for (let step = 0; step < ops; step += 1) {
    const unit = rng.below(pages * UNITS);
    store.read(unit * UNIT_BYTES, target);
    corpus.page(Math.floor(unit / UNITS), page);
    const from = (unit % UNITS) * UNIT_BYTES;
    if (Buffer.compare(target, page.subarray(from, from + UNIT_BYTES)) !== 0) {
      throw new WrongAnswer(`wrong bytes in the 1 KiB at ${unit * UNIT_BYTES}`);
    }
  }
  return resultOf('verify', start, ops, 0);
}

function randomReads(store: Store, pages: number, ops: number, rng: Xorshift32): PhaseResult {
  const words = new Uint32Array(UNIT_WORDS);
  const target = new Uint8Array(words.buffer);
  const units = pages * UNITS;
  let sum = 0;
  const start = performance.now();
  for (let step = 0; step < ops; step += 1) {
    store.read(rng.below(units) * UNIT_BYTES, target);
    sum = (Math.imul(sum, 31) + words[step & (UNIT_WORDS - 1)]) | 0;
  }
  return resultOf('random', start, ops, sum >>> 0);
}

function hotColdReads(store: Store, pages: number, ops: number, rng: Xorshift32): PhaseResult {
  const words = new Uint32Array(UNIT_WORDS);
  const target = new Uint8Array(words.buffer);
  const hotPages = Math.floor(pages / 100) * HOT_PER_CENT_OF_PAGES;
  const stepsBetweenMoves = Math.floor(ops / HOT_STEPS);
  let base = 0;
  let sum = 0;
  const start = performance.now();
  for (let step = 0; step < ops; step += 1) {
    if (step !== 0 && step % stepsBetweenMoves === 0) base += Math.floor(hotPages / HOT_SHIFT_DIVISOR);
    const draw = rng.next();
    const rank = draw % 100 < HOT_PER_CENT_OF_READS ? rng.below(hotPages) : hotPages + rng.below(pages - hotPages);
    const page = Math.imul(rank + base, SCATTER) & (pages - 1);
    store.read(page * PAGE_BYTES + ((draw >>> 20) & (UNITS - 1)) * UNIT_BYTES, target);
    sum = (Math.imul(sum, 31) + words[step & (UNIT_WORDS - 1)]) | 0;
  }
  return resultOf('hot', start, ops, sum >>> 0);
}

function resultOf(phase: string, startMs: number, ops: number, sum: number): PhaseResult {
  return { phase, us: (performance.now() - startMs) * 1000, ops, sum };
}
