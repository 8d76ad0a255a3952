/**
 * What is known of each block of a file's cached pages, and which leaves have something to write back.
 *
 *   uptodate    the bytes in memory are the file's, or newer          set by fills and writes, cleared when the page leaves
 *   dirty       and newer than what is on disk                        set by writes (inode lock, folio pinned)
 *   writeback   being written                                         set and cleared by the holder of the writeback lock
 *
 * dirty ⊂ uptodate ⊂ present; writeback ⊂ uptodate. A block that is written to while it is written back is dirty again.
 * Every bit that really changed is counted once: H_PC_DIRTY of the node, I_DIRTY_PAGES of the inode.
 *
 * A leaf with a dirty bit is LISTED on its inode's list of its node, or its flusher is just looking at it:
 *
 *   writer    bytes → size → dirty bit (read-modify-write) → LISTED? no: list it under the node lock
 *   flusher   LISTED := 0 under the node lock → exchange the dirty words → size
 *
 * Either the flusher's exchange takes the bit, and then it sees bytes and size; or the writer's look at LISTED comes after
 * the flusher's store, finds 0, and lists the leaf again.
 */
import { LOADS_STAY_IN_ORDER } from '../arena/fence.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import type { FileIo } from '../base/port.ts';
import type { WordIndex } from '../base/units.ts';
import { clearBits, firstClearBit, hasAllBits, setBits } from '../page-table/block-bits.ts';

/** 1 when the block is uptodate, else 0. `page` is its number in its leaf, 0…511. */
export function uptodateBit(node: Node, leaf: WordIndex, page: number): number {
  return (node.words[leaf + L.FL_UPTODATE + (page >>> 5)] >>> (page & 31)) & 1;
}

/** Ranges stay in one leaf. */
export function isUptodate(node: Node, leaf: WordIndex, page: number, count: number): boolean {
  if (count === 1) return uptodateBit(node, leaf, page) === 1;
  return hasAllBits(node.words, leaf + L.FL_UPTODATE, page, count);
}

/** First block of [page, end) that is not uptodate, `end` when all are. */
export function firstStale(node: Node, leaf: WordIndex, page: number, end: number): number {
  return firstClearBit(node.words, leaf + L.FL_UPTODATE, page, end);
}

export function markUptodate(node: Node, leaf: WordIndex, page: number, count: number): void {
  setBits(node.words, leaf + L.FL_UPTODATE, page, count);
}

/**
 * Blocks whose bytes were just written are dirty, and their leaf is listed. Inode lock held, the blocks' folio pinned,
 * size published; the node lock is not held. The time of `files` is when the leaf became dirty, if it was not listed.
 */
export function markDirty(
  node: Node,
  inode: Int32Array,
  leaf: WordIndex,
  page: number,
  count: number,
  files: FileIo,
): void {
  const { words } = node;
  const fresh = count === 1 ? setDirtyBit(words, leaf, page) : setBits(words, leaf + L.FL_DIRTY, page, count);
  if (fresh !== 0) {
    countDirty(node, inode, fresh);
    node.counters[C.nr_dirtied] += fresh;
  }
  // Pairs with the store of 0 in unlistLeafLocked: the bit first, then the look. The bit was set by a read-modify-write,
  // which no later load passes where loads stay in order.
  const isListed = (LOADS_STAY_IN_ORDER ? words[leaf + L.FL_LISTED] : Atomics.load(words, leaf + L.FL_LISTED)) !== 0;
  if (!isListed) listLeaf(node, inode, leaf, files);
}

/** Returns 1 when the bit was clear. */
function setDirtyBit(words: Int32Array, leaf: WordIndex, page: number): number {
  return 1 & ~(Atomics.or(words, leaf + L.FL_DIRTY + (page >>> 5), 1 << (page & 31)) >>> (page & 31));
}

function listLeaf(node: Node, inode: Int32Array, leaf: WordIndex, files: FileIo): void {
  const now = files.now();
  node.lock();
  if (node.words[leaf + L.FL_LISTED] === 0) listLeafLocked(node, inode, leaf, now);
  node.unlock();
}

/** Truncate: what was to be written is gone. Inode and writeback locks held. Returns how many were dirty. */
export function clearDirty(node: Node, inode: Int32Array, leaf: WordIndex, page: number, count: number): number {
  const cleared = clearBits(node.words, leaf + L.FL_DIRTY, page, count);
  if (cleared !== 0) countDirty(node, inode, -cleared);
  return cleared;
}

/**
 * Adds to both counts of dirty pages; `pages` may be negative. A writer counts after it has set its bits, and the flusher
 * may take them, and count them off, in between: the counts are below zero for a moment.
 */
export function countDirty(node: Node, inode: Int32Array, pages: number): void {
  Atomics.add(node.words, L.H_PC_DIRTY, pages);
  Atomics.add(inode, L.I_DIRTY_PAGES, pages);
}

/**
 * Puts a leaf at the end of its inode's list of this node: a ring, named by its newest leaf, so the oldest is the next.
 * The serial says in which order leaves were listed: what is listed after a `sync` began has a higher one.
 */
export function listLeafLocked(node: Node, inode: Int32Array, leaf: WordIndex, dirtiedMs: number): void {
  const { words } = node;
  const newestAt = L.I_DIRTY_LEAVES + node.index;
  const newest = inode[newestAt];
  assert(words[leaf + L.FL_LISTED] === 0, 'leaf listed twice', leaf);
  words[leaf + L.FL_NEXT_DIRTY] = newest === 0 ? leaf : words[newest + L.FL_NEXT_DIRTY];
  if (newest !== 0) words[newest + L.FL_NEXT_DIRTY] = leaf;
  words[leaf + L.FL_DIRTIED_MS] = dirtiedMs % 2 ** 31;
  words[leaf + L.FL_LIST_SERIAL] = (Atomics.add(inode, L.I_LIST_SERIAL, 1) + 1) | 0;
  Atomics.store(inode, newestAt, leaf);
  Atomics.store(words, leaf + L.FL_LISTED, 1);
}

/** Takes a leaf off the list; the oldest at once, others after a walk. Whoever exchanges its dirty words does so after this. */
export function unlistLeafLocked(node: Node, inode: Int32Array, leaf: WordIndex): void {
  const { words } = node;
  const newestAt = L.I_DIRTY_LEAVES + node.index;
  assert(words[leaf + L.FL_LISTED] === 1, 'leaf is listed', leaf);
  const newest = inode[newestAt];
  let before = newest;
  while (words[before + L.FL_NEXT_DIRTY] !== leaf) {
    before = words[before + L.FL_NEXT_DIRTY];
    assert(before !== newest, 'leaf is on the list it says', leaf);
  }
  words[before + L.FL_NEXT_DIRTY] = words[leaf + L.FL_NEXT_DIRTY];
  if (leaf === newest) Atomics.store(inode, newestAt, before === leaf ? 0 : before);
  words[leaf + L.FL_NEXT_DIRTY] = 0;
  Atomics.store(words, leaf + L.FL_LISTED, 0);
}

/** The leaf of this node that was listed first, 0 when there is none. */
export function oldestListedLocked(node: Node, inode: Int32Array): WordIndex {
  const newest = inode[L.I_DIRTY_LEAVES + node.index];
  return (newest === 0 ? 0 : node.words[newest + L.FL_NEXT_DIRTY]) as WordIndex;
}

/** All listed leaves of this node, oldest first; for checks and tests. */
export function listedLeavesLocked(node: Node, inode: Int32Array): WordIndex[] {
  const leaves: WordIndex[] = [];
  const newest = inode[L.I_DIRTY_LEAVES + node.index];
  for (let leaf = newest; newest !== 0; ) {
    leaf = node.words[leaf + L.FL_NEXT_DIRTY];
    assert(node.words[leaf + L.FL_LISTED] === 1 && leaves.length < node.frames, 'ring of dirty leaves', leaf);
    leaves.push(leaf as WordIndex);
    if (leaf === newest) break;
  }
  return leaves;
}
