/**
 * Units: four neighbouring pages of a region that is read in sequence (vm/access.ts) go out together and are compressed as
 * one block of 16 KiB, which finds matches across pages. They are an aligned group of a leaf, in whatever frames; their
 * bytes are brought together by copying, some 1 µs beside 30 µs of compression.
 *
 *   mapped ×4 ──isolate──► QUEUED ×4, slots base … base + 3 ──claim──► COMPRESSING ×4 ──publish──► one object, four slot words
 *                                      │                                    │
 *                                      └──── one of them rescued, discarded, same-filled: the others go on one by one
 *
 * In between each page is in flight like any other: its own entry, slot, kind and version. So rescue, discard and the
 * burial of a dead thread know nothing of units. That four queued pages are a unit is seen from their slots: an aligned
 * run whose words name frames, owned by an aligned group of entries.
 *
 *   unit      slot & ~3 = base     slot & 3 = page of the unit      all four slot words: OBJECT with one location
 *
 * A unit is split by attrition: a page that is written gives its slot up, which takes its bit out of the object's header;
 * the object goes with its last page. The file tier has no units: the demoter stores their pages one by one.
 */
import { freezeLocked, KIND_MASK, KIND_QUEUED, LRU_INACTIVE, LRU_MASK, LRU_SHIFT, thawLocked } from '../arena/frame.ts';
import type { Node } from '../arena/node.ts';
import { frameFromPte, isPresent } from '../arena/pte.ts';
import { PAGE_BYTES, type Pfn, type SlotIndex, UNIT_BYTES, UNIT_PAGES } from '../base/units.ts';
import { compressBlock } from './block-codec.ts';
import * as W from './slot-word.ts';
import { slotWordLocked } from './swap-table.ts';

export function unitBase(slot: number): SlotIndex {
  return (slot & -UNIT_PAGES) as SlotIndex;
}

export function pageInUnit(slot: number): number {
  return slot & (UNIT_PAGES - 1);
}

/**
 * Freezes the neighbours of `pfn`, a frozen frame on no list, if all of its group are mapped, idle and without a copy.
 * `into` gets the four frames in order. False with nothing changed.
 */
export function freezeGroupLocked(node: Node, pfn: Pfn, into: Int32Array): boolean {
  const { words } = node;
  const first = words[node.ownerAt + pfn] & -UNIT_PAGES;
  for (let i = 0; i < UNIT_PAGES; i++) {
    const pte = words[first + i];
    if (!isPresent(pte)) return false;
    into[i] = frameFromPte(pte);
    if (words[node.slotAt + into[i]] !== 0) return false;
    if (into[i] !== pfn && !isIdle(node, into[i])) return false;
  }
  for (let i = 0; i < UNIT_PAGES; i++) {
    if (into[i] === pfn || freezeLocked(node, into[i] as Pfn)) continue;
    thawGroupLocked(node, pfn, into, i);
    return false;
  }
  return true;
}

/** Thaws the first `count` frames of the group but for `pfn`. */
export function thawGroupLocked(node: Node, pfn: Pfn, group: Int32Array, count: number): void {
  for (let i = 0; i < count; i++) if (group[i] !== pfn) thawLocked(node, group[i] as Pfn, 0);
}

function isIdle(node: Node, pfn: number): boolean {
  const list = (node.words[node.kindAt + pfn] & LRU_MASK) >> LRU_SHIFT;
  return list === LRU_INACTIVE && node.words[node.touchAt + pfn] === 0;
}

/** Is the queued page one of four that are all queued still? `into` gets their frames in order. */
export function findQueuedUnitLocked(node: Node, pfn: Pfn, into: Int32Array): boolean {
  const { words } = node;
  const slot = words[node.slotAt + pfn] - 1;
  const base = unitBase(slot);
  const first = words[node.ownerAt + pfn] - pageInUnit(slot);
  if (first % UNIT_PAGES !== 0) return false;
  for (let i = 0; i < UNIT_PAGES; i++) {
    const word = slotWordLocked(node, (base + i) as SlotIndex);
    if (W.tagOf(word) !== W.SLOT_FRAME) return false;
    into[i] = W.payloadOf(word);
    const isQueued = (words[node.kindAt + into[i]] & KIND_MASK) === KIND_QUEUED;
    if (!isQueued || words[node.ownerAt + into[i]] !== first + i) return false;
  }
  return true;
}

/** Copies the pages of `pfns` from `at` on into one run. Returns its kernel address, in the thread's gather buffer. */
export function joinPages(node: Node, pfns: Int32Array, at: number): number {
  const target = node.gatherByte | 0;
  for (let i = 0; i < UNIT_PAGES; i++) node.kernel.copy(target + i * PAGE_BYTES, pfns[at + i] << 12, PAGE_BYTES);
  return target;
}

/** Compresses the 16 KiB at kernel address `source`. Returns the length, 0 when it does not fit `capacity`. */
export function compressUnit(node: Node, source: number, target: number, capacity: number): number {
  return compressBlock(node, source, UNIT_BYTES, target, capacity);
}
