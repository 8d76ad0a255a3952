/**
 * Whole leaves that a discard or a close took out of a region, freed later: the caller pays some µs for 2 MiB instead of
 * some hundred (the kernel's MADV_FREE puts off the same work, for pages that may be wanted back; Redis' UNLINK and
 * lazyfree as here). docs/concurrency.md, "Detached leaves", has the protocol and why each part of it holds.
 *
 *   in a directory ──detachLeaf──► in the ring ──freeDetachedSome──► free
 *        ▲    └─────── a pin ────┘                  by kswapd, by reclaim, by who needs exact figures or is closing
 *
 *   ring     H_DETACHED places from H_DETACHED_HEAD on: leaf, group of its region
 *   cursor   entries of the oldest up to H_DETACHED_PAGE were passed; H_DETACHED_LEFT of them could not go
 *
 * The leaf stays where it is, and with it the entries that frames and slots in direct mode name: whoever meets one of its pages
 * treats it as any other.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromPte, isPresent, PTE_NONE } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { CHUNK_PAGES, PAGE_WORDS, type WordIndex } from '../base/units.ts';
import { freeHiddenLeafLocked, hideLeafLocked, isFile, regionAt, setLeafLocked } from '../page-table/page-table.ts';
import { groupOfRegion } from '../reclaim/group.ts';
import { NO_GROUP } from '../reclaim/group-turn.ts';
import { createUnmapResult, UNMAP_BATCH, unmapBatchLocked } from './unmap-pages.ts';

const BATCHES = CHUNK_PAGES / UNMAP_BATCH;
const NO_LEAF = 0 as WordIndex;

/** As many leaves as there may be wait for a daemon from now on; false: none is put off any more. */
export function setDetaching(nodes: readonly Node[], leavesMax: number): void {
  assert(leavesMax >= 0 && leavesMax <= L.DETACHED_MAX, 'leaves that may wait', leavesMax);
  for (const node of nodes) Atomics.store(node.words, L.H_DETACH_MAX, leavesMax);
}

/**
 * Takes the chunk's leaf out of its region, pages and all. True: the region has no such chunk any more. False, with nothing
 * changed: a page of it is pinned, nothing may be put off now, or it is a file's.
 */
export function detachLeaf(node: Node, region: number, chunk: number): boolean {
  const { words } = node;
  if (Atomics.load(words, L.H_DETACH_MAX) === 0 || isFile(node, region)) return false;
  beginDetaching(node);
  node.lock();
  const isDetached = words[L.H_DETACHED] < words[L.H_DETACH_MAX] && detachLeafLocked(node, region, chunk);
  node.unlock();
  return isDetached;
}

function detachLeafLocked(node: Node, region: number, chunk: number): boolean {
  const { words } = node;
  const leaf = hideLeafLocked(node, region, chunk);
  if (leaf === NO_LEAF) return true; // another discard was here first
  const pages = countUnpinned(node, leaf);
  setLeafLocked(node, region, chunk, pages < 0 ? leaf : NO_LEAF);
  if (pages < 0) return false;
  words[regionAt(region) + L.R_PAGES] -= pages;
  addLocked(words, leaf, groupOfRegion(node, region));
  node.counters[C.leaves_detached]++;
  return true;
}

/**
 * Pages of the leaf, −1 when one is pinned. The generation has moved: a pin that is not seen here sees that, and is given
 * back. Pairs with the add in `tryPin`.
 */
function countUnpinned(node: Node, leaf: WordIndex): number {
  const { words } = node;
  let pages = 0;
  for (let at = leaf as number; at < leaf + CHUNK_PAGES; at++) {
    const pte = words[at];
    if (pte === PTE_NONE) continue;
    if (isPresent(pte) && Atomics.load(words, node.pinAt + frameFromPte(pte)) !== 0) return -1;
    pages++;
  }
  return pages;
}

function placeAt(words: Int32Array, place: number): number {
  return L.DETACHED_AT + ((words[L.H_DETACHED_HEAD] + place) % L.DETACHED_MAX) * 2;
}

/** Whether any leaf waits, as it was a moment ago. */
export function hasDetached(node: Node): boolean {
  return Atomics.load(node.words, L.H_DETACHED) !== 0;
}

/** From here to the end of the call kswapd stays off the lock: two that free together take twice the processor time, and longer. */
function beginDetaching(node: Node): void {
  const at = node.threadAt + L.T_DETACHING;
  if (node.home[at] === 0) Atomics.store(node.home, at, 1);
}

/** The other end. Pairs with the loads in `isSomebodyDetaching`: the event comes after, so kswapd does not sleep through it. */
export function endDetaching(nodes: readonly Node[]): void {
  const { home, threadAt } = nodes[0];
  if (home[threadAt + L.T_DETACHING] === 0) return;
  Atomics.store(home, threadAt + L.T_DETACHING, 0);
  if (nodes.some(hasDetached)) nodes[0].wakeDaemons();
}

/** Is any thread in a call that detaches leaves, or frees what waits? It wakes kswapd when it is done; reclaim need not care. */
export function isSomebodyDetaching(node: Node): boolean {
  const { home } = node;
  for (let thread = 0; thread < L.THREADS_MAX; thread++) {
    if (Atomics.load(home, L.THREADS_AT + thread * L.THREAD_WORDS + L.T_DETACHING) !== 0) return true;
  }
  return false;
}

/** Where the ring and its cursor are: a number that is another one after every leaf detached and every batch freed. */
export function detachedState(node: Node): number {
  const { words } = node;
  return (
    (words[L.H_DETACHED_HEAD] * (L.DETACHED_MAX + 1) + words[L.H_DETACHED]) * CHUNK_PAGES + words[L.H_DETACHED_PAGE]
  );
}

const result = createUnmapResult();

/**
 * Frees up to UNMAP_BATCH pages of the oldest leaf, or of the oldest of the group, in one hold of the lock. False when there
 * is none, or what is left of it is pinned at this moment.
 */
export function freeDetachedSome(node: Node, group = NO_GROUP): boolean {
  if (!hasDetached(node)) return false;
  node.lock();
  const isThere = node.words[L.H_DETACHED] > 0 && (group === NO_GROUP || beginWithLocked(node, group));
  const isFreed = isThere && freeSomeLocked(node);
  node.unlock();
  return isFreed;
}

/** As `freeDetachedSome`, of a whole leaf. */
export function freeDetachedLeaf(node: Node, group = NO_GROUP): boolean {
  let batches = 0;
  while (batches < BATCHES && freeDetachedSome(node, group)) batches++;
  return batches > 0;
}

/**
 * Frees all that waits, but for pages that somebody pins at this moment, and what is detached meanwhile: others may detach
 * faster than one frees. True when anything was freed.
 */
export function freeDetached(nodes: readonly Node[]): boolean {
  if (!nodes.some(hasDetached)) return false;
  let isAnyFreed = false;
  beginDetaching(nodes[0]);
  for (const node of nodes) {
    // A leaf that cannot go now lets those behind it pass, and is behind them then.
    for (let left = Atomics.load(node.words, L.H_DETACHED); left > 0 && hasDetached(node); ) {
      const head = Atomics.load(node.words, L.H_DETACHED_HEAD);
      if (freeDetachedSome(node)) isAnyFreed = true;
      left -= (Atomics.load(node.words, L.H_DETACHED_HEAD) - head + L.DETACHED_MAX) % L.DETACHED_MAX;
    }
  }
  endDetaching(nodes);
  return isAnyFreed;
}

/** True when a page is gone, or the leaf. */
function freeSomeLocked(node: Node): boolean {
  const { words } = node;
  const at = placeAt(words, 0);
  const leaf = words[at] as WordIndex;
  let page = words[L.H_DETACHED_PAGE];
  let gone = 0;
  while (page < CHUNK_PAGES && gone === 0) {
    while (page < CHUNK_PAGES && words[leaf + page] === PTE_NONE) page++;
    const count = Math.min(UNMAP_BATCH, CHUNK_PAGES - page);
    unmapBatchLocked(node, leaf + page, count, false, result);
    page += count;
    gone = result.gone;
    words[L.H_DETACHED_LEFT] += result.left;
  }
  words[L.H_DETACHED_PAGE] = page;
  if (page < CHUNK_PAGES) return true;
  const isEmpty = words[L.H_DETACHED_LEFT] === 0;
  const group = words[at + 1];
  removeOldestLocked(words);
  if (isEmpty) freeHiddenLeafLocked(node, leaf);
  else addLocked(words, leaf, group);
  return gone > 0 || isEmpty;
}

function removeOldestLocked(words: Int32Array): void {
  words[L.H_DETACHED_HEAD] = (words[L.H_DETACHED_HEAD] + 1) % L.DETACHED_MAX;
  words[L.H_DETACHED]--;
  restartLocked(words);
}

function restartLocked(words: Int32Array): void {
  words[L.H_DETACHED_PAGE] = 0;
  words[L.H_DETACHED_LEFT] = 0;
}

function addLocked(words: Int32Array, leaf: WordIndex, group: number): void {
  const at = placeAt(words, words[L.H_DETACHED]++);
  words[at] = leaf;
  words[at + 1] = group;
}

/** Exchanges the oldest leaf for the oldest of the group; what was passed of the other is passed again. False: there is none. */
function beginWithLocked(node: Node, group: number): boolean {
  const { words } = node;
  const oldest = placeAt(words, 0);
  for (let place = 0; place < words[L.H_DETACHED]; place++) {
    const at = placeAt(words, place);
    if (words[at + 1] !== group) continue;
    if (place > 0) {
      [words[at], words[oldest]] = [words[oldest], words[at]];
      [words[at + 1], words[oldest + 1]] = [words[oldest + 1], words[at + 1]];
      restartLocked(words);
    }
    return true;
  }
  return false;
}

/** Leaves that wait, oldest first, with their groups; for tests and checks. No thread may be at work. */
export function detachedLeaves(node: Node): { leaf: WordIndex; group: number }[] {
  return Array.from({ length: node.words[L.H_DETACHED] }, (_, place) => {
    const at = placeAt(node.words, place);
    return { leaf: node.words[at] as WordIndex, group: node.words[at + 1] };
  });
}

/** Throws AssertionError when ring and cursor are not as they may be between two holds of the lock. */
export function checkDetached(node: Node): void {
  const { words } = node;
  const count = words[L.H_DETACHED];
  const page = words[L.H_DETACHED_PAGE];
  assert(count >= 0 && count <= L.DETACHED_MAX, 'leaves in the ring', count);
  assert(page >= 0 && page < CHUNK_PAGES, 'cursor in the oldest leaf', page);
  assert(count > 0 || page === 0, 'cursor without a leaf', page);
  const leaves = detachedLeaves(node);
  for (const { leaf, group } of leaves) {
    assert(leaf >= node.firstFree * PAGE_WORDS && leaf % CHUNK_PAGES === 0, 'leaf in the ring', leaf);
    assert(group >= 0 && group < L.GROUPS_MAX, 'group of a leaf in the ring', leaf, group);
  }
  assert(new Set(leaves.map(({ leaf }) => leaf)).size === count, 'a leaf is in the ring once', count);
  let left = 0;
  for (let at = 0; at < page; at++) if (words[leaves[0].leaf + at] !== PTE_NONE) left++;
  assert(left <= words[L.H_DETACHED_LEFT], 'pages that had to stay', left, words[L.H_DETACHED_LEFT]);
}
