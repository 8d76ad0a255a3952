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
 * Checks the parts that have bytes `from` to `end` of the slot's page, the first of which lies at `parts`, and copies these
 * bytes to `target`. 0, and nothing is copied, when one of them is damaged or not the slot's. `table` and `scratch` are the
 * checksum's; `target` may lie in `scratch`.
 */
export function copyParts(
  slot: u32,
  parts: usize,
  from: u32,
  end: u32,
  target: usize,
  table: usize,
  scratch: usize,
): i32 {
  const first = from / PART_BYTES;
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
  const isHeader =
    i32(load<u32>(at) == slot) &
    i32(load<u32>(at, 4) == (RAW_WORD | (part << PART_SHIFT))) &
    i32(load<u32>(at, 12) == MAGIC);
  if (!isHeader) return false;
  const sum = remainder(remainder(0, at, 8, table, scratch), at + HEADER_BYTES, PART_BYTES, table, scratch);
  return load<u32>(at, 8) == sum;
}
