/**
 * Page tables: a radix tree a region and node, sparse.
 *
 *   region slot ─► 16 roots ─► directory (1,024) ─► directory (1,024) ─► leaf (512 entries, 2 KiB, one chunk of 2 MiB)
 *
 * Chunks of a region are dealt round the nodes, chunk c to node c mod nodes; here a chunk is already the node's own
 * number. Entries change under the node lock only. Readers cache leaf addresses (a TLB, vm/region-space.ts) and check
 * the region's generation, which moves before a leaf is freed,
 * and after no directory names it any more.
 */
import { announce } from '../arena/fence.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { NO_PFN, PAGE_WORDS, type Pfn, type WordIndex } from '../base/units.ts';
import {
  allocTableFrameLocked,
  allocTableLocked,
  freeTableFrameLocked,
  freeTableLocked,
  SLAB_2K,
} from '../page-alloc/table-slab.ts';

const NO_LEAF = 0 as WordIndex;
/** In a directory, only while the node lock is held: the leaf is about to go, or to be put back. */
const LEAF_BUSY = -1;
/** Each waits until the lock was free: other leaves may be detached at this place meanwhile, but not for ever. */
const BUSY_LOOKS_MAX = 1000;

export function regionAt(region: number): number {
  return L.REGIONS_AT + region * L.REGION_WORDS;
}

/**
 * Word index of the chunk's leaf, 0 when no page of it was ever written. Any thread. Without the lock it may have to wait
 * for who is detaching the leaf.
 */
export function findLeaf(node: Node, region: number, chunk: number): WordIndex {
  const { words } = node;
  const upper = Atomics.load(words, regionAt(region) + L.R_ROOTS + (chunk >>> 20));
  if (upper === 0) return NO_LEAF;
  const lower = Atomics.load(words, upper * PAGE_WORDS + ((chunk >>> 10) & 1023));
  if (lower === 0) return NO_LEAF;
  const at = lower * PAGE_WORDS + (chunk & 1023);
  const leaf = Atomics.load(words, at);
  return leaf === LEAF_BUSY ? waitForLeaf(node, at) : (leaf as WordIndex);
}

/** Pairs with the store in `hideLeafLocked`: whoever made it holds the lock until the word is another. */
function waitForLeaf(node: Node, at: number): WordIndex {
  for (let attempt = 0; attempt < BUSY_LOOKS_MAX; attempt++) {
    node.waitForLock();
    const leaf = Atomics.load(node.words, at);
    if (leaf !== LEAF_BUSY) return leaf as WordIndex;
  }
  assert(false, 'a leaf is not hidden for ever', at);
  return NO_LEAF;
}

/** As `findLeaf`, building what is missing. 0 when there is no memory for it. */
export function ensureLeafLocked(node: Node, region: number, chunk: number, gfp: number): WordIndex {
  const { words } = node;
  const upper = ensureDirectory(node, regionAt(region) + L.R_ROOTS + (chunk >>> 20), gfp);
  if (upper === NO_PFN) return NO_LEAF;
  const lower = ensureDirectory(node, upper * PAGE_WORDS + ((chunk >>> 10) & 1023), gfp);
  if (lower === NO_PFN) return NO_LEAF;
  const at = lower * PAGE_WORDS + (chunk & 1023);
  if (words[at] === 0) {
    const leaf = isFile(node, region) ? allocFileLeaf(node, region, chunk, gfp) : allocTableLocked(node, SLAB_2K, gfp);
    if (leaf === NO_LEAF) return NO_LEAF;
    Atomics.store(words, at, leaf);
  }
  return words[at] as WordIndex;
}

/** A file's leaf keeps the state of its blocks beside the entries (layout.ts, FL_…): a whole frame. */
function allocFileLeaf(node: Node, region: number, chunk: number, gfp: number): WordIndex {
  const pfn = allocTableFrameLocked(node, gfp);
  if (pfn === NO_PFN) return NO_LEAF;
  const leaf = (pfn * PAGE_WORDS) as WordIndex;
  node.words[leaf + L.FL_REGION] = region;
  node.words[leaf + L.FL_CHUNK] = chunk;
  return leaf;
}

export function isFile(node: Node, region: number): boolean {
  return node.words[regionAt(region) + L.R_KIND] === L.REGION_FILE;
}

function ensureDirectory(node: Node, at: number, gfp: number): Pfn {
  if (node.words[at] === 0) {
    const pfn = allocTableFrameLocked(node, gfp);
    if (pfn === NO_PFN) return NO_PFN;
    Atomics.store(node.words, at, pfn);
  }
  return node.words[at] as Pfn;
}

/** Frees the chunk's leaf. All its entries are PTE_NONE. */
export function freeLeafLocked(node: Node, region: number, chunk: number): void {
  const { words } = node;
  const at = leafWordLocked(node, region, chunk);
  const leaf = (at === 0 ? NO_LEAF : words[at]) as WordIndex;
  if (leaf === NO_LEAF) return;
  // The directory forgets the leaf, the generation moves, the leaf is freed. Whoever still sees the old generation
  // after reading an entry read a live leaf; whoever knows the new one cannot find this leaf any more, and remember it.
  Atomics.store(words, at, 0);
  moveGenerationLocked(node, region);
  if (isFile(node, region)) freeTableFrameLocked(node, (leaf / PAGE_WORDS) as Pfn);
  else freeTableLocked(node, SLAB_2K, leaf);
}

/**
 * Takes the chunk's leaf out of everybody's sight: after this a thread that finds its entries sees the generation moved. 0
 * when there is none. `setLeafLocked` must follow before the lock is let go.
 */
export function hideLeafLocked(node: Node, region: number, chunk: number): WordIndex {
  const { words } = node;
  const at = leafWordLocked(node, region, chunk);
  const leaf = (at === 0 ? NO_LEAF : words[at]) as WordIndex;
  if (leaf === NO_LEAF) return NO_LEAF;
  Atomics.store(words, at, LEAF_BUSY);
  moveGenerationLocked(node, region);
  return leaf;
}

/** Ends `hideLeafLocked`: the leaf is there again, or, 0, gone from the directory. */
export function setLeafLocked(node: Node, region: number, chunk: number, leaf: WordIndex): void {
  const at = leafWordLocked(node, region, chunk);
  assert(at !== 0 && node.words[at] === LEAF_BUSY, 'leaf is hidden', region, chunk);
  Atomics.store(node.words, at, leaf);
}

/** Gives back a leaf that no directory names. All its entries are PTE_NONE; nobody has found it since its generation. */
export function freeHiddenLeafLocked(node: Node, leaf: WordIndex): void {
  freeTableLocked(node, SLAB_2K, leaf);
}

/** Word of the directory that names the chunk's leaf, 0 when there is no directory. */
function leafWordLocked(node: Node, region: number, chunk: number): number {
  const { words } = node;
  const upper = words[regionAt(region) + L.R_ROOTS + (chunk >>> 20)];
  if (upper === 0) return 0;
  const lower = words[upper * PAGE_WORDS + ((chunk >>> 10) & 1023)];
  return lower === 0 ? 0 : lower * PAGE_WORDS + (chunk & 1023);
}

/** Readers check the generation of node 0; the leaf's own node keeps one too, for faults under its lock. */
function moveGenerationLocked(node: Node, region: number): void {
  const at = regionAt(region) + L.R_GENERATION;
  announce(node.words, at);
  if (node.home !== node.words) announce(node.home, at);
}

/** The next chunk at or after `from` that has a leaf, −1 when there is none. Skips empty directories whole. */
export function nextLeafChunk(node: Node, region: number, from: number, end: number): number {
  const { words } = node;
  let chunk = from;
  while (chunk < end) {
    const upper = words[regionAt(region) + L.R_ROOTS + (chunk >>> 20)];
    if (upper === 0) {
      chunk = ((chunk >>> 20) + 1) * 2 ** 20;
      continue;
    }
    const lower = words[upper * PAGE_WORDS + ((chunk >>> 10) & 1023)];
    if (lower === 0) {
      chunk = ((chunk >>> 10) + 1) * 1024;
      continue;
    }
    if (words[lower * PAGE_WORDS + (chunk & 1023)] !== 0) return chunk;
    chunk++;
  }
  return -1;
}

/** Frees every directory. All leaves are gone. */
export function freeDirectoriesLocked(node: Node, region: number): void {
  const { words } = node;
  const roots = regionAt(region) + L.R_ROOTS;
  for (let root = 0; root < L.ROOTS; root++) {
    const upper = words[roots + root] as Pfn;
    if (upper === NO_PFN) continue;
    for (let index = 0; index < PAGE_WORDS; index++) {
      const lower = words[upper * PAGE_WORDS + index] as Pfn;
      if (lower !== NO_PFN) freeTableFrameLocked(node, lower);
    }
    Atomics.store(words, roots + root, 0);
    freeTableFrameLocked(node, upper);
  }
}
