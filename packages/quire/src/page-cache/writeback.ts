/**
 * Writeback: dirty pages of one leaf go out in a batch (at most 512 pages, 2 MiB), without allocating a frame.
 *
 *   begin   node lock    leaf off the list · each dirty word → 0 and into the writeback word · the folios pinned · I_BATCH_… says which
 *   write   no lock      size read now · each run of neighbouring pages is one writev, cut off at the size
 *   end     node lock    I_CONTENT_SEQ moves · written pages: clean · others: dirty again, leaf listed · unpinned · I_BATCH_LEAF 0
 *
 * The writeback lock of the file is held throughout, by whoever it is: flusher, a writer over the limit, reclaim, sync.
 * Nothing here waits but the system for its device.
 *
 * - Folios are pinned under the node lock: nobody migrates or evicts them while the system reads them. Writers go on; a
 *   block they write is dirty again, and its bytes on disk may be torn until its next batch.
 * - The size is read after the exchange of the dirty words: it covers the bytes of every bit taken (block-state.ts).
 * - The content sequence moves before a page becomes clean and may be evicted: a reader that read the file before the write
 *   cannot publish its bytes after that.
 * - What could not be written is dirty as before and readable; a later batch tries again. The error is noted for all who
 *   have the file open (errseq.ts), and background writeback lets the file alone for a while.
 * - A batch whose writer died is undone from the inode's words (`buryWriteback`).
 */
import { dropPin, headOf } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromFolioPte, isPresent, orderFromPte } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { errnoOf } from '../base/error-number.ts';
import { CHUNK_BYTES, CHUNK_PAGES, PAGE_BYTES, type Pfn, type WordIndex } from '../base/units.ts';
import { BLOCK_WORDS, bitsBetween, countOnes, firstClearBit, firstSetBit } from '../page-table/block-bits.ts';
import { freeLeafIfEmptyLocked } from '../reclaim/folio.ts';
import type { Memory } from '../vm/memory.ts';
import { countDirty, listLeafLocked, oldestListedLocked, unlistLeafLocked } from './block-state.ts';
import { dirtyLimits, stampOf } from './dirty-limits.ts';
import { setError } from './errseq.ts';
import { fileLockOwner } from './file-lock.ts';
import { filesLockedBy, sizeOf, unlockWriteback } from './inode.ts';

/** Whether a leaf is to be written now; asked under the node lock for the oldest one. */
export type LeafChoice = (node: Node, leaf: WordIndex) => boolean;

export const ANY_LEAF: LeafChoice = () => true;

/** No leaf was dirty, or the choice was none of them. */
export const NOTHING_TO_WRITE = -1;

/**
 * Writes back the dirty pages of the leaf of node n that was listed first. The writeback lock is held, the node lock is
 * not. Returns how many pages were written, 0 when the system refused all, NOTHING_TO_WRITE.
 */
export function writeOldestLeaf(memory: Memory, inode: Int32Array, n: number, choice: LeafChoice): number {
  const node = memory.nodes[n];
  assert(fileLockOwner(inode, L.I_WB_LOCK) === node.thread, 'writeback lock is held', node.thread);
  for (;;) {
    node.lock();
    const leaf = oldestListedLocked(node, inode);
    if (leaf === 0 || !choice(node, leaf)) {
      node.unlock();
      return NOTHING_TO_WRITE;
    }
    const pages = beginBatchLocked(node, inode, leaf);
    node.unlock();
    // Truncate may have left a leaf without dirty pages on the list: it is off it now.
    if (pages > 0) return writeBatch(memory, inode, node, leaf, pages);
  }
}

/** Takes the leaf's dirty pages over. Returns how many. */
function beginBatchLocked(node: Node, inode: Int32Array, leaf: WordIndex): number {
  const { words } = node;
  assert(inode[L.I_BATCH_LEAF] === 0, 'one batch a file', inode[L.I_BATCH_LEAF]);
  // Before the exchange: a writer whose bit is not taken below finds the leaf off the list.
  unlistLeafLocked(node, inode, leaf);
  let pages = 0;
  for (let word = 0; word < BLOCK_WORDS; word++) {
    const bits = Atomics.exchange(words, leaf + L.FL_DIRTY + word, 0);
    const before = Atomics.or(words, leaf + L.FL_WRITEBACK + word, bits);
    assert(before === 0, 'no block of the leaf is being written', leaf, word);
    inode[L.I_BATCH_PAGES + word] = bits;
    pages += countOnes(bits);
  }
  if (pages === 0) {
    freeLeafIfEmptyLocked(node, leaf);
    return 0;
  }
  inode[L.I_BATCH_NODE] = node.index;
  inode[L.I_BATCH_LEAF] = leaf;
  forEachFolio(node, inode, leaf, pinHere);
  countDirty(node, inode, -pages);
  Atomics.add(words, L.H_PC_WRITEBACK, pages);
  return pages;
}

/** Calls back for the head of every folio that has a page in the batch. */
function forEachFolio(node: Node, inode: Int32Array, leaf: WordIndex, visit: (node: Node, head: Pfn) => void): void {
  for (let page = 0; ; ) {
    page = firstSetBit(inode, L.I_BATCH_PAGES, page, CHUNK_PAGES);
    if (page === CHUNK_PAGES) return;
    const pte = node.words[leaf + page];
    assert(isPresent(pte), 'a dirty page is cached', leaf, page);
    const order = orderFromPte(pte);
    visit(node, headOf(frameFromFolioPte(pte), order));
    page = ((page >>> order) + 1) << order;
  }
}

/** Under the node lock no folio that an entry names is frozen. Not noted as the thread's own: the inode knows of the batch. */
function pinHere(node: Node, head: Pfn): void {
  const pins = Atomics.add(node.words, node.pinAt + head, 1);
  assert(pins >= 0, 'folio of an entry is not frozen', head, pins);
}

/** The runs of a batch that was begun; ends it whatever happens. Returns the pages written. */
function writeBatch(memory: Memory, inode: Int32Array, node: Node, leaf: WordIndex, pages: number): number {
  const failed = new Int32Array(BLOCK_WORDS);
  let failure: unknown;
  let written = 0;
  try {
    const chunkAt = (node.words[leaf + L.FL_CHUNK] * memory.nodes.length + node.index) * CHUNK_BYTES;
    const size = sizeOf(inode);
    for (let page = 0; ; ) {
      page = firstSetBit(inode, L.I_BATCH_PAGES, page, CHUNK_PAGES);
      if (page === CHUNK_PAGES) break;
      const end = firstClearBit(inode, L.I_BATCH_PAGES, page, CHUNK_PAGES);
      // Not even asked: until it is, nothing of it is on disk.
      setRange(failed, page, end);
      const length = Math.max(0, Math.min(end * PAGE_BYTES, size - chunkAt) - page * PAGE_BYTES);
      const put = writeRun(memory, inode, node, leaf, page, length, chunkAt);
      const good = put === length ? end : page + Math.floor(put / PAGE_BYTES);
      clearRange(failed, page, good);
      if (put < length) failure ??= lastFailure.error;
      page = end;
    }
  } catch (error) {
    failure = error;
    for (let word = 0; word < BLOCK_WORDS; word++) failed[word] = inode[L.I_BATCH_PAGES + word];
  } finally {
    written = pages - endBatch(memory, inode, node, leaf, pages, failed);
  }
  if (failure !== undefined) noteFailure(memory, inode, node, failure);
  else inode[L.I_RETRY_MS] = 0;
  return written;
}

/** What the last `writeRun` that came to less than it should have met. Read at once, with nothing in between. */
const lastFailure: { error: unknown } = { error: undefined };

/**
 * Pages from `page` on, `length` bytes, to the file: one writev, continued where the system took less. Returns the bytes
 * that were taken.
 */
function writeRun(
  memory: Memory,
  inode: Int32Array,
  node: Node,
  leaf: WordIndex,
  page: number,
  length: number,
  chunkAt: number,
): number {
  const { files } = memory;
  assert(files !== undefined, 'a thread that writes back has file access', node.thread);
  const fd = Atomics.load(inode, L.I_WRITE_FD) - 1;
  let done = 0;
  while (done < length) {
    const start = page * PAGE_BYTES + done;
    let put = 0;
    try {
      put = files.writev(fd, vectorsOf(node, leaf, start, page * PAGE_BYTES + length), chunkAt + start);
    } catch (error) {
      if (errnoOf(error) === 0) throw error;
      lastFailure.error = error;
      return done;
    }
    assert(put >= 0 && put <= length - done, 'bytes that a writev took', put, length - done);
    if (put === 0) {
      lastFailure.error = Object.assign(new Error('EIO: the file takes no more bytes'), { code: 'EIO' });
      return done;
    }
    done += put;
  }
  return done;
}

/** The bytes [start, end) of the chunk as they lie in memory: neighbouring frames are one vector. Folios are pinned. */
function vectorsOf(node: Node, leaf: WordIndex, start: number, end: number): Uint8Array[] {
  const vectors: Uint8Array[] = [];
  for (let at = start; at < end; ) {
    const page = Math.floor(at / PAGE_BYTES);
    const frame = frameFromFolioPte(node.words[leaf + page]);
    let next = page + 1;
    while (next * PAGE_BYTES < end && frameFromFolioPte(node.words[leaf + next]) === frame + next - page) next++;
    const length = Math.min(next * PAGE_BYTES, end) - at;
    const byte = frame * PAGE_BYTES + (at % PAGE_BYTES);
    vectors.push(node.bytes.subarray(byte, byte + length));
    at += length;
  }
  return vectors;
}

/** `failed`: the pages that stay dirty. Returns how many. */
function endBatch(
  memory: Memory,
  inode: Int32Array,
  node: Node,
  leaf: WordIndex,
  pages: number,
  failed: Int32Array,
): number {
  const { words } = node;
  let kept = 0;
  let redirtied = 0;
  node.lock();
  // First: from here on nobody publishes what was read before the write.
  Atomics.add(inode, L.I_CONTENT_SEQ, 1);
  for (let word = 0; word < BLOCK_WORDS; word++) {
    const bits = inode[L.I_BATCH_PAGES + word];
    const stays = failed[word];
    assert((stays & ~bits) === 0, 'a page fails that was in the batch', word, stays);
    if (stays !== 0) redirtied += countOnes(stays & ~Atomics.or(words, leaf + L.FL_DIRTY + word, stays));
    kept += countOnes(stays);
    Atomics.and(words, leaf + L.FL_WRITEBACK + word, ~bits);
  }
  if (redirtied > 0) countDirty(node, inode, redirtied);
  if (kept > 0 && words[leaf + L.FL_LISTED] === 0) {
    listLeafLocked(node, inode, leaf, words[leaf + L.FL_DIRTIED_MS]); // as old as it was
  }
  const left = Atomics.sub(words, L.H_PC_WRITEBACK, pages) - pages;
  assert(left >= 0, 'pages under writeback', left, pages);
  forEachFolio(node, inode, leaf, dropPin);
  inode[L.I_BATCH_LEAF] = 0;
  node.unlock();
  node.counters[C.nr_written] += pages - kept;
  node.counters[C.pgpgout] += (pages - kept) * (PAGE_BYTES / 1024);
  tellWaiters(memory, node);
  return kept;
}

/** Writers over the limit and reclaim wait for pages to become clean (dirty-throttle.ts, swap/direct-reclaim.ts). */
function tellWaiters(memory: Memory, node: Node): void {
  Atomics.notify(node.words, L.H_PC_WRITEBACK);
  if (Atomics.load(node.words, L.H_KSWAPD_WAKE) !== 0) memory.nodes[0].wakeDaemons();
}

/** An error of the system is for those who have the file open; any other is this thread's. */
function noteFailure(memory: Memory, inode: Int32Array, node: Node, failure: unknown): void {
  const errno = errnoOf(failure);
  if (errno === 0) {
    restartSync(inode);
    throw failure;
  }
  setError(inode, L.I_ERRSEQ, errno);
  node.counters[C.writeback_errors]++;
  const now = memory.files?.now() ?? 0;
  Atomics.store(inode, L.I_RETRY_MS, stampOf(now + dirtyLimits(memory.nodes[0]).writebackMs));
}

/**
 * A batch came to nothing without an error of the file: its leaf is listed anew, with a serial that a sync under way would
 * leave out. So that begins again. Writeback lock held.
 */
function restartSync(inode: Int32Array): void {
  inode[L.I_SYNC_TICKET] = Atomics.load(inode, L.I_SYNC_DONE);
}

function setRange(bits: Int32Array, from: number, to: number): void {
  for (let page = from; page < to; ) {
    const word = page >>> 5;
    const end = Math.min(to, (word + 1) * 32);
    bits[word] |= bitsBetween(page & 31, end - word * 32);
    page = end;
  }
}

function clearRange(bits: Int32Array, from: number, to: number): void {
  for (let page = from; page < to; ) {
    const word = page >>> 5;
    const end = Math.min(to, (word + 1) * 32);
    bits[word] &= ~bitsBetween(page & 31, end - word * 32);
    page = end;
  }
}

/**
 * A thread died: the batch it was writing is dirty again, the file's writeback lock free. Called by the one that noticed,
 * when no node lock is held by the dead thread (vm/thread-slot.ts).
 */
export function buryWriteback(memory: Memory, index: number): void {
  for (const inode of filesLockedBy(memory, L.I_WB_LOCK, index + 1)) {
    const leaf = inode[L.I_BATCH_LEAF] as WordIndex;
    if (leaf !== 0) {
      const node = memory.nodes[inode[L.I_BATCH_NODE]];
      const pages = inode.slice(L.I_BATCH_PAGES, L.I_BATCH_PAGES + BLOCK_WORDS);
      // Nobody knows which of them were written: all are as dirty as before.
      const count = pages.reduce((sum, bits) => sum + countOnes(bits), 0);
      endBatch(memory, inode, node, leaf, count, pages);
      restartSync(inode);
    }
    unlockWriteback(inode, index + 1);
  }
}
