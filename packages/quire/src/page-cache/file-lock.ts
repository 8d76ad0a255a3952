/**
 * The two locks of a file, words of its inode: the inode lock (writers, truncate, filling blocks of a cached folio) and
 * the writeback lock (whoever writes the file back). Order: inode → writeback → node lock; the writeback lock is waited
 * for only by those who may hold the inode lock and by the flusher, everybody else just tries.
 *
 * Words as in arena/node-lock.ts. Unlike a node lock these are held across I/O, so a waiter spins briefly, then sleeps, and
 * gives up after ten seconds with ERR_QUIRE_FAILED instead of breaking the instance: a disk may be that slow. After 0.1 s it
 * asks whether the holder lives, and buries it if not (daemons/reaper.ts): the writeback lock is free then, the batch
 * undone; an inode lock is lost, since what was being written is half done: whoever wants it fails at once.
 */
import { acquireWaiting, isLost, type Reap, tryAcquire } from '../arena/node-lock.ts';
import { QuireError } from '../base/errors.ts';

export {
  lose as loseFileLock,
  ownerOf as fileLockOwner,
  release as unlockFile,
  tryAcquire as tryLockFile,
} from '../arena/node-lock.ts';

/** A cached write holds the lock for less than this takes. */
const SPINS = 400;
/** A sleeper looks again by itself: a lost wake-up costs a delay and never a hang. */
const SLEEP_MS = 50;
/** 10 s of this thread's own time asleep, so that a suspended process does not count. */
const SLEEPS_MAX = 200;

export function lockFile(inode: Int32Array, at: number, me: number, reap?: Reap): void {
  if (tryAcquire(inode, at, me) || acquireWaiting(inode, at, me, SPINS, SLEEP_MS, SLEEPS_MAX, reap)) return;
  if (isLost(inode, at)) throw new QuireError('ERR_QUIRE_FAILED', 'a thread died while it was changing this file');
  throw new QuireError('ERR_QUIRE_FAILED', 'a file was locked by another thread for 10 s');
}
