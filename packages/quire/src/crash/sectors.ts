/**
 * Contents that check themselves: a file is a row of 512-byte sectors, each of which names its file, its place and
 * the version that wrote it, and is filled with what follows from these. A sector that is not zero and does not match
 * its own name is garbage.
 */
export const SECTOR_BYTES = 512;
const MAGIC = 0x7175_6972;
const HEAD_WORDS = 4;

/** Version of a sector of zeros: never written, or cut off and grown over. */
export const VERSION_ZERO = 0;
/** The sector's bytes are nobody's. */
export const VERSION_GARBAGE = -1;

export function fillSectors(file: number, first: number, count: number, version: number): Uint8Array {
  const bytes = new Uint8Array(count * SECTOR_BYTES);
  const words = new Int32Array(bytes.buffer);
  for (let i = 0; i < count; i++) fillSector(words.subarray(i * 128, (i + 1) * 128), file, first + i, version);
  return bytes;
}

function fillSector(words: Int32Array, file: number, sector: number, version: number): void {
  words[0] = MAGIC ^ file;
  words[1] = sector;
  words[2] = version;
  words[3] = ~version;
  let state = Math.imul(sector ^ (version << 7) ^ (file << 20), 0x9e37_79b1) | 1;
  for (let at = HEAD_WORDS; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
}

const expected = new Int32Array(SECTOR_BYTES / 4);

/** The version that wrote sector `sector`, which is number `index` in `bytes`; in an image of the file the same. */
export function versionOf(bytes: Uint8Array, file: number, sector: number, index = sector): number {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + index * SECTOR_BYTES, SECTOR_BYTES / 4);
  if (words.every((word) => word === 0)) return VERSION_ZERO;
  fillSector(expected, file, sector, words[2]);
  return words[2] > 0 && words.every((word, at) => word === expected[at]) ? words[2] : VERSION_GARBAGE;
}
