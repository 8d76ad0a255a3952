import { QuireError } from '../base/errors.ts';
import { BUCKETS, COUNT, OVERFLOW_END } from './control.ts';
import { hashOfEntry, isLink } from './entry-word.ts';
import { BUCKET_BYTES, BUCKET_WORDS, SLOTS, writeLink } from './hash-index.ts';
import type { MapCore } from './map-core.ts';
import { PagePin } from './page-pin.ts';
import { LostLockError } from './stripe-locks.ts';
import { isSwapFull } from './swap-full.ts';

/**
 * Growth of the index by one bucket: the entries of bucket `n - 2^level` whose next hash bit is set move to the new
 * bucket n.
 *
 *   1. gather   the chain's entries, under its stripe
 *   2. build    the new chain, which nobody can reach yet; a full swap undoes it by lowering OVERFLOW_END, and the split is postponed
 *   3. publish  n + 1 buckets
 *   4. clean    the moved entries out of the old chain, as far as its pages can be pinned. What stays behind is *stale*: it is
 *               recognised by its hash for ever, and no lookup meets it
 *
 * Entries are known by their hash bits alone: a split never reads a record. The growth lock makes splits happen one
 * after the other; the thread that finds it taken leaves the work to the holder. In a stripe that a thread died in nothing is
 * split any more, nor in those behind it.
 */
export class BucketSplit {
  private readonly core: MapCore;
  private readonly words = new Int32Array(BUCKET_WORDS);
  private readonly pins: PagePin[];
  /** Entries of the chain, two words each: those that move, those that stay; and the chain's bucket offsets. */
  private moved: number[] = [];
  private stayed: number[] = [];
  private chain: number[] = [];

  constructor(core: MapCore) {
    this.core = core;
    this.pins = [new PagePin(core.index.space), new PagePin(core.index.space), new PagePin(core.index.space)];
  }

  /**
   * Splits a few buckets if the table is too full. The caller holds no lock, and has done what it was called for: neither a full
   * swap nor a lock that was lost with its holder is an error of that.
   */
  grow(): void {
    const { index, locks } = this.core;
    if (!this.isDue() || !locks.tryLockGrowth()) return;
    try {
      for (let splits = 0; splits < SPLITS_MAX && this.isDue(); splits++) this.splitNext(index.buckets);
    } catch (error) {
      if (!isSwapFull(error) && !(error instanceof LostLockError)) throw error;
    } finally {
      locks.unlockGrowth();
    }
  }

  private isDue(): boolean {
    const { control, index, locks } = this.core;
    const buckets = index.buckets;
    const isTooFull = Atomics.load(control, COUNT) >>> 0 > buckets * LOAD && buckets < index.bucketsMax;
    return isTooFull && !locks.isStripeLost(sourceOf(buckets) & 63) && !locks.isAllocatorLost();
  }

  private splitNext(buckets: number): void {
    const { control, locks, entryPin } = this.core;
    const source = sourceOf(buckets);
    const stripe = source & 63;
    locks.lockStripe(stripe);
    try {
      this.gather(source, buckets);
      entryPin.hold(buckets * BUCKET_BYTES);
      this.build(entryPin.view.words, entryPin.wordAt(buckets * BUCKET_BYTES));
      locks.openStripe(stripe);
      Atomics.store(control, BUCKETS, (buckets + 1) | 0);
      if (this.moved.length > 0) this.clean(source);
      locks.closeStripe(stripe);
      this.giveSpare();
    } finally {
      entryPin.release();
      for (const pin of this.pins) pin.release();
      locks.unlockStripe(stripe);
    }
  }

  private gather(source: number, buckets: number): void {
    const { core, words } = this;
    this.moved = [];
    this.stayed = [];
    this.chain = [];
    let offset = source * BUCKET_BYTES;
    for (let links = core.linksMaxLocked(); links >= 0; links--) {
      core.readBucketLocked(offset, words);
      this.chain.push(offset);
      const isTail = !isLink(words[15]);
      for (let slot = 0; slot < (isTail ? SLOTS : SLOTS - 1); slot++) {
        const word0 = words[slot * 2];
        const word1 = words[slot * 2 + 1];
        if ((word0 | word1) === 0) continue;
        const home = core.index.homeOf(hashOfEntry(word1, source), buckets + 1);
        if (home === buckets) this.moved.push(word0, word1);
        else if (home === source) this.stayed.push(word0, word1);
      }
      if (isTail) return;
      offset = core.index.overflowOffset(words[14] >>> 0);
    }
  }

  /** Writes the new chain; its first bucket is `words[word...]`, the others come from the end of the overflow area. */
  private build(words: Int32Array, word: number): void {
    const { control, index, locks } = this.core;
    const pin = this.pins[0];
    const buckets = bucketsFor(this.moved.length / 2);
    locks.lockAllocator();
    const first = control[OVERFLOW_END] >>> 0;
    try {
      for (let link = 1; link < buckets; link++) {
        const offset = index.overflowOffset(first + link - 1);
        if (offset + BUCKET_BYTES > index.space.size)
          throw new QuireError('ERR_QUIRE_SWAP_FULL', "the map's index is used up");
        pin.hold(offset);
        fillBucket(pin.view.words, pin.wordAt(offset), this.moved, link, link + 1 < buckets ? first + link : -1);
        pin.release();
      }
      control[OVERFLOW_END] = first + buckets - 1;
    } finally {
      pin.release();
      locks.unlockAllocator();
    }
    fillBucket(words, word, this.moved, 0, buckets > 1 ? first : -1);
  }

  /**
   * Packs what stays into as few buckets as it needs; a chain that cannot be pinned as a whole only loses what moved.
   */
  private clean(source: number): void {
    const { chain, pins } = this;
    try {
      if (chain.length > pins.length) {
        this.zeroMoved(source);
        return;
      }
      for (let link = 0; link < chain.length; link++) pins[link].hold(chain[link]);
    } catch (error) {
      for (const pin of pins) pin.release();
      if (!isSwapFull(error)) throw error;
      if (chain.length <= pins.length) this.zeroMoved(source);
      return;
    }
    const buckets = bucketsFor(this.stayed.length / 2);
    for (let link = 0; link < buckets; link++) {
      const next = link + 1 < buckets ? this.overflowOf(chain[link + 1]) : -1;
      fillBucket(pins[link].view.words, pins[link].wordAt(chain[link]), this.stayed, link, next);
    }
  }

  private overflowOf(offset: number): number {
    return (offset - this.core.index.space.size / 2) / BUCKET_BYTES;
  }

  /** Gives the overflow buckets back that the packed chain does not need. They are pinned; nothing links to them. */
  private giveSpare(): void {
    const { core, chain, pins } = this;
    for (let link = bucketsFor(this.stayed.length / 2); link < chain.length && link < pins.length; link++) {
      if (pins[link].isHeld) core.index.giveOverflow(this.overflowOf(chain[link]), pins[link]);
    }
  }

  /** Clears moved and stale entries bucket by bucket, until a page cannot be pinned. */
  private zeroMoved(source: number): void {
    const { core, words } = this;
    const buckets = core.index.buckets;
    const pin = this.pins[0];
    try {
      for (const offset of this.chain) {
        core.readBucketLocked(offset, words);
        pin.hold(offset);
        const word = pin.wordAt(offset);
        for (let slot = 0; slot < (isLink(words[15]) ? SLOTS - 1 : SLOTS); slot++) {
          const isThere = (words[slot * 2] | words[slot * 2 + 1]) !== 0;
          if (!isThere || core.index.homeOf(hashOfEntry(words[slot * 2 + 1], source), buckets) === source) continue;
          pin.view.words[word + slot * 2] = 0;
          pin.view.words[word + slot * 2 + 1] = 0;
        }
        pin.release();
      }
    } catch (error) {
      pin.release();
      if (!isSwapFull(error)) throw error;
    }
  }
}

/** The bucket that is split when there are so many. */
function sourceOf(buckets: number): number {
  return buckets - 2 ** (31 - Math.clz32(buckets));
}

/** Buckets of a chain of `entries`: 7 in each but the last, which holds 8. */
function bucketsFor(entries: number): number {
  return entries <= SLOTS ? 1 : 1 + Math.ceil((entries - SLOTS) / (SLOTS - 1));
}

/**
 * Writes bucket number `link` of a chain: its share of `entries`, and the link to overflow bucket `next` when that is
 * not -1.
 */
function fillBucket(words: Int32Array, word: number, entries: number[], link: number, next: number): void {
  const from = link * (SLOTS - 1) * 2;
  const to = Math.min(entries.length, from + (next === -1 ? SLOTS : SLOTS - 1) * 2);
  words.fill(0, word, word + BUCKET_WORDS);
  for (let at = from; at < to; at++) words[word + at - from] = entries[at];
  if (next !== -1) writeLink(words, word, next);
}

/** Entries per home bucket that start a split: 12.8 bytes of index per entry, and few chains longer than one bucket. */
const LOAD = 5;
/** Splits per insertion: 1 keeps up with it; one more catches up with what a full swap postponed. */
const SPLITS_MAX = 2;
