import { copy } from './copy';
import { remainder } from './crc32c';

/**
 * Parts of a raw page in the file (src/swap/file-object.ts): header and 1 KiB, four times, each with a checksum of its own.
 */
export const PART_BYTES: u32 = 1024;
const HEADER_BYTES: u32 = 16;
const PART_STRIDE: u32 = HEADER_BYTES + PART_BYTES;
/** Second word of a part's header: RAW_OBJECT, the part's number above the page's length. */
const RAW_WORD: u32 = 0x8000_1000;
const PART_SHIFT: u32 = 16;
const MAGIC: u32 = 0x4a42_4f51;

/**
 * Checks those parts of the slot's object at `object` that have bytes `from` to `end` of its page, and copies these bytes to
 * `target`. 0, and nothing is copied, when one of them is damaged or the object is no raw page of the slot's. What lies
 * behind the last of them is not looked at. `table` and `scratch` are the checksum's; `target` may lie in `scratch`.
 *
 * Only the first header says that the object is raw. Behind a compressed one lies anything, and that may be the further parts
 * of a page that the slot had in the same place when the segment was used before: undamaged, and nothing in them is old.
 */
export function copyParts(
  slot: u32,
  object: usize,
  from: u32,
  end: u32,
  target: usize,
  table: usize,
  scratch: usize,
): i32 {
  if (!isHeader(slot, 0, object)) return 0;
  const first = from / PART_BYTES;
  const parts = object + first * PART_STRIDE;
  let at = parts;
  for (let part = first; part * PART_BYTES < end; part++, at += PART_STRIDE) {
    if (!isPart(slot, part, at, table, scratch)) return 0;
  }
  at = parts;
  for (let part = first; part * PART_BYTES < end; part++, at += PART_STRIDE) {
    const begin = max(from, part * PART_BYTES);
    const length = min(end, (part + 1) * PART_BYTES) - begin;
    copy(target + (begin - from), at + HEADER_BYTES + (begin - part * PART_BYTES), length);
  }
  return 1;
}

@inline
function isPart(slot: u32, part: u32, at: usize, table: usize, scratch: usize): bool {
  if (!isHeader(slot, part, at)) return false;
  const sum = remainder(remainder(0, at, 8, table, scratch), at + HEADER_BYTES, PART_BYTES, table, scratch);
  return load<u32>(at, 8) == sum;
}

@inline
function isHeader(slot: u32, part: u32, at: usize): bool {
  const isOfPart = i32(load<u32>(at) == slot) & i32(load<u32>(at, 4) == (RAW_WORD | (part << PART_SHIFT)));
  return <bool>(isOfPart & i32(load<u32>(at, 12) == MAGIC));
}
