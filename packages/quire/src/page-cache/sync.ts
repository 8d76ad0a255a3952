/**
 * sync: everything that was dirty when it was asked for is written once, then the device is told, then the error is reported.
 *
 *   caller    ticket = ++I_SYNC_WANTED, wake the flusher, wait while I_SYNC_DONE is before the ticket
 *   server    (writeback lock)  no sync under way: I_SYNC_TICKET = I_SYNC_WANTED, I_SYNC_SERIAL = I_LIST_SERIAL
 *             a batch a turn while the oldest leaf of some node has a serial up to I_SYNC_SERIAL
 *             none has: I_SYNC_DONE = I_SYNC_TICKET
 *
 * The ticket is read before the serial: what was written before a ticket was taken is on the list with a serial that the
 * sync of this ticket covers. A leaf that is dirtied again, or could not be written, is listed with a higher serial, so a
 * sync ends however fast others write, and tries what cannot be written once. The server is the flusher; where none runs,
 * the callers themselves, a batch a turn of the event loop, each going on where the other left off.
 *
 * A batch that somebody else began earlier is over when the writeback lock can be had.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { errnoOf, writebackError } from '../base/error-number.ts';
import { QuireError } from '../base/errors.ts';
import type { FileIo } from '../base/port.ts';
import type { WordIndex } from '../base/units.ts';
import { wakeFlusher } from '../swap/reclaimer.ts';
import type { Memory } from '../vm/memory.ts';
import { checkAndAdvance, type ErrorCursor, sampleErrors, setError } from './errseq.ts';
import { lockWriteback, tryLockWriteback, unlockWriteback } from './inode.ts';
import { NOTHING_TO_WRITE, writeOldestLeaf } from './writeback.ts';

/** Between two looks of one that waits for a lock or for the flusher; normally it is told earlier. */
const WAIT_MS = 10;
/** Another thread's batch takes about as long. */
const RETRY_MS = 1;

/** One batch of another thread; whoever takes longer has died in it. As long as a lock is waited for (file-lock.ts). */
const STUCK_MS = 10_000;

/** Opens a handle's view of the file's errors. */
export function openErrors(inode: Int32Array): ErrorCursor {
  return { since: sampleErrors(inode, L.I_ERRSEQ) };
}

/** The error of writeback that this handle has not been told of yet; it then has. */
export function takeError(inode: Int32Array, cursor: ErrorCursor): QuireError | undefined {
  const errno = checkAndAdvance(inode, L.I_ERRSEQ, cursor);
  return errno === 0 ? undefined : writebackError(errno);
}

/**
 * `QuireFile.sync` and `datasync`: writes back, then `flushDevice` (fsync, fdatasync), then throws what the handle has not
 * been told of: ERR_QUIRE_IO with the system's error as `cause`. An error of `flushDevice` is one of the file, for all
 * handles. The caller keeps the file open.
 */
export async function syncFile(
  memory: Memory,
  inode: Int32Array,
  cursor: ErrorCursor,
  flushDevice: () => Promise<void>,
): Promise<void> {
  await writeBackFile(memory, inode);
  try {
    await flushDevice();
  } catch (error) {
    noteDeviceError(inode, error);
  }
  const error = takeError(inode, cursor);
  if (error !== undefined) throw error;
}

/** As `syncFile`, on this thread and at once. */
export function syncFileNow(memory: Memory, inode: Int32Array, cursor: ErrorCursor, flushDevice: () => void): void {
  writeBackFileNow(memory, inode);
  try {
    flushDevice();
  } catch (error) {
    noteDeviceError(inode, error);
  }
  const error = takeError(inode, cursor);
  if (error !== undefined) throw error;
}

function noteDeviceError(inode: Int32Array, error: unknown): void {
  const errno = errnoOf(error);
  if (errno === 0) throw error;
  setError(inode, L.I_ERRSEQ, errno);
}

/** Resolves when what is dirty now was written, or refused, once. The caller keeps the file open. */
export async function writeBackFile(memory: Memory, inode: Int32Array): Promise<void> {
  const { files } = memory;
  const home = memory.nodes[0];
  assert(files !== undefined, 'a thread that syncs has file access', home.thread);
  const ticket = takeTicket(inode);
  if (Atomics.load(home.words, L.H_FLUSHERS) > 0) wakeFlusher(home);
  let content = Atomics.load(inode, L.I_CONTENT_SEQ);
  let sinceMs = files.now();
  while (!isServed(inode, ticket)) {
    memory.checkAlive();
    const seen = Atomics.load(inode, L.I_CONTENT_SEQ);
    if (seen !== content || Atomics.load(inode, L.I_WB_LOCK) === 0) {
      content = seen;
      sinceMs = files.now();
    } else if (files.now() - sinceMs > STUCK_MS) {
      throw new QuireError('ERR_QUIRE_FAILED', 'a file was being written back by another thread for 10 s');
    }
    // It may end at any time: then its work is ours.
    if (Atomics.load(home.words, L.H_FLUSHERS) > 0) await flusherServed(files, inode, ticket);
    else await files.pause(serveHere(memory, inode) ? 0 : RETRY_MS);
  }
}

/** As `writeBackFile`, on this thread and at once: it waits for locks and for the device. */
export function writeBackFileNow(memory: Memory, inode: Int32Array): void {
  const { thread: me, reap } = memory.nodes[0];
  const ticket = takeTicket(inode);
  while (!isServed(inode, ticket)) {
    memory.checkAlive();
    lockWriteback(inode, me, reap);
    try {
      serveSync(memory, inode);
    } finally {
      unlockWriteback(inode, me);
    }
  }
}

function takeTicket(inode: Int32Array): number {
  return (Atomics.add(inode, L.I_SYNC_WANTED, 1) + 1) | 0;
}

function isServed(inode: Int32Array, ticket: number): boolean {
  return ((Atomics.load(inode, L.I_SYNC_DONE) - ticket) | 0) >= 0;
}

/** Does anybody wait for a sync of the file? `at`: where the inode's words begin. */
export function isSyncWanted(words: Int32Array, at: number): boolean {
  return Atomics.load(words, at + L.I_SYNC_WANTED) !== Atomics.load(words, at + L.I_SYNC_DONE);
}

/**
 * One batch for whoever waits for a sync of the file; when there is none left, they are told. Writeback lock held. False
 * when nobody waits any more.
 */
export function serveSync(memory: Memory, inode: Int32Array): boolean {
  const done = Atomics.load(inode, L.I_SYNC_DONE);
  if (inode[L.I_SYNC_TICKET] === done) {
    const wanted = Atomics.load(inode, L.I_SYNC_WANTED);
    if (wanted === done) return false;
    inode[L.I_SYNC_TICKET] = wanted;
    // After the ticket: pairs with the add in takeTicket, which comes after the listing of what its caller wrote.
    inode[L.I_SYNC_SERIAL] = Atomics.load(inode, L.I_LIST_SERIAL);
  }
  const serial = inode[L.I_SYNC_SERIAL];
  const isCovered = (node: Node, leaf: WordIndex): boolean => ((node.words[leaf + L.FL_LIST_SERIAL] - serial) | 0) <= 0;
  for (let n = 0; n < memory.nodes.length; n++) {
    if (writeOldestLeaf(memory, inode, n, isCovered) !== NOTHING_TO_WRITE) return true;
  }
  Atomics.store(inode, L.I_SYNC_DONE, inode[L.I_SYNC_TICKET]);
  Atomics.notify(inode, L.I_SYNC_DONE);
  return true;
}

/** False when another thread is writing the file back. */
function serveHere(memory: Memory, inode: Int32Array): boolean {
  const me = memory.nodes[0].thread;
  if (!tryLockWriteback(inode, me)) return false;
  try {
    serveSync(memory, inode);
  } finally {
    unlockWriteback(inode, me);
  }
  return true;
}

/** Waits a little for the flusher. `waitAsync` alone does not keep the process alive, so a pause runs beside it. */
async function flusherServed(files: FileIo, inode: Int32Array, ticket: number): Promise<void> {
  const seen = Atomics.load(inode, L.I_SYNC_DONE);
  if (((seen - ticket) | 0) >= 0) return;
  const wait = Atomics.waitAsync(inode, L.I_SYNC_DONE, seen, WAIT_MS);
  if (wait.async) await Promise.race([wait.value, files.pause(WAIT_MS)]);
}
