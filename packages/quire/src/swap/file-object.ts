/**
 * One object of the file tier in a buffer: header written, checked, decoded. The checksum covers the slot and the
 * length as well as the payload, so that an old object of another page, left in a reused segment, is never taken for
 * this one.
 */
import { CRC_TABLE_AT } from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { PAGE_BYTES, type SlotIndex } from '../base/units.ts';
import { FILE_GRANULE_BYTES, FILE_HEADER_BYTES, FILE_MAGIC, RAW_OBJECT } from './file-segments.ts';

/** Largest object: a raw page and its header. */
export const FILE_OBJECT_BYTES_MAX = FILE_HEADER_BYTES + PAGE_BYTES;

/** Granules an object with `length` payload bytes takes. */
export function granulesFor(length: number): number {
  return Math.ceil((FILE_HEADER_BYTES + length) / FILE_GRANULE_BYTES);
}

/** Writes the header of the object at node byte `byte`; the payload is there already. */
export function sealObject(node: Node, byte: number, slot: SlotIndex, length: number, raw: boolean): void {
  const word = byte >>> 2;
  node.words[word] = slot;
  node.words[word + 1] = raw ? length | RAW_OBJECT : length;
  node.words[word + 3] = FILE_MAGIC;
  node.words[word + 2] = checksum(node, byte, length);
}

/** True when the `available` bytes at node byte `byte` are an undamaged object of `slot`. */
export function isObjectOf(node: Node, byte: number, slot: number, available: number): boolean {
  return node.words[byte >>> 2] === slot && isObject(node, byte, available);
}

export function isObject(node: Node, byte: number, available: number): boolean {
  const word = byte >>> 2;
  if (available < FILE_HEADER_BYTES || node.words[word + 3] !== FILE_MAGIC) return false;
  const length = objectLength(node, byte);
  if (length <= 0 || length > PAGE_BYTES || length > available - FILE_HEADER_BYTES) return false;
  return node.words[word + 2] === checksum(node, byte, length);
}

export function objectLength(node: Node, byte: number): number {
  return node.words[(byte >>> 2) + 1] & ~RAW_OBJECT;
}

/** Its payload is the page as it was. */
export function isRawObject(node: Node, byte: number): boolean {
  return node.words[(byte >>> 2) + 1] < 0;
}

export function objectSlot(node: Node, byte: number): SlotIndex {
  return node.words[byte >>> 2] as SlotIndex;
}

/** Decodes at least `wanted` bytes of the page into kernel address `target`. False when the payload is malformed. */
export function decodeObject(node: Node, byte: number, target: number, wanted: number): boolean {
  const length = objectLength(node, byte);
  const payload = (byte + FILE_HEADER_BYTES) | 0;
  if (isRawObject(node, byte)) {
    node.kernel.copy(target, payload, Math.min(length, PAGE_BYTES));
    return length === PAGE_BYTES;
  }
  return node.kernel.decompressPartial(payload, length, target, wanted, PAGE_BYTES) >= wanted;
}

function checksum(node: Node, byte: number, length: number): number {
  const table = CRC_TABLE_AT * 4;
  const head = node.kernel.crc32c(0, byte | 0, 8, table);
  return node.kernel.crc32c(head, (byte + FILE_HEADER_BYTES) | 0, length, table) | 0;
}
