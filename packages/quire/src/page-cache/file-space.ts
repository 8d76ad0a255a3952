/**
 * A file's bytes as one handle and thread sees them: read, write, append, truncate through the page cache. All state is in
 * shared memory; any number of threads have a FileSpace of one inode (page-cache/inode.ts).
 *
 * Locks: writers take the inode lock, truncate the writeback lock too, readers none. What is promised when reads and
 * writes of the same bytes are not ordered by the caller: old bytes or new ones, never another page's.
 */
import { outOfRange, QuireError } from '../base/errors.ts';
import { PAGE_BYTES } from '../base/units.ts';
import type { Memory } from '../vm/memory.ts';
import { ByteVector } from './byte-vector.ts';
import { fillNext, fillRange, fillRangeAsync, skipCached } from './file-fill.ts';
import { FileMap } from './file-map.ts';
import { type HeldFolio, pinRange, unpinRange } from './file-pin.ts';
import { MISSING, readFolio } from './file-read.ts';
import { truncateLocked } from './file-truncate.ts';
import { writeLocked, writeVectorLocked } from './file-write.ts';
import { FILE_BYTES_MAX, lockInode, lockWriteback, sizeOf, unlockInode, unlockWriteback } from './inode.ts';

export type { HeldFolio } from './file-pin.ts';

/** A reader overtaken this often in a row is stuck. */
const RETRIES_MAX = 1_000_000;
const RETRIES_BEFORE_LOCK = 64;
/** Bytes of one write between two looks at how much is dirty. */
const BALANCE_BYTES = 2 * 1024 * 1024;
const NO_BYTES = new Uint8Array(0);

/** Decides what to read when a page is missing (page-cache/readahead.ts). */
export interface MissPlanner {
  /** Pages to read for a miss at byte `position`, when `length` bytes are wanted of a file of `size` bytes. */
  onMiss(
    position: number,
    length: number,
    size: number,
  ): { readonly start: number; readonly pages: number; readonly order: number };
}

export interface FileSpaceOptions {
  /** Default: exactly the pages that are wanted. */
  readonly readahead?: MissPlanner;
  /** Called after each write, and every 2 MiB of a large one: may hold the writer up while too much is dirty. */
  readonly balance?: () => void;
  /** For comparison in the lab only: each write looks at every block of the folio, twice, as ext4's buffer heads did. */
  readonly naiveWalk?: boolean;
}

export interface Appended {
  readonly position: number;
  readonly written: number;
}

export class FileSpace {
  readonly region: number;
  /** The inode's control words (arena/layout.ts, I_…). */
  readonly inode: Int32Array;
  readonly map: FileMap;
  private readonly readahead: MissPlanner | undefined;
  private readonly balance: (() => void) | undefined;

  /** `region` and `inode` from `openInode`; `memory.files` is set. */
  constructor(memory: Memory, region: number, inode: Int32Array, options: FileSpaceOptions = {}) {
    this.region = region;
    this.inode = inode;
    this.map = new FileMap(memory, region, inode, options.naiveWalk === true);
    this.readahead = options.readahead;
    this.balance = options.balance;
  }

  size(): number {
    return sizeOf(this.inode);
  }

  /**
   * Copies up to `length` bytes at `position` to `target[targetOffset…]`; returns how many, fewer at the end of the file.
   * Missing pages are read on this thread. Throws ERR_QUIRE_IO when the first of them cannot be read, else returns what
   * came before it.
   */
  read(position: number, target: Uint8Array, targetOffset: number, length: number): number {
    return this.readSteps(position, length, target, targetOffset);
  }

  /** As `read`, into the parts one after the other. */
  readVector(position: number, parts: readonly Uint8Array[]): number {
    const vector = new ByteVector(parts);
    return this.readSteps(position, vector.length, NO_BYTES, 0, vector);
  }

  private readSteps(
    position: number,
    length: number,
    target: Uint8Array,
    targetOffset: number,
    vector?: ByteVector,
  ): number {
    const { map } = this;
    map.checkAlive();
    const size = sizeOf(this.inode);
    const end = position + length < size ? position + length : size;
    let at = position;
    let retries = 0;
    while (at < end) {
      const step = readFolio(map, at, end - at, target, targetOffset + (at - position), vector);
      if (step > 0) {
        at += step;
        if (vector !== undefined) vector.advance(step);
        retries = 0;
        continue;
      }
      if (++retries > RETRIES_MAX) throw new QuireError('ERR_QUIRE_FAILED', 'a read of a file made no progress');
      if (step !== MISSING) {
        if (retries % RETRIES_BEFORE_LOCK === 0) map.node.waitForLock();
      } else if (!this.bringIn(at, end - at, at > position)) break;
    }
    return at - position < 0 ? 0 : at - position;
  }

  /** Fills a miss. False when the file ends before it, or it cannot be read but something before it could. */
  private bringIn(position: number, length: number, hasSome: boolean): boolean {
    const size = sizeOf(this.inode);
    if (position >= size) return false;
    try {
      if (this.readahead === undefined) {
        const first = Math.floor(position / PAGE_BYTES);
        fillNext(this.map, position, Math.ceil((position + length) / PAGE_BYTES) - first, 0);
      } else {
        const plan = this.readahead.onMiss(position, length, size);
        fillNext(this.map, plan.start * PAGE_BYTES, plan.pages, plan.order);
      }
    } catch (error) {
      if (hasSome && error instanceof QuireError && error.code === 'ERR_QUIRE_IO') return false;
      throw this.map.memory.latch(error);
    }
    return true;
  }

  /**
   * Writes `length` bytes at `position`; the file grows as needed, a gap reads as zeros. Returns how many were written:
   * fewer when a step failed after others had succeeded. Throws (ERR_QUIRE_IO, ERR_QUIRE_OUT_OF_MEMORY,
   * ERR_QUIRE_SWAP_FULL) when nothing was.
   */
  write(position: number, source: Uint8Array, sourceOffset: number, length: number): number {
    const { map } = this;
    map.checkAlive();
    let written: number;
    lockInode(this.inode, map.me, map.reap);
    try {
      written =
        length <= BALANCE_BYTES
          ? writeLocked(map, position, source, sourceOffset, length)
          : this.writeLong(position, source, sourceOffset, length);
    } catch (error) {
      throw map.memory.latch(error);
    } finally {
      unlockInode(this.inode, map.me);
    }
    this.balance?.();
    return written;
  }

  /** As `write`, the parts one after the other. */
  writeVector(position: number, parts: readonly Uint8Array[]): number {
    const { map } = this;
    const vector = new ByteVector(parts);
    const { length } = vector;
    if (length > BALANCE_BYTES) return this.writeEach(position, parts);
    map.checkAlive();
    let written: number;
    lockInode(this.inode, map.me, map.reap);
    try {
      written = writeVectorLocked(map, position, vector, length);
    } catch (error) {
      throw map.memory.latch(error);
    } finally {
      unlockInode(this.inode, map.me);
    }
    this.balance?.();
    return written;
  }

  private writeEach(position: number, parts: readonly Uint8Array[]): number {
    let done = 0;
    for (const part of parts) {
      let step = 0;
      try {
        step = this.write(position + done, part, 0, part.length);
      } catch (error) {
        if (done === 0 || !(error instanceof QuireError) || error.code === 'ERR_QUIRE_FAILED') throw error;
      }
      done += step;
      if (step < part.length) break;
    }
    return done;
  }

  /** Writes at the end of the file as it is when the lock is had. */
  append(source: Uint8Array, sourceOffset: number, length: number): Appended {
    const { map } = this;
    map.checkAlive();
    let position: number;
    let written: number;
    lockInode(this.inode, map.me, map.reap);
    try {
      position = sizeOf(this.inode);
      if (position + length > FILE_BYTES_MAX) {
        throw outOfRange('size after the append', `at most ${FILE_BYTES_MAX}`, position + length);
      }
      written = this.writeLong(position, source, sourceOffset, length);
    } catch (error) {
      throw map.memory.latch(error);
    } finally {
      unlockInode(this.inode, map.me);
    }
    this.balance?.();
    return { position, written };
  }

  /** Inode lock held throughout, so that the bytes stay together. */
  private writeLong(position: number, source: Uint8Array, sourceOffset: number, length: number): number {
    let done = 0;
    while (done < length) {
      const piece = Math.min(BALANCE_BYTES, length - done);
      let step = 0;
      try {
        step = writeLocked(this.map, position + done, source, sourceOffset + done, piece);
      } catch (error) {
        if (done === 0 || !(error instanceof QuireError)) throw error;
      }
      done += step;
      if (step < piece) break;
      if (done < length) this.balance?.();
    }
    return done;
  }

  /** Cuts the file off, or extends it by a hole. Throws ERR_QUIRE_IO, with nothing changed, when the system refuses. */
  truncate(size: number): void {
    const { map, inode } = this;
    map.checkAlive();
    lockInode(inode, map.me, map.reap);
    try {
      lockWriteback(inode, map.me, map.reap);
      try {
        truncateLocked(map, size);
      } finally {
        unlockWriteback(inode, map.me);
      }
    } catch (error) {
      throw map.memory.latch(error);
    } finally {
      unlockInode(inode, map.me);
    }
  }

  /**
   * First byte in [position, position + length), before the end of the file, that is not cached; −1 when all is. For
   * callers that fill asynchronously, then read.
   */
  missAt(position: number, length: number): number {
    const end = Math.min(position + length, sizeOf(this.inode));
    const endPage = Math.ceil(end / PAGE_BYTES);
    let page = Math.floor(position / PAGE_BYTES);
    while (page < endPage) {
      const next = skipCached(this.map, page, endPage);
      if (next === page) return Math.max(page * PAGE_BYTES, position);
      page = next;
    }
    return -1;
  }

  /** Reads `pages` pages from byte `position` on into the cache, those that are missing, in folios of up to `order`. */
  fill(position: number, pages: number, order: number): void {
    this.map.checkAlive();
    fillRange(this.map, position, pages, order);
  }

  /** As `fill`, without blocking the thread. A handle is closed after its fills have ended. */
  async fillAsync(position: number, pages: number, order: number): Promise<void> {
    this.map.checkAlive();
    await fillRangeAsync(this.map, position, pages, order);
  }

  /**
   * The bytes of a range in place, until `unpin`: one folio holds it. Throws ERR_QUIRE_RANGE when the range leaves the file
   * or one 2 MiB block, ERR_QUIRE_OUT_OF_MEMORY when no contiguous block can be had.
   */
  pin(position: number, length: number, isWritable = true): HeldFolio {
    this.map.checkAlive();
    try {
      return pinRange(this.map, position, length, isWritable);
    } catch (error) {
      throw this.map.memory.latch(error);
    }
  }

  /** Gives a pinned range back; if it could be written, its blocks are dirty from now on. */
  unpin(held: HeldFolio): void {
    try {
      unpinRange(this.map, held);
    } catch (error) {
      throw this.map.memory.latch(error);
    }
  }

  /** Ends the use of this view; `closeInode` gives up the inode's. */
  close(): void {
    this.map.close();
  }
}
