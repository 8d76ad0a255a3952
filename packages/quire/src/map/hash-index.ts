import { assert } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import type { PageSpace } from '../vm/page-space.ts';
import { BUCKETS, OVERFLOW_END, OVERFLOW_FREE } from './control.ts';
import { isLink, LINK, locationOf, TAG_MASK } from './entry-word.ts';
import type { PagePin } from './page-pin.ts';
import type { PageReader } from './page-reader.ts';
import type { StripeLocks } from './stripe-locks.ts';

/**
 * The index: linear hashing (Litwin 1980) over a row of 64-byte buckets in a sparse space. `BUCKETS` homes exist, n =
 * 2^level + split; the table grows by one bucket at a time, so there is never a rehash that stops anybody.
 *
 * ```
 * index space   0 ──────── homes, 64 bytes each ────────→ size/2 ──────── overflow buckets ────────→ size
 * bucket        8 entries of 8 bytes (entry-word.ts); the last one may be a link to an overflow bucket
 * free overflow bucket: word 0 = next free one + 1, the rest 0
 * ```
 * A bucket is one cache line and never crosses a page. Holes are allowed. An entry is found by its 24-bit tag; the
 * record is asked only when the tag agrees. An entry whose hash does not belong to the chain it stands in is *stale*:
 * the leftover of a split that could not pin an old page any more. No key that is looked up there has its tag and low
 * bits, so lookups never see it; everything that walks buckets skips it.
 */
export class HashIndex {
  readonly space: PageSpace;
  readonly control: Int32Array;
  readonly reader: PageReader;
  private readonly locks: StripeLocks;

  /** Entries whose tag agrees, after `collect`: where they stand (byte offset of the bucket, slot) and their words. */
  candidates = 0;
  candidateBucket = new Float64Array(16);
  candidateSlot = new Int32Array(16);
  candidateWord0 = new Int32Array(16);
  candidateWord1 = new Int32Array(16);
  /** First bucket with an empty slot, -1 when the chain is full; its slot; and the last bucket of the chain. */
  freeBucket = -1;
  freeSlot = 0;
  tailBucket = 0;

  constructor(space: PageSpace, control: Int32Array, reader: PageReader, locks: StripeLocks) {
    this.space = space;
    this.control = control;
    this.reader = reader;
    this.locks = locks;
  }

  get buckets(): number {
    return Atomics.load(this.control, BUCKETS) >>> 0;
  }

  /** Homes that the space has room for. */
  get bucketsMax(): number {
    return Math.min(this.space.size / 2 / BUCKET_BYTES, 2 ** 31);
  }

  /** The home bucket of a hash among `buckets` of them. */
  homeOf(hash: number, buckets: number): number {
    const levelMask = (1 << (31 - Math.clz32(buckets))) - 1;
    const wide = hash & ((levelMask << 1) | 1);
    return wide >>> 0 < buckets ? wide >>> 0 : (hash & levelMask) >>> 0;
  }

  overflowOffset(overflow: number): number {
    return this.space.size / 2 + overflow * BUCKET_BYTES;
  }

  /**
   * Walks the chain of a hash. False: a page moved or the chain is not to be believed; try again. True: candidates
   * and free slot are what stood there, if the stripe's sequence has not changed. `linksMax` bounds a walk that may
   * be following garbage.
   */
  collect(hash: number, linksMax: number): boolean {
    this.candidates = 0;
    this.freeBucket = -1;
    let offset = this.homeOf(hash, this.buckets) * BUCKET_BYTES;
    for (let links = 0; links <= linksMax; links++) {
      const within = offset & 4095;
      const view = this.reader.open(offset, within + BUCKET_BYTES);
      const words = view.words;
      const word = view.word + (within >> 2);
      for (let slot = 0; slot < SLOTS - 1; slot++) {
        this.inspect(words[word + slot * 2], words[word + slot * 2 + 1], hash, offset, slot);
      }
      const last0 = words[word + 14];
      const last1 = words[word + 15];
      if (!isLink(last1)) this.inspect(last0, last1, hash, offset, SLOTS - 1);
      if (!this.reader.close()) return false;
      this.tailBucket = offset;
      if (!isLink(last1)) return true;
      offset = this.overflowOffset(last0 >>> 0);
      if (offset >= this.space.size) return false;
    }
    return false;
  }

  private inspect(word0: number, word1: number, hash: number, offset: number, slot: number): void {
    if (((word1 ^ hash) & TAG_MASK) === 0 && locationOf(word0, word1) !== 0) this.remember(word0, word1, offset, slot);
    else if ((word0 | word1) === 0 && this.freeBucket === -1) {
      this.freeBucket = offset;
      this.freeSlot = slot;
    }
  }

  private remember(word0: number, word1: number, offset: number, slot: number): void {
    const index = this.candidates;
    if (index === this.candidateSlot.length) this.widen();
    this.candidateBucket[index] = offset;
    this.candidateSlot[index] = slot;
    this.candidateWord0[index] = word0;
    this.candidateWord1[index] = word1;
    this.candidates = index + 1;
  }

  private widen(): void {
    const length = this.candidateSlot.length * 2;
    const bucket = new Float64Array(length);
    bucket.set(this.candidateBucket);
    this.candidateBucket = bucket;
    this.candidateSlot = widened(this.candidateSlot, length);
    this.candidateWord0 = widened(this.candidateWord0, length);
    this.candidateWord1 = widened(this.candidateWord1, length);
  }

  /** An empty overflow bucket, its page pinned in `pin`. Throws ERR_QUIRE_SWAP_FULL. Takes the allocator lock. */
  takeOverflow(pin: PagePin): number {
    this.locks.lockAllocator();
    try {
      const overflow = this.takeOverflowLocked(pin);
      const word = pin.wordAt(this.overflowOffset(overflow));
      pin.view.words.fill(0, word, word + BUCKET_WORDS);
      return overflow;
    } finally {
      this.locks.unlockAllocator();
    }
  }

  private takeOverflowLocked(pin: PagePin): number {
    const head = this.control[OVERFLOW_FREE];
    const overflow = head === 0 ? this.control[OVERFLOW_END] >>> 0 : (head - 1) >>> 0;
    const offset = this.overflowOffset(overflow);
    if (offset + BUCKET_BYTES > this.space.size) {
      throw new QuireError(
        'ERR_QUIRE_SWAP_FULL',
        `the map's index of ${this.space.size} bytes of address space is used up`,
      );
    }
    pin.hold(offset);
    if (head === 0) this.control[OVERFLOW_END] = overflow + 1;
    else this.control[OVERFLOW_FREE] = pin.view.words[pin.wordAt(offset)];
    return overflow;
  }

  /**
   * Gives an overflow bucket back that nothing links to any more. Its page is pinned in `pin`. Takes the allocator
   * lock.
   */
  giveOverflow(overflow: number, pin: PagePin): void {
    assert(pin.isHeld, 'overflow page is held');
    this.locks.lockAllocator();
    const word = pin.wordAt(this.overflowOffset(overflow));
    pin.view.words.fill(0, word, word + BUCKET_WORDS);
    pin.view.words[word] = this.control[OVERFLOW_FREE];
    this.control[OVERFLOW_FREE] = overflow + 1;
    this.locks.unlockAllocator();
  }
}

function widened(words: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const wide = new Int32Array(length);
  wide.set(words);
  return wide;
}

/** Turns word 14 and 15 of a bucket into a link. */
export function writeLink(words: Int32Array, word: number, overflow: number): void {
  words[word + 14] = overflow;
  words[word + 15] = LINK;
}

export const BUCKET_BYTES = 64;
export const BUCKET_WORDS = 16;
export const SLOTS = 8;
