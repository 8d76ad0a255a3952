/**
 * The word of a slot: where the page behind it is. One 32-bit word, so it is read and written atomically and a tier
 * move is one store.
 *
 *   31     30..3     2..0
 *   CACHED payload   tag
 *
 *   FREE    0                        nobody owns the slot
 *   FRAME   pfn                      swap-out in flight: the page is still in its frame (the swap cache)
 *   SAME    byte                     every byte of the page has this value; no storage
 *   OBJECT  pfn << 8 | granule       compressed, in a zspage: starts 16 · granule bytes into frame pfn
 *   RAW     pfn                      incompressible, kept as a whole frame
 *   FILE    granule                  in the file tier, at 256 · granule bytes
 *   LOST    error                    the only copy was damaged or could not be read back: readers get the error
 *           3                        bad: nobody owns the slot, and it is never handed out
 *   EMPTY   –                        owned, nothing behind it: the page is resident and its clean copy was dropped
 *
 * CACHED: a resident page keeps this slot as its clean copy. The storage may be dropped (the slot becomes EMPTY)
 * without losing data.
 */
export const SLOT_FREE = 0;
export const SLOT_FRAME = 1;
export const SLOT_SAME = 2;
export const SLOT_OBJECT = 3;
export const SLOT_RAW = 4;
export const SLOT_FILE = 5;
export const SLOT_LOST = 6;
export const SLOT_EMPTY = 7;

const TAG_MASK = 7;
const PAYLOAD_SHIFT = 3;
const PAYLOAD_MASK = 0x0fff_ffff;
export const SLOT_CACHED = 1 << 31;

export const LOST_CORRUPT = 1;
export const LOST_IO = 2;
const LOST_BAD = 3;

export function slotWord(tag: number, payload: number): number {
  return (payload << PAYLOAD_SHIFT) | tag;
}

export function tagOf(word: number): number {
  return word & TAG_MASK;
}

export function payloadOf(word: number): number {
  return (word >>> PAYLOAD_SHIFT) & PAYLOAD_MASK;
}

export function isCached(word: number): boolean {
  return word < 0;
}

/** Nobody owns the slot and nobody ever will (markBadLocked). */
export const SLOT_BAD = slotWord(SLOT_LOST, LOST_BAD);

/** Names for messages, traces and stats, by tag. */
export const SLOT_TAG_NAMES = ['free', 'frame', 'zero', 'compressed', 'raw', 'file', 'lost', 'empty'] as const;

/* The object location inside an OBJECT word. */
export const GRANULE_BYTES = 16;

export function objectLocation(pfn: number, offsetBytes: number): number {
  return (pfn << 8) | (offsetBytes >> 4);
}

export function locationPfn(location: number): number {
  return location >>> 8;
}

export function locationOffsetBytes(location: number): number {
  return (location & 0xff) << 4;
}
