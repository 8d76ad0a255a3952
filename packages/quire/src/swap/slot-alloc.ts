/**
 * Slots handed out, in the kernel's order (cluster_alloc_swap_entry). For a run of 2^order slots charged to a group:
 *
 *   1  the thread's cluster of that order
 *   2  a PARTIAL cluster of the order and group; for single slots also one that is nobody's
 *   3  a FREE cluster, of that order from now on
 *   4  single slots, more than half of all in use, or none to be had otherwise: clean copies are given up
 *   5  single slots: from wherever one is free: clusters of higher orders, other threads' clusters, those of other groups
 *
 * The kernel's step between 4 and 5, one FRAGMENTED cluster of the order itself, has nothing to find here: lists are exact
 * (swap/cluster.ts). The number of slots is bounded by SLOTS_MAX, of a group by its limit.
 *
 * A single slot can be had whenever one is free. A free slot is in a cluster with a table, and that is PARTIAL, FRAGMENTED
 * or CURRENT: step 5 looks at the lists of every order and owner and at the current clusters of every thread. What can be
 * missing is memory: for a table where no cluster has a free slot, or for the table of groups (512 bytes) where all that
 * is free lies among another group's slots.
 *
 * Charging and finding are one step: the charge comes first and is all there is to undo.
 *
 * Reclaim takes single slots a row at a time (swap/slot-row.ts), where steps 2 to 5 and the limits need not be asked.
 *
 * Node lock held throughout. Only swap-out (GFP_MEMALLOC) gives copies up; copies ahead of need do without.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import type { SlotIndex } from '../base/units.ts';
import { GFP_MEMALLOC } from '../page-alloc/gfp.ts';
import { DEFAULT_GROUP, tryChargeSwap, unchargeSwap } from '../reclaim/group.ts';
import { ANY_GROUP, reclaimCleanCopiesLocked } from './clean-copy.ts';
import {
  findRun,
  findSlot,
  isClusterEmpty,
  leaveClusterLocked,
  populateLocked,
  relistTakenLocked,
  takeFreeClusterLocked,
  takePartialLocked,
} from './cluster.ts';
import { NO_CLUSTER } from './cluster-chunk.ts';
import { MIXED, NOBODYS, noteGroupLocked, ownerCode } from './slot-group.ts';
import { NO_GROUP_TABLE, stealClusterLocked } from './slot-steal.ts';
import { SLOT_FRAME, slotWord } from './slot-word.ts';
import {
  bumpSequenceLocked,
  bumpSequencesLocked,
  D_COUNT,
  D_GROUP,
  D_HINT,
  D_TABLE,
  descriptorAt,
  INDEX_MASK,
  NO_SLOT,
} from './swap-table.ts';

/** Clean copies given up at a time: the search for them goes over frames that have none. */
const RECLAIM_BATCH = 32;

/**
 * A free slot, marked with `word` and charged to `group`. NO_SLOT, with nothing changed, when SLOTS_MAX or the group's
 * limit is reached, or when there is no memory for a table and no table has a free slot.
 */
export function allocSlotLocked(node: Node, word: number, gfp: number, group = DEFAULT_GROUP): SlotIndex {
  const { words } = node;
  if (!chargeLocked(node, group, 1, gfp)) return NO_SLOT;
  let cluster = words[node.threadAt + L.T_CLUSTER] - 1;
  let descriptor = cluster < 0 ? 0 : descriptorAt(node, cluster);
  let isStolen = false;
  if (cluster < 0 || words[descriptor + D_GROUP] !== group + 1 || words[descriptor + D_COUNT] === L.CLUSTER_SLOTS) {
    cluster = takeCurrentLocked(node, 0, group, gfp);
    isStolen = cluster < 0;
    if (cluster < 0) cluster = clusterInNeedLocked(node, group, gfp);
    if (cluster < 0) {
      unchargeSwap(node, group, 1);
      if (cluster !== NO_GROUP_TABLE && hasFreeSlot(node)) node.counters[C.swap_alloc_failed]++;
      return NO_SLOT;
    }
    descriptor = descriptorAt(node, cluster);
  }
  const index = findSlot(node, descriptor);
  const slot = ((cluster << 9) | index) as SlotIndex;
  words[descriptor + D_COUNT]++;
  words[descriptor + D_HINT] = (index + 1) & INDEX_MASK;
  words[L.H_SLOTS_USED]++;
  bumpSequenceLocked(node, slot);
  // A plain store: it cannot overtake the sequence, and the entry that will name the slot is stored atomically.
  words[words[descriptor + D_TABLE] + index] = word;
  if (isStolen) {
    if (ownerCode(node, descriptor) === MIXED) noteGroupLocked(node, descriptor, index, group);
    relistTakenLocked(node, cluster, descriptor);
  }
  return slot;
}

/**
 * As many free slots in a row as there are `pfns`, a power of two up to 512, the first a multiple of that: slot i gets
 * the word of `pfns[i]` in flight. From clusters of their own, so that single slots do not cut the runs up. NO_SLOT, with
 * nothing changed, when there is none to be had; single slots may still be.
 */
export function allocRunLocked(node: Node, pfns: Int32Array, gfp: number, group = DEFAULT_GROUP): SlotIndex {
  const { words } = node;
  const { length } = pfns;
  const order = 31 - Math.clz32(length);
  assert(length === 1 << order && length <= L.CLUSTER_SLOTS, 'length of a run', length);
  if (!chargeLocked(node, group, length, gfp)) return NO_SLOT;
  let cluster = words[node.threadAt + L.T_CLUSTER + order] - 1;
  let index = -1;
  if (cluster >= 0 && words[descriptorAt(node, cluster) + D_GROUP] === group + 1) {
    index = findRun(node, descriptorAt(node, cluster), length);
  }
  if (index < 0) {
    cluster = takeCurrentLocked(node, order, group, gfp);
    if (cluster < 0) {
      unchargeSwap(node, group, length);
      return NO_SLOT;
    }
    index = findRun(node, descriptorAt(node, cluster), length);
    assert(index >= 0, 'listed cluster has a run', cluster, length);
  }
  const descriptor = descriptorAt(node, cluster);
  const base = ((cluster << 9) | index) as SlotIndex;
  words[descriptor + D_COUNT] += length;
  words[descriptor + D_HINT] = (index + length) & INDEX_MASK;
  words[L.H_SLOTS_USED] += length;
  bumpSequencesLocked(node, base, length);
  const at = words[descriptor + D_TABLE] + index;
  for (let i = 0; i < length; i++) words[at + i] = slotWord(SLOT_FRAME, pfns[i]);
  return base;
}

/** Counts the slots against SLOTS_MAX and the group's limit, clean copies given up where that helps. */
function chargeLocked(node: Node, group: number, slots: number, gfp: number): boolean {
  const { words } = node;
  const mayReclaim = (gfp & GFP_MEMALLOC) !== 0;
  const over = words[L.H_SLOTS_USED] + words[L.H_SLOTS_BAD] + slots - words[L.H_SLOTS_MAX];
  if (over > 0) {
    if (!mayReclaim || reclaimCleanCopiesLocked(node, Math.max(over, RECLAIM_BATCH), ANY_GROUP) < over) return false;
  }
  if (tryChargeSwap(node, group, slots)) return true;
  if (!mayReclaim || reclaimCleanCopiesLocked(node, Math.max(slots, RECLAIM_BATCH), group) === 0) return false;
  return tryChargeSwap(node, group, slots);
}

/** Steps 1 to 3: a cluster with room for a run, the thread's current one of that order from now on. */
function takeCurrentLocked(node: Node, order: number, group: number, gfp: number): number {
  const { words } = node;
  const at = node.threadAt + L.T_CLUSTER + order;
  const old = words[at] - 1;
  if (old >= 0 && mayUseLocked(node, descriptorAt(node, old), order, group, gfp)) return old;
  let cluster = takePartialLocked(node, order, group + 1);
  if (cluster === NO_CLUSTER && order === 0) cluster = takePartialLocked(node, order, NOBODYS);
  if (cluster === NO_CLUSTER) cluster = takeFreeClusterLocked(node, order, gfp);
  if (cluster === NO_CLUSTER) return NO_CLUSTER;
  words[descriptorAt(node, cluster) + D_GROUP] = group + 1;
  words[at] = cluster + 1;
  if (old >= 0) leaveClusterLocked(node, old);
  return cluster;
}

/** Has the thread's cluster room for a run of the group's? An empty one becomes the group's, and gets its table. */
function mayUseLocked(node: Node, descriptor: number, order: number, group: number, gfp: number): boolean {
  const isEmpty = isClusterEmpty(node, descriptor);
  if (!isEmpty && node.words[descriptor + D_GROUP] !== group + 1) return false;
  if (findRun(node, descriptor, 1 << order) < 0 || !populateLocked(node, descriptor, gfp)) return false;
  if (isEmpty) node.words[descriptor + D_GROUP] = group + 1;
  return true;
}

/** Steps 4 and 5. */
function clusterInNeedLocked(node: Node, group: number, gfp: number): number {
  const { words } = node;
  const isHalfUsed = (words[L.H_SLOTS_USED] + words[L.H_SLOTS_BAD]) * 2 > words[L.H_SLOTS_MAX];
  if (!isHalfUsed) {
    const found = stealClusterLocked(node, group, gfp);
    if (found >= 0) return found;
  }
  if ((gfp & GFP_MEMALLOC) !== 0 && reclaimCleanCopiesLocked(node, RECLAIM_BATCH, ANY_GROUP) > 0) {
    const found = takeCurrentLocked(node, 0, group, gfp);
    if (found >= 0) return found;
  }
  return stealClusterLocked(node, group, gfp);
}

/** Has any table a free slot? */
function hasFreeSlot(node: Node): boolean {
  const { words } = node;
  return words[L.H_SLOT_TABLES] * L.CLUSTER_SLOTS > words[L.H_SLOTS_USED] + words[L.H_SLOTS_BAD];
}
