/**
 * The page-table entry, one 32-bit word a page. Written under the node lock only; read by anybody.
 *
 *   0                      never written, or discarded: reads as zeros
 *   pfn << 2  | 1          present: mapped to a frame
 *   slot << 2 | 2          swapped: the slot's word says where it is
 *   word << 1              swapped, in direct mode (swap/direct-entry.ts): the entry itself says it
 *
 * In files a present entry carries its folio's order too, in bits 24…27: a frame number takes 20 bits (2 … 21). So one load
 * names frame, folio and order together.
 */
import type { Pfn, SlotIndex } from '../base/units.ts';

export const PTE_NONE = 0;
const PRESENT = 1;
const SWAPPED = 2;

export function pteFromFrame(pfn: Pfn): number {
  return (pfn << 2) | PRESENT;
}

const FOLIO_ORDER_SHIFT = 24;
const FOLIO_FRAME_MASK = 0xf_ffff;

/** Entry of a page in a folio: `pfn` is the page's own frame. */
export function pteFromFolio(pfn: Pfn, order: number): number {
  return (order << FOLIO_ORDER_SHIFT) | (pfn << 2) | PRESENT;
}

export function orderFromPte(pte: number): number {
  return (pte >>> FOLIO_ORDER_SHIFT) & 0xf;
}

/** The page's own frame. */
export function frameFromFolioPte(pte: number): Pfn {
  return ((pte >>> 2) & FOLIO_FRAME_MASK) as Pfn;
}

export function isPresent(pte: number): boolean {
  return (pte & 3) === PRESENT;
}

export function frameFromPte(pte: number): Pfn {
  return (pte >>> 2) as Pfn;
}

export function pteFromSlot(slot: SlotIndex): number {
  return (slot << 2) | SWAPPED;
}

export function isSwapped(pte: number): boolean {
  return (pte & 3) === SWAPPED;
}

/** Direct mode. A slot's word has 31 bits there: none is a clean copy. */
export function pteFromWord(word: number): number {
  return word << 1;
}

/** Direct mode: the word of an entry, 0 (nothing) of one that is not swapped. */
export function wordFromPte(pte: number): number {
  return isPresent(pte) ? 0 : pte >>> 1;
}

export function slotFromPte(pte: number): SlotIndex {
  return (pte >>> 2) as SlotIndex;
}
