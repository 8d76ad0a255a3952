/**
 * The work of `lab tier`, over anything that can be written and read at an offset: incompressible pages, written in order,
 * then read in units of 1 KiB at random places, or all of them in order.
 *
 * Word i of the data is fmix32(i + 1), a bijection over counters: no page compresses, none repeats, and the expected value
 * of any word is known without keeping the data. A timed read adds one word of its result to a checksum; the expected
 * checksum is worked out afterwards, so every timed read is checked without a comparison inside the timed loop.
 */
import { WrongAnswer } from '../benchmark.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { fmix32, Xorshift32 } from '../rng.ts';

export const UNIT_BYTES = 1024;
const UNIT_WORDS = UNIT_BYTES / 4;
const PAGE_WORDS = PAGE_BYTES / 4;

export const TIER_PHASES = ['verify', 'random', 'sequential'] as const;
export type TierPhase = (typeof TIER_PHASES)[number];

export interface TieredStore {
  write(offset: number, bytes: Uint8Array): void;
  /** Reads into the store's own buffer, from its start. */
  read(offset: number, length: number): void;
  /** At least `readBytes` of `TierWork`, aligned to 4. */
  readonly buffer: Uint8Array;
}

export interface TierResult {
  readonly us: number;
  readonly ops: number;
}

export class TierWork {
  readonly #store: TieredStore;
  readonly #pages: number;
  /** Length of one read in order. */
  readonly #readBytes: number;
  readonly #words: Uint32Array;
  readonly #rng: Xorshift32;

  constructor(store: TieredStore, pages: number, readBytes: number, seed: number) {
    this.#store = store;
    this.#pages = pages;
    this.#readBytes = readBytes;
    this.#words = new Uint32Array(store.buffer.buffer, store.buffer.byteOffset, readBytes / 4);
    this.#rng = new Xorshift32(seed);
  }

  fill(): void {
    const words = new Uint32Array(PAGE_WORDS);
    const bytes = new Uint8Array(words.buffer);
    for (let page = 0; page < this.#pages; page += 1) {
      for (let i = 0; i < PAGE_WORDS; i += 1) words[i] = fmix32(page * PAGE_WORDS + i + 1);
      this.#store.write(page * PAGE_BYTES, bytes);
    }
  }

  /**
   * Throws WrongAnswer when a byte differs, or the checksum of a timed phase does. `count` is of units of 1 KiB, at random
   * places; of pages from page `first` on, in whole reads, where they are read in order.
   */
  run(phase: TierPhase, count: number, first = 0): TierResult {
    if (phase === 'sequential') return this.#sequential(first, count);
    const units = new Uint32Array(count);
    for (let i = 0; i < count; i += 1) units[i] = this.#rng.below((this.#pages * PAGE_BYTES) / UNIT_BYTES);
    return phase === 'verify' ? this.#verify(units) : this.#random(units);
  }

  #verify(units: Uint32Array): TierResult {
    for (const unit of units) {
      this.#store.read(unit * UNIT_BYTES, UNIT_BYTES);
      for (let i = 0; i < UNIT_WORDS; i += 1) {
        const expected = fmix32(unit * UNIT_WORDS + i + 1);
        if (this.#words[i] !== expected)
          throw new WrongAnswer(`unit ${unit}, word ${i}: ${this.#words[i]}, not ${expected}`);
      }
    }
    return { us: 0, ops: units.length };
  }

  #random(units: Uint32Array): TierResult {
    const store = this.#store;
    const words = this.#words;
    let sum = 0;
    const start = performance.now();
    for (let i = 0; i < units.length; i += 1) {
      store.read(units[i] * UNIT_BYTES, UNIT_BYTES);
      sum = (Math.imul(sum, 31) + words[i & (UNIT_WORDS - 1)]) | 0;
    }
    const us = (performance.now() - start) * 1000;
    let expected = 0;
    for (let i = 0; i < units.length; i += 1) {
      expected = (Math.imul(expected, 31) + fmix32(units[i] * UNIT_WORDS + (i & (UNIT_WORDS - 1)) + 1)) | 0;
    }
    if (sum !== expected) throw new WrongAnswer(`random: checksum ${sum}, expected ${expected}`);
    return { us, ops: units.length };
  }

  #sequential(firstPage: number, pages: number): TierResult {
    const store = this.#store;
    const words = this.#words;
    const readWords = this.#readBytes / 4;
    const first = (firstPage * PAGE_BYTES) / this.#readBytes;
    const end = first + (pages * PAGE_BYTES) / this.#readBytes;
    let sum = 0;
    const start = performance.now();
    for (let read = first; read < end; read += 1) {
      store.read(read * this.#readBytes, this.#readBytes);
      for (let at = read & (PAGE_WORDS - 1); at < readWords; at += PAGE_WORDS) sum = (sum + words[at]) | 0;
    }
    const us = (performance.now() - start) * 1000;
    let expected = 0;
    for (let read = first; read < end; read += 1) {
      for (let at = read & (PAGE_WORDS - 1); at < readWords; at += PAGE_WORDS) {
        expected = (expected + fmix32(read * readWords + at + 1)) | 0;
      }
    }
    if (sum !== expected) throw new WrongAnswer(`sequential: checksum ${sum}, expected ${expected}`);
    return { us, ops: pages };
  }
}
