/**
 * Frames for a folio: as large as is wanted, down to what is needed. What a thread does when there is no block of the order
 * it wants is the policy's (compaction/policy.ts):
 *
 *   free list ──no──► may stall?  yes: compact (costly) · reclaim a little · compact ──no──► next smaller order
 *                                 no: wake kcompactd ──────────────────────────────────────► largest that is free
 *   minimum order: reclaim, and compact, until there is one or all is full
 */
import { KIND_NEW } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { NO_PFN, ORDER_MAX, type Pfn } from '../base/units.ts';
import { COSTLY_ORDER, GFP_NODRAIN, GFP_NOWAIT, GFP_USER } from '../page-alloc/gfp.ts';
import { allocLocked, freeLocked, freeToBuddyLocked } from '../page-alloc/page-allocator.ts';
import { reclaimDirect } from '../swap/direct-reclaim.ts';
import type { Reclaimer } from '../swap/reclaimer.ts';
import { askKcompactdLocked, wakeKcompactd } from './ask-kcompactd.ts';
import { COMPACT_ASYNC, COMPACT_FULL, COMPACT_LIGHT } from './compactor.ts';
import { considerLocked } from './deferral.ts';
import { compactDirect, compactGap } from './direct-compact.ts';
import { mayStall, POLICY_STOCKED } from './policy.ts';
import { halfGoneOrder, noteRequestLocked } from './stock.ts';

/** What an allocation needs of a thread's view of the instance (vm/memory.ts). */
export interface AllocMemory {
  readonly nodes: readonly Node[];
  readonly reclaimers: readonly Reclaimer[];
  readonly inlineDaemons: (() => void) | undefined;
}

/** Order of what the last `allocFolio` of this thread gave. */
export const allocatedOrder: { value: number } = { value: 0 };

/** Falls down the orders without disturbing anybody. */
const GFP_TRY = GFP_NOWAIT | GFP_NODRAIN;
/** Others may take what was reclaimed for us; this often in a row is not bad luck. */
const TRIES_MAX = 1000;
/** For a block that is needed: each reclaims and compacts. */
const BLOCK_TRIES_MAX = 16;
/** Frames that a request which may stall reclaims before it compacts again (SWAP_CLUSTER_MAX). */
const RECLAIM_FRAMES = 32;
const RECLAIM_ROUNDS_MAX = 4;

/**
 * A private folio (kind NEW, this thread's) of node n with at most 2^orderWanted frames and at least 2^orderMin; its order
 * is in `allocatedOrder`. Contents are whatever was there. NO_PFN when memory and every tier are full, or no block of the
 * minimum order can be made. No lock held.
 */
export function allocFolio(
  memory: AllocMemory,
  n: number,
  orderWanted: number,
  orderMin: number,
  type: number = L.MIGRATE_MOVABLE,
): Pfn {
  assert(orderMin >= 0 && orderMin <= orderWanted && orderWanted <= ORDER_MAX, 'orders', orderMin, orderWanted);
  const node = memory.nodes[n];
  if (memory.inlineDaemons !== undefined && isDaemonWanted(node)) memory.inlineDaemons();
  const pfn = takeFree(node, orderWanted, orderMin, type);
  if (pfn !== NO_PFN) return pfn;
  return orderWanted > orderMin
    ? allocSlow(memory, n, orderWanted, orderMin, type)
    : allocMinimum(memory, n, orderMin, type);
}

function isDaemonWanted(node: Node): boolean {
  return Atomics.load(node.words, L.H_KSWAPD_WAKE) !== 0 || Atomics.load(node.words, L.H_KCOMPACTD_WAKE) !== 0;
}

/**
 * The order wanted, from the free lists; under 'stocked' the largest there is, in the same hold of the lock. NO_PFN when
 * something else has to be done.
 */
function takeFree(node: Node, orderWanted: number, orderMin: number, type: number): Pfn {
  node.lock();
  const isStocked = node.words[L.H_COMPACTION] === POLICY_STOCKED;
  let order = orderWanted;
  let pfn = allocLocked(node, order, type, GFP_TRY, KIND_NEW);
  while (isStocked && pfn === NO_PFN && order > orderMin) {
    order--;
    pfn = allocLocked(node, order, type, GFP_TRY, KIND_NEW);
  }
  if (orderWanted > 0) {
    node.counters[C.folio_alloc]++;
    if (isStocked) noteRequestLocked(node, orderWanted, pfn === NO_PFN ? 0 : order);
  }
  const isShort = isStocked && orderWanted > 0 && isShortLocked(node, orderWanted);
  node.unlock();
  if (pfn !== NO_PFN && order < orderWanted) node.counters[C.folio_alloc_fallback]++;
  if (isShort) wakeKcompactd(node);
  allocatedOrder.value = order;
  return pfn;
}

/** Is the stock short, and kcompactd to be woken for it? */
function isShortLocked(node: Node, orderWanted: number): boolean {
  if (Atomics.load(node.words, L.H_KCOMPACTD_WAKE) !== 0) return false;
  considerLocked(node, orderWanted);
  const order = halfGoneOrder(node);
  return order > 0 && askKcompactdLocked(node, order);
}

/** Down the orders, as the policy has it. */
function allocSlow(memory: AllocMemory, n: number, orderWanted: number, orderMin: number, type: number): Pfn {
  const node = memory.nodes[n];
  const policy = node.words[L.H_COMPACTION];
  for (let order = orderWanted; order > orderMin; ) {
    if (mayStall(policy, order, orderWanted)) {
      const pfn = allocStalling(memory, n, order, type);
      if (pfn !== NO_PFN) return given(node, pfn, order, orderWanted);
      order--;
      continue;
    }
    let last = order;
    while (last > orderMin + 1 && !mayStall(policy, last - 1, orderWanted)) last--;
    const pfn = takeFalling(node, order, last, type);
    if (pfn !== NO_PFN) return given(node, pfn, allocatedOrder.value, orderWanted);
    order = last - 1;
  }
  const pfn = allocMinimum(memory, n, orderMin, type);
  return pfn === NO_PFN ? NO_PFN : given(node, pfn, orderMin, orderWanted);
}

function given(node: Node, pfn: Pfn, order: number, orderWanted: number): Pfn {
  if (order < orderWanted) node.counters[C.folio_alloc_fallback]++;
  allocatedOrder.value = order;
  return pfn;
}

/** The largest free block of orders `first`, for which kcompactd is asked, down to `last`, in one hold of the lock. */
function takeFalling(node: Node, first: number, last: number, type: number): Pfn {
  node.lock();
  const isStocked = node.words[L.H_COMPACTION] === POLICY_STOCKED;
  if (!isStocked) considerLocked(node, first);
  const isAsked = !isStocked && askKcompactdLocked(node, first);
  let pfn = NO_PFN;
  let order = first;
  for (; order >= last; order--) {
    pfn = allocLocked(node, order, type, GFP_TRY, KIND_NEW);
    if (pfn !== NO_PFN) break;
  }
  node.unlock();
  if (isAsked) wakeKcompactd(node);
  allocatedOrder.value = order;
  return pfn;
}

/**
 * One attempt that may reclaim and compact, but gives up early (GFP_NORETRY): a costly order compacts, everybody reclaims a
 * little and compacts.
 */
function allocStalling(memory: AllocMemory, n: number, order: number, type: number): Pfn {
  const node = memory.nodes[n];
  const isCostly = order > COSTLY_ORDER;
  if (isCostly) {
    const block = compactDirect(node, order, COMPACT_ASYNC);
    if (block !== NO_PFN) return block;
  }
  reclaimSome(memory.reclaimers[n], order);
  const pfn = takeOne(node, order, type);
  return pfn !== NO_PFN ? pfn : compactDirect(node, order, isCostly ? COMPACT_ASYNC : COMPACT_LIGHT);
}

/** Reclaims up to RECLAIM_FRAMES, unless there is room enough to compact already (compaction_ready). */
function reclaimSome(reclaimer: Reclaimer, order: number): void {
  const { words, counters } = reclaimer.node;
  const enough = words[L.H_WMARK_LOW] + compactGap(order);
  if (words[L.H_FREE_FRAMES] >= enough) return;
  counters[C.allocstall]++;
  const goal = Math.min(enough, words[L.H_FREE_FRAMES] + RECLAIM_FRAMES);
  for (let round = 0; round < RECLAIM_ROUNDS_MAX && words[L.H_FREE_FRAMES] < goal; round++) {
    if (!reclaimer.round(false, true)) return;
  }
}

/** From the free lists, the caches of all threads included. */
function takeOne(node: Node, order: number, type: number): Pfn {
  node.lock();
  const pfn = allocLocked(node, order, type, GFP_USER, KIND_NEW);
  node.unlock();
  return pfn;
}

/** At the minimum order the caller cannot do with less: reclaim until there is a frame, compact until there is a block. */
function allocMinimum(memory: AllocMemory, n: number, order: number, type: number): Pfn {
  const node = memory.nodes[n];
  const triesMax = order === 0 ? TRIES_MAX : BLOCK_TRIES_MAX;
  for (let attempt = 0; attempt < triesMax; attempt++) {
    let pfn = takeOne(node, order, type);
    if (pfn === NO_PFN && order > 0) pfn = makeBlock(node, order, type);
    if (pfn !== NO_PFN) {
      allocatedOrder.value = order;
      return pfn;
    }
    if (!reclaimDirect(memory.reclaimers[n], 1 << order)) return NO_PFN;
  }
  return NO_PFN;
}

/** Makes a block when there are frames enough for one. */
function makeBlock(node: Node, order: number, type: number): Pfn {
  if (node.words[L.H_FREE_FRAMES] - (1 << order) < node.words[L.H_WMARK_MIN]) return NO_PFN;
  const block = compactDirect(node, order, COMPACT_FULL);
  if (block === NO_PFN || type === L.MIGRATE_MOVABLE) return block;
  // By way of the lists: they decide in which pageblock something that cannot move may be.
  node.lock();
  freeToBuddyLocked(node, block);
  const pfn = allocLocked(node, order, type, GFP_USER, KIND_NEW);
  node.unlock();
  return pfn;
}

/** Gives a private folio, of any order, back. No lock held. */
export function freeFolio(node: Node, pfn: Pfn): void {
  node.lock();
  freeLocked(node, pfn);
  node.unlock();
}
