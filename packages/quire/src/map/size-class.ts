import { assert } from '../base/assert.ts';

/**
 * Size classes of the record heap. The heap is cut into runs of 64 KiB of address space.
 *
 * - Slab classes 0..62: 32 to 16,384 bytes, 16 apart up to 128, then 8 per doubling: rounding wastes at most 12.5 %
 * (16 bytes below 128).
 *   A run is one class. Slots of a class stay inside a page when that wastes at most 1/16 of the page (`pageSlots` > 0), else they are
 *   packed through the run and may cross pages.
 * - Extent classes 63..85: 1 to 1,536 whole runs for one record. Pages behind the record's end are never touched, so
 * an extent rounds
 *   up address space, not memory.
 */
export const RUN_BYTES = 65_536;
export const SLAB_CLASSES = 63;
export const SLAB_BYTES_MAX = 16_384;
const EXTENT_RUNS = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536];
export const CLASSES = SLAB_CLASSES + EXTENT_RUNS.length;
/** The free runs that slabs are made of are the free extents of one run. */
export const SINGLE_RUN_CLASS = SLAB_CLASSES;

/** Bits of a run's bitmap: 56 words. Only class 0 has more room than bits. */
export const SLOTS_MAX = 1792;
const PAGE_BYTES = 4096;
const PAGE_WASTE_BYTES_MAX = 256;

/** The smallest class that holds `bytes` (1 .. 96 MiB). */
export function classOf(bytes: number): number {
  if (bytes <= 128) return bytes <= 32 ? 0 : ((bytes + 15) >> 4) - 2;
  if (bytes > SLAB_BYTES_MAX) return extentClassOf(Math.ceil(bytes / RUN_BYTES));
  const last = bytes - 1;
  const exponent = 31 - Math.clz32(last);
  return 7 + ((exponent - 7) << 3) + ((last - (1 << exponent)) >> (exponent - 3));
}

function extentClassOf(runs: number): number {
  for (let index = 0; index < EXTENT_RUNS.length; index++) {
    if (EXTENT_RUNS[index] >= runs) return SLAB_CLASSES + index;
  }
  assert(false, 'no extent so long', runs);
}

export function isExtentClass(classId: number): boolean {
  return classId >= SLAB_CLASSES;
}

/** Runs that a record of an extent class takes. */
export function extentRuns(classId: number): number {
  return EXTENT_RUNS[classId - SLAB_CLASSES];
}

/** Bytes a record of the class can grow to in place. */
export function classCapacity(classId: number): number {
  return isExtentClass(classId) ? extentRuns(classId) * RUN_BYTES : SLOT_BYTES[classId];
}

/** What a record of `bytes` in the class counts in the byte counter: its slot, or the pages it touches. */
export function chargedBytes(classId: number, bytes: number): number {
  return isExtentClass(classId) ? Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES : SLOT_BYTES[classId];
}

const SLOT_BYTES = new Int32Array(SLAB_CLASSES);
const PAGE_SLOTS = new Int32Array(SLAB_CLASSES);
const RUN_SLOTS = new Int32Array(SLAB_CLASSES);

for (let classId = 0; classId < SLAB_CLASSES; classId++) {
  const bytes = slabBytes(classId);
  const fit = Math.floor(PAGE_BYTES / bytes);
  const isPageBound = fit > 0 && PAGE_BYTES - fit * bytes <= PAGE_WASTE_BYTES_MAX;
  const slots = isPageBound ? fit * (RUN_BYTES / PAGE_BYTES) : Math.floor(RUN_BYTES / bytes);
  SLOT_BYTES[classId] = bytes;
  PAGE_SLOTS[classId] = isPageBound ? fit : 0;
  RUN_SLOTS[classId] = Math.min(slots, SLOTS_MAX);
}

function slabBytes(classId: number): number {
  if (classId < 7) return (classId + 2) * 16;
  const exponent = 7 + ((classId - 7) >> 3);
  return (1 << exponent) + ((((classId - 7) & 7) + 1) << (exponent - 3));
}

/** Slots in a run of a slab class. */
export function slotsOf(classId: number): number {
  return RUN_SLOTS[classId];
}

/** Where a slot begins in its run, in bytes. */
export function slotOffset(classId: number, slot: number): number {
  const pageSlots = PAGE_SLOTS[classId];
  if (pageSlots === 0) return slot * SLOT_BYTES[classId];
  const page = Math.floor(slot / pageSlots);
  return page * PAGE_BYTES + (slot - page * pageSlots) * SLOT_BYTES[classId];
}

/** The slot that begins at a byte of its run, -1 when none does. */
export function slotAt(classId: number, offset: number): number {
  const pageSlots = PAGE_SLOTS[classId];
  const bytes = SLOT_BYTES[classId];
  const within = pageSlots === 0 ? offset : offset % PAGE_BYTES;
  const index = Math.floor(within / bytes);
  const slot = pageSlots === 0 ? index : Math.floor(offset / PAGE_BYTES) * pageSlots + index;
  const isStart = index * bytes === within && (pageSlots === 0 || index < pageSlots);
  return isStart && slot < RUN_SLOTS[classId] ? slot : -1;
}
