/**
 * How broken up free memory is, as mm/vmstat.c measures it, over the free blocks of all types.
 *
 *   fragmentation index   of a request that fails: 0 = for lack of memory, 1000 = for fragmentation; −1000 when a block is there
 *   unusable index        share of free memory that is no use to the order, in per cent (extfrag_for_order)
 */
import type { Node } from '../arena/node.ts';
import { ORDER_MAX } from '../base/units.ts';
import { freeBlocks } from './buddy.ts';

/** Above it a failure is put down to fragmentation, so that compaction is worth trying (sysctl_extfrag_threshold). */
export const EXTFRAG_THRESHOLD = 500;

/** Free blocks of each order, all nodes together: /proc/buddyinfo. */
export function buddyinfo(nodes: readonly Node[]): number[] {
  return Array.from({ length: ORDER_MAX + 1 }, (_, order) =>
    nodes.reduce((sum, node) => sum + freeBlocks(node, order), 0),
  );
}

export function fragmentationIndex(nodes: readonly Node[], order: number): number {
  return indexOf(buddyinfo(nodes), order);
}

/** For one node, without making an array: asked before each direct compaction. */
export function fragmentationIndexOf(node: Node, order: number): number {
  let frames = 0;
  let blocks = 0;
  for (let at = 0; at <= ORDER_MAX; at++) {
    const count = freeBlocks(node, at);
    if (at >= order && count > 0) return -1000;
    blocks += count;
    frames += count << at;
  }
  return blocks === 0 ? 0 : failedIndex(frames, blocks, order);
}

function indexOf(counts: readonly number[], order: number): number {
  if (counts.some((count, at) => at >= order && count > 0)) return -1000;
  const blocks = counts.reduce((sum, count) => sum + count, 0);
  const frames = counts.reduce((sum, count, at) => sum + (count << at), 0);
  return blocks === 0 ? 0 : failedIndex(frames, blocks, order);
}

/** Many small blocks with many frames: fragmented. Few frames for the request: short of memory. */
function failedIndex(frames: number, blocks: number, order: number): number {
  return Math.trunc(1000 - (1000 + Math.trunc((frames * 1000) / (1 << order))) / blocks);
}

/** Per cent of free memory in blocks too small for `order`; 0 when nothing is free. */
export function unusableIndex(nodes: readonly Node[], order: number): number {
  const counts = buddyinfo(nodes);
  const frames = counts.reduce((sum, count, at) => sum + (count << at), 0);
  const suitable = counts.reduce((sum, count, at) => (at >= order ? sum + (count << at) : sum), 0);
  return frames === 0 ? 0 : Math.trunc(((frames - suitable) * 100) / frames);
}
