/** Slots come back, or are taken out of use for good. Node lock held. */
import { announce, announceInRow } from '../arena/fence.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import type { SlotIndex } from '../base/units.ts';
import { unchargeSwap } from '../reclaim/group.ts';
import { shadowByteAt } from '../reclaim/working-set.ts';
import {
  BAD_SHIFT,
  emptiedLocked,
  isClusterEmpty,
  leaveClusterLocked,
  populateLocked,
  relistFreedLocked,
  relistTakenLocked,
  STATE_CURRENT,
  STATE_FRAGMENTED,
  STATE_MASK,
} from './cluster.ts';
import { giveDescriptorLocked, takeDescriptorOfLocked } from './cluster-chunk.ts';
import { busyEntryLocked, freeDirectLocked } from './direct-entry.ts';
import { groupAtLocked, MIXED, ownerCode } from './slot-group.ts';
import { SLOT_BAD, SLOT_FREE } from './slot-word.ts';
import { bumpSequenceLocked, D_COUNT, D_STATE, D_TABLE, descriptorAt, INDEX_MASK, sequenceAt } from './swap-table.ts';

/** Gives the slot back. What was behind it has been released by the caller. */
export function freeSlotLocked(node: Node, slot: SlotIndex): void {
  if (!node.isVirtual) {
    freeDirectLocked(node, slot, sequenceAt(slot));
    return;
  }
  const { words } = node;
  const descriptor = endUse(node, slot, SLOT_FREE);
  const count = --words[descriptor + D_COUNT];
  const state = words[descriptor + D_STATE];
  if (count === state >>> BAD_SHIFT) emptiedLocked(node, slot >>> 9, descriptor);
  else if ((state & STATE_MASK) >= STATE_FRAGMENTED) {
    relistFreedLocked(node, slot >>> 9, descriptor, slot & INDEX_MASK);
  }
}

/**
 * As `freeSlotLocked`, of `count` slots of one cluster (in direct mode: of any): what is the cluster's is looked up, counted
 * and charged back once. Slots of a region lie in such rows. All words and sequences have moved, and are seen to have, when
 * the first thing behind any of them is given back: one `announce` ends the row.
 */
export function freeRowLocked(node: Node, slots: Int32Array, count: number): void {
  const { words, bytes } = node;
  assert(count > 0 && count <= slots.length, 'slots of a row', count);
  const descriptor = node.isVirtual ? descriptorAt(node, slots[0] >>> 9) : 0;
  if (node.isVirtual) clearWords(words, words[descriptor + D_TABLE], slots, count);
  else for (let i = 0; i < count; i++) busyEntryLocked(node, slots[i] as SlotIndex);
  for (let i = 0; i < count; i++) {
    announceInRow(words, sequenceAt(slots[i]));
    bytes[shadowByteAt(node, slots[i])] = 0;
  }
  announce(words, sequenceAt(slots[count - 1]));
  if (node.isVirtual) settleRowLocked(node, descriptor, slots, count);
}

function clearWords(words: Int32Array, table: number, slots: Int32Array, count: number): void {
  const cluster = slots[0] >>> 9;
  for (let i = 0; i < count; i++) {
    const at = table + (slots[i] & INDEX_MASK);
    assert(slots[i] >>> 9 === cluster, 'row of one cluster', slots[i], cluster);
    assert(words[at] !== SLOT_FREE && words[at] !== SLOT_BAD, 'slot freed twice', slots[i]);
    words[at] = SLOT_FREE;
  }
}

/** Counts and lists of the cluster, after the words of the row have become FREE. */
function settleRowLocked(node: Node, descriptor: number, slots: Int32Array, count: number): void {
  const { words } = node;
  const cluster = slots[0] >>> 9;
  words[L.H_SLOTS_USED] -= count;
  words[descriptor + D_COUNT] -= count;
  const owner = ownerCode(node, descriptor);
  if (owner !== MIXED) unchargeSwap(node, owner - 1, count);
  else for (let i = 0; i < count; i++) unchargeSwap(node, groupAtLocked(node, descriptor, slots[i] & INDEX_MASK), 1);
  if (isClusterEmpty(node, descriptor)) emptiedLocked(node, cluster, descriptor);
  else relistRowLocked(node, descriptor, slots, count);
}

function relistRowLocked(node: Node, descriptor: number, slots: Int32Array, count: number): void {
  for (let i = 0; i < count && (node.words[descriptor + D_STATE] & STATE_MASK) >= STATE_FRAGMENTED; i++) {
    relistFreedLocked(node, slots[0] >>> 9, descriptor, slots[i] & INDEX_MASK);
  }
}

/** The slot in use is so no more; its word becomes `word`. */
function endUse(node: Node, slot: SlotIndex, word: number): number {
  const { words } = node;
  const descriptor = descriptorAt(node, slot >>> 9);
  const index = slot & INDEX_MASK;
  const at = words[descriptor + D_TABLE] + index;
  assert(words[at] !== SLOT_FREE && words[at] !== SLOT_BAD, 'slot freed twice', slot);
  words[at] = word; // the sequence moves after it: a plain store cannot pass an atomic one
  bumpSequenceLocked(node, slot);
  node.bytes[shadowByteAt(node, slot)] = 0;
  words[L.H_SLOTS_USED]--;
  unchargeSwap(node, groupAtLocked(node, descriptor, index), 1);
  return descriptor;
}

/**
 * The slot is never handed out again: a free one, or one in use instead of being freed. It counts against SLOTS_MAX, and
 * its table stays. False, with nothing changed, when there is no memory for the table of a free cluster.
 */
export function markBadLocked(node: Node, slot: SlotIndex, gfp: number): boolean {
  const { words } = node;
  const cluster = slot >>> 9;
  assert(slot >= 0 && slot < L.SLOTS_MAX, 'slot', slot);
  if (!takeDescriptorOfLocked(node, cluster, STATE_CURRENT, gfp)) return false;
  const descriptor = descriptorAt(node, cluster);
  // Taken just now, or some thread's that has emptied it.
  const isTaken = words[descriptor + D_TABLE] === 0 && !isThreadsCluster(node, cluster);
  if (!populateLocked(node, descriptor, gfp)) {
    if (isTaken) giveDescriptorLocked(node, cluster);
    return false;
  }
  const at = words[descriptor + D_TABLE] + (slot & INDEX_MASK);
  if (words[at] === SLOT_BAD) return true;
  const wasFree = words[at] === SLOT_FREE;
  words[L.H_SLOTS_BAD]++;
  words[descriptor + D_STATE] += 1 << BAD_SHIFT;
  if (wasFree) {
    Atomics.store(words, at, SLOT_BAD);
    words[descriptor + D_COUNT]++;
    if (isTaken) leaveClusterLocked(node, cluster);
    else relistTakenLocked(node, cluster, descriptor);
  } else {
    endUse(node, slot, SLOT_BAD);
    if (isClusterEmpty(node, descriptor)) emptiedLocked(node, cluster, descriptor);
  }
  return true;
}

function isThreadsCluster(node: Node, cluster: number): boolean {
  for (let thread = 0; thread < L.THREADS_MAX; thread++) {
    const at = L.THREADS_AT + thread * L.THREAD_WORDS + L.T_CLUSTER;
    for (let order = 0; order < 10; order++) if (node.words[at + order] === cluster + 1) return true;
  }
  return false;
}
