/**
 * Refault distance (mm/workingset.c; Weiner 2014), in a byte a slot. The bytes are a static array of twice the node's
 * frames, indexed by the slot number modulo its length: any thread may read and write them at any time, for whatever
 * slot, without a lock. A slot beyond the length shares its byte with a lower one, which costs a wrong guess at most.
 *
 * The node's age counts evictions and transient touches. When a page leaves memory, or is read transiently, its
 * slot's shadow byte takes the age, in buckets of 1/64 of the node's frames, modulo 128. At the next touch
 *
 *     distance = (age now − shadow) mod 128        in buckets
 *
 * is how many other pages were wanted in between. A touch at a short distance from the last one is close. What is brought
 * in is a page on file at the first close touch, any other at the second in a row; otherwise it is read where it lies, and
 * costs nobody a frame.
 *
 *     bit  7       6 … 0
 *          CLOSE   bucket        CLOSE: the touch that left the byte was close to the one before
 *
 * A byte covers twice the memory; older shadows alias, which makes one touch in 128 look close. Shadow 0 means "none": a
 * bucket number of 0 is stored as 1.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';

/** Buckets that the whole of memory is long: a byte covers twice the memory. */
export const MEMORY_BUCKETS = 64;
/** Distance of a page without a shadow. */
export const NO_DISTANCE = 256;
/**
 * A touch within this many buckets of the last is close. Bringing a page in costs its decoding and, with the clean copy it
 * keeps, about two evictions, some 17 µs of two threads; a resident read saves about 1 µs over one in passing. So only a
 * page that is wanted again and again within a sixty-fourth of memory is worth it. What was measured with other windows
 * and counts is in docs/decisions.md.
 */
export const PROMOTE_BUCKETS = 1;
const CLOSE = 0x80;
const BUCKET_MASK = 0x7f;
/** Byte of the node that holds the slot's shadow. */
export function shadowByteAt(node: Node, slot: number): number {
  return node.shadowsByte + (slot & node.shadowMask);
}

export function ageBucket(node: Node): number {
  const bucket = Math.floor((node.words[L.H_AGE] >>> 0) / (node.frames / MEMORY_BUCKETS)) & BUCKET_MASK;
  return bucket === 0 ? 1 : bucket;
}

/** One page was evicted or touched in passing. Racy on purpose: a lost tick is harmless. */
export function advanceAge(node: Node): void {
  node.words[L.H_AGE] = (node.words[L.H_AGE] + 1) | 0;
}

/** Buckets since the shadow was left, NO_DISTANCE when there is none. */
export function refaultDistance(bucketNow: number, shadow: number): number {
  return shadow === 0 ? NO_DISTANCE : (bucketNow - shadow) & BUCKET_MASK;
}

export function isRefaultClose(bucketNow: number, shadow: number): boolean {
  return refaultDistance(bucketNow, shadow) < PROMOTE_BUCKETS;
}

/** The byte that a touch in `bucketNow` leaves. The kernel `readPage` does the same (assembly/read-page.ts). */
export function shadowOfTouch(bucketNow: number, shadow: number): number {
  return isRefaultClose(bucketNow, shadow) ? bucketNow | CLOSE : bucketNow;
}

/** Was the touch that left the shadow close to the one before? */
export function wasTouchClose(shadow: number): boolean {
  return (shadow & CLOSE) !== 0;
}

/** Were fewer other pages wanted in between than `frames` hold? */
export function isRefaultWithin(node: Node, bucketNow: number, shadow: number, frames: number): boolean {
  return refaultDistance(bucketNow, shadow) < (MEMORY_BUCKETS * frames) / node.frames;
}
