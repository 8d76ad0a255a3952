/**
 * The page-table entry, one 32-bit word a page. Written under the node lock only; read by anybody.
 *
 *   0                      never written, or discarded: reads as zeros
 *   pfn << 2  | 1          present: mapped to a frame
 *   slot << 2 | 2          swapped: the slot's word says where it is
 */
import type { Pfn, SlotIndex } from '../base/units.ts';

export const PTE_NONE = 0;
const PRESENT = 1;
const SWAPPED = 2;

export function pteFromFrame(pfn: Pfn): number {
  return (pfn << 2) | PRESENT;
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

export function slotFromPte(pte: number): SlotIndex {
  return (pte >>> 2) as SlotIndex;
}
