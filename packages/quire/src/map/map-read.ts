import { assert } from '../base/assert.ts';
import { USE_MAX, USE_SHIFT, useOf } from './entry-word.ts';
import { freshBytes } from './fresh-bytes.ts';
import type { MapCore } from './map-core.ts';
import { DIFFERENT, RETRY } from './record.ts';
import { isSwapFull } from './swap-full.ts';

/**
 * Reading one key. Optimistic: sequence of the stripe, bucket, record, copy, sequence again; no lock, no store to
 * shared memory. After some failures (a busy writer, moving pages) the stripe is locked, and then the same code
 * cannot fail for long.
 *
 * A read is counted in the entry up to 3, if the stripe is free at that moment: a hot entry stands at 3, where
 * reading it stores nothing. (Counting one read in 8 was tried: 2 to 4 points of hit rate less on the traces of
 * bucket-sweep.test.ts.)
 */
export class MapRead {
  private readonly core: MapCore;
  /** The value that `OP_GET` copied. */
  fresh: Uint8Array = NO_BYTES;

  constructor(core: MapCore) {
    this.core = core;
  }

  /**
   * Does `op` on the key: its result, ABSENT or EXPIRED. `target[targetOffset...]`, `from` and `length` are for the
   * copying ones; the caller has checked that `length` bytes fit.
   */
  read(key: Uint8Array, op: number, target: Uint8Array, targetOffset: number, from: number, length: number): number {
    const core = this.core;
    const stripe = core.loadKey(key) & 63;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const sequence = core.locks.sequence(stripe);
      if ((sequence & 1) === 1) continue;
      const result = this.attempt(op, stripe, sequence, LINKS_MAX, target, targetOffset, from, length);
      if (result === TORN) continue;
      if (result >= 0 && useOf(core.word1) < USE_MAX && core.options.countsUses) this.countUse(stripe, sequence);
      return result;
    }
    return this.readLocked(stripe, op, target, targetOffset, from, length);
  }

  private readLocked(
    stripe: number,
    op: number,
    target: Uint8Array,
    targetOffset: number,
    from: number,
    length: number,
  ): number {
    const core = this.core;
    core.locks.lockStripe(stripe);
    try {
      const sequence = core.locks.sequence(stripe);
      return core.settle(() => {
        const result = this.attempt(op, stripe, sequence, core.linksMaxLocked(), target, targetOffset, from, length);
        return result === TORN ? undefined : result;
      });
    } finally {
      core.locks.unlockStripe(stripe);
    }
  }

  private attempt(
    op: number,
    stripe: number,
    sequence: number,
    linksMax: number,
    target: Uint8Array,
    targetOffset: number,
    from: number,
    length: number,
  ): number {
    const core = this.core;
    const record = core.records;
    const outcome = core.locate(linksMax, op >= OP_GET);
    if (outcome === RETRY) return TORN;
    if (outcome === DIFFERENT) return core.locks.isUnchanged(stripe, sequence) ? ABSENT : TORN;
    const isExpired = record.expiresAtMs !== 0 && core.isExpired(record.expiresAtMs);
    const start = record.valueInPage();
    if (op < OP_GET || isExpired || start === -1) {
      if (!record.reader.close() || !core.locks.isUnchanged(stripe, sequence)) return TORN;
      if (isExpired) return EXPIRED;
      if (op < OP_GET) return this.fieldOf(op);
      const size = this.copyAcross(op, target, targetOffset, from, length);
      return core.locks.isUnchanged(stripe, sequence) ? size : TORN;
    }
    const size = this.copyInPage(op, start, target, targetOffset, from, length);
    return record.reader.close() && core.locks.isUnchanged(stripe, sequence) ? size : TORN;
  }

  private fieldOf(op: number): number {
    const record = this.core.records;
    if (op === OP_KIND) return record.kind;
    return op === OP_EXPIRY ? record.expiresAtMs : record.valueLength;
  }

  /** The whole value lies in the open page, at byte `start`. */
  private copyInPage(
    op: number,
    start: number,
    target: Uint8Array,
    targetOffset: number,
    from: number,
    length: number,
  ): number {
    const record = this.core.records;
    const size = record.valueLength;
    const { bytes, byte } = record.reader.view;
    if (op === OP_GET) {
      // Setting is faster than slice, which copies shared memory byte by byte.
      this.fresh = freshBytes(size);
      this.fresh.set(bytes.subarray(byte + start, byte + start + size));
      return size;
    }
    const part = partOf(op, size, from, length);
    if (part > 0) record.heap.copyOut(record.reader.view, start + from, target, targetOffset, part);
    return op === OP_RANGE ? part : size;
  }

  /** The header is known to be true; the value lies behind it, maybe in many pages. */
  private copyAcross(op: number, target: Uint8Array, targetOffset: number, from: number, length: number): number {
    const record = this.core.records;
    const size = record.valueLength;
    if (op === OP_GET) {
      this.fresh = record.copyValue();
      return size;
    }
    const part = partOf(op, size, from, length);
    if (part > 0) record.heap.read(record.valueOffset() + from, target, targetOffset, part);
    return op === OP_RANGE ? part : size;
  }

  private countUse(stripe: number, sequence: number): void {
    const core = this.core;
    if (!core.locks.tryLockStripe(stripe)) return;
    try {
      if (!core.locks.isUnchanged(stripe, sequence)) return;
      core.entryPin.hold(core.bucket);
      const word = core.entryPin.wordAt(core.bucket) + core.slot * 2;
      const words = core.entryPin.view.words;
      // Another reader may have counted since we looked: uses change without the sequence.
      assert(words[word] === core.word0, 'the entry is where it was', core.bucket, core.slot);
      if (useOf(words[word + 1]) < USE_MAX) words[word + 1] += 1 << USE_SHIFT;
    } catch (error) {
      if (!isSwapFull(error)) throw error;
    } finally {
      core.entryPin.release();
      core.locks.unlockStripe(stripe);
    }
  }
}

/** Bytes to copy: for a range what is there of it, for a whole value all or (when it does not fit) nothing. */
function partOf(op: number, size: number, from: number, length: number): number {
  if (op === OP_RANGE) return Math.max(0, Math.min(length, size - from));
  return size <= length ? size : 0;
}

const NO_BYTES = new Uint8Array(0);
export const OP_LENGTH = 0;
export const OP_EXPIRY = 1;
export const OP_KIND = 2;
/** From here on the value is copied. */
export const OP_GET = 3;
export const OP_INTO = 4;
export const OP_RANGE = 5;

export const ABSENT = -1;
export const EXPIRED = -2;
const TORN = -3;

/** Optimistic tries: a writer inside is gone after some of them; a page on the move too. */
const ATTEMPTS = 24;
/** A real chain has one or two links. A longer one may be garbage, or an attack: read it under the lock. */
const LINKS_MAX = 16;
