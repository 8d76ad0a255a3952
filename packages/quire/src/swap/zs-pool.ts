/**
 * The compressed pool: objects of one size class packed into zspages (chains of 1…8 frames that need not be
 * neighbours), after mm/zsmalloc.c.
 *
 *   head frame   owner = class | inUse << 8 | firstFree << 17     slot = next frame of the chain      next, prev = fullness list
 *   tail frames  owner = head frame                               slot = next frame of the chain
 *
 *   object       word 0 = slot it belongs to, word 1 = compressed length in bytes, ZSTD if it is no LZ4, then the block; 16-byte aligned
 *   unit         four pages as one object: word 0 = slot of the first, word 1 = length | live mask << 16 | UNIT, ZSTD likewise
 *   free object  word 0 = −1 − index of the next free one (255 ends), so a walk can tell it from a used one
 *
 * Objects may straddle frames of the chain. All live slots of a unit name one location. A location names the frame and the offset where the object starts
 * (swap/slot-word.ts). Fullness lists per class: sparse (at most half used) and partial; full zspages are on none.
 * Allocation fills partial ones first, compaction empties sparse ones. Everything that changes the pool holds the
 * node lock; readers copy or decode without it and validate by the slot's sequence word.
 */

import { KIND_MASK, KIND_ZS, KIND_ZS_TAIL, setKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { NO_PFN, PAGE_BYTES, PAGE_WORDS, type Pfn, type SlotIndex, UNIT_PAGES } from '../base/units.ts';
import { allocLocked, freeLocked } from '../page-alloc/page-allocator.ts';
import { isPoolZstd } from './block-codec.ts';
import { classFor, SIZE_CLASSES, UNIT_OBJECT_BYTES_MAX } from './size-classes.ts';
import { locationOffsetBytes, locationPfn, objectLocation } from './slot-word.ts';

export const OBJECT_HEADER_BYTES = 8;
/** Largest payload of a unit. */
export const UNIT_PAYLOAD_MAX = UNIT_OBJECT_BYTES_MAX - OBJECT_HEADER_BYTES;
const NO_OBJECT = 255;
/* Word 1 of an object. */
const LENGTH_MASK = 0x7fff;
const ZSTD = 1 << 29;
const UNIT_LIVE_SHIFT = 16;
const UNIT_LIVE_MASK = (1 << UNIT_PAGES) - 1;
const UNIT = 1 << 30;
const SPARSE = 0;
const PARTIAL = 1;
const FULL = 2;

/** What a location leads to, filled by `locate`. One per thread is enough. */
export interface ObjectPlace {
  head: Pfn;
  cls: number;
  index: number;
}

const place: ObjectPlace = { head: NO_PFN, cls: 0, index: 0 };

/**
 * Room for `payload` compressed bytes, owned by `slot`, made by the pool's codec or as `isZstd` says. Returns the location,
 * or −1 when no zspage can be had.
 */
export function zsAllocLocked(
  node: Node,
  slot: SlotIndex,
  payload: number,
  gfp: number,
  isZstd = isPoolZstd(node),
): number {
  return allocObject(node, slot, payload, isZstd ? payload | ZSTD : payload, gfp);
}

/** As `zsAllocLocked`, for the unit of the slots from `base` on. */
export function zsAllocUnitLocked(node: Node, base: SlotIndex, payload: number, gfp: number): number {
  assert(base % UNIT_PAGES === 0 && payload <= UNIT_PAYLOAD_MAX, 'unit', base, payload);
  return allocObject(
    node,
    base,
    payload,
    payload | (UNIT_LIVE_MASK << UNIT_LIVE_SHIFT) | UNIT | (isPoolZstd(node) ? ZSTD : 0),
    gfp,
  );
}

function allocObject(node: Node, slot: SlotIndex, payload: number, header: number, gfp: number): number {
  const { words } = node;
  const cls = classFor(payload + OBJECT_HEADER_BYTES);
  const at = L.ZS_HEADS_AT + cls * 4;
  let head = words[at + PARTIAL] as Pfn;
  if (head === NO_PFN) head = words[at + SPARSE] as Pfn;
  if (head === NO_PFN) {
    head = newZspage(node, cls, gfp);
    if (head === NO_PFN) return -1;
  }
  return takeObject(node, head, cls, slot, header);
}

function takeObject(node: Node, head: Pfn, cls: number, slot: SlotIndex, header: number): number {
  const { words } = node;
  const state = words[node.ownerAt + head];
  const inUse = ((state >> 8) & 0x1ff) + 1;
  const index = (state >> 17) & 0xff;
  assert(index !== NO_OBJECT, 'zspage has a free object', head);
  const byte = objectByte(node, head, index * SIZE_CLASSES[cls].bytes);
  const nextFree = -1 - words[byte >>> 2];
  const before = fullness(cls, inUse - 1);
  words[node.ownerAt + head] = cls | (inUse << 8) | (nextFree << 17);
  move(node, head, cls, before, fullness(cls, inUse));
  words[byte >>> 2] = slot;
  words[(byte >>> 2) + 1] = header;
  words[L.H_ZS_OBJECTS] += livePages(header);
  addBytes(node, lengthOf(header));
  return objectLocation(byte >>> 12, byte & (PAGE_BYTES - 1));
}

/** What is `slot`'s goes: the object, or a page of a unit, whose object goes with the last one. */
export function zsFreeLocked(node: Node, location: number, slot: SlotIndex): void {
  const { words } = node;
  const headerAt = headerAtOf(location);
  const header = words[headerAt];
  if ((header & UNIT) !== 0) {
    const bit = 1 << (UNIT_LIVE_SHIFT + (slot - words[headerAt - 1]));
    assert((header & bit) !== 0, 'page of a unit freed twice', location, slot);
    if (livePages(header) > 1) {
      words[headerAt] = header & ~bit;
      words[L.H_ZS_OBJECTS]--;
      return;
    }
  }
  zsFreeObjectLocked(node, location);
}

/** Takes the object away. The caller has bumped or will bump the slots' sequences under the same lock. */
export function zsFreeObjectLocked(node: Node, location: number): void {
  const { words } = node;
  locate(node, location, place);
  const { head, cls, index } = place;
  const state = words[node.ownerAt + head];
  const inUse = ((state >> 8) & 0x1ff) - 1;
  const byte = objectByte(node, head, index * SIZE_CLASSES[cls].bytes);
  assert(words[byte >>> 2] >= 0, 'object freed twice', location);
  const header = words[(byte >>> 2) + 1];
  words[L.H_ZS_OBJECTS] -= livePages(header);
  addBytes(node, -lengthOf(header));
  words[byte >>> 2] = -1 - ((state >> 17) & 0xff);
  words[node.ownerAt + head] = cls | (inUse << 8) | (index << 17);
  move(node, head, cls, fullness(cls, inUse + 1), fullness(cls, inUse));
  if (inUse === 0) freeZspage(node, head, cls);
}

/** Head frame, class and index of the object at a location. */
export function locate(node: Node, location: number, into: ObjectPlace): void {
  const { words } = node;
  const pfn = locationPfn(location) as Pfn;
  const kind = words[node.kindAt + pfn] & KIND_MASK;
  assert(kind === KIND_ZS || kind === KIND_ZS_TAIL, 'location in a zspage', location, kind);
  const head = (kind === KIND_ZS ? pfn : words[node.ownerAt + pfn]) as Pfn;
  let frameInChain = 0;
  for (let at = head as number; at !== pfn; at = words[node.slotAt + at]) frameInChain++;
  into.head = head;
  into.cls = words[node.ownerAt + head] & 0xff;
  into.index = (frameInChain * PAGE_BYTES + locationOffsetBytes(location)) / SIZE_CLASSES[into.cls].bytes;
}

/** Byte in the node of the chain offset `offset`. */
function objectByte(node: Node, head: Pfn, offset: number): number {
  let pfn = head as number;
  for (let skip = offset >> 12; skip > 0; skip--) pfn = node.words[node.slotAt + pfn];
  return pfn * PAGE_BYTES + (offset & (PAGE_BYTES - 1));
}

/** Word 0 of an object. */
export function objectWordAt(location: number): number {
  return locationPfn(location) * PAGE_WORDS + (locationOffsetBytes(location) >> 2);
}

/** Word 1 of an object. One that starts 16 bytes before a frame's end has it in the same frame: headers never straddle. */
function headerAtOf(location: number): number {
  return objectWordAt(location) + 1;
}

function lengthOf(header: number): number {
  return header & LENGTH_MASK;
}

/** Pages that an object holds. */
function livePages(header: number): number {
  if ((header & UNIT) === 0) return 1;
  let pages = 0;
  for (let live = (header >>> UNIT_LIVE_SHIFT) & UNIT_LIVE_MASK; live !== 0; live &= live - 1) pages++;
  return pages;
}

/** Copies `length` compressed bytes at kernel address `source` into the object. */
export function zsWriteLocked(node: Node, location: number, source: number, length: number): void {
  let pfn = locationPfn(location);
  let offset = locationOffsetBytes(location) + OBJECT_HEADER_BYTES;
  for (let done = 0; done < length; offset = 0) {
    const step = Math.min(length - done, PAGE_BYTES - offset);
    node.kernel.copy((pfn << 12) + offset, source + done, step);
    done += step;
    if (done < length) pfn = node.words[node.slotAt + pfn];
  }
}

/**
 * Compressed bytes of an object as one run: its address when it lies in one frame, else a copy in the thread's gather
 * buffer. `gathered` says what the header says. Works without the lock on anything: a wrong location gives wrong bytes,
 * never a read outside the node. Returns −1 when it cannot be an object.
 */
export function zsGather(node: Node, location: number): number {
  const { words } = node;
  const pfn = locationPfn(location);
  if (pfn === 0 || pfn >= node.frames) return -1;
  const header = words[headerAtOf(location)];
  const length = lengthOf(header);
  gathered.isUnit = (header & UNIT) !== 0;
  gathered.isZstd = (header & ZSTD) !== 0;
  if (length <= 0 || length > (gathered.isUnit ? UNIT_PAYLOAD_MAX : PAGE_BYTES)) return -1;
  gathered.length = length;
  const start = locationOffsetBytes(location) + OBJECT_HEADER_BYTES;
  const first = PAGE_BYTES - start;
  if (length <= first) return (pfn << 12) + start;
  const target = node.gatherByte | 0;
  node.kernel.copy(target, (pfn << 12) + start, first);
  let at = pfn;
  for (let done = first; done < length; done += PAGE_BYTES) {
    at = words[node.slotAt + at];
    if (at <= 0 || at >= node.frames) return -1;
    node.kernel.copy(target + done, at << 12, Math.min(length - done, PAGE_BYTES));
  }
  return target;
}

/** Does a unit seem to be here? Without the lock, on anything, as `zsGather`. */
export function isUnitAt(node: Node, location: number): boolean {
  return locationPfn(location) < node.frames && (node.words[headerAtOf(location)] & UNIT) !== 0;
}

/** What `zsGather` last found. */
export const gathered = { length: 0, isUnit: false, isZstd: false };

function newZspage(node: Node, cls: number, gfp: number): Pfn {
  const { words } = node;
  const { frames, objects, bytes } = SIZE_CLASSES[cls];
  let head = NO_PFN;
  for (let i = 0; i < frames; i++) {
    const pfn = allocLocked(node, 0, L.MIGRATE_MOVABLE, gfp, KIND_ZS);
    if (pfn === NO_PFN) {
      if (head !== NO_PFN) freeChain(node, head);
      return NO_PFN;
    }
    words[node.slotAt + pfn] = head;
    head = pfn;
  }
  for (let pfn = words[node.slotAt + head] as Pfn; pfn !== NO_PFN; pfn = words[node.slotAt + pfn] as Pfn) {
    setKindLocked(node, pfn, KIND_ZS_TAIL);
    words[node.ownerAt + pfn] = head;
  }
  for (let index = 0; index < objects; index++) {
    words[objectByte(node, head, index * bytes) >>> 2] = -1 - (index + 1 === objects ? NO_OBJECT : index + 1);
  }
  words[node.ownerAt + head] = cls;
  words[node.touchAt + head] = 1; // young: the demotion clock passes it once
  words[L.H_ZS_FRAMES] += frames;
  link(node, head, cls, SPARSE);
  return head;
}

function freeZspage(node: Node, head: Pfn, cls: number): void {
  unlink(node, head, cls, SPARSE);
  node.words[L.H_ZS_FRAMES] -= SIZE_CLASSES[cls].frames;
  freeChain(node, head);
}

function freeChain(node: Node, head: Pfn): void {
  let pfn = head;
  while (pfn !== NO_PFN) {
    const next = node.words[node.slotAt + pfn] as Pfn;
    freeLocked(node, pfn);
    pfn = next;
  }
}

function fullness(cls: number, inUse: number): number {
  const { objects } = SIZE_CLASSES[cls];
  if (inUse === objects) return FULL;
  return inUse * 2 <= objects ? SPARSE : PARTIAL;
}

function move(node: Node, head: Pfn, cls: number, from: number, to: number): void {
  if (from === to) return;
  if (from !== FULL) unlink(node, head, cls, from);
  if (to !== FULL) link(node, head, cls, to);
}

function link(node: Node, head: Pfn, cls: number, group: number): void {
  const { words } = node;
  const at = L.ZS_HEADS_AT + cls * 4 + group;
  const first = words[at];
  words[node.nextAt + head] = first;
  words[node.prevAt + head] = 0;
  if (first !== 0) words[node.prevAt + first] = head;
  words[at] = head;
}

function unlink(node: Node, head: Pfn, cls: number, group: number): void {
  const { words } = node;
  const next = words[node.nextAt + head];
  const prev = words[node.prevAt + head];
  if (prev === 0) words[L.ZS_HEADS_AT + cls * 4 + group] = next;
  else words[node.nextAt + prev] = next;
  if (next !== 0) words[node.prevAt + next] = prev;
}

/** 64-bit count of compressed bytes in two words. */
function addBytes(node: Node, delta: number): void {
  const { words } = node;
  const low = (words[L.H_ZS_BYTES] >>> 0) + delta;
  if (low < 0 || low > 0xffff_ffff) words[L.H_ZS_BYTES + 1] += low < 0 ? -1 : 1;
  words[L.H_ZS_BYTES] = low | 0;
}

/**
 * Calls `visit(slot, location)` for each page that is stored in a zspage: those of a unit, in a row, with one location.
 * The pool must not change meanwhile.
 */
export function forEachObjectLocked(node: Node, head: Pfn, visit: (slot: SlotIndex, location: number) => void): void {
  const cls = node.words[node.ownerAt + head] & 0xff;
  const { objects, bytes } = SIZE_CLASSES[cls];
  for (let index = 0; index < objects; index++) {
    const byte = objectByte(node, head, index * bytes);
    const slot = node.words[byte >>> 2];
    if (slot < 0) continue;
    const location = objectLocation(byte >>> 12, byte & (PAGE_BYTES - 1));
    const header = node.words[(byte >>> 2) + 1];
    const live = (header & UNIT) === 0 ? 1 : (header >>> UNIT_LIVE_SHIFT) & UNIT_LIVE_MASK;
    for (let i = 0; i < UNIT_PAGES; i++) if ((live & (1 << i)) !== 0) visit((slot + i) as SlotIndex, location);
  }
}

/** The sparse zspage of a class that compaction should empty next. */
export function sparseVictim(node: Node, cls: number): Pfn {
  return node.words[L.ZS_HEADS_AT + cls * 4 + SPARSE] as Pfn;
}

/**
 * Free objects in the zspages that objects of `head` would move to: looks at the first few, which is where they would
 * go.
 */
export function otherRoomLocked(node: Node, head: Pfn, cls: number): number {
  const { words } = node;
  let room = 0;
  for (const group of [PARTIAL, SPARSE]) {
    let looked = 0;
    for (let pfn = words[L.ZS_HEADS_AT + cls * 4 + group]; pfn !== 0 && looked < 8; pfn = words[node.nextAt + pfn]) {
      if (pfn !== head) room += SIZE_CLASSES[cls].objects - objectsInUse(node, pfn as Pfn);
      looked++;
    }
  }
  return room;
}

export function objectsInUse(node: Node, head: Pfn): number {
  return (node.words[node.ownerAt + head] >> 8) & 0x1ff;
}

/**
 * Moves one object of a sparse zspage into another zspage of its class: the partial one that is filled next, else a
 * sparse one that is not its own. Returns the new location, −1 when there is nowhere to go. The slots' words
 * still name the old place; the caller rewrites them and frees the old object.
 */
export function zsCloneLocked(node: Node, location: number): number {
  const { words } = node;
  locate(node, location, place);
  const { head, cls } = place;
  let target = words[L.ZS_HEADS_AT + cls * 4 + PARTIAL] as Pfn;
  if (target === head) target = words[node.nextAt + head] as Pfn;
  if (target === NO_PFN) {
    target = words[L.ZS_HEADS_AT + cls * 4 + SPARSE] as Pfn;
    if (target === head) target = words[node.nextAt + head] as Pfn;
  }
  if (target === NO_PFN) return -1;
  const source = zsGather(node, location);
  assert(source !== -1, 'object to move', location);
  const headerAt = headerAtOf(location);
  const moved = takeObject(node, target, cls, words[headerAt - 1] as SlotIndex, words[headerAt]);
  zsWriteLocked(node, moved, source, gathered.length);
  return moved;
}
