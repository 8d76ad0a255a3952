/** The swap table counted: memory it takes, and every list and state of it, for tests. */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { PAGE_BYTES } from '../base/units.ts';
import {
  BAD_SHIFT,
  CLUSTER_ORDERS,
  clusterListAt,
  clusterOrder,
  clusterState,
  findRun,
  STATE_CURRENT,
  STATE_FRAGMENTED,
  STATE_FREE,
  STATE_FULL,
  STATE_PARTIAL,
} from './cluster.ts';
import { groupAtLocked, MIXED, NOBODYS, ownerCode } from './slot-group.ts';
import { SLOT_BAD, SLOT_FREE } from './slot-word.ts';
import { D_COUNT, D_COUNTS, D_GROUP, D_NEXT, D_PREV, D_STATE, D_TABLE, descriptorAt } from './swap-table.ts';

/** Bytes a node sets aside for a swap space of 1 TiB (SLOTS_MAX slots) before a slot of it is used. */
export const SLOTS_STATIC_BYTES = 4 * (L.CLUSTER_ROOTS + (L.GROUPS_MAX + 2) * L.CLUSTER_LIST_WORDS + L.SEQUENCE_WORDS);

/** Bytes of slot tables, descriptors, tables of groups and of counts, now. */
export function slotsBytes(node: Node): number {
  let bytes = 0;
  for (let root = 0; root < L.CLUSTER_ROOTS; root++) {
    if (node.words[L.CLUSTER_ROOTS_AT + root] === 0) continue;
    bytes += PAGE_BYTES;
    for (let index = 0; index < L.CLUSTER_CHUNK; index++) {
      const descriptor = descriptorAt(node, root * L.CLUSTER_CHUNK + index);
      const counts = node.words[descriptor + D_COUNTS];
      if (node.words[descriptor + D_TABLE] !== 0) bytes += 4 * L.CLUSTER_SLOTS;
      if (ownerCode(node, descriptor) === MIXED) bytes += L.CLUSTER_SLOTS;
      // Bytes, or words (swap/slot-count.ts).
      if (counts !== 0) bytes += (counts & 1) === 0 ? L.CLUSTER_SLOTS : 4 * L.CLUSTER_SLOTS;
    }
  }
  return bytes;
}

/** Counts every cluster, list and group. Returns the slots in use of each group. */
export function checkSwapTable(node: Node): Int32Array {
  const { words } = node;
  assert(node.slotRow.left === 0, 'a row ends in the hold that began it', node.slotRow.left);
  const currents = currentClusters(node);
  const groups = new Int32Array(L.GROUPS_MAX);
  let used = 0;
  let bad = 0;
  let clusters = 0;
  let tables = 0;
  let listed = 0;
  for (let root = 0; root < L.CLUSTER_ROOTS; root++) {
    const chunk = words[L.CLUSTER_ROOTS_AT + root];
    if (chunk === 0) continue;
    let inUse = 0;
    for (let index = 0; index < L.CLUSTER_CHUNK; index++) {
      const cluster = root * L.CLUSTER_CHUNK + index;
      const descriptor = descriptorAt(node, cluster);
      const state = clusterState(node, descriptor);
      const bads = checkCluster(node, cluster, groups);
      assert((state === STATE_CURRENT) === currents.delete(cluster), 'current cluster of one thread', cluster, state);
      used += words[descriptor + D_COUNT] - bads;
      bad += bads;
      if (state !== STATE_FREE) inUse++;
      if (state >= STATE_PARTIAL) listed++;
      if (words[descriptor + D_TABLE] !== 0) tables++;
    }
    assert(words[node.ownerAt + chunk] === inUse && inUse > 0, 'clusters in use of a chunk', chunk, inUse);
    assert(words[node.slotAt + chunk] === root, 'chunk knows its root', chunk, root);
    clusters += inUse;
  }
  assert(currents.size === 0, 'threads have clusters that exist', currents.size);
  assert(checkLists(node) === listed, 'every listed cluster is on a list', listed);
  checkChunkList(node);
  assert(used === words[L.H_SLOTS_USED], 'slots used', used, words[L.H_SLOTS_USED]);
  assert(bad === words[L.H_SLOTS_BAD], 'bad slots', bad, words[L.H_SLOTS_BAD]);
  assert(clusters === words[L.H_CLUSTERS_USED], 'clusters used', clusters, words[L.H_CLUSTERS_USED]);
  assert(tables === words[L.H_SLOT_TABLES], 'slot tables', tables, words[L.H_SLOT_TABLES]);
  return groups;
}

function currentClusters(node: Node): Set<number> {
  const clusters = new Set<number>();
  for (let i = 0; i < L.THREADS_MAX * CLUSTER_ORDERS; i++) {
    const at = L.THREADS_AT + Math.floor(i / CLUSTER_ORDERS) * L.THREAD_WORDS + L.T_CLUSTER + (i % CLUSTER_ORDERS);
    const cluster = node.words[at] - 1;
    if (cluster < 0) continue;
    assert(!clusters.has(cluster), 'a cluster is one thread’s', cluster);
    assert(
      clusterOrder(node, descriptorAt(node, cluster)) === i % CLUSTER_ORDERS,
      'order of a current cluster',
      cluster,
      i % CLUSTER_ORDERS,
    );
    clusters.add(cluster);
  }
  return clusters;
}

/** Counts the slots of one cluster into `groups`; returns how many of it are bad. */
function checkCluster(node: Node, cluster: number, groups: Int32Array): number {
  const { words } = node;
  const descriptor = descriptorAt(node, cluster);
  const state = clusterState(node, descriptor);
  const table = words[descriptor + D_TABLE];
  const owner = ownerCode(node, descriptor);
  let used = 0;
  let bads = 0;
  for (let i = 0; table !== 0 && i < L.CLUSTER_SLOTS; i++) {
    const word = words[table + i];
    if (word === SLOT_BAD) bads++;
    else if (word !== SLOT_FREE) {
      used++;
      groups[groupAtLocked(node, descriptor, i)]++;
    }
  }
  const count = words[descriptor + D_COUNT];
  assert(count === used + bads, 'cluster count', count, used + bads);
  assert(words[descriptor + D_STATE] >>> BAD_SHIFT === bads, 'bad slots of a cluster', cluster, bads);
  assert((table !== 0) === count > 0, 'table exists with its slots', cluster, count);
  assert(count > 0 || state === STATE_CURRENT || state === STATE_FREE, 'listed cluster has slots', cluster, state);
  assert((owner === NOBODYS) === (used === 0), 'group exists with its slots', cluster, owner);
  assert(owner !== MIXED || words[descriptor + D_GROUP] !== MIXED, 'mixed cluster has a table', cluster);
  const hasRun = findRun(node, descriptor, 1 << clusterOrder(node, descriptor)) >= 0;
  if (state === STATE_FULL) assert(count === L.CLUSTER_SLOTS, 'full cluster', cluster, count);
  if (state === STATE_PARTIAL) assert(hasRun, 'partial cluster has a run', cluster);
  if (state === STATE_FRAGMENTED) assert(!hasRun && count < L.CLUSTER_SLOTS, 'fragmented cluster', cluster, count);
  return bads;
}

/** Walks every list; returns how many clusters are on them. */
function checkLists(node: Node): number {
  let listed = checkList(node, L.H_CLUSTER_FULL, STATE_FULL, -1, -1);
  for (let owner = 0; owner <= MIXED; owner++) {
    for (let order = 0; order < CLUSTER_ORDERS; order++) {
      for (const state of [STATE_PARTIAL, STATE_FRAGMENTED]) {
        listed += checkList(node, clusterListAt(state, order, owner), state, order, owner);
      }
    }
  }
  return listed;
}

function checkList(node: Node, at: number, state: number, order: number, owner: number): number {
  const { words } = node;
  let count = 0;
  let prev = 0;
  for (let id = words[at]; id !== 0; ) {
    const descriptor = descriptorAt(node, id - 1);
    assert(clusterState(node, descriptor) === state, 'state of a listed cluster', id - 1, state);
    assert(order < 0 || clusterOrder(node, descriptor) === order, 'order of a listed cluster', id - 1, order);
    assert(owner < 0 || ownerCode(node, descriptor) === owner, 'owner of a listed cluster', id - 1, owner);
    assert(words[descriptor + D_PREV] === prev, 'cluster back link', id - 1, prev);
    prev = id;
    id = words[descriptor + D_NEXT];
    assert(++count <= words[L.H_CLUSTERS_USED], 'cluster list loops', at);
  }
  return count;
}

/** The chunks with a free cluster are those on the list. */
function checkChunkList(node: Node): void {
  const { words } = node;
  const open = new Set<number>();
  for (let root = 0; root < L.CLUSTER_ROOTS; root++) {
    const chunk = words[L.CLUSTER_ROOTS_AT + root];
    if (chunk !== 0 && words[node.ownerAt + chunk] < L.CLUSTER_CHUNK) open.add(chunk);
  }
  let prev = 0;
  for (let chunk = words[L.H_CLUSTER_FREE]; chunk !== 0; chunk = words[node.nextAt + chunk]) {
    assert(open.delete(chunk), 'chunk with a free cluster is listed once', chunk);
    assert(words[node.prevAt + chunk] === prev, 'chunk back link', chunk, prev);
    prev = chunk;
  }
  assert(open.size === 0, 'chunks with a free cluster are listed', open.size);
}
