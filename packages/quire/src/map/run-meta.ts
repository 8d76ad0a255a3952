import { RUN_BYTES } from './size-class.ts';

/**
 * What a run of the heap is, in 256 bytes of the meta space.
 *
 * ```
 * meta of run r, at byte 256 r:
 * w0  state (bits 0..7) | class (8..15) | LISTED (16)
 * w1  free slots                                  (slab)
 * w2  next run of the class list or free stack, 0 = none
 * w3  first bitmap word that may have a free bit  (slab)
 * w4  runs of the extent                          (extent, free)
 * w5  pages the extent's record touches           (extent)
 * w8..w63  bitmap, 1 = slot taken                 (slab)
 * ```
 * A location is the record's byte offset / 16.
 */
/** The run a location lies in. */
export function runOf(location: number): number {
  return Math.floor(location / (RUN_BYTES / GRANULE_BYTES));
}

export const GRANULE_BYTES = 16;
export const META_BYTES = 256;
export const META_WORDS = META_BYTES / 4;
export const BITMAP_WORD = 8;
export const STATE_MASK = 0xff;
export const FREE = 1;
export const SLAB = 2;
export const EXTENT = 3;
export const LISTED = 0x1_0000;
/** Locations have 37 bits, and high bits of all ones mean a link (hash-index.ts): 31 × 2^36 bytes, 1.94 TiB. */
export const LOCATION_RUNS_MAX = (31 * 2 ** 36) / RUN_BYTES;
