/**
 * The usual reads of a page by one call of the kernel `readPage` (assembly/read-page.ts), which leaves the bytes in memory of
 * this thread, or says where on file they are (vm/file-read.ts). Protocol and outcome are those of `RegionSpace.openRead`,
 * which does the rest.
 */
import { LOADS_STAY_IN_ORDER } from '../arena/fence.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { PROMOTE_BUCKETS } from '../reclaim/working-set.ts';

/* What `readPage` returns. */
export const READ_OTHERWISE = 0;
export const READ_RESIDENT = 1;
export const READ_TRANSIENT = 2;
/** Nothing is read yet: the words of the block from FOUND_SLOT on say where the page is. */
export const READ_ON_FILE = 3;

/* What `readPage` leaves in the block, in words from its start. */
export const FOUND_SLOT = 16;
export const FOUND_SEQUENCE = 17;
export const FOUND_GRANULE = 18;
export const FOUND_SHADOW = 19;

/** The table of the compressor, which is any bytes between two pages: nothing is compressed before a read is copied out. */
const AREA_READ = L.AREA_LZ4_TABLE;
/** Reads of one size at its multiples, down to 256 bytes, find a view each. */
const VIEW_SHIFT = 8;
const LENGTH_BITS = 13;

/** Tells the kernel where things are, once a thread. The fields of `ReadBlock`, in order. */
export function writeReadBlock(node: Node): void {
  const { words } = node;
  const fields = [
    node.frames,
    node.versionAt * 4,
    node.touchAt * 4,
    node.slotAt * 4,
    L.SEQUENCES_AT * 4,
    L.SEQUENCE_WORDS - 1,
    node.isVirtual ? L.CLUSTER_ROOTS_AT * 4 : 0,
    node.shadowsByte,
    node.shadowMask,
    L.H_AGE * 4,
    node.gatherByte,
    node.areaByte + AREA_READ,
    PROMOTE_BUCKETS,
    LOADS_STAY_IN_ORDER ? 1 : 0,
    L.H_STATE * 4,
    L.CRC_TABLE_AT * 4,
  ];
  assert(fields.length === FOUND_SLOT, 'fields of the read block', fields.length);
  words.set(fields, node.readBlock / 4);
}

/** Kernel address of byte `from` of what the next read leaves. */
export function placeOfRead(node: Node, from: number): number {
  return (node.areaByte + AREA_READ + from) | 0;
}

/** The bytes that the last `readPage` of this thread left. Making a view costs more than a kilobyte's copy: they are kept. */
export function bytesRead(node: Node, from: number, length: number): Uint8Array {
  const index = (from >>> VIEW_SHIFT) & (node.readKeys.length - 1);
  const key = (from << LENGTH_BITS) | length;
  if (node.readKeys[index] !== key) {
    const start = node.areaByte + AREA_READ + from;
    node.readKeys[index] = key;
    node.readViews[index] = node.bytes.subarray(start, start + length);
  }
  return node.readViews[index];
}
