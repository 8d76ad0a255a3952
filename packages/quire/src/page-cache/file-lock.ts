/**
 * The two locks of a file, words of its inode: the inode lock (writers, truncate, filling blocks of a cached folio) and
 * the writeback lock (whoever writes the file back). Order: inode → writeback → node lock; the writeback lock is waited
 * for only by those who may hold the inode lock and by the flusher, everybody else just tries.
 *
 * Word as in arena/node-lock.ts: 0 free, else the owner's thread id, with CONTENDED while somebody sleeps on it. Unlike a
 * node lock these are held across I/O, so a waiter spins briefly, then sleeps, and gives up after ten seconds with
 * ERR_QUIRE_FAILED instead of breaking the instance: a disk may be that slow. A lock whose owner died is released by
 * whoever buries the owner.
 */
import { assert } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';

const CONTENDED = 0x100;
const OWNER_MASK = 0xff;
/** A cached write holds the lock for less than this takes. */
const SPINS = 400;
/** A sleeper looks again by itself: a lost wake-up costs a delay and never a hang. */
const SLEEP_MS = 50;
/** 10 s of this thread's own time asleep, so that a suspended process does not count. */
const SLEEPS_MAX = 200;

export function lockFile(inode: Int32Array, at: number, me: number): void {
  if (Atomics.compareExchange(inode, at, 0, me) !== 0) lockSlow(inode, at, me);
}

function lockSlow(inode: Int32Array, at: number, me: number): void {
  assert((Atomics.load(inode, at) & OWNER_MASK) !== me, 'file lock taken twice by one thread', at, me);
  for (let spin = 0; spin < SPINS; spin++) {
    if (Atomics.load(inode, at) === 0 && Atomics.compareExchange(inode, at, 0, me) === 0) return;
  }
  for (let sleeps = 0; sleeps < SLEEPS_MAX; ) {
    const seen = Atomics.load(inode, at);
    if (seen === 0) {
      // Taken as contended: others may still sleep, and only a contended release wakes them.
      if (Atomics.compareExchange(inode, at, 0, me | CONTENDED) === 0) return;
      continue;
    }
    const marked = seen | CONTENDED;
    if (seen !== marked && Atomics.compareExchange(inode, at, seen, marked) !== seen) continue;
    if (Atomics.wait(inode, at, marked, SLEEP_MS) === 'timed-out') sleeps++;
  }
  throw new QuireError('ERR_QUIRE_FAILED', 'a file was locked by another thread for 10 s');
}

export function tryLockFile(inode: Int32Array, at: number, me: number): boolean {
  return Atomics.compareExchange(inode, at, 0, me) === 0;
}

export function unlockFile(inode: Int32Array, at: number, me: number): void {
  const was = Atomics.exchange(inode, at, 0);
  assert((was & OWNER_MASK) === me, 'file lock released by another thread', was, me);
  if ((was & CONTENDED) !== 0) Atomics.notify(inode, at, 1);
}

/** Thread id of the holder, 0 when free. */
export function fileLockOwner(inode: Int32Array, at: number): number {
  return Atomics.load(inode, at) & OWNER_MASK;
}
