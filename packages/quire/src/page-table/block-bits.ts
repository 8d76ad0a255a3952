/**
 * Bits of blocks in a leaf of a file (arena/layout.ts, FL_UPTODATE, FL_DIRTY, FL_WRITEBACK): sixteen words of 32 blocks,
 * by place in the file. `at` is the word index of the first of the sixteen, `first` the block's number in the leaf. Cost
 * follows the number of blocks asked for, never the size of the folio they are in.
 *
 * Bits change by read-modify-writes; they are looked at with plain loads, which are four times as fast. Their order is the
 * caller's: he holds a lock or a pin under which they stand still, or looks again at a version afterwards.
 */
import { assert } from '../base/assert.ts';
import { CHUNK_PAGES } from '../base/units.ts';

/** Words of one kind of bit. */
export const BLOCK_WORDS = CHUNK_PAGES / 32;

/** Bits `from` to `to` (exclusive, at most 32) of a word. */
export function bitsBetween(from: number, to: number): number {
  return to - from === 32 ? -1 : ((1 << (to - from)) - 1) << from;
}

export function countOnes(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

export function hasAllBits(words: Int32Array, at: number, first: number, count: number): boolean {
  return firstClearBit(words, at, first, first + count) === first + count;
}

/** First block of [first, end) whose bit is not set, `end` when all are. */
export function firstClearBit(words: Int32Array, at: number, first: number, end: number): number {
  for (let block = first; block < end; ) {
    const word = block >>> 5;
    const mask = bitsBetween(block & 31, Math.min(32, end - word * 32));
    const clear = ~words[at + word] & mask;
    if (clear !== 0) return word * 32 + 31 - Math.clz32(clear & -clear);
    block = (word + 1) * 32;
  }
  return end;
}

/** First block of [first, end) whose bit is set, `end` when none is. */
export function firstSetBit(words: Int32Array, at: number, first: number, end: number): number {
  for (let block = first; block < end; ) {
    const word = block >>> 5;
    const set = words[at + word] & bitsBetween(block & 31, Math.min(32, end - word * 32));
    if (set !== 0) return word * 32 + 31 - Math.clz32(set & -set);
    block = (word + 1) * 32;
  }
  return end;
}

export function hasAnyBit(words: Int32Array, at: number, first: number, count: number): boolean {
  return firstSetBit(words, at, first, first + count) < first + count;
}

/** Sets the bits; returns how many were clear before. Each word at once: no bit of a neighbour is lost. */
export function setBits(words: Int32Array, at: number, first: number, count: number): number {
  assert(first >= 0 && count > 0 && first + count <= CHUNK_PAGES, 'blocks of one leaf', first, count);
  const end = first + count;
  let changed = 0;
  for (let block = first; block < end; ) {
    const word = block >>> 5;
    const mask = bitsBetween(block & 31, Math.min(32, end - word * 32));
    const fresh = mask & ~Atomics.or(words, at + word, mask);
    if (fresh !== 0) changed += countOnes(fresh);
    block = (word + 1) * 32;
  }
  return changed;
}

/** Clears the bits; returns how many were set before. */
export function clearBits(words: Int32Array, at: number, first: number, count: number): number {
  assert(first >= 0 && count > 0 && first + count <= CHUNK_PAGES, 'blocks of one leaf', first, count);
  const end = first + count;
  let changed = 0;
  for (let block = first; block < end; ) {
    const word = block >>> 5;
    const mask = bitsBetween(block & 31, Math.min(32, end - word * 32));
    changed += countOnes(mask & Atomics.and(words, at + word, ~mask));
    block = (word + 1) * 32;
  }
  return changed;
}
