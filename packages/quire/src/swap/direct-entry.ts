/**
 * Direct mode, `virtual: false`: no layer between page tables and storage, to measure what the layer costs. The entry of a
 * swapped page is its slot:
 *
 *   slot       word index of the entry; a leaf does not move while it has entries
 *   word       entry >>> 1: tag and payload as in swap/slot-word.ts, without CACHED; entries of mapped pages are odd
 *   allocated  by storing the page's first word, FRAME, where the frame was named
 *   freed      by naming a frame, or nothing, in its place
 *
 * So no slot is taken at swap-out, nothing beyond the entry is read at a fault or a free, and there are no clusters and no
 * tables. Everything above and below works with slots and their words as it always does, through the functions here and
 * in swap/swap-table.ts, and sequence words validate reads as ever. What is lost: a mapped page has no clean copy, since its entry
 * names the frame; every move of storage stores into a page table; nothing can find entries from a file (no file tier), no two
 * entries share a page (no clones), no tier can be taken away.
 *
 * ENTRY_BUSY: the page's word is gone and its frame not named yet, under one hold of the lock. Readers look again. Without
 * it a reader could find the old word with the new sequence.
 */
import { announce } from '../arena/fence.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { PTE_NONE, pteFromSlot, pteFromWord, slotFromPte, wordFromPte } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import type { SlotIndex } from '../base/units.ts';
import { shadowByteAt } from '../reclaim/working-set.ts';
import { isCached, SLOT_EMPTY, SLOT_FRAME, SLOT_FREE, slotWord, tagOf } from './slot-word.ts';

const ENTRY_BUSY = pteFromWord(slotWord(SLOT_EMPTY, 0));

/** The slot of a swapped page, either mode: by where its entry is, or by what the entry holds. */
export function slotOfEntry(node: Node, pteAt: number, pte: number): SlotIndex {
  return (node.isVirtual ? slotFromPte(pte) : pteAt) as SlotIndex;
}

/** The entry of a page that goes out of frame `pfn`, either mode. */
export function entryInFlight(node: Node, slot: SlotIndex, pfn: number): number {
  return node.isVirtual ? pteFromSlot(slot) : pteFromWord(slotWord(SLOT_FRAME, pfn));
}

/** The first slot of the page or the unit behind the entry. −1 where nothing may be swapped. */
export function directSlot(node: Node, pteAt: number): SlotIndex {
  return (node.words[L.H_SLOTS_MAX] === 0 ? -1 : pteAt) as SlotIndex;
}

/** The word of a slot as any thread may see it: a guess until validated. */
export function peekDirect(node: Node, slot: number): number {
  return slot <= 0 || slot >= node.words.length ? SLOT_FREE : wordFromPte(Atomics.load(node.words, slot));
}

export function setDirectLocked(node: Node, slot: SlotIndex, word: number): void {
  assert(!isCached(word), 'no clean copies in direct mode', slot, word);
  Atomics.store(node.words, slot, pteFromWord(word));
}

/** The page's word goes; the caller names a frame next, or has named nothing already. */
export function freeDirectLocked(node: Node, slot: SlotIndex, sequenceAt: number): void {
  busyEntryLocked(node, slot);
  announce(node.words, sequenceAt);
  node.bytes[shadowByteAt(node, slot)] = 0;
}

/** The first half of it: the sequence has to move next. */
export function busyEntryLocked(node: Node, slot: SlotIndex): void {
  const pte = node.words[slot];
  if (pte === PTE_NONE) return;
  assert(tagOf(wordFromPte(pte)) !== SLOT_FREE && pte !== ENTRY_BUSY, 'entry freed twice', slot, pte);
  Atomics.store(node.words, slot, ENTRY_BUSY);
}
