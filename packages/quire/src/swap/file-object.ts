/**
 * One object of the file tier in a buffer: header written, checked, decoded. The checksum covers the slot and the
 * length as well as the payload, so that an old object of another page, left in a reused segment, is never taken for
 * this one.
 *
 *   compressed   header · LZ4 block                                one checksum over all of it: none of it is any use without the rest
 *   raw          header · 1 KiB · header · 1 KiB · … four times    each part has its own, so that a reader of one checks one
 *                · sum                                             (vm/file-read.ts); the last word is one over all before it,
 *                                                                  for who reads all: a long run costs half as much a byte
 *                                                                  as four short ones
 *
 * A part that is undamaged and the slot's proves nothing by itself: behind a compressed object the parts of a page may be left
 * that the slot had at the same granule when the segment was used before. The first header says that there are parts.
 *
 * The headers of the parts and the sum fit in what a raw page of 16 granules and a header leaves of the 17th.
 */
import { AREA_LZ4_TABLE, CRC_TABLE_AT } from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { PAGE_BYTES, type SlotIndex } from '../base/units.ts';
import { decodeBlock } from './block-codec.ts';
import { FILE_GRANULE_BYTES, FILE_HEADER_BYTES, FILE_MAGIC, RAW_OBJECT } from './file-segments.ts';

/** Beside the length in an object's header: what its payload is. LZ4 without a flag, RAW_OBJECT a whole page. */
export const LZ4_OBJECT = 0;
export const ZSTD_OBJECT = 1 << 30;
const LENGTH_MASK = 0xffff;

/** Parts of a raw page. A small read wants one of them; more parts would cost a header each. */
export const RAW_PARTS = 4;
export const RAW_PART_BYTES = PAGE_BYTES / RAW_PARTS;
/** From one part to the next. */
export const RAW_PART_STRIDE = FILE_HEADER_BYTES + RAW_PART_BYTES;
/** The number of a part stands above the length. */
const PART_SHIFT = 16;
/** The parts of a raw page, and the sum behind them. */
const RAW_PARTS_BYTES = RAW_PARTS * RAW_PART_STRIDE;
const RAW_SUM_BYTES = 4;
/** Largest object: a raw page, its headers and its sum. */
export const FILE_OBJECT_BYTES_MAX = RAW_PARTS_BYTES + RAW_SUM_BYTES;

assert(FILE_OBJECT_BYTES_MAX <= granulesFor(PAGE_BYTES) * FILE_GRANULE_BYTES, 'headers of the parts fit the object');

/** Granules an object with `length` payload bytes takes. */
export function granulesFor(length: number): number {
  return Math.ceil((FILE_HEADER_BYTES + length) / FILE_GRANULE_BYTES);
}

/** Writes the header of the object at node byte `byte`; the payload is there already, in one piece. `form`: LZ4_, ZSTD_ or RAW_OBJECT. */
export function sealObject(node: Node, byte: number, slot: SlotIndex, length: number, form: number): void {
  if (form !== RAW_OBJECT) {
    sealRun(node, byte, slot, length | form, length);
    return;
  }
  assert(length === PAGE_BYTES, 'raw object is a page', length);
  // From the last on: each moves into the room of the next, which has moved away.
  for (let part = RAW_PARTS - 1; part >= 0; part--) {
    const header = byte + part * RAW_PART_STRIDE;
    const from = byte + FILE_HEADER_BYTES + part * RAW_PART_BYTES;
    if (part > 0) node.kernel.copy((header + FILE_HEADER_BYTES) | 0, from | 0, RAW_PART_BYTES);
    sealRun(node, header, slot, rawWord(part), RAW_PART_BYTES);
  }
  node.words[(byte + RAW_PARTS_BYTES) >>> 2] = crc(node, 0, byte, RAW_PARTS_BYTES);
}

function sealRun(node: Node, byte: number, slot: number, lengthWord: number, length: number): void {
  const word = byte >>> 2;
  node.words[word] = slot;
  node.words[word + 1] = lengthWord;
  node.words[word + 3] = FILE_MAGIC;
  node.words[word + 2] = checksum(node, byte, length);
}

/** Second word of a part's header. */
function rawWord(part: number): number {
  return PAGE_BYTES | (part << PART_SHIFT) | RAW_OBJECT;
}

/** True when the `available` bytes at node byte `byte` are an undamaged object of `slot`. */
export function isObjectOf(node: Node, byte: number, slot: number, available: number): boolean {
  return node.words[byte >>> 2] === slot && isObject(node, byte, available);
}

export function isObject(node: Node, byte: number, available: number): boolean {
  const word = byte >>> 2;
  if (available < FILE_HEADER_BYTES || node.words[word + 3] !== FILE_MAGIC) return false;
  if (isRawAt(node, byte))
    return (
      available >= FILE_OBJECT_BYTES_MAX &&
      node.words[(byte + RAW_PARTS_BYTES) >>> 2] === crc(node, 0, byte, RAW_PARTS_BYTES)
    );
  const length = lengthIn(node.words[word + 1]);
  if (!isBlockWord(node.words[word + 1]) || length > available - FILE_HEADER_BYTES) return false;
  return node.words[word + 2] === checksum(node, byte, length);
}

/**
 * Bytes of the slot's object, header included, as its header at `words[at]` says; −1 when that is none of the slot's. For who
 * could not read as much as the largest object takes: what lies behind this one may be unreadable.
 */
export function storedBytes(words: Int32Array, at: number, slot: number): number {
  if (words[at] !== slot || words[at + 3] !== FILE_MAGIC) return -1;
  if (words[at + 1] === rawWord(0)) return FILE_OBJECT_BYTES_MAX;
  return isBlockWord(words[at + 1]) ? FILE_HEADER_BYTES + lengthIn(words[at + 1]) : -1;
}

/** The object's header says that it is raw. */
export function isRawAt(node: Node, byte: number): boolean {
  return node.words[(byte >>> 2) + 1] === rawWord(0);
}

/** Bytes of a raw page's object up to the end of the part that has the page's byte before `end`. */
export function partsLength(end: number): number {
  return Math.ceil(end / RAW_PART_BYTES) * RAW_PART_STRIDE;
}

/**
 * Copies bytes `from` to `end` of the slot's raw page, whose object lies at node byte `byte`, at least `partsLength(end)` bytes of
 * it, to their places in the page at `target`. False when the object is none of a raw page, or a part with some of these bytes
 * is damaged.
 */
export function copyParts(node: Node, byte: number, slot: number, target: number, from: number, end: number): boolean {
  const to = (target + from) | 0;
  return node.kernel.copyParts(slot, byte | 0, from, end, to, CRC_TABLE_AT * 4, scratchOf(node)) === 1;
}

/** Copies all of a raw page whose object, at node byte `byte`, was checked as a whole. */
export function copyRaw(node: Node, byte: number, target: number): void {
  for (let part = 0; part < RAW_PARTS; part++) {
    const from = byte + part * RAW_PART_STRIDE + FILE_HEADER_BYTES;
    node.kernel.copy((target + part * RAW_PART_BYTES) | 0, from | 0, RAW_PART_BYTES);
  }
}

export function objectLength(node: Node, byte: number): number {
  return lengthIn(node.words[(byte >>> 2) + 1]);
}

/** Payload bytes, by word 1 of a header. */
export function lengthIn(word: number): number {
  return word & LENGTH_MASK;
}

/** Is this the second word of a compressed object? */
function isBlockWord(word: number): boolean {
  const length = lengthIn(word);
  return (word & ~(LENGTH_MASK | ZSTD_OBJECT)) === 0 && length > 0 && length <= PAGE_BYTES;
}

export function isZstdObject(node: Node, byte: number): boolean {
  return (node.words[(byte >>> 2) + 1] & ZSTD_OBJECT) !== 0;
}

export function objectSlot(node: Node, byte: number): SlotIndex {
  return node.words[byte >>> 2] as SlotIndex;
}

/** Decodes at least `wanted` bytes of the page into kernel address `target`. False when the payload is malformed. */
export function decodeObject(node: Node, byte: number, target: number, wanted: number): boolean {
  if (isRawAt(node, byte)) {
    copyRaw(node, byte, target);
    return true;
  }
  const payload = (byte + FILE_HEADER_BYTES) | 0;
  const isZstd = isZstdObject(node, byte);
  return decodeBlock(node, payload, objectLength(node, byte), isZstd, target, wanted, PAGE_BYTES) >= wanted;
}

function checksum(node: Node, byte: number, length: number): number {
  return crc(node, crc(node, 0, byte, 8), byte + FILE_HEADER_BYTES, length);
}

function crc(node: Node, seed: number, byte: number, length: number): number {
  return node.kernel.crc32c(seed, byte | 0, length, CRC_TABLE_AT * 4, scratchOf(node)) | 0;
}

/** Scratch memory of the checksum is that of the compressor, which runs before or after. */
function scratchOf(node: Node): number {
  return (node.areaByte + AREA_LZ4_TABLE) | 0;
}
