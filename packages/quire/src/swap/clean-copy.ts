/**
 * Clean copies given up: a resident page keeps the slot it was read from, which costs a slot, and its storage, and may go at
 * any time. Node lock held.
 */
import { KIND_REGION, kindOf } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import type { Pfn, SlotIndex } from '../base/units.ts';
import { slotGroupLocked } from './slot-group.ts';
import { dropSlotLocked } from './storage.ts';

export const ANY_GROUP = -1;
/** Frames looked at in one go: some 60 µs at worst. The hand goes on from there the next time. */
const SCAN_FRAMES_MAX = 65_536;

/** The clean copy of a mapped page is out of date: slot and storage go. */
export function dropCleanCopyLocked(node: Node, pfn: Pfn): void {
  const slot = (node.words[node.slotAt + pfn] - 1) as SlotIndex;
  dropSlotLocked(node, slot);
  Atomics.store(node.words, node.slotAt + pfn, 0);
  node.words[L.H_CLEAN_COPIES]--;
}

/**
 * Slots run short: up to `wanted` clean copies are given up, of one group or of any. Frames are looked at in turn, the
 * hand staying where it was; what a slot leads to is not known from its word, so the frames are asked, not the clusters.
 * Returns how many slots came free: fewer than copies, where an entry still names the slot.
 */
export function reclaimCleanCopiesLocked(node: Node, wanted: number, group: number): number {
  const { words } = node;
  const before = words[L.H_SLOTS_USED];
  const scanMax = Math.min(SCAN_FRAMES_MAX, node.frames - node.firstFree);
  let hand = words[L.H_CACHED_HAND];
  for (let looked = 0; looked < scanMax && words[L.H_CLEAN_COPIES] > 0; looked++) {
    if (before - words[L.H_SLOTS_USED] >= wanted) break;
    hand = hand < node.firstFree || hand + 1 >= node.frames ? node.firstFree : hand + 1;
    if (words[node.slotAt + hand] === 0 || kindOf(node, hand as Pfn) !== KIND_REGION) continue;
    const slot = (words[node.slotAt + hand] - 1) as SlotIndex;
    if (group !== ANY_GROUP && slotGroupLocked(node, slot) !== group) continue;
    dropCleanCopyLocked(node, hand as Pfn);
    node.counters[C.swap_cache_reclaimed]++;
  }
  words[L.H_CACHED_HAND] = hand;
  return before - words[L.H_SLOTS_USED];
}
