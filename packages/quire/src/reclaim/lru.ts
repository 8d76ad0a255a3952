/**
 * Two LRU lists a node of mapped frames and of heads of a file's folios, active and inactive, linked through the frame table (mm/vmscan.c, mm/swap.c).
 *
 *   new page ──► inactive head            inactive tail, touched ──► active head
 *                                         inactive tail, idle    ──► reclaim takes it
 *   active tail, touched ──► active head  active tail, idle      ──► inactive head (only while inactive is short)
 *
 * "Touched" is the frame's touch word: readers store 1 there without any lock; the scan takes it back to 0.
 * Everything here runs under the node lock.
 */

import {
  KIND_MASK,
  KIND_PAGECACHE,
  KIND_REGION,
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

/** Puts a frame at the head of a list. */
export function lruAddLocked(node: Node, pfn: Pfn, list: number): void {
  const { words } = node;
  const at = L.H_LRU_HEADS + (list - 1) * 2;
  const head = words[at];
  assert((words[node.kindAt + pfn] & LRU_MASK) === 0, 'frame already on a list', pfn);
  words[node.kindAt + pfn] = words[node.kindAt + pfn] | (list << LRU_SHIFT);
  words[node.nextAt + pfn] = head;
  words[node.prevAt + pfn] = 0;
  if (head !== 0) words[node.prevAt + head] = pfn;
  else words[at + 1] = pfn;
  words[at] = pfn;
  words[L.H_LRU_SIZES + list - 1]++;
}

export function lruRemoveLocked(node: Node, pfn: Pfn): void {
  const { words } = node;
  const list = (words[node.kindAt + pfn] & LRU_MASK) >> LRU_SHIFT;
  assert(list === LRU_INACTIVE || list === LRU_ACTIVE, 'frame on no list', pfn);
  const at = L.H_LRU_HEADS + (list - 1) * 2;
  const next = words[node.nextAt + pfn];
  const prev = words[node.prevAt + pfn];
  if (prev === 0) words[at] = next;
  else words[node.nextAt + prev] = next;
  if (next === 0) words[at + 1] = prev;
  else words[node.prevAt + next] = prev;
  // What is towards the tail has been looked at too (swap/copy-ahead.ts).
  if (words[L.H_COPY_CURSOR] === pfn) words[L.H_COPY_CURSOR] = next;
  words[node.kindAt + pfn] = words[node.kindAt + pfn] & ~LRU_MASK;
  words[L.H_LRU_SIZES + list - 1]--;
}

export function lruTail(node: Node, list: number): Pfn {
  return node.words[L.H_LRU_HEADS + (list - 1) * 2 + 1] as Pfn;
}

export function lruSize(node: Node, list: number): number {
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
 * the whole memory).
 */
export function refillInactiveLocked(node: Node, limit: number): void {
  for (let moved = 0; moved < limit && lruSize(node, LRU_INACTIVE) < lruSize(node, LRU_ACTIVE); moved++) {
    const pfn = lruTail(node, LRU_ACTIVE);
    if (pfn === NO_PFN) return;
    node.counters[C.pgrefill]++;
    lruRemoveLocked(node, pfn);
    lruAddLocked(node, pfn, testAndClearTouch(node, pfn) ? LRU_ACTIVE : LRU_INACTIVE);
  }
}

/** Walks both lists; for tests. */
export function checkLru(node: Node): void {
  let hasCursor = node.words[L.H_COPY_CURSOR] === 0;
  for (const list of [LRU_INACTIVE, LRU_ACTIVE]) {
    let count = 0;
    let prev = 0;
    const at = L.H_LRU_HEADS + (list - 1) * 2;
    for (let pfn = node.words[at]; pfn !== 0; pfn = node.words[node.nextAt + pfn]) {
      const kind = node.words[node.kindAt + pfn];
      const isMapped = (kind & KIND_MASK) === KIND_REGION || (kind & KIND_MASK) === KIND_PAGECACHE;
      assert(isMapped, 'LRU holds mapped frames and heads of folios', pfn, kind);
      assert((kind & LRU_MASK) >> LRU_SHIFT === list, 'frame knows its list', pfn, kind);
      assert(node.words[node.prevAt + pfn] === prev, 'LRU back link', pfn, prev);
      if (pfn === node.words[L.H_COPY_CURSOR]) hasCursor = list === LRU_INACTIVE;
      prev = pfn;
      count++;
      assert(count <= node.frames, 'LRU loops', list);
    }
    assert(node.words[at + 1] === prev, 'LRU tail', list, prev);
    assert(count === lruSize(node, list), 'LRU size', count, lruSize(node, list));
  }
  assert(hasCursor, 'copy cursor on the inactive list', node.words[L.H_COPY_CURSOR]);
}
