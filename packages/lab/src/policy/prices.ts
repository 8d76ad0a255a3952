/**
 * What the counts of a replay cost in Quire, in µs of processor time of all threads: docs/decisions.md ("Transient reads")
 * and docs/results/swap.txt. For comparison of policies, not a prediction.
 */
import type { Counts } from './replay.ts';

/** 1 KiB of a page that has a frame. */
const RESIDENT_US = 1;
/** 1 KiB of a page that is decoded as far as needed, and stays where it is. */
const PASSING_US = 3;
/** A read that brings the page in: decoding, the mapping, and the evictions it causes with the clean copy it keeps. */
const PROMOTION_US = 17;
/** A write that brings the page in: a fault and decoding; of a whole page, the fault alone. */
const WRITE_MISS_US = 5;
const REPLACE_US = 2;
/** Compressing and storing one page. */
const EVICTION_US = 6;
/** Pages that a frame of the pool holds (docs/results/swap.txt, ratioInFrames). */
const PAGES_PER_POOL_FRAME = 2.5;

/** µs per use. Births count by the evictions they cause; clean pages' evictions are part of a promotion's price. */
export function costOf(counts: Counts): number {
  const hits = counts.uses - counts.misses;
  const us =
    hits * RESIDENT_US +
    counts.passings * PASSING_US +
    counts.promotions * PROMOTION_US +
    (counts.writeMisses - counts.replaced) * WRITE_MISS_US +
    counts.replaced * REPLACE_US +
    (counts.evictions - counts.cleanEvictions) * EVICTION_US;
  return counts.uses === 0 ? 0 : us / counts.uses;
}

/** Frames of a memory that holds `footprint` pages, `capacity` of them resident and the others compressed. */
export function memoryFramesOf(footprint: number, capacity: number): number {
  return capacity + Math.ceil((footprint - capacity) / PAGES_PER_POOL_FRAME);
}
