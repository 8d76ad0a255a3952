/**
 * The stock: free blocks kept ready for folios that are about to be asked for, so that neither a caller nor anybody who
 * waits for one has to compact (policy 'stocked').
 *
 *   asked[k]    requests for order k, decaying          missed[k]   of these, how many got a smaller folio
 *   target[k]   blocks of order k to keep = what the next HORIZON requests will want of it, by their recent shares,
 *               and as many again as were missed lately
 *
 * kcompactd is woken when half of an order's stock is gone and fills all of it, so it is not woken for each block.
 *
 * Counters halve every DECAY_REQUESTS requests: the clock is demand itself, so a stock is neither built nor given up while
 * nobody asks. All targets together are at most 1/STOCK_SHARE of the node; the smaller orders come first, since a
 * shortage there costs more folios.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { ORDER_MAX } from '../base/units.ts';
import { freeBlocks } from '../page-alloc/buddy.ts';
import { isPutOff } from './deferral.ts';

/** Requests between two decays: what came more than a few hundred requests ago does not count. */
const DECAY_REQUESTS = 128;
/** Requests that the stock is to last for while kcompactd works. */
const HORIZON = 32;
const STOCK_SHARE = 16;

/** Notes a request for a folio and what came of it. Cheap: three counters, and every 128th time the targets. */
export function noteRequestLocked(node: Node, orderWanted: number, order: number): void {
  const { words } = node;
  words[L.H_STOCK_ASKED + orderWanted]++;
  if (order < orderWanted) words[L.H_STOCK_MISSED + orderWanted]++;
  if (++words[L.H_STOCK_REQUESTS] % (DECAY_REQUESTS / 8) === 0) aimLocked(node);
}

/** Sets the targets from the counters. */
function aimLocked(node: Node): void {
  const { words } = node;
  let asked = 0;
  for (let order = 1; order <= ORDER_MAX; order++) asked += words[L.H_STOCK_ASKED + order];
  let left = Math.floor(node.frames / STOCK_SHARE);
  for (let order = 1; order <= ORDER_MAX; order++) {
    const share = words[L.H_STOCK_ASKED + order] / Math.max(1, asked);
    const wanted = Math.ceil(share * HORIZON) + words[L.H_STOCK_MISSED + order];
    const target = Math.min(wanted, left >> order);
    words[L.H_STOCK_TARGET + order] = target;
    left -= target << order;
  }
  if (words[L.H_STOCK_REQUESTS] < DECAY_REQUESTS) return;
  words[L.H_STOCK_REQUESTS] = 0;
  for (let order = 1; order <= ORDER_MAX; order++) {
    words[L.H_STOCK_ASKED + order] >>= 1;
    words[L.H_STOCK_MISSED + order] >>= 1;
  }
}

/**
 * The largest order that is short and may be worked on, 0 when none is. Larger blocks serve smaller orders too, as far as
 * they are not wanted themselves.
 */
export function shortOrder(node: Node): number {
  return findShort(node, 0);
}

/**
 * As `shortOrder`, of orders of which half the stock is gone: time to wake kcompactd, which fills it up again. So it is not
 * woken for each block.
 */
export function halfGoneOrder(node: Node): number {
  return findShort(node, 1);
}

function findShort(node: Node, shift: number): number {
  const { words } = node;
  let frames = 0;
  for (let order = ORDER_MAX; order > 0; order--) {
    frames += (freeBlocks(node, order) - ((words[L.H_STOCK_TARGET + order] + shift) >> shift)) << order;
    if (frames >= 0) continue;
    if (!isPutOff(node, order)) return order;
    frames = 0; // what cannot be had now is not taken from smaller orders
  }
  return 0;
}

/** Free frames in blocks smaller than `order` that are not part of the stock: what pages can be moved to. */
export function spareFrames(node: Node, order: number): number {
  let frames = 0;
  for (let at = 0; at < order; at++) {
    frames += Math.max(0, freeBlocks(node, at) - node.words[L.H_STOCK_TARGET + at]) << at;
  }
  return frames;
}

/** Frames of all targets. */
export function stockFrames(node: Node): number {
  let frames = 0;
  for (let order = 1; order <= ORDER_MAX; order++) frames += node.words[L.H_STOCK_TARGET + order] << order;
  return frames;
}
