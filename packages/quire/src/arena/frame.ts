/**
 * The frame table: what each 4 KiB frame is used for. Eight words a frame (0.8 %), as parallel arrays, so that a scan
 * over one field reads nothing else.
 *
 *   kind     what it is (below) | order << 4 | LRU list << 8 | FRAME_SEQUENTIAL | group << 11 | FRAME_CHARGED
 *   pin      FROZEN while nobody may pin it, else the number of pins. See the protocol.
 *   version  moves each time what the frame holds stops being what a reader may have found it by (unmap, free, migrate)
 *   next,prev  list links (free list, LRU, zspage fullness); 0 ends a list
 *              prev of NEW, COMPRESSING (on no list): id of the thread at work on it
 *   owner    REGION: word index of the page-table entry, PAGECACHE: of the folio's first · ZS: packed zspage state, or the head frame · RAW: the slot
 *            QUEUED, COMPRESSING: the entry, NO_ENTRY when several name the slot or did · SHARED: NO_ENTRY
 *   slot     REGION: slot of its clean copy or of its swap-out in flight + 1, 0 none · SHARED: its slot + 1 · ZS: next frame of the zspage
 *   touch    1 when used since the LRU last looked; plain stores by anybody at any time, races lose a hint at most
 *
 * Pin protocol (after the kernel's page_ref_freeze):
 *   pin      add 1; if the result is below 0 the frame is frozen: subtract 1 again and take the slow path.
 *            Then load the page-table entry again: only if it still names this frame is the pin good.
 *   freeze   under the node lock: CAS 0 → FROZEN. Fails while anybody holds a pin.
 *   thaw     add -FROZEN, never a store: pins that are about to be undone may be in the count.
 *   note     each thread notes what it has pinned (arena/pin-note.ts), after the pin; forgotten before the unpin.
 * Everything but a mapped page is frozen, free frames too, so a stale reader can never pin what is not a mapped page.
 */
import type { Pfn } from '../base/units.ts';
import { announce } from './fence.ts';
import * as L from './layout.ts';
import type { Node } from './node.ts';
import { forgetPin, notePin } from './pin-note.ts';

export const KIND_RESERVED = 0; // static tables, and the inside of a block
export const KIND_FREE = 1; // head of a block on a buddy list
export const KIND_CACHED = 2; // in a thread's order-0 cache
export const KIND_TABLE = 3; // page tables, slabs, cluster chunks, control frames
export const KIND_THREAD = 4;
export const KIND_REGION = 5; // mapped by a page-table entry, on an LRU list
export const KIND_QUEUED = 6; // swap-out: isolated, waiting in the ring
export const KIND_COMPRESSING = 7; // swap-out: a thread is compressing it
export const KIND_ZS = 8; // first frame of a zspage
export const KIND_ZS_TAIL = 9;
export const KIND_RAW = 10; // an incompressible page kept as it is
export const KIND_NEW = 11; // allocated, being filled, not mapped yet
export const KIND_PAGECACHE = 12; // first frame of a folio of the page cache, on an LRU list
export const KIND_PAGECACHE_TAIL = 13; // its other frames; they carry the order too, so the head is found from each
export const KIND_SHARED = 14; // page of several regions, on an LRU list, found through its slot (swap/shared-page.ts)

export const KIND_MASK = 0xf;
export const ORDER_SHIFT = 4;
export const LRU_SHIFT = 8;
export const LRU_MASK = 0x3 << LRU_SHIFT;
export const LRU_NONE = 0;
export const LRU_INACTIVE = 1;
export const LRU_ACTIVE = 2;

/** A mapped page, or one in flight, of a region that is read in sequence: it goes out with its neighbours (swap/unit.ts). */
export const FRAME_SEQUENTIAL = 1 << 10;

/** Group of a page or folio, and of a page in flight: which LRU lists it is on (reclaim/group.ts). */
export const FRAME_GROUP_SHIFT = 11;
export const FRAME_GROUP_MASK = 0x3f << FRAME_GROUP_SHIFT;
/** The block counts as its group's (page-alloc/page-charge.ts). */
export const FRAME_CHARGED = 1 << 17;

/** What a page keeps when it becomes something else, and takes along when it moves. */
export const FRAME_KEPT = FRAME_SEQUENTIAL | FRAME_GROUP_MASK | FRAME_CHARGED;

export const FROZEN = -0x4000_0000;
/** Owner of a page in a frame that no one entry owns. */
export const NO_ENTRY = 0;

export function kindOf(node: Node, pfn: Pfn): number {
  return node.words[node.kindAt + pfn] & KIND_MASK;
}

export function orderOf(node: Node, pfn: Pfn): number {
  return (node.words[node.kindAt + pfn] >>> ORDER_SHIFT) & 0xf;
}

/** First frame of the folio of 2^order frames that `pfn` is in. */
export function headOf(pfn: Pfn, order: number): Pfn {
  return (pfn & -(1 << order)) as Pfn;
}

export function setKindLocked(node: Node, pfn: Pfn, kind: number, order = 0): void {
  node.words[node.kindAt + pfn] = kind | (order << ORDER_SHIFT);
}

/** A page on its way out or back: another kind, on no list, its group and FRAME_SEQUENTIAL as they were. */
export function turnKindLocked(node: Node, pfn: Pfn, kind: number, order = 0): void {
  node.words[node.kindAt + pfn] = kind | (order << ORDER_SHIFT) | (node.words[node.kindAt + pfn] & FRAME_KEPT);
}

export function groupOf(node: Node, pfn: Pfn): number {
  return (node.words[node.kindAt + pfn] & FRAME_GROUP_MASK) >> FRAME_GROUP_SHIFT;
}

export function isSequential(node: Node, pfn: Pfn): boolean {
  return (node.words[node.kindAt + pfn] & FRAME_SEQUENTIAL) !== 0;
}

/**
 * Tries to pin a frame found in a page-table entry. The caller checks the entry again afterwards, and unpins if it
 * moved.
 */
export function tryPin(node: Node, pfn: Pfn): boolean {
  if (Atomics.add(node.words, node.pinAt + pfn, 1) >= 0) {
    notePin(node, pfn);
    return true;
  }
  Atomics.sub(node.words, node.pinAt + pfn, 1);
  return false;
}

export function unpin(node: Node, pfn: Pfn): void {
  forgetPin(node, pfn);
  Atomics.sub(node.words, node.pinAt + pfn, 1);
}

/** Gives up a pin that is not noted frame by frame: of a run, of a batch of writeback. */
export function dropPin(node: Node, pfn: Pfn): void {
  Atomics.sub(node.words, node.pinAt + pfn, 1);
}

/** After a caller gave a pin back that may have been held for long, or changed a limit: memory that was full may be so no more. */
export function announceEase(node: Node): void {
  announce(node.words, L.H_EASES);
}

/** One more pin on a frame that is not frozen. */
export function pinLocked(node: Node, pfn: Pfn): void {
  Atomics.add(node.words, node.pinAt + pfn, 1);
  notePin(node, pfn);
}

export function freezeLocked(node: Node, pfn: Pfn): boolean {
  return Atomics.compareExchange(node.words, node.pinAt + pfn, 0, FROZEN) === 0;
}

/** Ends the freeze with `pins` pins, 0 or 1, already held by the caller. */
export function thawLocked(node: Node, pfn: Pfn, pins: number): void {
  Atomics.add(node.words, node.pinAt + pfn, pins - FROZEN);
  if (pins !== 0) notePin(node, pfn);
}

/**
 * Tells optimistic readers that what they found in this frame is gone. Pairs with the closing load of `closeRead`.
 * Comes after whatever named the frame (entry, slot word) was changed, and before the frame is used again.
 */
export function bumpVersionLocked(node: Node, pfn: Pfn): void {
  announce(node.words, node.versionAt + pfn);
}
