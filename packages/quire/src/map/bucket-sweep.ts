import { BUCKETS, COUNT, EVICT_HAND, EXPIRING as EXPIRING_COUNT, REAP_HAND } from './control.ts';
import { EXPIRING, hashOfEntry, isLink, locationOf, USE_MAX, USE_SHIFT, useOf } from './entry-word.ts';
import { BUCKET_BYTES, BUCKET_WORDS, SLOTS } from './hash-index.ts';
import type { DisposeReason, MapCore } from './map-core.ts';
import { LostLockError } from './stripe-locks.ts';
import { isSwapFull } from './swap-full.ts';

/**
 * Removing entries nobody named: eviction, expiry, clearing with callbacks. All three walk home buckets with a shared
 * hand, one stripe lock at a time.
 *
 * Eviction is GCLOCK (Smith 1978; the counters of Corbato's CLOCK made 2 bits wide): a new entry starts at 0 uses, a
 * read raises it to at most 3, the hand lowers it and evicts at 0. It resists scans: keys that are written or read
 * through once arrive at 0 and leave at the hand's first visit, before any entry that was ever read again; under LRU
 * they would push out the whole hot set. An entry used often survives three rounds of the hand, so the policy keeps
 * by frequency and forgets by the hand's turning. Hash order makes the hand's path a random sample, which LRU order
 * would not be. Entry words hold all it needs: eviction reads no record unless there is a callback.
 */
export class BucketSweep {
  private readonly core: MapCore;
  private readonly words = new Int32Array(BUCKET_WORDS);
  private removed = 0;
  private freed = 0;

  constructor(core: MapCore) {
    this.core = core;
  }

  /**
   * Frees at least `bytesWanted` bytes if there is so much; returns bytes freed. Ends early when no page can be
   * pinned. The callbacks stay queued when `isQuiet`: inside another operation they would change what it works on.
   */
  evict(bytesWanted: number, isQuiet: boolean): number {
    const { control } = this.core;
    let freed = 0;
    // In one round more than the highest count, the hand has lowered everything to 0 and evicted it.
    let steps = (Atomics.load(control, BUCKETS) >>> 0) * (USE_MAX + 2);
    while (freed < bytesWanted && steps-- > 0 && Atomics.load(control, COUNT) !== 0) {
      const isDone = this.sweep(this.advance(EVICT_HAND), EVICTING, bytesWanted - freed, Number.POSITIVE_INFINITY);
      freed += this.freed;
      if (!isQuiet) this.core.flushDisposals();
      if (!isDone) break;
    }
    return freed;
  }

  /** Removes up to `limit` expired entries; looks at a bounded number of buckets. Returns how many. */
  reap(limit: number): number {
    const { control } = this.core;
    let removed = 0;
    let steps = Math.min(
      Atomics.load(control, BUCKETS) >>> 0,
      Math.max(REAP_BUCKETS_MIN, limit * REAP_BUCKETS_PER_ENTRY),
    );
    while (removed < limit && steps-- > 0 && Atomics.load(control, EXPIRING_COUNT) !== 0) {
      const isDone = this.sweep(this.advance(REAP_HAND), REAPING, Number.POSITIVE_INFINITY, limit - removed);
      removed += this.removed;
      this.core.flushDisposals();
      if (!isDone) break;
    }
    return removed;
  }

  /** Removes every entry of a home bucket, with callbacks. False when a page could not be pinned. */
  clearBucket(home: number): boolean {
    const isDone = this.sweep(home, CLEARING, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    this.core.flushDisposals();
    return isDone;
  }

  /** Queues the callback of every entry of a home bucket and leaves it where it is. The caller holds its stripe. */
  queueBucketLocked(home: number): void {
    this.sweepLocked(home, QUEUEING, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  /** Moves a hand on; a hand that another thread moves at the same time skips nothing that matters. */
  private advance(hand: number): number {
    const { control } = this.core;
    const at = Atomics.load(control, hand) >>> 0;
    const home = at < Atomics.load(control, BUCKETS) >>> 0 ? at : 0;
    Atomics.compareExchange(control, hand, at | 0, (home + 1) | 0);
    return home;
  }

  /** One chain. False: a page could not be pinned, the rest of the chain stays as it is. */
  private sweep(home: number, mode: number, bytesWanted: number, limit: number): boolean {
    const { core } = this;
    this.removed = 0;
    this.freed = 0;
    if (!this.lockFor(home & 63, mode)) return true;
    try {
      this.sweepLocked(home, mode, bytesWanted, limit);
      return true;
    } catch (error) {
      if (!isSwapFull(error)) throw error;
      return false;
    } finally {
      core.entryPin.release();
      core.locks.unlockStripe(home & 63);
    }
  }

  /** False for a stripe that a thread died in, which eviction and expiry leave alone. */
  private lockFor(stripe: number, mode: number): boolean {
    try {
      this.core.locks.lockStripe(stripe);
      return true;
    } catch (error) {
      if (mode === CLEARING || !(error instanceof LostLockError)) throw error;
      return false;
    }
  }

  private sweepLocked(home: number, mode: number, bytesWanted: number, limit: number): void {
    const { core, words } = this;
    const buckets = core.index.buckets;
    let offset = home * BUCKET_BYTES;
    for (let links = core.linksMaxLocked(); links >= 0; links--) {
      core.readBucketLocked(offset, words);
      const isTail = !isLink(words[15]);
      const next = words[14] >>> 0;
      for (let slot = 0; slot < (isTail ? SLOTS : SLOTS - 1); slot++) {
        const word0 = words[slot * 2];
        const word1 = words[slot * 2 + 1];
        if (locationOf(word0, word1) === 0 || core.index.homeOf(hashOfEntry(word1, home), buckets) !== home) continue;
        core.bucket = offset;
        core.slot = slot;
        core.word0 = word0;
        core.word1 = word1;
        if (mode === QUEUEING) {
          core.loadHeaderLocked(core.location);
          core.queueDisposal('clear');
          continue;
        }
        if (!this.isVictim(mode, offset, slot, word1)) continue;
        this.remove(home, mode);
        if (this.freed >= bytesWanted || this.removed >= limit) return;
      }
      if (isTail) return;
      offset = core.index.overflowOffset(next);
    }
  }

  private isVictim(mode: number, offset: number, slot: number, word1: number): boolean {
    const { core } = this;
    if (mode === CLEARING) return true;
    if (mode === REAPING) {
      if ((word1 & EXPIRING) === 0) return false;
      core.loadHeaderLocked(core.location);
      return core.isExpired(core.records.expiresAtMs);
    }
    if (useOf(word1) === 0) return true;
    core.entryPin.hold(offset);
    core.entryPin.view.words[core.entryPin.wordAt(offset) + slot * 2 + 1] -= 1 << USE_SHIFT;
    core.entryPin.release();
    return false;
  }

  private remove(home: number, mode: number): void {
    const { core } = this;
    if (core.options.dispose !== undefined && mode !== REAPING) core.loadHeaderLocked(core.location);
    this.freed += core.removeLocked(home, REASONS[mode]);
    this.removed++;
  }
}

const EVICTING = 0;
const REAPING = 1;
const CLEARING = 2;
const QUEUEING = 3;
const REASONS: readonly DisposeReason[] = ['evict', 'expire', 'clear'];

/**
 * A call looks at this many buckets at least, and at this many for each entry it may remove: a sparse table is still
 * walked round.
 */
const REAP_BUCKETS_MIN = 64;
const REAP_BUCKETS_PER_ENTRY = 16;
