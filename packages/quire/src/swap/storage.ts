/**
 * What is behind a slot, released: the one place that knows how each backend gives its bytes back. Node lock held.
 */

import { bumpVersionLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import type { Pfn, SlotIndex } from '../base/units.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
import { fileFreeLocked } from './file-segments.ts';
import { rawAddLocked, rawRemoveLocked } from './raw-list.ts';
import { freeRowLocked, freeSlotLocked } from './slot-free.ts';
import * as W from './slot-word.ts';
import { bumpSequenceLocked, changeSlotWordLocked, setSlotWordLocked, slotWordLocked } from './swap-table.ts';
import { zsFreeLocked } from './zs-pool.ts';

/** Frees the storage that `word` named. The slot has its new word already. Readers are told by the sequence word. */
export function releaseStorageLocked(node: Node, slot: SlotIndex, word: number): void {
  bumpSequenceLocked(node, slot);
  giveBackLocked(node, slot, word);
}

/** The slot names something else by now, and its sequence has moved since. */
function giveBackLocked(node: Node, slot: SlotIndex, word: number): void {
  const payload = W.payloadOf(word);
  switch (W.tagOf(word)) {
    case W.SLOT_OBJECT:
      zsFreeLocked(node, payload, slot);
      break;
    case W.SLOT_RAW:
      rawRemoveLocked(node, payload as Pfn);
      bumpVersionLocked(node, payload as Pfn);
      freeLocked(node, payload as Pfn);
      break;
    case W.SLOT_SAME:
      node.words[L.H_SAME_SLOTS]--;
      break;
    case W.SLOT_FILE:
      node.words[L.H_FILE_SLOTS]--;
      fileFreeLocked(node, payload);
      break;
    case W.SLOT_LOST:
    case W.SLOT_EMPTY:
      break;
    default:
      assert(false, 'storage of a slot that has none', slot, word);
  }
}

/** Slot and storage both go. `word` is the slot's, for a caller that has it already. */
export function dropSlotLocked(node: Node, slot: SlotIndex, word = slotWordLocked(node, slot)): void {
  freeSlotLocked(node, slot);
  giveBackLocked(node, slot, word);
}

/** As `dropSlotLocked`, of the first `count` slots, all of one cluster, with their words. */
export function dropRowLocked(node: Node, slots: Int32Array, slotWords: Int32Array, count: number): void {
  freeRowLocked(node, slots, count);
  for (let i = 0; i < count; i++) giveBackLocked(node, slots[i] as SlotIndex, slotWords[i]);
}

/** Puts a new backend behind a slot that has none, or is in flight. */
export function attachStorageLocked(node: Node, slot: SlotIndex, word: number): void {
  countStorage(node, word);
  setSlotWordLocked(node, slot, word);
}

/** As `attachStorageLocked`, where the slot's word is `from`: looked up once. */
export function exchangeStorageLocked(node: Node, slot: SlotIndex, from: number, word: number): void {
  countStorage(node, word);
  changeSlotWordLocked(node, slot, from, word);
}

function countStorage(node: Node, word: number): void {
  const tag = W.tagOf(word);
  if (tag === W.SLOT_SAME) node.words[L.H_SAME_SLOTS]++;
  else if (tag === W.SLOT_RAW) rawAddLocked(node, W.payloadOf(word) as Pfn);
  else if (tag === W.SLOT_FILE) node.words[L.H_FILE_SLOTS]++;
}
