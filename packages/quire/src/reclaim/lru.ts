/**
 * LRU lists of mapped frames and of heads of a file's folios, linked through the frame table (mm/vmscan.c, mm/swap.c). Each
 * group has a block of two in every node, active and inactive (struct lruvec); a block is addressed by its word index:
 *
 *   inactive head, tail · active head, tail · inactive size, active size · copy cursor · pages in flight
 *
 * Which block a frame is on follows from its group, which does not change while it is on a list. H_LRU_SIZES has the sums
 * over all blocks.
 *
 *   new page ──► inactive head            inactive tail, touched ──► active head
 *                                         inactive tail, idle    ──► reclaim takes it
 *   active tail, touched ──► active head  active tail, idle      ──► inactive head (only while inactive is short)
 *
 * "Touched" is the frame's touch word: readers store 1 there without any lock; the scan takes it back to 0.
 * Everything here runs under the node lock.
 */

import {
  FRAME_GROUP_MASK,
  FRAME_GROUP_SHIFT,
  KIND_MASK,
  KIND_PAGECACHE,
  KIND_REGION,
  KIND_SHARED,
  LRU_ACTIVE,
  LRU_INACTIVE,
  LRU_MASK,
  LRU_SHIFT,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { NO_PFN, type Pfn } from '../base/units.ts';

/** The lists of a group. */
export function lruBlockAt(group: number): number {
  return L.LRU_BLOCKS_AT + group * L.LRU_BLOCK_WORDS;
}

/** The lists that the frame is on, or belongs on. */
export function lruBlockOf(node: Node, pfn: Pfn): number {
  return lruBlockAt((node.words[node.kindAt + pfn] & FRAME_GROUP_MASK) >> FRAME_GROUP_SHIFT);
}

/** Word of the head of a list of the block; its tail is in the next. */
export function lruEndsAt(block: number, list: number): number {
  return block + L.LB_ENDS + (list - 1) * 2;
}

/** Puts a frame at the head of a list of its group. */
export function lruAddLocked(node: Node, pfn: Pfn, list: number): void {
  const { words } = node;
  const block = lruBlockOf(node, pfn);
  const at = lruEndsAt(block, list);
  const head = words[at];
  assert((words[node.kindAt + pfn] & LRU_MASK) === 0, 'frame already on a list', pfn);
  words[node.kindAt + pfn] = words[node.kindAt + pfn] | (list << LRU_SHIFT);
  words[node.nextAt + pfn] = head;
  words[node.prevAt + pfn] = 0;
  if (head !== 0) words[node.prevAt + head] = pfn;
  else {
    words[at + 1] = pfn;
    setInMap(words, block, true);
  }
  words[at] = pfn;
  words[block + L.LB_SIZES + list - 1]++;
  words[L.H_LRU_SIZES + list - 1]++;
}

export function lruRemoveLocked(node: Node, pfn: Pfn): void {
  const { words } = node;
  const list = (words[node.kindAt + pfn] & LRU_MASK) >> LRU_SHIFT;
  assert(list === LRU_INACTIVE || list === LRU_ACTIVE, 'frame on no list', pfn);
  const block = lruBlockOf(node, pfn);
  const at = lruEndsAt(block, list);
  const next = words[node.nextAt + pfn];
  const prev = words[node.prevAt + pfn];
  if (prev === 0) words[at] = next;
  else words[node.nextAt + prev] = next;
  if (next === 0) words[at + 1] = prev;
  else words[node.prevAt + next] = prev;
  // What is towards the tail has been looked at too (swap/copy-ahead.ts).
  if (words[block + L.LB_COPY_CURSOR] === pfn) words[block + L.LB_COPY_CURSOR] = next;
  words[node.kindAt + pfn] = words[node.kindAt + pfn] & ~LRU_MASK;
  words[L.H_LRU_SIZES + list - 1]--;
  if (--words[block + L.LB_SIZES + list - 1] > 0) return;
  if (words[block + L.LB_SIZES] + words[block + L.LB_SIZES + 1] === 0) setInMap(words, block, false);
}

/** Has the group a page on a list of this node? */
export function hasLru(node: Node, group: number): boolean {
  return (node.words[L.H_LRU_GROUPS + (group >>> 5)] & (1 << (group & 31))) !== 0;
}

function setInMap(words: Int32Array, block: number, isIn: boolean): void {
  const group = (block - L.LRU_BLOCKS_AT) / L.LRU_BLOCK_WORDS;
  const at = L.H_LRU_GROUPS + (group >>> 5);
  if (isIn) words[at] |= 1 << (group & 31);
  else words[at] &= ~(1 << (group & 31));
}

export function lruTail(node: Node, block: number, list: number): Pfn {
  return node.words[lruEndsAt(block, list) + 1] as Pfn;
}

export function lruSize(node: Node, block: number, list: number): number {
  return node.words[block + L.LB_SIZES + list - 1];
}

/** Length of all lists of this kind, whosever. */
export function lruSizeOfAll(node: Node, list: number): number {
  return node.words[L.H_LRU_SIZES + list - 1];
}

/** Takes the touch mark back; true when the frame was used since the last look. */
export function testAndClearTouch(node: Node, pfn: Pfn): boolean {
  const touched = node.words[node.touchAt + pfn] !== 0;
  if (touched) node.words[node.touchAt + pfn] = 0;
  return touched;
}

/**
 * Keeps the inactive list long enough to tell used from unused: moves up to `limit` idle frames from the active tail
 * while inactive is the shorter one (inactive_ratio 1; the kernel's grows with memory, here a process' working set is
 * the whole memory). Returns how many it looked at.
 */
export function refillInactiveLocked(node: Node, block: number, limit: number): number {
  const sizesAt = block + L.LB_SIZES;
  // Each frame once: a second look would take every one for idle.
  const movesMax = Math.min(limit, node.words[sizesAt + 1]);
  let looked = 0;
  for (; looked < movesMax && node.words[sizesAt] < node.words[sizesAt + 1]; looked++) {
    const pfn = lruTail(node, block, LRU_ACTIVE);
    assert(pfn !== NO_PFN, 'a list has as many frames as it says', block);
    node.counters[C.pgrefill]++;
    lruRemoveLocked(node, pfn);
    lruAddLocked(node, pfn, testAndClearTouch(node, pfn) ? LRU_ACTIVE : LRU_INACTIVE);
  }
  return looked;
}

const LISTED_KINDS = [KIND_REGION, KIND_SHARED, KIND_PAGECACHE];

/** Walks all lists; for tests. */
export function checkLru(node: Node): void {
  const { words } = node;
  for (const list of [LRU_INACTIVE, LRU_ACTIVE]) {
    let sum = 0;
    for (let group = 0; group < L.GROUPS_MAX; group++) {
      const block = lruBlockAt(group);
      sum += checkListOf(node, block, list);
      const isEmpty = words[block + L.LB_SIZES] + words[block + L.LB_SIZES + 1] === 0;
      assert(hasLru(node, group) === !isEmpty, 'group in the bitmap', group);
    }
    assert(sum === lruSizeOfAll(node, list), 'LRU size of all', sum, lruSizeOfAll(node, list));
  }
}

/** Returns its length. */
function checkListOf(node: Node, block: number, list: number): number {
  const { words } = node;
  const cursor = words[block + L.LB_COPY_CURSOR];
  let hasCursor = cursor === 0;
  let count = 0;
  let prev = 0;
  const at = lruEndsAt(block, list);
  for (let pfn = words[at]; pfn !== 0; pfn = words[node.nextAt + pfn]) {
    const kind = words[node.kindAt + pfn];
    const isListed = LISTED_KINDS.includes(kind & KIND_MASK);
    assert(isListed, 'LRU holds pages of regions and heads of folios', pfn, kind);
    assert((kind & LRU_MASK) >> LRU_SHIFT === list, 'frame knows its list', pfn, kind);
    assert(lruBlockOf(node, pfn as Pfn) === block, 'frame is on a list of its group', pfn, kind);
    assert(words[node.prevAt + pfn] === prev, 'LRU back link', pfn, prev);
    if (pfn === cursor) hasCursor = true;
    prev = pfn;
    count++;
    assert(count <= node.frames, 'LRU loops', list);
  }
  assert(words[at + 1] === prev, 'LRU tail', list, prev);
  assert(count === lruSize(node, block, list), 'LRU size', count, lruSize(node, block, list));
  if (list === LRU_INACTIVE) assert(hasCursor, 'copy cursor on the inactive list', cursor);
  return count;
}
