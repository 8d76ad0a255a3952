/** Slots come back, or are taken out of use for good. Node lock held. */
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
import { giveDescriptorLocked, NO_CLUSTER, takeDescriptorOfLocked } from './cluster-chunk.ts';
import { freeDirectLocked } from './direct-entry.ts';
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
 * As `freeSlotLocked`, but for the counts. A region's slots lie in rows, so the counts of cluster, node and group are
 * settled once for a row (`Node.freedRow`): `endRowLocked` must follow before the lock is let go.
 */
export function freeInRowLocked(node: Node, slot: SlotIndex): void {
  if (!node.isVirtual) {
    freeDirectLocked(node, slot, sequenceAt(slot));
    return;
  }
  const { words, freedRow: row } = node;
  const cluster = slot >>> 9;
  if (cluster !== row.cluster && !beginRow(node, cluster)) {
    freeSlotLocked(node, slot);
    return;
  }
  const index = slot & INDEX_MASK;
  const at = row.table + index;
  assert(words[at] !== SLOT_FREE && words[at] !== SLOT_BAD, 'slot freed twice', slot);
  words[at] = SLOT_FREE; // as in endUse
  bumpSequenceLocked(node, slot);
  node.bytes[shadowByteAt(node, slot)] = 0;
  row.freed++;
  if ((words[row.descriptor + D_STATE] & STATE_MASK) >= STATE_FRAGMENTED) {
    relistFreedLocked(node, cluster, row.descriptor, index);
  }
}

/** False when the cluster's slots are of several groups: their counts are settled one by one. */
function beginRow(node: Node, cluster: number): boolean {
  endRowLocked(node);
  const descriptor = descriptorAt(node, cluster);
  if (ownerCode(node, descriptor) === MIXED) return false;
  const { freedRow: row } = node;
  row.cluster = cluster;
  row.descriptor = descriptor;
  row.table = node.words[descriptor + D_TABLE];
  return true;
}

/** Settles what the last row left. Does nothing when there was none. */
export function endRowLocked(node: Node): void {
  const { freedRow: row } = node;
  if (row.freed === 0) {
    row.cluster = NO_CLUSTER;
    return;
  }
  const { words } = node;
  const { cluster, descriptor, freed } = row;
  row.cluster = NO_CLUSTER;
  row.freed = 0;
  words[L.H_SLOTS_USED] -= freed;
  unchargeSwap(node, ownerCode(node, descriptor) - 1, freed);
  words[descriptor + D_COUNT] -= freed;
  if (isClusterEmpty(node, descriptor)) emptiedLocked(node, cluster, descriptor);
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
