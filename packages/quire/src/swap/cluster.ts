/**
 * The states of a cluster and the lists they stand for (after struct swap_cluster_info). A state names exactly one list;
 * both change in `link` and `unlink` and nowhere else.
 *
 *           takeFreeClusterLocked          leaveClusterLocked
 *    FREE ───────────────────────► CURRENT ─────────────────► PARTIAL[order]  a run of the order is free
 *     ▲ ▲                            │  ▲                       │ ▲ │
 *     │ └────────── left empty ──────┘  └── takePartialLocked ──┘ │ │ last run taken or cut (order 0 steals)
 *     │                                                           │ ▼
 *     │                                                   FRAGMENTED[order]   free slots, but no run of the order
 *     │                                                           │ ▲
 *     │                                                  last slot ▼ │ a slot freed
 *     └── last slot freed (emptiedLocked) ◄── any ──             FULL          no free slot
 *
 *   FREE        no table; the descriptor is all zero. Its list: swap/cluster-chunk.ts
 *   CURRENT     one thread's, which allocates from it: T_CLUSTER + order names it. May be empty (no table) or full
 *   PARTIAL, FRAGMENTED   on a list of their order and owner (swap/slot-group.ts); order 0 has no FRAGMENTED
 *   FULL        on one list for all
 *
 * What is listed is exact: a cluster in PARTIAL[order] has a free run of 2^order slots, naturally aligned, and one in
 * FRAGMENTED has none. So a run costs one search of one cluster, never a walk; the kernel learns the same by searching
 * clusters in vain. A freed slot can only complete the one run it lies in, which is all that is looked at.
 *
 * The order is fixed when the cluster is taken from FREE. A cluster with bad slots never becomes FREE: when nothing else is
 * left in it, it is order 0 and nobody's, until the next group takes it.
 *
 * Everything here runs under the node lock.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import type { WordIndex } from '../base/units.ts';
import { allocTableLocked, freeTableLocked, SLAB_2K } from '../page-alloc/table-slab.ts';
import { giveDescriptorLocked, NO_CLUSTER, takeDescriptorLocked } from './cluster-chunk.ts';
import { forgetGroupLocked, ownerCode } from './slot-group.ts';
import { SLOT_FREE } from './slot-word.ts';
import { D_COUNT, D_COUNTS, D_HINT, D_NEXT, D_PREV, D_STATE, D_TABLE, descriptorAt, INDEX_MASK } from './swap-table.ts';

/* D_STATE: bad slots << 8 | order << 4 | state. */
export const STATE_FREE = 0;
export const STATE_CURRENT = 1;
export const STATE_PARTIAL = 2;
export const STATE_FRAGMENTED = 3;
export const STATE_FULL = 4;
export const STATE_MASK = 0xf;
const ORDER_SHIFT = 4;
const ORDER_MASK = 0xf << ORDER_SHIFT;
export const BAD_SHIFT = 8;

export const CLUSTER_ORDERS = 10;

export function clusterState(node: Node, descriptor: number): number {
  return node.words[descriptor + D_STATE] & STATE_MASK;
}

export function clusterOrder(node: Node, descriptor: number): number {
  return (node.words[descriptor + D_STATE] & ORDER_MASK) >> ORDER_SHIFT;
}

/** Nothing in use but bad slots, if any. */
export function isClusterEmpty(node: Node, descriptor: number): boolean {
  return node.words[descriptor + D_COUNT] === node.words[descriptor + D_STATE] >>> BAD_SHIFT;
}

/** Word that heads the list of PARTIAL or FRAGMENTED clusters of the order and owner: cluster + 1, 0 none. */
export function clusterListAt(state: number, order: number, owner: number): number {
  return L.CLUSTER_LISTS_AT + owner * L.CLUSTER_LIST_WORDS + order + (state === STATE_FRAGMENTED ? CLUSTER_ORDERS : 0);
}

/** Index of a free slot of a cluster that has one. */
export function findSlot(node: Node, descriptor: number): number {
  const { words } = node;
  const table = words[descriptor + D_TABLE];
  const hint = words[descriptor + D_HINT];
  for (let step = 0; step < L.CLUSTER_SLOTS; step++) {
    const index = (hint + step) & INDEX_MASK;
    if (words[table + index] === SLOT_FREE) return index;
  }
  assert(false, 'cluster count says a slot is free', words[descriptor + D_COUNT]);
  return 0;
}

/** Index of a free run of `length` slots, a power of two, that starts at a multiple of it; −1 when there is none. */
export function findRun(node: Node, descriptor: number, length: number): number {
  const { words } = node;
  if (words[descriptor + D_COUNT] + length > L.CLUSTER_SLOTS) return -1;
  const table = words[descriptor + D_TABLE];
  if (table === 0) return 0;
  const hint = words[descriptor + D_HINT] & -length;
  for (let step = 0; step < L.CLUSTER_SLOTS; step += length) {
    const index = (hint + step) & INDEX_MASK;
    if (isRunFree(words, table + index, length)) return index;
  }
  return -1;
}

function isRunFree(words: Int32Array, at: number, length: number): boolean {
  for (let i = at; i < at + length; i++) if (words[i] !== SLOT_FREE) return false;
  return true;
}

/** A free cluster with a table, CURRENT. NO_CLUSTER, with nothing changed, when there is no memory for either. */
export function takeFreeClusterLocked(node: Node, order: number, gfp: number): number {
  const cluster = takeDescriptorLocked(node, STATE_CURRENT | (order << ORDER_SHIFT), gfp);
  if (cluster === NO_CLUSTER || populateLocked(node, descriptorAt(node, cluster), gfp)) return cluster;
  giveDescriptorLocked(node, cluster);
  return NO_CLUSTER;
}

/** The first PARTIAL cluster of the order and owner, CURRENT now. */
export function takePartialLocked(node: Node, order: number, owner: number): number {
  const cluster = node.words[clusterListAt(STATE_PARTIAL, order, owner)] - 1;
  if (cluster < 0) return NO_CLUSTER;
  const descriptor = descriptorAt(node, cluster);
  unlink(node, descriptor);
  setState(node, descriptor, STATE_CURRENT);
  return cluster;
}

/** Gives the cluster its table. False when there is no memory for one. */
export function populateLocked(node: Node, descriptor: number, gfp: number): boolean {
  const { words } = node;
  if (words[descriptor + D_TABLE] !== 0) return true;
  const table = allocTableLocked(node, SLAB_2K, gfp);
  if (table === 0) return false;
  words[L.H_SLOT_TABLES]++;
  Atomics.store(words, descriptor + D_TABLE, table);
  return true;
}

/** A thread allocates from its current cluster no more. */
export function leaveClusterLocked(node: Node, cluster: number): void {
  const descriptor = descriptorAt(node, cluster);
  assert(clusterState(node, descriptor) === STATE_CURRENT, 'cluster of a thread', cluster);
  if (node.words[descriptor + D_COUNT] === 0) giveDescriptorLocked(node, cluster);
  else if (isClusterEmpty(node, descriptor)) linkNobodys(node, cluster, descriptor);
  else link(node, cluster, descriptor, listedState(node, descriptor));
}

/** Gives back the clusters a detaching thread allocated from. */
export function releaseThreadClusterLocked(node: Node, threadAt: number): void {
  for (let order = 0; order < CLUSTER_ORDERS; order++) {
    const at = threadAt + L.T_CLUSTER + order;
    const cluster = node.words[at] - 1;
    node.words[at] = 0;
    if (cluster >= 0) leaveClusterLocked(node, cluster);
  }
}

/** Slots of a cluster that is nobody's current one were taken. */
export function relistTakenLocked(node: Node, cluster: number, descriptor: number): void {
  const state = clusterState(node, descriptor);
  if (state === STATE_CURRENT) return;
  const next = listedState(node, descriptor);
  if (state === next) return;
  unlink(node, descriptor);
  link(node, cluster, descriptor, next);
}

/** Slot `index` of a FULL or FRAGMENTED cluster was freed; others of it are in use. */
export function relistFreedLocked(node: Node, cluster: number, descriptor: number, index: number): void {
  const length = 1 << clusterOrder(node, descriptor);
  const hasRun = isRunFree(node.words, node.words[descriptor + D_TABLE] + (index & -length), length);
  const next = hasRun ? STATE_PARTIAL : STATE_FRAGMENTED;
  const state = clusterState(node, descriptor);
  if (state === next) return;
  // The only free slot: whoever takes the cluster need not look for it.
  if (state === STATE_FULL) node.words[descriptor + D_HINT] = index;
  unlink(node, descriptor);
  link(node, cluster, descriptor, next);
}

/** The last slot in use was freed: the group is forgotten and the table goes, unless there are bad slots in it. */
export function emptiedLocked(node: Node, cluster: number, descriptor: number): void {
  const { words } = node;
  const isCurrent = clusterState(node, descriptor) === STATE_CURRENT;
  assert(words[descriptor + D_COUNTS] === 0, 'counts go before the table', cluster);
  if (!isCurrent) unlink(node, descriptor);
  forgetGroupLocked(node, descriptor);
  if (words[descriptor + D_COUNT] === 0) {
    const table = words[descriptor + D_TABLE] as WordIndex;
    Atomics.store(words, descriptor + D_TABLE, 0);
    freeTableLocked(node, SLAB_2K, table);
    words[L.H_SLOT_TABLES]--;
    if (!isCurrent) giveDescriptorLocked(node, cluster);
  } else if (!isCurrent) linkNobodys(node, cluster, descriptor);
}

/** Takes the cluster off its list while its owner changes (`work`), and puts it on the new owner's. */
export function changeOwnerLocked(node: Node, cluster: number, descriptor: number, work: () => boolean): boolean {
  const state = clusterState(node, descriptor);
  if (state === STATE_CURRENT) return work();
  unlink(node, descriptor);
  const isDone = work();
  link(node, cluster, descriptor, state);
  return isDone;
}

function listedState(node: Node, descriptor: number): number {
  if (node.words[descriptor + D_COUNT] === L.CLUSTER_SLOTS) return STATE_FULL;
  return findRun(node, descriptor, 1 << clusterOrder(node, descriptor)) >= 0 ? STATE_PARTIAL : STATE_FRAGMENTED;
}

/** Bad slots are all that is left in it: any group may take it, for single slots. */
function linkNobodys(node: Node, cluster: number, descriptor: number): void {
  node.words[descriptor + D_STATE] &= ~ORDER_MASK;
  link(node, cluster, descriptor, listedState(node, descriptor));
}

function setState(node: Node, descriptor: number, state: number): void {
  node.words[descriptor + D_STATE] = (node.words[descriptor + D_STATE] & ~STATE_MASK) | state;
}

function headAt(node: Node, descriptor: number): number {
  const state = clusterState(node, descriptor);
  assert(state >= STATE_PARTIAL, 'cluster is on a list', state);
  if (state === STATE_FULL) return L.H_CLUSTER_FULL;
  return clusterListAt(state, clusterOrder(node, descriptor), ownerCode(node, descriptor));
}

function link(node: Node, cluster: number, descriptor: number, state: number): void {
  const { words } = node;
  setState(node, descriptor, state);
  const at = headAt(node, descriptor);
  const head = words[at];
  words[descriptor + D_NEXT] = head;
  words[descriptor + D_PREV] = 0;
  if (head !== 0) words[descriptorAt(node, head - 1) + D_PREV] = cluster + 1;
  words[at] = cluster + 1;
}

function unlink(node: Node, descriptor: number): void {
  const { words } = node;
  const next = words[descriptor + D_NEXT];
  const prev = words[descriptor + D_PREV];
  if (prev === 0) words[headAt(node, descriptor)] = next;
  else words[descriptorAt(node, prev - 1) + D_NEXT] = next;
  if (next !== 0) words[descriptorAt(node, next - 1) + D_PREV] = prev;
}
