/**
 * The last step of an allocation (swap/slot-alloc.ts): a single slot from wherever one is free, when no cluster can be
 * begun. In the order of what it spoils:
 *
 *   a  clusters of the group, FRAGMENTED before PARTIAL, lower orders before higher; then mixed ones
 *   b  threads' clusters of the group, or mixed, or empty
 *   c  other groups' clusters, in the same order, then those that their threads allocate from: the cluster becomes mixed
 *
 * The cluster stays what it is: on its list, or that thread's. Nothing here is on a usual path; it looks at some 1,300
 * list heads and 640 words of threads before it gives up. Node lock held.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import {
  CLUSTER_ORDERS,
  changeOwnerLocked,
  clusterListAt,
  isClusterEmpty,
  populateLocked,
  STATE_FRAGMENTED,
  STATE_PARTIAL,
} from './cluster.ts';
import { NO_CLUSTER } from './cluster-chunk.ts';
import { MIXED, mixLocked, ownerCode } from './slot-group.ts';
import { D_COUNT, D_GROUP, descriptorAt } from './swap-table.ts';

/** Slots are free, but only among another group's, and there is no memory to tell them apart. */
export const NO_GROUP_TABLE = -2;

/** A cluster with a free slot and its table, that may hold a slot of `group`. NO_CLUSTER, or NO_GROUP_TABLE. */
export function stealClusterLocked(node: Node, group: number, gfp: number): number {
  let found = firstListed(node, group + 1);
  if (found < 0) found = firstListed(node, MIXED);
  if (found < 0) found = threadsClusterLocked(node, group, gfp);
  if (found < 0) found = foreignClusterLocked(node, group, gfp);
  if (found >= 0) node.counters[C.swap_slots_stolen]++;
  return found;
}

function firstListed(node: Node, owner: number): number {
  for (let order = 0; order < CLUSTER_ORDERS; order++) {
    const head = node.words[clusterListAt(STATE_FRAGMENTED, order, owner)];
    if (head !== 0) return head - 1;
  }
  for (let order = 0; order < CLUSTER_ORDERS; order++) {
    const head = node.words[clusterListAt(STATE_PARTIAL, order, owner)];
    if (head !== 0) return head - 1;
  }
  return NO_CLUSTER;
}

/** Of all threads' current clusters, this thread's among them: one of the group, mixed, or empty. */
function threadsClusterLocked(node: Node, group: number, gfp: number): number {
  for (let i = 0; i < L.THREADS_MAX * CLUSTER_ORDERS; i++) {
    const cluster = currentClusterOf(node, i);
    if (cluster < 0) continue;
    const descriptor = descriptorAt(node, cluster);
    if (isFull(node, descriptor)) continue;
    if (isClusterEmpty(node, descriptor)) {
      if (!populateLocked(node, descriptor, gfp)) continue;
      node.words[descriptor + D_GROUP] = group + 1;
      return cluster;
    }
    const owner = ownerCode(node, descriptor);
    if (owner === group + 1 || owner === MIXED) return cluster;
  }
  return NO_CLUSTER;
}

/** What is left is other groups'. */
function foreignClusterLocked(node: Node, group: number, gfp: number): number {
  let found = NO_CLUSTER;
  for (let owner = 1; owner < MIXED && found < 0; owner++) {
    if (owner !== group + 1) found = firstListed(node, owner);
  }
  for (let i = 0; i < L.THREADS_MAX * CLUSTER_ORDERS && found < 0; i++) {
    const cluster = currentClusterOf(node, i);
    if (cluster < 0) continue;
    const descriptor = descriptorAt(node, cluster);
    if (!isFull(node, descriptor) && !isClusterEmpty(node, descriptor)) found = cluster;
  }
  if (found < 0) return NO_CLUSTER;
  const descriptor = descriptorAt(node, found);
  return changeOwnerLocked(node, found, descriptor, () => mixLocked(node, descriptor, gfp)) ? found : NO_GROUP_TABLE;
}

/** Cluster `i` of the threads' current ones, NO_CLUSTER when there is none. */
function currentClusterOf(node: Node, i: number): number {
  const thread = Math.floor(i / CLUSTER_ORDERS);
  return node.words[L.THREADS_AT + thread * L.THREAD_WORDS + L.T_CLUSTER + (i % CLUSTER_ORDERS)] - 1;
}

function isFull(node: Node, descriptor: number): boolean {
  return node.words[descriptor + D_COUNT] === L.CLUSTER_SLOTS;
}
