/**
 * Space of the file tier: a log of 256 KiB segments, written front to back, never in place. A node owns
 * `H_FILE_SEGMENTS` segments of the file; its part starts at node · segments · 256 KiB. A segment is reused when none
 * of its objects is live any more; the cleaner (swap/file-cleaner.ts) makes that happen.
 *
 *   segment word   state (2 bits) | FREE: next free segment + 1 << 2 | OPEN, CLOSED: live objects << 2 | objects written << 13
 *
 * Segment words are in frames of 1,024, made when a segment of theirs is first used. An object begins at a granule of
 * 256 bytes:
 *
 *   word 0 slot | word 1 length in bytes, RAW_OBJECT when not compressed
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

export const FILE_GRANULE_BYTES = 256;
export const SEGMENT_BYTES = 256 * 1024;
export const SEGMENT_GRANULES = SEGMENT_BYTES / FILE_GRANULE_BYTES;
export const FILE_HEADER_BYTES = 16;
export const FILE_MAGIC = 0x4a42_4f51; // 'QOBJ'
export const RAW_OBJECT = 0x8000_0000 | 0;
/** 2^28 granules: what fits a slot word. */
export const SEGMENTS_MAX = 2 ** 28 / SEGMENT_GRANULES;
/** Kept free so that the cleaner always has somewhere to move live objects to. */
export const SPARE_SEGMENTS = 2;

export const SEGMENT_UNUSED = 0; // never used: its word may not even exist
export const SEGMENT_FREE = 1;
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
  return root === 0 ? 0 : root * PAGE_WORDS + (segment & 1023);
}

/** Byte offset in the file of a granule of this node. */
export function fileOffset(node: Node, granule: number): number {
  return (node.index * node.words[L.H_FILE_SEGMENTS] * SEGMENT_GRANULES + granule) * FILE_GRANULE_BYTES;
}

/** Segments that can still be opened. */
export function freeSegments(node: Node): number {
  const { words } = node;
  return words[L.H_FILE_FREE_COUNT] + words[L.H_FILE_SEGMENTS] - words[L.H_FILE_NEXT_SEGMENT];
}

/**
 * Room for `granules` in a row at the head of the log, opening a segment when the open one is too short. `spare` says
 * how many segments must stay free (0 for the cleaner). Returns the first granule, or −1 when the file is full.
 */
export function reserveLocked(node: Node, granules: number, spare: number): number {
  const { words } = node;
  assert(granules > 0 && granules <= SEGMENT_GRANULES, 'granules of one batch', granules);
  const open = words[L.H_FILE_OPEN_SEGMENT] - 1;
  if (open < 0 || words[L.H_FILE_OPEN_GRANULE] + granules > SEGMENT_GRANULES) {
    const next = openSegment(node, spare);
    if (next < 0) return -1;
    if (open >= 0) closeSegment(node, open);
    words[L.H_FILE_OPEN_SEGMENT] = next + 1;
    words[L.H_FILE_OPEN_GRANULE] = 0;
  }
  const first = (words[L.H_FILE_OPEN_SEGMENT] - 1) * SEGMENT_GRANULES + words[L.H_FILE_OPEN_GRANULE];
  words[L.H_FILE_OPEN_GRANULE] += granules;
  // A batch in flight counts as one live object, so that the segment cannot be reused before its writer is done.
  addLive(node, Math.floor(first / SEGMENT_GRANULES), 1, 0);
  words[L.H_FILE_BATCH] = first + 1;
  return first;
}

/** The batch reserved at `granule` is done: `live` of its `written` objects are in use. */
export function commitLocked(node: Node, granule: number, live: number, written: number): void {
  const segment = Math.floor(granule / SEGMENT_GRANULES);
  node.words[L.H_FILE_BATCH] = 0;
  addLive(node, segment, live - 1, written);
  freeIfEmpty(node, segment);
}

/** An object of the file is no longer needed. */
export function fileFreeLocked(node: Node, granule: number): void {
  const segment = Math.floor(granule / SEGMENT_GRANULES);
  addLive(node, segment, -1, 0);
  freeIfEmpty(node, segment);
}

function openSegment(node: Node, spare: number): number {
  const { words } = node;
  if (freeSegments(node) <= spare) return -1;
  let segment = words[L.H_FILE_FREE_SEGMENT] - 1;
  if (segment >= 0) {
    const word = words[segmentAt(node, segment)];
    assert(segmentState(word) === SEGMENT_FREE, 'free segment', segment, word);
    words[L.H_FILE_FREE_SEGMENT] = word >>> 2;
    words[L.H_FILE_FREE_COUNT]--;
  } else {
    segment = words[L.H_FILE_NEXT_SEGMENT];
    if (!ensureWords(node, segment)) return -1;
    words[L.H_FILE_NEXT_SEGMENT]++;
  }
  words[segmentAt(node, segment)] = segmentWord(SEGMENT_OPEN, 0, 0);
  return segment;
}

function ensureWords(node: Node, segment: number): boolean {
  const root = L.FILE_SEGMENT_ROOTS_AT + (segment >> 10);
  if (node.words[root] !== 0) return true;
  const pfn = allocTableFrameLocked(node, GFP_RECLAIM);
  if (pfn === NO_PFN) return false;
  Atomics.store(node.words, root, pfn);
  return true;
}

function closeSegment(node: Node, segment: number): void {
  const at = segmentAt(node, segment);
  const word = node.words[at];
  node.words[at] = segmentWord(SEGMENT_CLOSED, segmentLive(word), segmentWritten(word));
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
  if (segmentState(word) !== SEGMENT_CLOSED || segmentLive(word) > 0) return;
  words[at] = SEGMENT_FREE | (words[L.H_FILE_FREE_SEGMENT] << 2);
  words[L.H_FILE_FREE_SEGMENT] = segment + 1;
  words[L.H_FILE_FREE_COUNT]++;
}

/** Bytes of the file that hold live or dead objects: segments in use. */
export function fileBytesUsed(node: Node): number {
  return (node.words[L.H_FILE_SEGMENTS] - freeSegments(node)) * SEGMENT_BYTES;
}

/** Live objects over all segments must equal the FILE slots; for tests, with no batch in flight. */
export function checkFileSegments(node: Node): void {
  let live = 0;
  let free = 0;
  for (let segment = 0; segment < node.words[L.H_FILE_NEXT_SEGMENT]; segment++) {
    const word = node.words[segmentAt(node, segment)];
    if (segmentState(word) === SEGMENT_FREE) free++;
    else live += segmentLive(word);
  }
  assert(live === node.words[L.H_FILE_SLOTS], 'live objects in the file', live, node.words[L.H_FILE_SLOTS]);
  assert(free === node.words[L.H_FILE_FREE_COUNT], 'free segments', free, node.words[L.H_FILE_FREE_COUNT]);
}
