/**
 * An open file, once for all its handles and threads: a region of kind REGION_FILE named after device and inode number,
 * and a control frame in node 0 with its locks, size, error state and lists (arena/layout.ts, I_…). Its region table slot
 * counts the handles. The descriptors of the first handle that could read, and of the first that could write, serve all.
 *
 *   open      first: size and time as on disk. Later: the same inode; clean pages go if the disk says that somebody else
 *             changed the file
 *   close     last: nobody finds the file any more → the writeback lock, waited for → pages, tables, inode are freed
 *
 * Who holds no handle (flusher, reclaim) may touch the inode only while it has the writeback lock, and takes that under
 * node 0's lock while the region is still in use (`tryEnterWriteback`): the last close cannot pass it.
 */
import { LOADS_STAY_IN_ORDER } from '../arena/fence.ts';
import * as L from '../arena/layout.ts';
import { isLost, type Reap } from '../arena/node-lock.ts';
import { assert } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, PAGE_WORDS } from '../base/units.ts';
import { regionAt } from '../page-table/page-table.ts';
import type { Memory } from '../vm/memory.ts';
import {
  controlWords,
  isOpenFileLocked,
  leaveNamed,
  leaveRegion,
  openRegion,
  removeRegion,
} from '../vm/region-table.ts';
import { dropCleanPages } from './file-drop.ts';
import { fileLockOwner, lockFile, loseFileLock, tryLockFile, unlockFile } from './file-lock.ts';

/** Chunks of the largest file: 2^45 bytes. */
const FILE_CHUNKS = 2 ** 24;
export const FILE_BYTES_MAX = FILE_CHUNKS * CHUNK_BYTES;
/** A writer of the size is between two stores for some nanoseconds, or off the processor for a while. */
const SIZE_TRIES_MAX = 100_000_000;

/** What the file system says of a file. */
export interface DiskState {
  readonly size: number;
  /** Modification time, nanoseconds. */
  readonly mtimeNs: bigint;
}

export interface InodeOpening {
  /** `file:DEV:INO`: the same file by whatever path has the same name. */
  readonly name: string;
  readonly group?: string;
  /** Descriptors of this handle, −1 for none. */
  readonly readFd: number;
  readonly writeFd: number;
  /** Asks the file system, with the file's locks held. */
  readonly look: () => DiskState;
}

export interface OpenedInode {
  readonly region: number;
  readonly inode: Int32Array;
  /** Whether the inode took the descriptor over (it is closed with the last handle) or has one already. */
  readonly keepsReadFd: boolean;
  readonly keepsWriteFd: boolean;
}

/** Descriptors to close, −1 for none. */
export interface LeftDescriptors {
  readonly readFd: number;
  readonly writeFd: number;
}

export function openInode(memory: Memory, opening: InodeOpening): OpenedInode {
  const { thread: me, reap } = memory.nodes[0];
  const { region } = openRegion(memory, opening.name, FILE_CHUNKS, opening.group, L.REGION_FILE);
  let inode: Int32Array | undefined;
  try {
    inode = controlWords(memory, region);
    lockInode(inode, me, reap);
    try {
      lockWriteback(inode, me, reap);
      try {
        compareWithDisk(memory, region, inode, opening.look());
      } finally {
        unlockWriteback(inode, me);
      }
      const keepsReadFd = keepDescriptor(inode, L.I_READ_FD, opening.readFd);
      const keepsWriteFd = keepDescriptor(inode, L.I_WRITE_FD, opening.writeFd);
      return { region, inode, keepsReadFd, keepsWriteFd };
    } finally {
      unlockInode(inode, me);
    }
  } catch (error) {
    // Its writer died: what that wrote may be dirty still, and does not go with this use (lost-file.ts).
    if (inode !== undefined && isLost(inode, L.I_LOCK)) leaveNamed(memory, region);
    else leaveInode(memory, region, inode);
    throw error;
  }
}

function compareWithDisk(memory: Memory, region: number, inode: Int32Array, disk: DiskState): void {
  const isNew = inode[L.I_READ_FD] === 0 && inode[L.I_WRITE_FD] === 0;
  // What is dirty here is newer than anything the disk says.
  if (!isNew && inode[L.I_DIRTY_PAGES] > 0) return;
  if (!isNew && disk.size === sizeOf(inode) && isMtime(inode, disk.mtimeNs)) return;
  if (disk.size > FILE_BYTES_MAX) throw new QuireError('ERR_QUIRE_UNSUPPORTED', `the file has ${disk.size} bytes`);
  // The size first: a fill that begins once the pages are dropped must not zero what lies behind the old one.
  publishSize(inode, disk.size);
  if (!isNew) dropCleanPages(memory, region, inode);
  rememberMtime(inode, disk.mtimeNs);
}

function keepDescriptor(inode: Int32Array, at: number, fd: number): boolean {
  if (fd < 0 || inode[at] !== 0) return false;
  Atomics.store(inode, at, fd + 1);
  return true;
}

/**
 * The modification time after this process wrote the file: else the next open takes the change for somebody else's and
 * drops the clean pages. Called after a sync.
 */
export function rememberMtime(inode: Int32Array, mtimeNs: bigint): void {
  inode[L.I_MTIME_LOW] = Number(BigInt.asIntN(32, mtimeNs));
  inode[L.I_MTIME_HIGH] = Number(BigInt.asIntN(32, mtimeNs >> 32n));
}

function isMtime(inode: Int32Array, mtimeNs: bigint): boolean {
  const isLow = inode[L.I_MTIME_LOW] === Number(BigInt.asIntN(32, mtimeNs));
  return isLow && inode[L.I_MTIME_HIGH] === Number(BigInt.asIntN(32, mtimeNs >> 32n));
}

/**
 * Gives up one handle's use. With the last one everything is freed, dirty pages too: the caller has synced before, and
 * reported what could not be written. Returns the descriptors to close when it was the last.
 */
export function closeInode(memory: Memory, region: number): LeftDescriptors | undefined {
  return leaveInode(memory, region, inodeOf(memory, region));
}

function leaveInode(memory: Memory, region: number, inode: Int32Array | undefined): LeftDescriptors | undefined {
  const { thread: me, reap } = memory.nodes[0];
  if (!leaveRegion(memory, region)) return undefined;
  let left: LeftDescriptors = { readFd: -1, writeFd: -1 };
  if (inode !== undefined) {
    // Whoever entered before the last handle left is still at work.
    lockWriteback(inode, me, reap);
    left = { readFd: inode[L.I_READ_FD] - 1, writeFd: inode[L.I_WRITE_FD] - 1 };
    unlockWriteback(inode, me);
  }
  removeRegion(memory, region);
  return left;
}

/** The control words of a file in use. The caller holds a handle, or the writeback lock. */
export function inodeOf(memory: Memory, region: number): Int32Array {
  const node = memory.nodes[0];
  const control = node.words[regionAt(region) + L.R_CONTROL];
  assert(control !== 0, 'a file has an inode', region);
  return new Int32Array(node.memory.buffer, control * PAGE_WORDS * 4, PAGE_WORDS);
}

/**
 * The inode of whatever file is open in this slot of the region table, with its writeback lock held; undefined when there
 * is none, or somebody else has the lock.
 */
export function tryEnterWriteback(memory: Memory, region: number): Int32Array | undefined {
  const node = memory.nodes[0];
  node.lock();
  const isOpen = isOpenFileLocked(node, region) && node.words[regionAt(region) + L.R_CONTROL] !== 0;
  const inode = isOpen ? inodeOf(memory, region) : undefined;
  const isEntered = inode !== undefined && tryLockWriteback(inode, node.thread);
  node.unlock();
  return isEntered ? inode : undefined;
}

/** Files of which the thread has the lock at `at`. For who buries it: such a file stays until the lock is free. */
export function filesLockedBy(memory: Memory, at: number, thread: number): Int32Array[] {
  const node = memory.nodes[0];
  const files: Int32Array[] = [];
  node.lock();
  for (let region = 0; region < L.REGIONS_MAX; region++) {
    const hasInode = isOpenFileLocked(node, region) && node.words[regionAt(region) + L.R_CONTROL] !== 0;
    if (hasInode && fileLockOwner(inodeOf(memory, region), at) === thread) files.push(inodeOf(memory, region));
  }
  node.unlock();
  return files;
}

/** A thread died: what it was writing to a file is half done, and the file is not written any more. */
export function buryInodeLocks(memory: Memory, index: number): void {
  for (const inode of filesLockedBy(memory, L.I_LOCK, index + 1)) loseFileLock(inode, L.I_LOCK, index + 1);
}

/** Size in bytes, by any thread: the writer's sequence is even and stays the same (a seqlock). */
export function sizeOf(inode: Int32Array): number {
  for (let attempt = 0; attempt < SIZE_TRIES_MAX; attempt++) {
    // Before an atomic load plain ones stay where they are, in their order, but for machines that let a later load pass.
    const sequence = LOADS_STAY_IN_ORDER ? inode[L.I_SIZE_SEQ] : Atomics.load(inode, L.I_SIZE_SEQ);
    const low = LOADS_STAY_IN_ORDER ? inode[L.I_SIZE_LOW] : Atomics.load(inode, L.I_SIZE_LOW);
    const high = LOADS_STAY_IN_ORDER ? inode[L.I_SIZE_HIGH] : Atomics.load(inode, L.I_SIZE_HIGH);
    if ((sequence & 1) === 0 && Atomics.load(inode, L.I_SIZE_SEQ) === sequence) return high * 2 ** 32 + (low >>> 0);
  }
  throw new QuireError('ERR_QUIRE_FAILED', 'the size of a file stays half written: its writer died');
}

/** As `sizeOf`, by the holder of the inode lock: nobody else changes it. */
export function sizeLocked(inode: Int32Array): number {
  return inode[L.I_SIZE_HIGH] * 2 ** 32 + (inode[L.I_SIZE_LOW] >>> 0);
}

/** Inode lock held. */
export function publishSize(inode: Int32Array, size: number): void {
  assert(Number.isSafeInteger(size) && size >= 0, 'size of a file', size);
  Atomics.add(inode, L.I_SIZE_SEQ, 1);
  Atomics.store(inode, L.I_SIZE_LOW, size | 0);
  Atomics.store(inode, L.I_SIZE_HIGH, Math.floor(size / 2 ** 32));
  Atomics.add(inode, L.I_SIZE_SEQ, 1);
}

export function lockInode(inode: Int32Array, me: number, reap?: Reap): void {
  lockFile(inode, L.I_LOCK, me, reap);
}

export function unlockInode(inode: Int32Array, me: number): void {
  unlockFile(inode, L.I_LOCK, me);
}

export function lockWriteback(inode: Int32Array, me: number, reap?: Reap): void {
  lockFile(inode, L.I_WB_LOCK, me, reap);
}

export function tryLockWriteback(inode: Int32Array, me: number): boolean {
  return tryLockFile(inode, L.I_WB_LOCK, me);
}

export function unlockWriteback(inode: Int32Array, me: number): void {
  unlockFile(inode, L.I_WB_LOCK, me);
}
