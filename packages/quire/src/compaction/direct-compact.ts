/** Compaction by a thread that wants a block, for itself (try_to_compact_pages). */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { tryAcquire } from '../arena/node-lock.ts';
import { C } from '../base/counters.ts';
import { NO_PFN, type Pfn } from '../base/units.ts';
import { EXTFRAG_THRESHOLD, fragmentationIndexOf } from '../page-alloc/fragmentation.ts';
import { COSTLY_ORDER } from '../page-alloc/gfp.ts';
import { drainCachesLocked } from '../page-alloc/page-allocator.ts';
import { COMPACT_ASYNC, COMPACT_FULL, Compactor } from './compactor.ts';
import { considerLocked, deferLocked, deferResetLocked, isPutOff } from './deferral.ts';

/** Frames that have to be free for compaction to have room: the block, and its pages elsewhere (compact_gap). */
export function compactGap(order: number): number {
  return 2 << order;
}

/**
 * Is there room to work in, and is it fragmentation that makes the order fail? With too little memory free, reclaim is
 * the answer (compaction_suitable).
 */
export function isSuitableLocked(node: Node, order: number): boolean {
  const { words } = node;
  const mark = order > COSTLY_ORDER ? words[L.H_WMARK_LOW] : words[L.H_WMARK_MIN];
  if (words[L.H_FREE_FRAMES] < mark + compactGap(order)) return false;
  if (order <= COSTLY_ORDER) return true;
  const index = fragmentationIndexOf(node, order);
  return index < 0 || index > EXTFRAG_THRESHOLD;
}

/**
 * A block of 2^order frames, private (NEW) to this thread; NO_PFN when none can be made, it is not worth trying, or (in
 * mode ASYNC) others want the lock. The block is the caller's at once: nobody can snatch it. No lock held.
 */
export function compactDirect(node: Node, order: number, mode: number): Pfn {
  node.stalls?.begin();
  try {
    return compactFor(node, order, mode);
  } finally {
    node.stalls?.end();
  }
}

function compactFor(node: Node, order: number, mode: number): Pfn {
  node.lock();
  const isWorthwhile = mode === COMPACT_FULL || (isSuitableLocked(node, order) && !isDeferredNow(node, order));
  if (!isWorthwhile) {
    node.unlock();
    return NO_PFN;
  }
  node.counters[C.compact_stall]++;
  // Frames in threads' caches merge with nothing.
  drainCachesLocked(node);
  const compactor = new Compactor(node, order, mode, false);
  for (let step = compactor.stepLocked(); step !== 'done'; step = compactor.stepLocked()) {
    const isOver = step !== 'more';
    if (step === 'complete' && mode !== COMPACT_ASYNC) deferLocked(node, order);
    node.unlock();
    const isContended = !isOver && !takeLock(node, mode);
    if (isOver || isContended) {
      if (isContended) stop(node, compactor);
      node.counters[C.compact_fail]++;
      return NO_PFN;
    }
  }
  deferResetLocked(node, order, true);
  node.unlock();
  node.counters[C.compact_success]++;
  return compactor.block;
}

/** The light mode does not wait for the lock between two steps. */
function takeLock(node: Node, mode: number): boolean {
  if (mode === COMPACT_ASYNC) return tryAcquire(node.words, L.H_LOCK, node.thread);
  node.lock();
  return true;
}

function stop(node: Node, compactor: Compactor): void {
  node.lock();
  compactor.stopLocked();
  node.unlock();
}

function isDeferredNow(node: Node, order: number): boolean {
  considerLocked(node, order);
  if (!isPutOff(node, order)) return false;
  node.counters[C.compact_deferred]++;
  return true;
}
