/**
 * Descriptors of clusters: frames of 128, that come with the first of them and go with the last. A chunk is of kind TABLE:
 *
 *   owner   clusters in use (state not FREE)
 *   slot    which root names it
 *   next, prev   the chunks with a free cluster: together with the empty roots they are the list of free clusters
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { NO_PFN, PAGE_WORDS, type Pfn } from '../base/units.ts';
import { allocTableFrameLocked, freeTableFrameLocked } from '../page-alloc/table-slab.ts';
import { D_STATE, descriptorAt } from './swap-table.ts';

export const NO_CLUSTER = -1;

/** A free cluster, its state now `state`. NO_CLUSTER when all are in use, or there is no frame for a chunk. */
export function takeDescriptorLocked(node: Node, state: number, gfp: number): number {
  const { words } = node;
  let chunk = words[L.H_CLUSTER_FREE] as Pfn;
  if (chunk === NO_PFN) {
    let root = 0;
    while (root < L.CLUSTER_ROOTS && words[L.CLUSTER_ROOTS_AT + root] !== 0) root++;
    if (root === L.CLUSTER_ROOTS) return NO_CLUSTER;
    chunk = newChunk(node, root, gfp);
    if (chunk === NO_PFN) return NO_CLUSTER;
  }
  const base = chunk * PAGE_WORDS;
  for (let index = 0; index < L.CLUSTER_CHUNK; index++) {
    if (words[base + index * L.CLUSTER_DESCRIPTOR_WORDS + D_STATE] !== 0) continue;
    const cluster = words[node.slotAt + chunk] * L.CLUSTER_CHUNK + index;
    beginUse(node, cluster, state);
    return cluster;
  }
  assert(false, 'chunk on the list has a free cluster', chunk);
  return NO_CLUSTER;
}

/** Takes this one, if it is free. False when there is no frame for its chunk. */
export function takeDescriptorOfLocked(node: Node, cluster: number, state: number, gfp: number): boolean {
  const root = cluster >>> 7;
  if (node.words[L.CLUSTER_ROOTS_AT + root] === 0 && newChunk(node, root, gfp) === NO_PFN) return false;
  if (node.words[descriptorAt(node, cluster) + D_STATE] === 0) beginUse(node, cluster, state);
  return true;
}

/** The cluster is free, and on no list. */
export function giveDescriptorLocked(node: Node, cluster: number): void {
  const { words } = node;
  const root = cluster >>> 7;
  const chunk = words[L.CLUSTER_ROOTS_AT + root] as Pfn;
  const at = descriptorAt(node, cluster);
  words.fill(0, at, at + L.CLUSTER_DESCRIPTOR_WORDS);
  words[L.H_CLUSTERS_USED]--;
  if (words[node.ownerAt + chunk]-- === L.CLUSTER_CHUNK) linkChunk(node, chunk);
  if (words[node.ownerAt + chunk] > 0) return;
  unlinkChunk(node, chunk);
  Atomics.store(words, L.CLUSTER_ROOTS_AT + root, 0);
  freeTableFrameLocked(node, chunk);
}

function beginUse(node: Node, cluster: number, state: number): void {
  const { words } = node;
  const chunk = words[L.CLUSTER_ROOTS_AT + (cluster >>> 7)] as Pfn;
  words[descriptorAt(node, cluster) + D_STATE] = state;
  words[L.H_CLUSTERS_USED]++;
  if (++words[node.ownerAt + chunk] === L.CLUSTER_CHUNK) unlinkChunk(node, chunk);
}

function newChunk(node: Node, root: number, gfp: number): Pfn {
  const { words } = node;
  const chunk = allocTableFrameLocked(node, gfp);
  if (chunk === NO_PFN) return NO_PFN;
  words[node.ownerAt + chunk] = 0;
  words[node.slotAt + chunk] = root;
  linkChunk(node, chunk);
  Atomics.store(words, L.CLUSTER_ROOTS_AT + root, chunk);
  return chunk;
}

function linkChunk(node: Node, chunk: Pfn): void {
  const { words } = node;
  const head = words[L.H_CLUSTER_FREE];
  words[node.nextAt + chunk] = head;
  words[node.prevAt + chunk] = 0;
  if (head !== 0) words[node.prevAt + head] = chunk;
  words[L.H_CLUSTER_FREE] = chunk;
}

function unlinkChunk(node: Node, chunk: Pfn): void {
  const { words } = node;
  const next = words[node.nextAt + chunk];
  const prev = words[node.prevAt + chunk];
  if (prev === 0) words[L.H_CLUSTER_FREE] = next;
  else words[node.nextAt + prev] = next;
  if (next !== 0) words[node.prevAt + next] = prev;
}
