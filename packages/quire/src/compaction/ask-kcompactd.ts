/** Asking kcompactd for blocks, and kswapd for the room that takes. Cheap: callers do it on their way. */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { wakeKswapd } from '../page-alloc/page-allocator.ts';
import { isPutOff } from './deferral.ts';
import { compactGap } from './direct-compact.ts';
import { POLICY_STOCKED } from './policy.ts';
import { spareFrames, stockFrames } from './stock.ts';

/** kswapd may be asked to keep at most this share of the node free for compaction. */
const BOOST_SHARE = 8;

/**
 * Somebody wants blocks of this order. True when kcompactd is to be woken, after the lock is dropped (`wakeKcompactd`): not
 * while it is at it, while the order is put off, or while there is no room, which kswapd is asked for instead.
 */
export function askKcompactdLocked(node: Node, order: number): boolean {
  const { words } = node;
  if (isPutOff(node, order) || Atomics.load(words, L.H_KCOMPACTD_WAKE) !== 0) return false;
  if (!hasRoomLocked(node, order)) {
    boostLocked(node, compactGap(order));
    if (words[L.H_FREE_FRAMES] <= words[L.H_WMARK_LOW] + words[L.H_WMARK_BOOST]) wakeKswapd(node);
    return false;
  }
  if (words[L.H_KCOMPACTD_ORDER] < order) words[L.H_KCOMPACTD_ORDER] = order;
  return true;
}

/** One event, on the 0 → 1 edge alone: a notify is a system call. */
export function wakeKcompactd(node: Node): void {
  if (Atomics.exchange(node.words, L.H_KCOMPACTD_WAKE, 1) !== 0) return;
  Atomics.add(node.home, L.H_KCOMPACTD_EVENTS, 1);
  if (Atomics.load(node.home, L.H_KCOMPACTD_SLEEPERS) > 0) Atomics.notify(node.home, L.H_KCOMPACTD_EVENTS);
}

/**
 * Room to empty a block into: above the low mark, since compaction must not cause direct reclaim; without touching the stock
 * of smaller orders, which would have to be made again; and with single frames left for those who want no more, or they
 * would break up the block at once.
 */
export function hasRoomLocked(node: Node, order: number): boolean {
  const { words } = node;
  if (words[L.H_FREE_FRAMES] < words[L.H_WMARK_LOW] + compactGap(order)) return false;
  return spareFrames(node, order) >= (1 << order) + words[L.H_WMARK_HIGH];
}

/** kswapd keeps the stock and `gap` frames free beyond its marks (watermark_boost). */
export function boostLocked(node: Node, gap: number): void {
  const stock = node.words[L.H_COMPACTION] === POLICY_STOCKED ? stockFrames(node) : 0;
  node.words[L.H_WMARK_BOOST] = Math.min(stock + gap, Math.floor(node.frames / BOOST_SHARE));
}
