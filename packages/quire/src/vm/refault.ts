/**
 * What a touch of a swapped page says about its place. The distance to the touch before (reclaim/working-set.ts) is compared
 * with what each tier could hold:
 *
 *   less than 1/64 of memory                          a page on file comes into memory; another one if the touch before was as
 *                                                     close to the one before that. It keeps its slot as clean copy
 *   less than the compressed tier's share of memory   a page on file goes to the compressed tier, as it is (swap/promoter.ts);
 *                                                     into memory when that tier is being emptied, or off
 *   more, or never touched before                     it is read where it lies
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import type { SlotIndex } from '../base/units.ts';
import {
  advanceAge,
  ageBucket,
  isRefaultClose,
  isRefaultWithin,
  shadowByteAt,
  shadowOfTouch,
  wasTouchClose,
} from '../reclaim/working-set.ts';
import { hasPoolRoom } from '../swap/pool-store.ts';
import { promoteObject } from '../swap/promoter.ts';
import { isPoolOn } from '../swap/tiers.ts';

/** Outcomes of a touch. */
export const TOUCH_FAR = 0;
export const TOUCH_POOL = 1;
export const TOUCH_MEMORY = 2;

/**
 * Notes a touch of the slot's page and says where the page belongs. Leaves the age of this touch behind. `sequence` as for
 * `readStorage`: a call that is tried again (vm/no-wait.ts) has touched the page already. `mayComeIn` false: not into memory, since that failed just now.
 */
export function touchSwapped(
  node: Node,
  slot: number,
  sequence: number,
  isOnFile: boolean,
  mayComeIn: boolean,
): number {
  const { ahead } = node;
  if (ahead.touchSlot === slot && ahead.touchSequence === sequence && ahead.noWait) {
    ahead.touchSlot = -1;
    return ahead.touch;
  }
  ahead.touch = touchOf(node, slot, isOnFile, mayComeIn);
  return ahead.touch;
}

function touchOf(node: Node, slot: number, isOnFile: boolean, mayComeIn: boolean): number {
  const bucket = ageBucket(node);
  const shadow = node.bytes[shadowByteAt(node, slot)];
  noteTouch(node, slot, bucket, shadow);
  const touch = placeOf(node, bucket, shadow, isOnFile, mayComeIn);
  if (touch === TOUCH_MEMORY) node.counters[C.workingset_refault_anon]++;
  return touch;
}

/** Would a touch, in age bucket `bucket`, of a page on file with this shadow say TOUCH_FAR? Nothing is noted. */
export function isTouchFar(node: Node, bucket: number, shadow: number): boolean {
  return placeOf(node, bucket, shadow, true, true) === TOUCH_FAR;
}

/** What `touchSwapped` leaves behind. */
export function noteTouch(node: Node, slot: number, bucket: number, shadow: number): void {
  advanceAge(node);
  node.bytes[shadowByteAt(node, slot)] = shadowOfTouch(bucket, shadow);
}

function placeOf(node: Node, bucket: number, shadow: number, isOnFile: boolean, mayComeIn: boolean): number {
  const isWanted = isRefaultClose(bucket, shadow) && (isOnFile || wasTouchClose(shadow));
  if (isWanted && mayComeIn && hasFrame(node)) return TOUCH_MEMORY;
  if (!isOnFile || !isRefaultWithin(node, bucket, shadow, node.words[L.H_POOL_FRAMES_MAX])) return TOUCH_FAR;
  if (isPoolOn(node.home)) return hasPoolRoom(node) ? TOUCH_POOL : TOUCH_FAR;
  return mayComeIn && hasFrame(node) ? TOUCH_MEMORY : TOUCH_FAR;
}

function hasFrame({ words }: Node): boolean {
  return words[L.H_FREE_FRAMES] > words[L.H_WMARK_MIN];
}

/**
 * Promotes the page whose object this thread has just read, whole: it lies where `node.ahead.object` says. Best effort.
 * `granule` and `sequence` are those the object was read by.
 */
export function promoteRead(node: Node, slot: number, granule: number, sequence: number): void {
  const { object, objectBytes } = node.ahead;
  if (object >= 0) promoteObject(node, slot as SlotIndex, granule, sequence, object, objectBytes);
}
