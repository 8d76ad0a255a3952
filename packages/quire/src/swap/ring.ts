/**
 * The ring between kswapd and kcompressd: frame numbers of kind QUEUED, bounded, so that no more than 1 % of the node
 * is ever in flight. Pushed and popped in batches under the node lock. An entry is only a hint: a page that was
 * rescued or discarded since is no longer QUEUED and is skipped, and one that was queued again meanwhile is simply
 * compressed by whoever pops it first.
 */

import { KIND_MASK, KIND_QUEUED } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import type { Pfn } from '../base/units.ts';

/** False when the ring is full, or nobody drains it. */
export function ringPushLocked(node: Node, pfn: Pfn): boolean {
  const { words } = node;
  if (words[L.H_KCOMPRESSD] === 0) return false;
  const entries = words[L.H_RING_ENTRIES];
  const head = words[L.H_RING_HEAD];
  if (((head - words[L.H_RING_TAIL]) | 0) >= entries) return false;
  words[L.RING_AT + (head & (entries - 1))] = pfn;
  words[L.H_RING_HEAD] = (head + 1) | 0;
  return true;
}

/** Takes up to `limit` frames that are still QUEUED. Returns how many are in `out`. */
export function ringPopLocked(node: Node, out: Int32Array, limit: number): number {
  const { words } = node;
  const mask = words[L.H_RING_ENTRIES] - 1;
  let count = 0;
  while (count < limit && words[L.H_RING_TAIL] !== words[L.H_RING_HEAD]) {
    const pfn = words[L.RING_AT + (words[L.H_RING_TAIL] & mask)];
    words[L.H_RING_TAIL] = (words[L.H_RING_TAIL] + 1) | 0;
    if ((words[node.kindAt + pfn] & KIND_MASK) === KIND_QUEUED) out[count++] = pfn;
  }
  return count;
}

export function ringLength(node: Node): number {
  return (node.words[L.H_RING_HEAD] - node.words[L.H_RING_TAIL]) | 0;
}

/** Entries for a node: 1 % of its frames as a power of two, 32…4096. */
export function ringEntriesFor(frames: number): number {
  const wanted = Math.min(Math.max(frames / 100, 32), L.RING_ENTRIES_MAX);
  return 1 << Math.floor(Math.log2(wanted));
}
