/**
 * Space of the file tier: on each device a log of 256 KiB segments, written front to back, never in place. Which numbers
 * are whose, and where they lie, is in swap/file-devices.ts. A segment is reused when none of its objects is live any
 * more; the cleaner (swap/file-cleaner.ts) makes that happen. The free segment with the lowest number is taken first, so
 * that the end of the file comes free.
 *
 *   segment word   state (2 bits) | OPEN, CLOSED, BAD: live objects << 2 | objects written << 13
 *
 * A segment that does not take a write is BAD (swap/bad-segments.ts): not opened again; what it has can be read and moved.
 *
 * Segment words are in frames of 1,024, made when a segment of theirs is first used. An object begins at a granule of
 * 256 bytes:
 *
 *   word 0 slot | word 1 length in bytes, RAW_OBJECT when not compressed, ZSTD_OBJECT when by zstd (file-object.ts)
 *   word 2 CRC32C of words 0, 1 and the payload | word 3 'QOBJ' | payload
 *
 * The slot in the header is the reverse map: what the cleaner asks the swap table about.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { NO_PFN, PAGE_WORDS } from '../base/units.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { allocTableFrameLocked } from '../page-alloc/table-slab.ts';
import {
  CHUNK_SEGMENTS,
  deviceAt,
  deviceOfSegment,
  nextDeviceLocked,
  placeInDevice,
  SEGMENT_BYTES,
  SEGMENT_GRANULES,
  tookBatchLocked,
} from './file-devices.ts';

export { FILE_GRANULE_BYTES, fileOffset, SEGMENT_BYTES, SEGMENT_GRANULES, SEGMENTS_MAX } from './file-devices.ts';

export const FILE_HEADER_BYTES = 16;
export const FILE_MAGIC = 0x4a42_4f51; // 'QOBJ'
export const RAW_OBJECT = 0x8000_0000 | 0;
/** Kept free on each device so that the cleaner always has somewhere to move live objects to. */
export const SPARE_SEGMENTS = 2;

export const SEGMENT_FREE = 0; // its word may not even exist
export const SEGMENT_BAD = 1;
export const SEGMENT_OPEN = 2;
export const SEGMENT_CLOSED = 3;

export const LIVE_MASK = 0x7ff;

export function segmentState(word: number): number {
  return word & 3;
}
export function segmentLive(word: number): number {
  return (word >>> 2) & LIVE_MASK;
}
export function segmentWritten(word: number): number {
  return (word >>> 13) & LIVE_MASK;
}
function segmentWord(state: number, live: number, written: number): number {
  return state | (live << 2) | (written << 13);
}

/** Word index of a segment's word, 0 when its frame does not exist. */
export function segmentAt(node: Node, segment: number): number {
  const root = node.words[L.FILE_SEGMENT_ROOTS_AT + (segment >> 10)];
  return root === 0 ? 0 : root * PAGE_WORDS + (segment & (CHUNK_SEGMENTS - 1));
}

/** Segments that can still be opened, on all devices. */
export function freeSegments(node: Node): number {
  let free = 0;
  for (let device = 0; device < L.DEVICES_MAX; device++) free += node.words[deviceAt(device) + L.V_FREE];
  return free;
}

/**
 * Room for `granules` in a row, on the device whose turn it is and that has it; `skip` has a bit for each device that
 * must not be taken. `spare` says how many segments must stay free there (0 for the cleaner). Returns the first
 * granule, or −1 when all are full.
 */
export function reserveLocked(node: Node, granules: number, spare: number, skip = 0): number {
  assert(granules > 0 && granules <= SEGMENT_GRANULES, 'granules of one batch', granules);
  let tried = skip;
  for (let turn = 0; turn < L.DEVICES_MAX; turn++) {
    const device = nextDeviceLocked(node, tried);
    if (device < 0) return -1;
    const first = reserveOn(node, device, granules, spare);
    if (first >= 0) {
      tookBatchLocked(node, device);
      return first;
    }
    tried |= 1 << device;
  }
  return -1;
}

/** Granules left in the open segment of the device whose turn it is; 0 when it has none open. */
export function roomInOpenLocked(node: Node): number {
  const device = nextDeviceLocked(node, 0);
  const at = deviceAt(device);
  return device < 0 || node.words[at + L.V_OPEN_SEGMENT] === 0
    ? 0
    : SEGMENT_GRANULES - node.words[at + L.V_OPEN_GRANULE];
}

function reserveOn(node: Node, device: number, granules: number, spare: number): number {
  const { words } = node;
  const at = deviceAt(device);
  const open = words[at + L.V_OPEN_SEGMENT] - 1;
  if (open < 0 || words[at + L.V_OPEN_GRANULE] + granules > SEGMENT_GRANULES) {
    const next = openSegment(node, device, spare);
    if (next < 0) return -1;
    if (open >= 0) closeSegment(node, open);
    words[at + L.V_OPEN_SEGMENT] = next + 1;
    words[at + L.V_OPEN_GRANULE] = 0;
  }
  const segment = words[at + L.V_OPEN_SEGMENT] - 1;
  const first = segment * SEGMENT_GRANULES + words[at + L.V_OPEN_GRANULE];
  words[at + L.V_OPEN_GRANULE] += granules;
  // A batch in flight counts as one live object, so that the segment cannot be reused before its writer is done.
  addLive(node, segment, 1, 0);
  words[L.H_FILE_BATCH] = first + 1;
  return first;
}

/** The batch reserved at `granule` is done: `live` of its `written` objects are in use. */
export function commitLocked(node: Node, granule: number, live: number, written: number): void {
  const segment = Math.floor(granule / SEGMENT_GRANULES);
  const at = deviceAt(deviceOfSegment(node, segment));
  node.words[L.H_FILE_BATCH] = 0;
  node.words[at + L.V_LIVE] += live;
  node.words[at + L.V_WRITTEN] += written;
  addLive(node, segment, live - 1, written);
  freeIfEmpty(node, segment);
}

/** An object of the file is no longer needed. */
export function fileFreeLocked(node: Node, granule: number): void {
  const segment = Math.floor(granule / SEGMENT_GRANULES);
  node.words[deviceAt(deviceOfSegment(node, segment)) + L.V_LIVE]--;
  addLive(node, segment, -1, 0);
  freeIfEmpty(node, segment);
  const word = node.words[segmentAt(node, segment)];
  if (segmentLive(word) * 2 === segmentWritten(word)) Atomics.store(node.home, L.H_TRIM_WANTED, 1);
}

/** The device's open segment takes no more. */
export function closeOpenLocked(node: Node, device: number): void {
  const at = deviceAt(device);
  const open = node.words[at + L.V_OPEN_SEGMENT] - 1;
  if (open < 0) return;
  node.words[at + L.V_OPEN_SEGMENT] = 0;
  node.words[at + L.V_OPEN_GRANULE] = 0;
  closeSegment(node, open);
}

function openSegment(node: Node, device: number, spare: number): number {
  const { words } = node;
  const at = deviceAt(device);
  if (words[at + L.V_FREE] <= spare) return -1;
  const segment = lowestFreeLocked(node, device);
  if (segment < 0) return -1;
  const row = placeInDevice(node, segment);
  if (words[at + L.V_LIMIT] > 0 && row >= words[at + L.V_LIMIT] - 1) return -1;
  growRows(node.home, at + L.V_ROWS, row + 1);
  words[L.FILE_CHUNK_FREE_AT + (segment >> 10)]--;
  words[at + L.V_FREE]--;
  words[segmentAt(node, segment)] = segmentWord(SEGMENT_OPEN, 0, 0);
  return segment;
}

/** All nodes may raise it at once. */
function growRows(home: Int32Array, rowsAt: number, rows: number): void {
  for (let was = Atomics.load(home, rowsAt); was < rows; ) {
    const seen = Atomics.compareExchange(home, rowsAt, was, rows);
    if (seen === was) return;
    was = seen;
  }
}

/** The free segment of the device with the lowest number, −1 when there is none. At most 256 + 1,024 words are looked at. */
export function lowestFreeLocked(node: Node, device: number): number {
  const { words } = node;
  for (let chunk = 0; chunk < L.FILE_CHUNKS; chunk++) {
    if (words[L.FILE_CHUNK_FREE_AT + chunk] === 0 || deviceOfSegment(node, chunk * CHUNK_SEGMENTS) !== device) continue;
    if (!ensureWords(node, chunk)) return -1;
    const first = words[L.FILE_SEGMENT_ROOTS_AT + chunk] * PAGE_WORDS;
    const found = words.subarray(first, first + CHUNK_SEGMENTS).indexOf(SEGMENT_FREE);
    assert(found >= 0, 'a chunk with free segments has one', chunk);
    return chunk * CHUNK_SEGMENTS + found;
  }
  return -1;
}

function ensureWords(node: Node, chunk: number): boolean {
  const root = L.FILE_SEGMENT_ROOTS_AT + chunk;
  if (node.words[root] !== 0) return true;
  const pfn = allocTableFrameLocked(node, GFP_RECLAIM);
  if (pfn === NO_PFN) return false;
  Atomics.store(node.words, root, pfn);
  return true;
}

function closeSegment(node: Node, segment: number): void {
  setSegmentState(node, segment, SEGMENT_CLOSED);
}

/** CLOSED or BAD. */
export function setSegmentState(node: Node, segment: number, state: number): void {
  const at = segmentAt(node, segment);
  const word = node.words[at];
  node.words[at] = segmentWord(state, segmentLive(word), segmentWritten(word));
  freeIfEmpty(node, segment);
}

function addLive(node: Node, segment: number, live: number, written: number): void {
  const at = segmentAt(node, segment);
  const word = node.words[at];
  const now = segmentLive(word) + live;
  assert(now >= 0 && now <= LIVE_MASK, 'live objects of a segment', segment, now);
  node.words[at] = segmentWord(segmentState(word), now, segmentWritten(word) + written);
}

function freeIfEmpty(node: Node, segment: number): void {
  const { words } = node;
  const at = segmentAt(node, segment);
  const word = words[at];
  if (segmentState(word) === SEGMENT_OPEN || segmentLive(word) > 0) return;
  const device = deviceAt(deviceOfSegment(node, segment));
  words[device + L.V_WRITTEN] -= segmentWritten(word);
  if (segmentState(word) === SEGMENT_BAD) {
    words[at] = SEGMENT_BAD;
    return;
  }
  words[at] = SEGMENT_FREE;
  words[L.FILE_CHUNK_FREE_AT + (segment >> 10)]++;
  words[device + L.V_FREE]++;
  Atomics.store(node.home, L.H_TRIM_WANTED, 1);
}

/** Bytes of the files that hold live or dead objects: segments in use. */
export function fileBytesUsed(node: Node): number {
  return (node.words[L.H_FILE_SEGMENTS] - freeSegments(node)) * SEGMENT_BYTES;
}

/**
 * Segments of this node that are in use or bad, by number, from `after` on (−1 for the first): for walks of the log. −1 behind
 * the last. Chunks that never had a segment in use cost one load.
 */
export function nextUsedSegment(node: Node, after: number): number {
  const { words } = node;
  for (let chunk = (after + 1) >> 10; chunk < L.FILE_CHUNKS; chunk++) {
    const root = words[L.FILE_SEGMENT_ROOTS_AT + chunk];
    if (root === 0) continue;
    const start = Math.max(after + 1, chunk * CHUNK_SEGMENTS);
    for (let segment = start; segment < (chunk + 1) * CHUNK_SEGMENTS; segment++) {
      if (words[root * PAGE_WORDS + (segment & (CHUNK_SEGMENTS - 1))] !== SEGMENT_FREE) return segment;
    }
  }
  return -1;
}

/** The segment of the device with the highest number that is in use, −1 when there is none. An empty bad one is not. */
export function lastUsedSegment(node: Node, device: number): number {
  const { words } = node;
  for (let chunk = L.FILE_CHUNKS - 1; chunk >= 0; chunk--) {
    const root = words[L.FILE_SEGMENT_ROOTS_AT + chunk];
    if (root === 0 || deviceOfSegment(node, chunk * CHUNK_SEGMENTS) !== device) continue;
    for (let i = CHUNK_SEGMENTS - 1; i >= 0; i--) {
      const word = words[root * PAGE_WORDS + i];
      if (word !== SEGMENT_FREE && word !== SEGMENT_BAD) return chunk * CHUNK_SEGMENTS + i;
    }
  }
  return -1;
}

/** Counts of every device against its segments, and live objects over all against the FILE slots; with no batch in flight. */
export function checkFileSegments(node: Node): void {
  const { words } = node;
  const live = new Array<number>(L.DEVICES_MAX).fill(0);
  const written = new Array<number>(L.DEVICES_MAX).fill(0);
  const used = new Array<number>(L.DEVICES_MAX).fill(0);
  const bad = new Array<number>(L.DEVICES_MAX).fill(0);
  for (let segment = nextUsedSegment(node, -1); segment >= 0; segment = nextUsedSegment(node, segment)) {
    const device = deviceOfSegment(node, segment);
    assert(device >= 0, 'a segment in use has a device', segment);
    live[device] += segmentLive(words[segmentAt(node, segment)]);
    written[device] += segmentWritten(words[segmentAt(node, segment)]);
    used[device]++;
    if (segmentState(words[segmentAt(node, segment)]) === SEGMENT_BAD) bad[device]++;
  }
  let total = 0;
  for (let device = 0; device < L.DEVICES_MAX; device++) {
    const at = deviceAt(device);
    const free = words[at + L.V_FREE];
    const size = sizeOf(node, device);
    assert(free + used[device] === size, 'segments of a device', device, size);
    assert(live[device] === words[at + L.V_LIVE], 'live objects of a device', device, live[device]);
    assert(written[device] === words[at + L.V_WRITTEN], 'objects of a device', device, written[device]);
    assert(bad[device] === words[at + L.V_BAD], 'bad segments of a device', device, bad[device]);
    total += live[device];
  }
  assert(total === words[L.H_FILE_SLOTS], 'live objects in the files', total, words[L.H_FILE_SLOTS]);
}

/** Segments of the device by its chunks, whose free counts are compared with the words. */
function sizeOf(node: Node, device: number): number {
  const { words } = node;
  let size = 0;
  for (let chunk = 0; chunk < L.FILE_CHUNKS; chunk++) {
    if (deviceOfSegment(node, chunk * CHUNK_SEGMENTS) !== device) continue;
    size += words[L.FILE_CHUNK_FREE_AT + chunk];
    const root = words[L.FILE_SEGMENT_ROOTS_AT + chunk] * PAGE_WORDS;
    for (let i = 0; root > 0 && i < CHUNK_SEGMENTS; i++) if (words[root + i] !== SEGMENT_FREE) size++;
  }
  return size;
}
