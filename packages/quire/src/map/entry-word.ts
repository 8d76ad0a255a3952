/**
 * An entry of the index: 8 bytes, in which split, eviction and expiry find all they need without touching the record.
 *
 * ```
 * word 0   location, low 32 bits
 * word 1   hash bits 8..31 (24) | use count (2) | expiring (1) | location, high 5 bits
 * ```
 * The bucket's own number supplies hash bits 0..7, so the whole hash is known. Both words 0: empty. High location
 * bits all ones: the last slot of a bucket is a link, word 0 = number of the overflow bucket.
 */
export const TAG_MASK = 0xffff_ff00 | 0;
export const USE_SHIFT = 6;
export const USE_MASK = 0b1100_0000;
export const USE_MAX = 3;
export const EXPIRING = 0b10_0000;
export const HIGH_MASK = 0b1_1111;
export const LINK = HIGH_MASK;

/** Word 1 of a new entry; its use count is 0. */
export function entryWord(hash: number, location: number, isExpiring: boolean): number {
  return (hash & TAG_MASK) | (isExpiring ? EXPIRING : 0) | Math.floor(location / WORD);
}

export function locationOf(word0: number, word1: number): number {
  return (word1 & HIGH_MASK) * WORD + (word0 >>> 0);
}

export function useOf(word1: number): number {
  return (word1 & USE_MASK) >> USE_SHIFT;
}

export function isLink(word1: number): boolean {
  return (word1 & HIGH_MASK) === LINK;
}

/** The hash of an entry that stands in the chain of home bucket `home`. */
export function hashOfEntry(word1: number, home: number): number {
  return (word1 & TAG_MASK) | (home & 0xff);
}

const WORD = 0x1_0000_0000;
