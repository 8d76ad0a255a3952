/**
 * The ring between kswapd and kcompressd: frame numbers of kind QUEUED, bounded, so that no more than 1 % of the node
 * waits in it. Filled and emptied in batches under the node lock. An entry is only a hint: a page that was rescued,
 * discarded or claimed with its unit since is no longer QUEUED and is skipped, and one that was queued again meanwhile
 * is simply compressed by whoever comes to it first.
 *
 *   kswapd ──ringPushLocked──► head … tail ──ringPeekLocked, claim, ringDropLocked──► a thread of kcompressd
 *
 * Looking, claiming and dropping are one hold of the lock: no page is ever out of the ring and not yet claimed. After
 * Linux' kcompressd (a kfifo per node, Qun-Wei Lin and Barry Song, 2025), whose entries could not be taken back.
 */

import { KIND_MASK, KIND_QUEUED } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import { NO_PFN, type Pfn } from '../base/units.ts';

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

/** The oldest frame that is QUEUED still, NO_PFN when there is none. It stays in the ring; stale entries do not. */
export function ringPeekLocked(node: Node): Pfn {
  const { words } = node;
  const mask = words[L.H_RING_ENTRIES] - 1;
  while (words[L.H_RING_TAIL] !== words[L.H_RING_HEAD]) {
    const pfn = words[L.RING_AT + (words[L.H_RING_TAIL] & mask)] as Pfn;
    if ((words[node.kindAt + pfn] & KIND_MASK) === KIND_QUEUED) return pfn;
    ringDropLocked(node);
  }
  return NO_PFN;
}

/** Drops the oldest entry. */
export function ringDropLocked(node: Node): void {
  node.words[L.H_RING_TAIL] = (node.words[L.H_RING_TAIL] + 1) | 0;
}

export function ringLength(node: Node): number {
  return (node.words[L.H_RING_HEAD] - node.words[L.H_RING_TAIL]) | 0;
}

/** Entries for a node: 1 % of its frames as a power of two, 32…4096. */
export function ringEntriesFor(frames: number): number {
  const wanted = Math.min(Math.max(frames / 100, 32), L.RING_ENTRIES_MAX);
  return 1 << Math.floor(Math.log2(wanted));
}

/** After a push of several pages: at most one wake-up, and none while those awake keep up. `batch`: pages a thread takes. */
export function wakeKcompressd(node: Node, batch: number): void {
  if (node.wakeCompressors(Math.ceil(ringLength(node) / batch))) node.counters[C.kcompressd_wake]++;
}
