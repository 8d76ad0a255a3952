/**
 * Front of the page allocator: watermarks, per-thread caches of order-0 frames, gfp flags. The node lock is held;
 * nothing here waits. When it returns NO_PFN the caller drops the lock and reclaims (swap/direct-reclaim.ts) if its
 * flags say so.
 *
 * A cache saves the split and merge of the buddy lists, in batches of 16. It is reached under the node lock too, so
 * that a thread short of frames can drain the caches of all others, those of dead threads included: no frame is ever
 * out of reach. FREE_FRAMES counts cached frames as free.
 */

import { FRAME_CHARGED, KIND_CACHED, KIND_MASK, orderOf, setKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { NO_PFN, type Pfn } from '../base/units.ts';
import { giveBlockLocked, takeBlockLocked } from './buddy.ts';
import { GFP_KSWAPD_RECLAIM, GFP_MEMALLOC, GFP_NODRAIN } from './gfp.ts';
import { unchargeFrameLocked } from './page-charge.ts';

const CACHE_BATCH = 16;
const CACHE_MAX = 48;

/**
 * One block of 2^order frames of kind `kind`, NO_PFN when the watermarks or fragmentation forbid it. Contents are
 * whatever was there.
 */
export function allocLocked(node: Node, order: number, type: number, gfp: number, kind: number): Pfn {
  const { words } = node;
  const free = words[L.H_FREE_FRAMES];
  if ((gfp & GFP_KSWAPD_RECLAIM) !== 0 && free <= words[L.H_WMARK_LOW] + words[L.H_WMARK_BOOST]) wakeKswapd(node);
  if ((gfp & GFP_MEMALLOC) === 0 && free - (1 << order) < words[L.H_WMARK_MIN]) return NO_PFN;
  if (free < 1 << order) return NO_PFN;
  const cached = order === 0 && type === L.MIGRATE_MOVABLE;
  let pfn = cached ? takeCached(node) : takeBlockLocked(node, order, type);
  if (pfn === NO_PFN && (gfp & GFP_NODRAIN) === 0 && drainCachesLocked(node) > 0)
    pfn = takeBlockLocked(node, order, type);
  if (pfn === NO_PFN) return NO_PFN;
  words[L.H_FREE_FRAMES] = free - (1 << order);
  setKindLocked(node, pfn, kind, order);
  words[node.prevAt + pfn] = node.thread; // whose it is until it is on a list
  return pfn;
}

/** Gives a block back, and what was charged for it. Its frames are frozen and on no list. */
export function freeLocked(node: Node, pfn: Pfn): void {
  const { words } = node;
  if ((words[node.kindAt + pfn] & FRAME_CHARGED) !== 0) unchargeFrameLocked(node, pfn);
  const order = orderOf(node, pfn);
  words[L.H_FREE_FRAMES] += 1 << order;
  words[node.slotAt + pfn] = 0;
  words[node.touchAt + pfn] = 0;
  if (order !== 0) {
    setKindLocked(node, pfn, 0);
    giveBlockLocked(node, pfn, order);
    return;
  }
  putCached(node, pfn);
}

/** As `freeLocked`, to the buddy lists at once: what compaction frees has to merge. */
export function freeToBuddyLocked(node: Node, pfn: Pfn): void {
  const order = orderOf(node, pfn);
  unchargeFrameLocked(node, pfn);
  node.words[L.H_FREE_FRAMES] += 1 << order;
  node.words[node.slotAt + pfn] = 0;
  node.words[node.touchAt + pfn] = 0;
  setKindLocked(node, pfn, 0);
  giveBlockLocked(node, pfn, order);
}

/** Wakes kswapd if it sleeps. A notify is a system call, so it is made only on the 0 → 1 edge. */
export function wakeKswapd(node: Node): void {
  if (Atomics.load(node.words, L.H_KSWAPD_WAKE) !== 0) return;
  if (Atomics.exchange(node.words, L.H_KSWAPD_WAKE, 1) === 0) node.wakeDaemons();
}

function takeCached(node: Node): Pfn {
  const { words } = node;
  const at = node.threadAt;
  let pfn = words[at + L.T_CACHE_HEAD] as Pfn;
  if (pfn === NO_PFN) {
    for (let filled = 0; filled < CACHE_BATCH; filled++) {
      const block = takeBlockLocked(node, 0, L.MIGRATE_MOVABLE);
      if (block === NO_PFN) break;
      pushCached(node, at, block);
    }
    pfn = words[at + L.T_CACHE_HEAD] as Pfn;
    if (pfn === NO_PFN) return NO_PFN;
  }
  words[at + L.T_CACHE_HEAD] = words[node.nextAt + pfn];
  words[at + L.T_CACHE_COUNT]--;
  return pfn;
}

function putCached(node: Node, pfn: Pfn): void {
  const { words } = node;
  const at = node.threadAt;
  pushCached(node, at, pfn);
  if (words[at + L.T_CACHE_COUNT] > CACHE_MAX) {
    for (let drained = 0; drained < CACHE_BATCH; drained++) drainOne(node, at);
  }
}

function pushCached(node: Node, at: number, pfn: Pfn): void {
  const { words } = node;
  setKindLocked(node, pfn, KIND_CACHED);
  words[node.nextAt + pfn] = words[at + L.T_CACHE_HEAD];
  words[at + L.T_CACHE_HEAD] = pfn;
  words[at + L.T_CACHE_COUNT]++;
}

function drainOne(node: Node, at: number): void {
  const { words } = node;
  const pfn = words[at + L.T_CACHE_HEAD] as Pfn;
  assert((words[node.kindAt + pfn] & KIND_MASK) === KIND_CACHED, 'cached frame', pfn);
  words[at + L.T_CACHE_HEAD] = words[node.nextAt + pfn];
  words[at + L.T_CACHE_COUNT]--;
  giveBlockLocked(node, pfn, 0);
}

/** Empties the caches of every thread into the buddy lists; returns the frames moved. */
export function drainCachesLocked(node: Node): number {
  let moved = 0;
  for (let index = 0; index < L.THREADS_MAX; index++) {
    const at = L.THREADS_AT + index * L.THREAD_WORDS;
    while (node.words[at + L.T_CACHE_HEAD] !== 0) {
      drainOne(node, at);
      moved++;
    }
  }
  return moved;
}
