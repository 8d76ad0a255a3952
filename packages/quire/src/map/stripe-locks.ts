import { announce } from '../arena/fence.ts';
import { assert } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import { ALLOCATOR_LOCK, GROWTH_LOCK, STRIPE_LOCK, STRIPE_SEQUENCE, STRIPES } from './control.ts';

/**
 * Locks of one map. Three kinds, always taken in this order, never the other way:
 *
 *   growth (split, clear)  →  stripe (ascending, when several)  →  allocator  →  [locks of the page space]
 *
 * A lock word is 0 when free, else the owner's thread id + 1, with the sign bit set while somebody sleeps on it (the
 * futex of Drepper, "Futexes are tricky", mutex 2). So a thread that died inside is named by the word:
 * `heldBy(threadId)`. Who waits for a lock asks after 0.1 s whether its holder lives. If not, what the lock guards may be
 * half done: LOST takes the place of the id, and whoever wants the lock gets ERR_QUIRE_FAILED at once. One stripe's keys,
 * or what has to allocate; the rest of the map goes on.
 *
 * The growth lock is not lost but taken over. It keeps others from splitting and clearing, and what is half done under it
 * is under a stripe too, wherever its holder died:
 *
 *   no stripe held      before, between and after splits: nothing is half done
 *   split, one stripe   gather, build (and allocator), odd, BUCKETS (one store), clean, even: that stripe is lost, BUCKETS is
 *                       that before the split or that after it, and the chain of no other stripe depends on which
 *   clear, k stripes    while they are locked, changed and unlocked: those k are lost
 *
 * Growth stops at a lost stripe, since buckets are split in order; chains get longer then.
 *
 * Beside each stripe lock stands a sequence (Linux seqlock): even at rest, odd while something that readers of the
 * stripe look at changes. It is separate from the lock, so that readers go on while a writer fills a new record that
 * nobody can reach yet.
 */
export class StripeLocks {
  private readonly control: Int32Array;
  private readonly self: number;
  private readonly waitMsMax: number;
  private growthRefusals = 0;
  private readonly isDead: ((threadId: number) => boolean) | undefined;
  /** Private to the thread: a read-modify-write here is a full barrier on every machine, and touches no shared line. */
  private readonly barrier = new Int32Array(new SharedArrayBuffer(64));

  /** `threadId`: 0..2^30, unique among the threads of the map, and never used again. `isDead`: of a thread that ended. */
  constructor(control: Int32Array, threadId: number, waitMsMax: number, isDead?: (threadId: number) => boolean) {
    assert(threadId >= 0 && threadId < 0x4000_0000, 'thread id', threadId);
    this.isDead = isDead;
    this.control = control;
    this.self = threadId + 1;
    this.waitMsMax = waitMsMax;
  }

  lockStripe(stripe: number): void {
    if (Atomics.compareExchange(this.control, STRIPE_LOCK + stripe, 0, this.self) !== 0)
      this.wait(STRIPE_LOCK + stripe);
  }

  tryLockStripe(stripe: number): boolean {
    return Atomics.compareExchange(this.control, STRIPE_LOCK + stripe, 0, this.self) === 0;
  }

  unlockStripe(stripe: number): void {
    this.unlock(STRIPE_LOCK + stripe);
  }

  lockAllocator(): void {
    if (Atomics.compareExchange(this.control, ALLOCATOR_LOCK, 0, this.self) !== 0) this.wait(ALLOCATOR_LOCK);
  }

  unlockAllocator(): void {
    this.unlock(ALLOCATOR_LOCK);
  }

  lockGrowth(): void {
    if (!this.tryLockGrowth()) this.wait(GROWTH_LOCK);
  }

  /** Those who only try never wait for long enough to ask after the holder: they do now and then. */
  tryLockGrowth(): boolean {
    if (Atomics.compareExchange(this.control, GROWTH_LOCK, 0, this.self) === 0) return true;
    this.growthRefusals++;
    return this.growthRefusals % GROWTH_REAP_TRIES === 0 && this.takeOverIfDead(GROWTH_LOCK);
  }

  unlockGrowth(): void {
    this.unlock(GROWTH_LOCK);
  }

  /** Everything stands still: growth, all stripes ascending. All or, when one cannot be had, none. */
  lockAll(): void {
    this.lockGrowth();
    let held = 0;
    try {
      for (; held < STRIPES; held++) this.lockStripe(held);
    } catch (error) {
      while (held-- > 0) this.unlockStripe(held);
      this.unlockGrowth();
      throw error;
    }
  }

  unlockAll(): void {
    for (let stripe = STRIPES - 1; stripe >= 0; stripe--) this.unlockStripe(stripe);
    this.unlockGrowth();
  }

  /**
   * The sequence a reader starts from; odd means: a writer is inside, come back. Pairs with `openStripe` and
   * `closeStripe`.
   */
  sequence(stripe: number): number {
    return Atomics.load(this.control, STRIPE_SEQUENCE + stripe);
  }

  /**
   * Whether nothing of the stripe changed since `sequence` gave `start`. The barrier keeps the reads in between from
   * sinking below the load (ARM64 lets plain loads pass an acquiring load that follows them).
   */
  isUnchanged(stripe: number, start: number): boolean {
    Atomics.add(this.barrier, 0, 1);
    return Atomics.load(this.control, STRIPE_SEQUENCE + stripe) === start;
  }

  /**
   * Readers of the stripe fail from here on: no later store is seen before this one (arena/fence.ts). Holder of the
   * stripe only.
   */
  openStripe(stripe: number): void {
    const at = STRIPE_SEQUENCE + stripe;
    assert((Atomics.load(this.control, at) & 1) === 0, 'stripe opened twice', stripe, this.control[at]);
    announce(this.control, at);
  }

  /** The change is complete. Pairs with the load in `sequence`. */
  closeStripe(stripe: number): void {
    const before = Atomics.add(this.control, STRIPE_SEQUENCE + stripe, 1);
    assert((before & 1) === 1, 'stripe closed twice', stripe, before);
  }

  /** Whether a thread holds any lock of this map: when it is known to be dead, the map is lost. */
  heldBy(threadId: number): boolean {
    for (let stripe = 0; stripe < STRIPES; stripe++) {
      if (this.ownerOf(STRIPE_LOCK + stripe) === threadId) return true;
    }
    return this.ownerOf(ALLOCATOR_LOCK) === threadId || this.ownerOf(GROWTH_LOCK) === threadId;
  }

  /** A thread died in it. */
  isStripeLost(stripe: number): boolean {
    return this.isLost(STRIPE_LOCK + stripe);
  }

  /** Its holder died: nothing can be stored any more. */
  isAllocatorLost(): boolean {
    return this.isLost(ALLOCATOR_LOCK);
  }

  private isLost(word: number): boolean {
    return (Atomics.load(this.control, word) & 0x7fff_ffff) === LOST;
  }

  /** Takes the lock out of use when its holder has died. Of several waiters that see it one does. */
  private loseIfDead(word: number): void {
    const seen = Atomics.load(this.control, word);
    if (!this.isHolderDead(seen)) return;
    if (Atomics.compareExchange(this.control, word, seen, LOST) === seen) Atomics.notify(this.control, word);
  }

  /** The lock of a thread that has died is this one's, sleepers' mark and all. Of several that see it one gets it. */
  private takeOverIfDead(word: number): boolean {
    const seen = Atomics.load(this.control, word);
    return (
      this.isHolderDead(seen) &&
      Atomics.compareExchange(this.control, word, seen, (seen & WAITERS) | this.self) === seen
    );
  }

  private isHolderDead(word: number): boolean {
    const holder = (word & 0x7fff_ffff) - 1;
    return holder >= 0 && this.isDead?.(holder) === true;
  }

  private ownerOf(word: number): number {
    return (Atomics.load(this.control, word) & 0x7fff_ffff) - 1;
  }

  private unlock(word: number): void {
    const before = Atomics.exchange(this.control, word, 0);
    assert((before & 0x7fff_ffff) === this.self, 'unlock by another thread', word, before);
    if (before < 0) Atomics.notify(this.control, word, 1);
  }

  /** Spins for about the time of a short critical section, then sleeps with the sign bit set. */
  private wait(word: number): void {
    const control = this.control;
    if (this.isLost(word)) throw new LostLockError(word);
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.load(control, word) === 0 && Atomics.compareExchange(control, word, 0, this.self) === 0) return;
    }
    assert((Atomics.load(control, word) & 0x7fff_ffff) !== this.self, 'lock taken twice by one thread', word);
    // Time asleep is what counts: a process that was suspended has not waited.
    for (let sleptMs = 0; sleptMs < this.waitMsMax; ) {
      const seen = Atomics.load(control, word);
      if (seen === 0) {
        // Others may still sleep behind us, so we take it as contended; the price is one notify too many.
        if (Atomics.compareExchange(control, word, 0, this.self | WAITERS) === 0) return;
        continue;
      }
      if (seen < 0 || Atomics.compareExchange(control, word, seen, seen | WAITERS) === seen) {
        if (Atomics.wait(control, word, seen | WAITERS, WAIT_MS) !== 'timed-out') continue;
        sleptMs += WAIT_MS;
        if (sleptMs % REAP_MS === 0 && word === GROWTH_LOCK && this.takeOverIfDead(word)) return;
        if (sleptMs % REAP_MS === 0 && word !== GROWTH_LOCK) this.loseIfDead(word);
        if (this.isLost(word)) throw new LostLockError(word);
      }
    }
    throw new QuireError('ERR_QUIRE_FAILED', `map lock ${word} is held by thread ${this.ownerOf(word)} for too long`);
  }
}

/** Work that can be left undone, or done elsewhere, goes on without this part of the map. */
export class LostLockError extends QuireError {
  constructor(word: number) {
    super('ERR_QUIRE_FAILED', `a thread died while it was changing this part of the map (lock ${word})`);
  }
}

const WAITERS = 0x8000_0000 | 0;
/** No thread has this id. */
const LOST = 0x7fff_ffff;
/** Asleep for this long, a waiter asks after the holder. */
const REAP_MS = 100;
/** Some milliseconds of insertions that would grow the map: asking costs 10 µs. */
const GROWTH_REAP_TRIES = 256;
/** About 2 µs: a set that hits resident pages is done by then. */
const SPINS = 400;
/** A sleeper looks again after this long even when nobody wakes it. */
const WAIT_MS = 50;
