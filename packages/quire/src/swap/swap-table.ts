/**
 * The swap table: slots in clusters of 512, one word a slot (swap/slot-word.ts). Page tables hold virtual slots; what
 * is behind a slot is in its word and may change without the page table knowing (after mm/swap_table.h and the vswap
 * series).
 *
 *   slot = cluster << 9 | index          cluster = chunk << 7 | descriptor
 *
 *   roots[4096] ─► chunk (one frame, 128 descriptors of 32 bytes) ─► table (2 KiB)
 *
 * A table exists while its cluster has a slot in use; a chunk exists while one of its clusters has. An idle space of
 * any size costs the roots, 16 KiB.
 *
 * Cluster states: FREE (no table) → CURRENT (a thread allocates from it) → PARTIAL (on the list) or FULL → … → FREE
 * when its last slot goes.
 *
 * Readers look slots up without the lock and must not trust what they find: they load the slot's sequence word first
 * and again at the end. The sequence moves whenever what is behind a slot goes away (free, move, demotion), so a word
 * that comes back to the same value is noticed (ABA). Sequence words are shared through a hash and never freed, which
 * makes them safe to load at any time.
 */
import { announce } from '../arena/fence.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { NO_PFN, PAGE_WORDS, type Pfn, type SlotIndex, UNIT_ORDER, UNIT_PAGES, type WordIndex } from '../base/units.ts';
import {
  allocTableFrameLocked,
  allocTableLocked,
  freeTableFrameLocked,
  freeTableLocked,
  SLAB_2K,
} from '../page-alloc/table-slab.ts';
import { shadowByteAt } from '../reclaim/working-set.ts';
import { SLOT_FRAME, SLOT_FREE, slotWord } from './slot-word.ts';

export const NO_SLOT = -1 as SlotIndex;

/* Descriptor words. */
const D_TABLE = 0;
const D_COUNT = 1;
const D_STATE = 2;
const D_NEXT = 3; // cluster + 1
const D_PREV = 4;
const D_HINT = 5;

const STATE_FREE = 0;
const STATE_CURRENT = 1;
const STATE_PARTIAL = 2;
const STATE_FULL = 3;

const CHUNK_SHIFT = 16; // slots a chunk: 128 · 512
const INDEX_MASK = L.CLUSTER_SLOTS - 1;
/** Words of a thread slot that name its current clusters: for single slots, and for runs. */
const CURRENT_CLUSTERS = [L.T_CLUSTER, L.T_CLUSTER + UNIT_ORDER];
/** Partial clusters that are looked at for a run (0.3 µs each) before a new cluster is begun. */
const RUN_CLUSTERS_MAX = 4;

/** Word index of the slot's sequence word. */
export function sequenceAt(slot: number): number {
  return L.SEQUENCES_AT + ((slot ^ (slot >>> 12)) & (L.SEQUENCE_WORDS - 1));
}

/**
 * Word index of the slot's word, 0 when its table is not there. Safe without the lock; the result is a guess until
 * validated.
 */
export function slotAt(node: Node, slot: number): WordIndex {
  const chunk = node.words[L.CLUSTER_ROOTS_AT + (slot >>> CHUNK_SHIFT)];
  if (chunk === 0) return 0 as WordIndex;
  const table =
    node.words[chunk * PAGE_WORDS + ((slot >>> 9) & (L.CLUSTER_CHUNK - 1)) * L.CLUSTER_DESCRIPTOR_WORDS + D_TABLE];
  return (table === 0 ? 0 : table + (slot & INDEX_MASK)) as WordIndex;
}

/** The slot's word as any thread may see it, SLOT_FREE when there is no table (any more). */
export function peekSlot(node: Node, slot: number): number {
  const at = slotAt(node, slot);
  return at <= 0 || at >= node.words.length ? SLOT_FREE : Atomics.load(node.words, at);
}

export function slotWordLocked(node: Node, slot: SlotIndex): number {
  const at = slotAt(node, slot);
  assert(at !== 0, 'slot has a table', slot);
  return node.words[at];
}

export function setSlotWordLocked(node: Node, slot: SlotIndex, word: number): void {
  Atomics.store(node.words, slotAt(node, slot), word);
}

/**
 * What was behind the slot is going away. Pairs with the closing load of a transient read. Comes after the slot's word
 * has changed, so that whoever loads the new sequence does not find the old word, and before anything can be put where
 * it led to. A slot also begins its use with one: a reader that found it in an entry about to change, but after it was
 * freed, must not take the next page's word for its own.
 */
export function bumpSequenceLocked(node: Node, slot: SlotIndex): void {
  announce(node.words, sequenceAt(slot));
}

/**
 * A free slot, marked with `word`. Order: this thread's cluster, a partial one, a free one; with no memory for
 * another table, any cluster that has one. NO_SLOT when the space is full, or no slot has a table and none can be
 * had.
 */
export function allocSlotLocked(node: Node, word: number, gfp: number): SlotIndex {
  const { words } = node;
  if (words[L.H_SLOTS_USED] >= words[L.H_SLOTS_MAX]) return NO_SLOT;
  const cluster = clusterForLocked(node, gfp);
  if (cluster < 0) return NO_SLOT;
  const descriptor = descriptorAt(node, cluster);
  const index = findFree(node, descriptor);
  const slot = ((cluster << 9) | index) as SlotIndex;
  words[descriptor + D_COUNT]++;
  words[descriptor + D_HINT] = (index + 1) & INDEX_MASK;
  words[L.H_SLOTS_USED]++;
  bumpSequenceLocked(node, slot);
  Atomics.store(words, words[descriptor + D_TABLE] + index, word);
  return slot;
}

/**
 * UNIT_PAGES free slots in a row, the first a multiple of UNIT_PAGES: slot i gets the word of `pfns[i]` in flight. From a
 * cluster of the thread's own, so that single slots do not cut the runs up. NO_SLOT when there is none to be had; single
 * slots may still be.
 */
export function allocRunLocked(node: Node, pfns: Int32Array, gfp: number): SlotIndex {
  const { words } = node;
  if (words[L.H_SLOTS_USED] + UNIT_PAGES > words[L.H_SLOTS_MAX]) return NO_SLOT;
  const at = node.threadAt + L.T_CLUSTER + UNIT_ORDER;
  let cluster = words[at] - 1;
  let index = cluster < 0 ? -1 : findRun(node, descriptorAt(node, cluster));
  if (index < 0) {
    if (cluster >= 0) leaveCluster(node, cluster);
    cluster = takeRunCluster(node, gfp);
    words[at] = cluster + 1;
    if (cluster < 0) return NO_SLOT;
    index = findRun(node, descriptorAt(node, cluster));
  }
  const descriptor = descriptorAt(node, cluster);
  if (!populate(node, descriptor, gfp)) return NO_SLOT;
  const base = ((cluster << 9) | index) as SlotIndex;
  words[descriptor + D_COUNT] += UNIT_PAGES;
  words[descriptor + D_HINT] = (index + UNIT_PAGES) & INDEX_MASK;
  words[L.H_SLOTS_USED] += UNIT_PAGES;
  for (let i = 0; i < UNIT_PAGES; i++) {
    bumpSequenceLocked(node, (base + i) as SlotIndex);
    Atomics.store(words, words[descriptor + D_TABLE] + index + i, slotWord(SLOT_FRAME, pfns[i]));
  }
  return base;
}

/** Index of a free run in the cluster, −1 when there is none. */
function findRun(node: Node, descriptor: number): number {
  const { words } = node;
  if (words[descriptor + D_COUNT] + UNIT_PAGES > L.CLUSTER_SLOTS) return -1;
  const table = words[descriptor + D_TABLE];
  if (table === 0) return 0;
  const hint = words[descriptor + D_HINT] & -UNIT_PAGES;
  for (let step = 0; step < L.CLUSTER_SLOTS; step += UNIT_PAGES) {
    const index = (hint + step) & INDEX_MASK;
    let used = 0;
    for (let i = index; i < index + UNIT_PAGES; i++) used |= words[table + i];
    if (used === SLOT_FREE) return index;
  }
  return -1;
}

/** One of the first partial clusters, if it has a run, else one that nobody uses. */
function takeRunCluster(node: Node, gfp: number): number {
  const { words } = node;
  let partial = words[L.H_CLUSTER_PARTIAL] - 1;
  for (let looked = 0; partial >= 0 && looked < RUN_CLUSTERS_MAX; looked++) {
    const descriptor = descriptorAt(node, partial);
    if (findRun(node, descriptor) >= 0) {
      unlinkPartial(node, descriptor);
      words[descriptor + D_STATE] = STATE_CURRENT;
      return partial;
    }
    partial = words[descriptor + D_NEXT] - 1;
  }
  return takeFreeCluster(node, gfp);
}

/** A cluster with a table and room in it, −1 when there is none. */
function clusterForLocked(node: Node, gfp: number): number {
  const { words } = node;
  let cluster = words[node.threadAt + L.T_CLUSTER] - 1;
  if (cluster < 0 || words[descriptorAt(node, cluster) + D_COUNT] === L.CLUSTER_SLOTS) {
    if (cluster >= 0) retireCurrent(node, cluster);
    cluster = takeCluster(node, gfp);
    words[node.threadAt + L.T_CLUSTER] = cluster + 1;
  }
  if (cluster >= 0 && populate(node, descriptorAt(node, cluster), gfp)) return cluster;
  if (words[L.H_CLUSTER_PARTIAL] === 0) return stealFrom(node);
  if (cluster >= 0) freeCluster(node, cluster, descriptorAt(node, cluster));
  cluster = takeCluster(node, gfp);
  words[node.threadAt + L.T_CLUSTER] = cluster + 1;
  return cluster;
}

/** The cluster of another thread that has a table and room; it stays that thread's. */
function stealFrom(node: Node): number {
  const { words } = node;
  for (let i = 0; i < L.THREADS_MAX * CURRENT_CLUSTERS.length; i++) {
    const thread = L.THREADS_AT + Math.floor(i / CURRENT_CLUSTERS.length) * L.THREAD_WORDS;
    const cluster = words[thread + CURRENT_CLUSTERS[i % CURRENT_CLUSTERS.length]] - 1;
    if (cluster < 0) continue;
    const count = words[descriptorAt(node, cluster) + D_COUNT];
    if (count > 0 && count < L.CLUSTER_SLOTS) return cluster;
  }
  return -1;
}

/** Gives the slot back. What was behind it has been released by the caller. */
export function freeSlotLocked(node: Node, slot: SlotIndex): void {
  const { words } = node;
  const cluster = slot >>> 9;
  const descriptor = descriptorAt(node, cluster);
  const at = words[descriptor + D_TABLE] + (slot & INDEX_MASK);
  assert(words[at] !== SLOT_FREE, 'slot freed twice', slot);
  Atomics.store(words, at, SLOT_FREE);
  bumpSequenceLocked(node, slot);
  node.bytes[shadowByteAt(node, slot)] = 0;
  words[L.H_SLOTS_USED]--;
  const count = --words[descriptor + D_COUNT];
  const state = words[descriptor + D_STATE];
  if (state === STATE_FULL) linkPartial(node, cluster, descriptor);
  if (count > 0) return;
  freeTables(node, descriptor);
  if (words[descriptor + D_STATE] === STATE_CURRENT) return;
  unlinkPartial(node, descriptor);
  freeCluster(node, cluster, descriptor);
}

function descriptorAt(node: Node, cluster: number): number {
  const chunk = node.words[L.CLUSTER_ROOTS_AT + (cluster >>> 7)];
  return chunk * PAGE_WORDS + (cluster & (L.CLUSTER_CHUNK - 1)) * L.CLUSTER_DESCRIPTOR_WORDS;
}

function findFree(node: Node, descriptor: number): number {
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

function populate(node: Node, descriptor: number, gfp: number): boolean {
  const { words } = node;
  if (words[descriptor + D_TABLE] !== 0) return true;
  const table = allocTableLocked(node, SLAB_2K, gfp);
  if (table === 0) return false;
  Atomics.store(words, descriptor + D_TABLE, table);
  return true;
}

function freeTables(node: Node, descriptor: number): void {
  const table = node.words[descriptor + D_TABLE] as WordIndex;
  Atomics.store(node.words, descriptor + D_TABLE, 0);
  freeTableLocked(node, SLAB_2K, table);
}

/** A thread leaves its full cluster: nobody allocates from it until a slot of it is freed. */
function retireCurrent(node: Node, cluster: number): void {
  node.words[descriptorAt(node, cluster) + D_STATE] = STATE_FULL;
}

/** Gives back the clusters a detaching thread allocated from. */
export function releaseThreadClusterLocked(node: Node, threadAt: number): void {
  for (const at of CURRENT_CLUSTERS) {
    const cluster = node.words[threadAt + at] - 1;
    node.words[threadAt + at] = 0;
    if (cluster >= 0) leaveCluster(node, cluster);
  }
}

/** A thread allocates from its current cluster no more. */
function leaveCluster(node: Node, cluster: number): void {
  const { words } = node;
  const descriptor = descriptorAt(node, cluster);
  const count = words[descriptor + D_COUNT];
  if (count === 0) freeCluster(node, cluster, descriptor);
  else if (count === L.CLUSTER_SLOTS) words[descriptor + D_STATE] = STATE_FULL;
  else linkPartial(node, cluster, descriptor);
}

function takeCluster(node: Node, gfp: number): number {
  const { words } = node;
  const partial = words[L.H_CLUSTER_PARTIAL] - 1;
  if (partial >= 0) {
    const descriptor = descriptorAt(node, partial);
    unlinkPartial(node, descriptor);
    words[descriptor + D_STATE] = STATE_CURRENT;
    return partial;
  }
  return takeFreeCluster(node, gfp);
}

/** A cluster nobody uses, from a chunk with room or a new chunk. −1 when there is no frame for a chunk. */
function takeFreeCluster(node: Node, gfp: number): number {
  const { words } = node;
  let chunk = words[L.H_CLUSTER_FREE] as Pfn;
  if (chunk === NO_PFN) {
    chunk = newChunk(node, gfp);
    if (chunk === NO_PFN) return -1;
  }
  const base = chunk * PAGE_WORDS;
  for (let index = 0; index < L.CLUSTER_CHUNK; index++) {
    const descriptor = base + index * L.CLUSTER_DESCRIPTOR_WORDS;
    if (words[descriptor + D_STATE] !== STATE_FREE) continue;
    words[descriptor + D_STATE] = STATE_CURRENT;
    words[descriptor + D_HINT] = 0;
    words[L.H_CLUSTERS_USED]++;
    if (++words[node.ownerAt + chunk] === L.CLUSTER_CHUNK) unlinkChunk(node, chunk);
    return words[node.slotAt + chunk] * L.CLUSTER_CHUNK + index;
  }
  assert(false, 'chunk on the list has a free cluster', chunk);
  return -1;
}

function newChunk(node: Node, gfp: number): Pfn {
  const { words } = node;
  let root = 0;
  while (root < L.CLUSTER_ROOTS && words[L.CLUSTER_ROOTS_AT + root] !== 0) root++;
  if (root === L.CLUSTER_ROOTS) return NO_PFN;
  const chunk = allocTableFrameLocked(node, gfp);
  if (chunk === NO_PFN) return NO_PFN;
  words[node.ownerAt + chunk] = 0; // clusters in use
  words[node.slotAt + chunk] = root;
  linkChunk(node, chunk);
  Atomics.store(words, L.CLUSTER_ROOTS_AT + root, chunk);
  return chunk;
}

function freeCluster(node: Node, cluster: number, descriptor: number): void {
  const { words } = node;
  const root = cluster >>> 7;
  const chunk = words[L.CLUSTER_ROOTS_AT + root] as Pfn;
  words[descriptor + D_STATE] = STATE_FREE;
  words[L.H_CLUSTERS_USED]--;
  if (words[node.ownerAt + chunk]-- === L.CLUSTER_CHUNK) linkChunk(node, chunk);
  if (words[node.ownerAt + chunk] > 0) return;
  unlinkChunk(node, chunk);
  Atomics.store(words, L.CLUSTER_ROOTS_AT + root, 0);
  freeTableFrameLocked(node, chunk);
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

function linkPartial(node: Node, cluster: number, descriptor: number): void {
  const { words } = node;
  const head = words[L.H_CLUSTER_PARTIAL];
  words[descriptor + D_STATE] = STATE_PARTIAL;
  words[descriptor + D_NEXT] = head;
  words[descriptor + D_PREV] = 0;
  if (head !== 0) words[descriptorAt(node, head - 1) + D_PREV] = cluster + 1;
  words[L.H_CLUSTER_PARTIAL] = cluster + 1;
}

function unlinkPartial(node: Node, descriptor: number): void {
  const { words } = node;
  const next = words[descriptor + D_NEXT];
  const prev = words[descriptor + D_PREV];
  if (prev === 0) words[L.H_CLUSTER_PARTIAL] = next;
  else words[descriptorAt(node, prev - 1) + D_NEXT] = next;
  if (next !== 0) words[descriptorAt(node, next - 1) + D_PREV] = prev;
}

/** Counts every cluster and list; for tests. */
export function checkSwapTable(node: Node): void {
  const { words } = node;
  let used = 0;
  let clusters = 0;
  let partial = 0;
  for (let root = 0; root < L.CLUSTER_ROOTS; root++) {
    if (words[L.CLUSTER_ROOTS_AT + root] === 0) continue;
    for (let index = 0; index < L.CLUSTER_CHUNK; index++) {
      const descriptor = descriptorAt(node, root * L.CLUSTER_CHUNK + index);
      const state = words[descriptor + D_STATE];
      const table = words[descriptor + D_TABLE];
      let count = 0;
      for (let i = 0; table !== 0 && i < L.CLUSTER_SLOTS; i++) if (words[table + i] !== SLOT_FREE) count++;
      assert(count === words[descriptor + D_COUNT], 'cluster count', count, words[descriptor + D_COUNT]);
      assert((table !== 0) === count > 0 || state === STATE_CURRENT, 'table exists with its slots', count, state);
      assert(state !== STATE_FULL || count === L.CLUSTER_SLOTS, 'full cluster', count);
      if (state !== STATE_FREE) clusters++;
      if (state === STATE_PARTIAL) partial++;
      used += count;
    }
  }
  for (let id = words[L.H_CLUSTER_PARTIAL]; id !== 0; id = words[descriptorAt(node, id - 1) + D_NEXT]) partial--;
  assert(partial === 0, 'partial list', partial);
  assert(used === words[L.H_SLOTS_USED], 'slots used', used, words[L.H_SLOTS_USED]);
  assert(clusters === words[L.H_CLUSTERS_USED], 'clusters used', clusters, words[L.H_CLUSTERS_USED]);
}
