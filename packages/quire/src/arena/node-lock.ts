/**
 * The node lock: one word, free = 0, else owner thread id (1…254) with CONTENDED set while somebody sleeps on it.
 *
 * Held for microseconds, 30 at most, never across compression, I/O or a wait, so spinning comes first; a holder
 * that lost its processor is waited for with Atomics.wait. Lock order: node locks in ascending node number; nothing
 * else is taken under one.
 *
 *   acquire: CAS 0 → me           pairs with the release store of the last holder
 *   release: swap → 0, wake one if CONTENDED was set
 *
 * The owner id in the word tells who died holding it. A thread that has slept for 0.1 s asks whether the holder lives
 * (`Reap`, given by daemons/reaper.ts); LOST_OWNER in place of an id says that a dead thread left behind what the lock
 * guards half done: nobody gets it any more.
 */
import { assert } from '../base/assert.ts';

const CONTENDED = 0x100;
const OWNER_MASK = 0xff;
/** No thread has this id. */
const LOST_OWNER = 0xff;

/** What a waiter is told of the thread that holds its lock. */
export const HOLDER_LIVES = 0;
/** It is dead and buried: the lock is free by now, or lost. */
export const HOLDER_BURIED = 1;
/** It died in a node lock: the instance is FAILED. */
export const INSTANCE_LOST = 2;

/** Asks whether the thread of this id lives, and buries it if not. */
export type Reap = (thread: number) => number;

/** Asleep for this long, a waiter asks after the holder. */
const REAP_MS = 100;
/**
 * Some 40 µs: long enough to outlast a batch being published, short enough not to burn a time slice when the holder was
 * preempted.
 */
const SPINS = 20_000;
/** A sleeper looks again by itself, so that a lost wake-up costs a delay and never a hang. */
const SLEEP_MS = 2;
/**
 * Sleeps before the holder counts as dead: 10 s of this thread's own time, so that a suspended process does not
 * count. A thread that waits synchronously cannot hear that a worker ended; without a bound it would wait for ever.
 */
const SLEEPS_MAX = 5000;

export function acquire(words: Int32Array, at: number, me: number, reap?: Reap): void {
  if (Atomics.compareExchange(words, at, 0, me) !== 0) acquireSlow(words, at, me, reap);
}

function acquireSlow(words: Int32Array, at: number, me: number, reap: Reap | undefined): void {
  const isOurs = acquireWaiting(words, at, me, SPINS, SLEEP_MS, SLEEPS_MAX, reap);
  assert(isOurs, 'node lock: its holder died, or held it for 10 s', ownerOf(words, at), me);
}

/**
 * Spins, then sleeps until the lock is this thread's. False when it slept `sleepsMax` times for `sleepMs` in vain, or the
 * lock is lost. For every lock whose word is as above.
 */
export function acquireWaiting(
  words: Int32Array,
  at: number,
  me: number,
  spins: number,
  sleepMs: number,
  sleepsMax: number,
  reap?: Reap,
): boolean {
  assert((Atomics.load(words, at) & OWNER_MASK) !== me, 'lock taken twice by one thread', at, me);
  for (let spin = 0; spin < spins; spin++) {
    if (Atomics.load(words, at) === 0 && Atomics.compareExchange(words, at, 0, me) === 0) return true;
  }
  for (let sleeps = 0; sleeps < sleepsMax; ) {
    const seen = Atomics.load(words, at);
    if ((seen & OWNER_MASK) === LOST_OWNER) return false;
    if (seen === 0) {
      // Taken as contended: others may still sleep, and only a contended release wakes them.
      if (Atomics.compareExchange(words, at, 0, me | CONTENDED) === 0) return true;
      continue;
    }
    const marked = seen | CONTENDED;
    if (seen !== marked && Atomics.compareExchange(words, at, seen, marked) !== seen) continue;
    if (Atomics.wait(words, at, marked, sleepMs) !== 'timed-out') continue;
    sleeps++;
    const asks = reap !== undefined && (sleeps * sleepMs) % REAP_MS === 0;
    if (asks && reap(marked & OWNER_MASK) === INSTANCE_LOST) return false;
  }
  return false;
}

/** Nobody gets the lock any more: its holder `dead` is gone for good, and what it guards may be half done. */
export function lose(words: Int32Array, at: number, dead: number): void {
  const was = Atomics.exchange(words, at, LOST_OWNER);
  assert((was & OWNER_MASK) === dead, 'a lock is lost with its holder', was, dead);
  if ((was & CONTENDED) !== 0) Atomics.notify(words, at);
}

export function isLost(words: Int32Array, at: number): boolean {
  return ownerOf(words, at) === LOST_OWNER;
}

export function tryAcquire(words: Int32Array, at: number, me: number): boolean {
  return Atomics.compareExchange(words, at, 0, me) === 0;
}

export function release(words: Int32Array, at: number, me: number): void {
  const was = Atomics.exchange(words, at, 0);
  assert((was & OWNER_MASK) === me, 'lock released by another thread', was, me);
  if ((was & CONTENDED) !== 0) Atomics.notify(words, at, 1);
}

/** Thread id of the holder, 0 when free. */
export function ownerOf(words: Int32Array, at: number): number {
  return Atomics.load(words, at) & OWNER_MASK;
}
