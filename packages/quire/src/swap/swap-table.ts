/**
 * The swap table: slots in clusters of 512, one word a slot (swap/slot-word.ts). Page tables hold virtual slots; what
 * is behind a slot is in its word and may change without the page table knowing (after mm/swap_table.h and the vswap
 * series).
 *
 *   slot = cluster << 9 | index          cluster = chunk << 7 | descriptor
 *
 *   roots[4096] ─► chunk (one frame, 128 descriptors of 32 bytes) ─► table (2 KiB)
 *
 * A table exists while its cluster has a slot in use, or a bad one; a chunk exists while one of its clusters is not free
 * (swap/cluster-chunk.ts). An idle space of any size costs the roots and the heads of the cluster lists, 22 KiB. How slots
 * are handed out is in swap/slot-alloc.ts, the states of a cluster in swap/cluster.ts, whose a slot is in
 * swap/slot-group.ts.
 *
 * Readers look slots up without the lock and must not trust what they find: they load the slot's sequence word first
 * and again at the end. The sequence moves whenever what is behind a slot goes away (free, move, demotion), so a word
 * that comes back to the same value is noticed (ABA). Sequence words are shared through a hash and never freed, which
 * makes them safe to load at any time.
 */
import { announce, announceInRow } from '../arena/fence.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { wordFromPte } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { PAGE_WORDS, type SlotIndex, type WordIndex } from '../base/units.ts';
import { peekDirect, setDirectLocked } from './direct-entry.ts';
import { SLOT_FREE } from './slot-word.ts';

export const NO_SLOT = -1 as SlotIndex;

/* Descriptor words. */
export const D_TABLE = 0;
/** Slots that are in use or bad. */
export const D_COUNT = 1;
/** State, order and bad slots (swap/cluster.ts). */
export const D_STATE = 2;
export const D_NEXT = 3; // cluster + 1
export const D_PREV = 4;
export const D_HINT = 5;
/** Counts above one of its slots (swap/slot-count.ts), 0 while there is none. */
export const D_COUNTS = 6;
/** Whose its slots are (swap/slot-group.ts). */
export const D_GROUP = 7;

const CHUNK_SHIFT = 16; // slots a chunk: 128 · 512
export const INDEX_MASK = L.CLUSTER_SLOTS - 1;

/** Word index of the cluster's descriptor. Its chunk is there. */
export function descriptorAt(node: Node, cluster: number): number {
  const chunk = node.words[L.CLUSTER_ROOTS_AT + (cluster >>> 7)];
  return chunk * PAGE_WORDS + (cluster & (L.CLUSTER_CHUNK - 1)) * L.CLUSTER_DESCRIPTOR_WORDS;
}

/** Word index of the table of a cluster that has a slot in use. Node lock held. */
export function tableAt(node: Node, cluster: number): number {
  const table = node.words[descriptorAt(node, cluster) + D_TABLE];
  assert(table !== 0, 'cluster has a table', cluster);
  return table;
}

/** Word index of the slot's sequence word. */
export function sequenceAt(slot: number): number {
  return L.SEQUENCES_AT + ((slot ^ (slot >>> 12)) & (L.SEQUENCE_WORDS - 1));
}

/**
 * Word index of the slot's word, 0 when its table is not there. Safe without the lock; the result is a guess until
 * validated.
 */
export function slotAt(node: Node, slot: number): WordIndex {
  const chunk = node.words[L.CLUSTER_ROOTS_AT + (slot >>> CHUNK_SHIFT)];
  if (chunk === 0) return 0 as WordIndex;
  const table =
    node.words[chunk * PAGE_WORDS + ((slot >>> 9) & (L.CLUSTER_CHUNK - 1)) * L.CLUSTER_DESCRIPTOR_WORDS + D_TABLE];
  return (table === 0 ? 0 : table + (slot & INDEX_MASK)) as WordIndex;
}

/** The slot's word as any thread may see it, SLOT_FREE when there is no table (any more). */
export function peekSlot(node: Node, slot: number): number {
  if (!node.isVirtual) return peekDirect(node, slot);
  const at = slotAt(node, slot);
  return at <= 0 || at >= node.words.length ? SLOT_FREE : Atomics.load(node.words, at);
}

export function slotWordLocked(node: Node, slot: SlotIndex): number {
  if (!node.isVirtual) return wordFromPte(node.words[slot]);
  const at = slotAt(node, slot);
  assert(at !== 0, 'slot has a table', slot);
  return node.words[at];
}

/** The word of the slot that the entry of a swapped page holds: one load less where that is the entry. */
export function entryWordLocked(node: Node, slot: SlotIndex, pte: number): number {
  return node.isVirtual ? slotWordLocked(node, slot) : wordFromPte(pte);
}

export function setSlotWordLocked(node: Node, slot: SlotIndex, word: number): void {
  if (!node.isVirtual) {
    setDirectLocked(node, slot, word);
    return;
  }
  Atomics.store(node.words, slotAt(node, slot), word);
}

/** As `setSlotWordLocked`, of a slot whose word is `from`. */
export function changeSlotWordLocked(node: Node, slot: SlotIndex, from: number, word: number): void {
  const { words } = node;
  const at = node.isVirtual ? slotAt(node, slot) : slot;
  const found = node.isVirtual ? words[at] : wordFromPte(words[at]);
  assert(at !== 0 && found === from, 'word of the slot', slot, found);
  if (node.isVirtual) Atomics.store(words, at, word);
  else setDirectLocked(node, slot, word);
}

/**
 * What was behind the slot is going away. Pairs with the closing load of a transient read. Comes after the slot's word
 * has changed, so that whoever loads the new sequence does not find the old word, and before anything can be put where
 * it led to. A slot also begins its use with one: a reader that found it in an entry about to change, but after it was
 * freed, must not take the next page's word for its own.
 */
export function bumpSequenceLocked(node: Node, slot: SlotIndex): void {
  announce(node.words, sequenceAt(slot));
}

/** As `bumpSequenceLocked`, of slots in a row whose use begins: their words are stored after it. */
export function bumpSequencesLocked(node: Node, first: SlotIndex, count: number): void {
  for (let i = 0; i < count; i++) announceInRow(node.words, sequenceAt(first + i));
  announce(node.words, sequenceAt(first));
}
