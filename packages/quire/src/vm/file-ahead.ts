/**
 * Readahead of the file tier, by slots. Pages that follow each other in a region usually went out together, so their objects are
 * neighbours in the log. A thread that reads pages in order fetches the objects of the next pages with the one it wants, in
 * one read, into its staging buffer, and takes them from there when their turn comes. No page table is touched, no frame
 * taken: what was read for nothing costs its bytes of one read, and pages in memory tiers are passed over.
 *
 *        entries   p  p+1  p+2  p+3  …            slots say:   p  at g,  p+2  at g + 17,  p+3  at g + 22,  p+1  in memory
 *        file      … │ p │ p+2 │ p+3 │ …          one read of [g, end of p+3), within a segment (a segment lies on one device)
 *
 * What was kept is a page's as long as its slot's sequence is the one noted before the read, if the slot named that
 * granule then: the sequence moves before an object's place can be used again (vm/swap-in.ts; all schedules of a small model
 * in vm/file-ahead.interleaving.test.ts). An entry that was read from a freed leaf can do no harm: it names some slot, and
 * that slot's own word and sequence are what is noted.
 *
 * The window, in pages, doubles when all of the last one was used and halves when less than half was (swap_state.c of Linux,
 * `swapin_nr_pages`; counters `swap_ra`, `swap_ra_hit`).
 */

import { AREA_STAGING_BYTES } from '../arena/layout.ts';
import { FILE_AHEAD_PAGES_MAX, type Node } from '../arena/node.ts';
import { isSwapped, slotFromPte } from '../arena/pte.ts';
import { C } from '../base/counters.ts';
import type { Device } from '../base/port.ts';
import { PAGE_BYTES, UNIT_BYTES } from '../base/units.ts';
import {
  copyParts,
  decodeObject,
  FILE_OBJECT_BYTES_MAX,
  granulesFor,
  isObjectOf,
  isRawAt,
  RAW_PART_BYTES,
} from '../swap/file-object.ts';
import { FILE_GRANULE_BYTES, fileOffset, SEGMENT_GRANULES } from '../swap/file-segments.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot, sequenceAt } from '../swap/swap-table.ts';

/** Behind the unit that the thread keeps (vm/unit-read.ts). Ten raw pages: one more in a read would save less than a tenth of a call. */
const AHEAD_GRANULES = Math.floor((AREA_STAGING_BYTES - UNIT_BYTES) / FILE_GRANULE_BYTES);
const OBJECT_GRANULES_MAX = granulesFor(PAGE_BYTES);
const WINDOW_MIN = 2;
/** Pages too far away that one read passes over. */
const PASSED_MAX = 2;
const LEAF_ENTRIES = 512;

/** First byte of the buffer. */
function aheadByte(node: Node): number {
  return node.stagingByte + UNIT_BYTES;
}

/** Node byte of the slot's object in the buffer, −1 when it is not there. `sequence` as for `readStorage`. */
export function findAhead(node: Node, slot: number, granule: number, sequence: number): number {
  const { ahead } = node;
  for (let i = 0; i < ahead.count; i++) {
    if (ahead.slots[i] !== slot) continue;
    if (ahead.granules[i] !== granule || ahead.sequences[i] !== sequence) return -1;
    if ((ahead.used & (1 << i)) === 0) node.counters[C.swap_ra_hit]++;
    ahead.used |= 1 << i;
    return byteOf(node, granule);
  }
  return -1;
}

/** May the slot's object be in the buffer? */
export function isAhead(node: Node, slot: number): boolean {
  const { ahead } = node;
  for (let i = 0; i < ahead.count; i++) if (ahead.slots[i] === slot) return true;
  return false;
}

/**
 * Reads the slot's object and those of the pages behind `entry`. Returns the node byte of the slot's, −1 when the device
 * failed or nothing of the pages behind lies near by. `sequence` is the slot's, loaded earlier.
 */
export function readAhead(
  node: Node,
  device: Device,
  entry: number,
  slot: number,
  granule: number,
  sequence: number,
): number {
  const { ahead } = node;
  const pages = planAhead(node, entry, slot, granule, sequence);
  if (pages === 1) return -1;
  try {
    ahead.bytes = waitForDevice(node, device, fileOffset(node, ahead.granule), aheadByte(node), ahead.bytes);
  } catch {
    return -1;
  }
  keepAhead(node, pages);
  return byteOf(node, granule);
}

/**
 * As `readAhead`, without blocking the thread. What was read is put into the buffer by the function that is returned,
 * undefined when nothing was.
 */
export async function readAheadAsync(
  node: Node,
  device: Device,
  entry: number,
  slot: number,
  granule: number,
  sequence: number,
): Promise<(() => void) | undefined> {
  const { ahead } = node;
  const pages = planAhead(node, entry, slot, granule, sequence);
  if (pages === 1) return undefined;
  // Other calls of this thread may read ahead meanwhile: what was noted comes back with the bytes.
  const { granule: first, bytes } = ahead;
  const slots = ahead.slots.slice(0, pages);
  const granules = ahead.granules.slice(0, pages);
  const sequences = ahead.sequences.slice(0, pages);
  const buffer = new Uint8Array(bytes);
  let got = 0;
  try {
    got = await device.readAsync(fileOffset(node, first), buffer, 0, bytes);
  } catch {
    return undefined;
  }
  return () => {
    node.bytes.set(buffer, aheadByte(node));
    ahead.slots.set(slots);
    ahead.granules.set(granules);
    ahead.sequences.set(sequences);
    ahead.granule = first;
    ahead.bytes = got;
    ahead.used = 1;
    keepAhead(node, pages);
  };
}

/** Notes what to read: `ahead.granule` and `ahead.bytes`. Nothing is kept any more. Returns the pages noted, the slot's included. */
function planAhead(node: Node, entry: number, slot: number, granule: number, sequence: number): number {
  const { ahead } = node;
  sizeWindow(node);
  ahead.used = 1;
  ahead.count = 0;
  note(node, slot, granule, sequence);
  noteNext(node, entry, granule);
  const pages = ahead.count;
  ahead.count = 0;
  return pages;
}

function keepAhead(node: Node, pages: number): void {
  countFileRead(node, node.ahead.bytes);
  node.counters[C.swap_ra] += pages - 1;
  node.ahead.count = pages;
}

/** Where the object at `granule` lies in the buffer. */
function byteOf(node: Node, granule: number): number {
  return aheadByte(node) + (granule - node.ahead.granule) * FILE_GRANULE_BYTES;
}

function sizeWindow(node: Node): void {
  const { ahead } = node;
  if (ahead.count === 0) return;
  const used = bitsOf(ahead.used);
  if (used === ahead.count) ahead.window = Math.min(ahead.window * 2, FILE_AHEAD_PAGES_MAX);
  else if (used * 2 < ahead.count) ahead.window = Math.max(ahead.window >> 1, WINDOW_MIN);
}

function bitsOf(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/**
 * Notes pages behind `entry` in its leaf whose objects lie near that of the first, before or behind it: the demoter writes what
 * its clock finds, and that may be the wrong way round. Few may be too far away: at the first of them the next read will
 * begin, and what lies behind it was read for nothing.
 */
function noteNext(node: Node, entry: number, first: number): void {
  const { ahead, words } = node;
  const segmentStart = first - (first % SEGMENT_GRANULES);
  const segmentEnd = segmentStart + SEGMENT_GRANULES;
  const leafEnd = entry - (entry % LEAF_ENTRIES) + LEAF_ENTRIES;
  let passed = 0;
  let start = first;
  let end = Math.min(first + OBJECT_GRANULES_MAX, segmentEnd);
  const last = Math.min(entry + FILE_AHEAD_PAGES_MAX, leafEnd);
  for (let at = entry + 1; at < last && ahead.count < ahead.window; at++) {
    const pte = Atomics.load(words, at);
    if (!isSwapped(pte)) continue;
    const slot = slotFromPte(pte);
    const sequence = Atomics.load(words, sequenceAt(slot));
    const word = peekSlot(node, slot) & ~W.SLOT_CACHED;
    const granule = W.payloadOf(word);
    if (W.tagOf(word) !== W.SLOT_FILE) continue;
    const isNear = granule >= segmentStart && granule < segmentEnd;
    const newStart = Math.min(start, granule);
    const newEnd = Math.max(end, Math.min(granule + OBJECT_GRANULES_MAX, segmentEnd));
    if (!isNear || newEnd - newStart > AHEAD_GRANULES) {
      if (++passed > PASSED_MAX) break;
      continue;
    }
    start = newStart;
    end = newEnd;
    note(node, slot, granule, sequence);
  }
  ahead.granule = start;
  ahead.bytes = (end - start) * FILE_GRANULE_BYTES;
}

function note(node: Node, slot: number, granule: number, sequence: number): void {
  const { ahead } = node;
  ahead.slots[ahead.count] = slot;
  ahead.granules[ahead.count] = granule;
  ahead.sequences[ahead.count] = sequence;
  ahead.count++;
}

/** Bytes `from` to `wanted` of the page whose object lies at `byte` of the buffer. False when it is not an undamaged object of the slot. */
export function decodeAhead(
  node: Node,
  byte: number,
  slot: number,
  target: number,
  from: number,
  wanted: number,
): boolean {
  const available = node.ahead.bytes - (byte - aheadByte(node));
  node.ahead.object = byte;
  node.ahead.objectBytes = available;
  const isAll = from < RAW_PART_BYTES && wanted > PAGE_BYTES - RAW_PART_BYTES;
  if (isAll || available < FILE_OBJECT_BYTES_MAX || !isRawAt(node, byte)) {
    return isObjectOf(node, byte, slot, available) && decodeObject(node, byte, target, wanted);
  }
  return copyParts(node, byte, slot, target, from, wanted);
}

/** Reads into the node's memory. The thread waits meanwhile, which counts as pressure. Throws what the device throws. */
export function waitForDevice(node: Node, device: Device, offset: number, byte: number, length: number): number {
  node.stalls?.beginWait();
  try {
    return device.read(offset, node.bytes, byte, length);
  } finally {
    node.stalls?.endWait();
  }
}

export function countFileRead(node: Node, bytes: number): void {
  node.counters[C.file_reads]++;
  node.counters[C.file_bytes_read] += bytes;
}
