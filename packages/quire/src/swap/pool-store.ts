/**
 * An object of the file tier goes into the compressed tier as it is: what promotion (swap/promoter.ts) and emptying a device
 * (swap/file-mover.ts) share. Node lock held; the slot's word is the caller's to change.
 */
import { KIND_RAW } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { NO_PFN, PAGE_SHIFT, type SlotIndex } from '../base/units.ts';
import { allocLocked } from '../page-alloc/page-allocator.ts';
import { copyRaw, isRawAt, isZstdObject, objectLength } from './file-object.ts';
import { FILE_HEADER_BYTES } from './file-segments.ts';
import * as W from './slot-word.ts';
import { isPoolOn } from './tiers.ts';
import { zsAllocLocked, zsWriteLocked } from './zs-pool.ts';

/**
 * Is the compressed tier in use, and the pool below its share? Read without the lock: a wrong guess is found out under it.
 * A pool that is being emptied, or off, is for pages on their way to the files: nothing comes back to it.
 */
export function isPoolBelowShare({ words, home }: Node): boolean {
  return isPoolOn(home) && words[L.H_ZS_FRAMES] + words[L.H_RAW_FRAMES] < words[L.H_POOL_FRAMES_MAX];
}

/** Is there room for one more page, without taking a frame that reclaim would want back at once? As above. */
export function hasPoolRoom(node: Node): boolean {
  return node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_LOW] && isPoolBelowShare(node);
}

/** Stores the checked object at node byte `byte` for the slot. The slot's new word, 0 when there is no room. */
export function storeInPoolLocked(node: Node, slot: SlotIndex, byte: number, gfp: number): number {
  if (isRawAt(node, byte)) return storeRawLocked(node, slot, byte, gfp);
  const length = objectLength(node, byte);
  const location = zsAllocLocked(node, slot, length, gfp, isZstdObject(node, byte));
  if (location === -1) return 0;
  zsWriteLocked(node, location, (byte + FILE_HEADER_BYTES) | 0, length);
  return W.slotWord(W.SLOT_OBJECT, location);
}

/** The frame is as `publishRawLocked` leaves one. */
function storeRawLocked(node: Node, slot: SlotIndex, byte: number, gfp: number): number {
  const pfn = allocLocked(node, 0, L.MIGRATE_MOVABLE, gfp, KIND_RAW);
  if (pfn === NO_PFN) return 0;
  copyRaw(node, byte, pfn << PAGE_SHIFT);
  node.words[node.ownerAt + pfn] = slot;
  node.words[node.slotAt + pfn] = 0;
  node.words[node.touchAt + pfn] = 0;
  return W.slotWord(W.SLOT_RAW, pfn);
}
