/**
 * Pages leave a region: discard and close. Whole pages only; needs no memory and cannot fail. Whole leaves are detached where
 * a daemon frees them (swap/detached-leaves.ts).
 */

import { freezeLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromFolioPte, orderFromPte, PTE_NONE } from '../arena/pte.ts';
import { CHUNK_BYTES, CHUNK_PAGES, PAGE_BYTES } from '../base/units.ts';
import { clearBits } from '../page-table/block-bits.ts';
import {
  findLeaf,
  freeDirectoriesLocked,
  freeLeafLocked,
  isFile,
  nextLeafChunk,
  regionAt,
} from '../page-table/page-table.ts';
import { freeLeafIfEmptyLocked, removeFolioLocked } from '../reclaim/folio.ts';
import { lruRemoveLocked } from '../reclaim/lru.ts';
import { detachLeaf, endDetaching } from '../swap/detached-leaves.ts';
import { createUnmapResult, UNMAP_BATCH, unmapBatchLocked } from '../swap/unmap-pages.ts';
import type { Memory } from './memory.ts';

/**
 * Clears the pages of `[first, last)`, byte offsets of whole pages. A pinned page cannot go: it is zeroed where it
 * is.
 */
export function discardRange(memory: Memory, region: number, first: number, last: number): void {
  const count = memory.nodes.length;
  let chunk = Math.floor(first / CHUNK_BYTES);
  while (chunk * CHUNK_BYTES < last) {
    const node = memory.nodes[chunk % count];
    const local = Math.floor(chunk / count);
    const start = Math.max(first - chunk * CHUNK_BYTES, 0) / PAGE_BYTES;
    const end = Math.min(last - chunk * CHUNK_BYTES, CHUNK_BYTES) / PAGE_BYTES;
    if (findLeaf(node, region, local) === 0) {
      chunk = skipAbsent(memory, region, chunk, last);
      continue;
    }
    discardInChunk(node, region, local, start, end);
    chunk++;
  }
  endDetaching(memory.nodes);
}

/** The next chunk of any node that has a leaf, at most the end. */
function skipAbsent(memory: Memory, region: number, chunk: number, last: number): number {
  const count = memory.nodes.length;
  const end = Math.ceil(last / CHUNK_BYTES);
  let next = end;
  for (let n = 0; n < count; n++) {
    const from = Math.ceil((chunk + 1 - n) / count);
    const found = nextLeafChunk(memory.nodes[n], region, Math.max(from, 0), Math.ceil((end - n) / count));
    if (found >= 0) next = Math.min(next, found * count + n);
  }
  return next;
}

function discardInChunk(node: Node, region: number, local: number, start: number, end: number): void {
  if (end - start === CHUNK_PAGES && detachLeaf(node, region, local)) return;
  const result = createUnmapResult();
  let pinned = 0;
  for (let page = start; page < end; page += UNMAP_BATCH) {
    node.lock();
    // Looked up under the lock: another discard may have freed the leaf since.
    const leaf = findLeaf(node, region, local);
    const count = leaf === 0 ? 0 : Math.min(end - page, UNMAP_BATCH);
    unmapBatchLocked(node, leaf + page, count, true, result);
    node.words[regionAt(region) + L.R_PAGES] -= result.gone;
    node.unlock();
    pinned += result.left;
  }
  if (pinned > 0 || end - start < CHUNK_PAGES) return;
  dropEmptyLeaf(node, region, local);
}

/** The leaf goes if no page is in it: another thread may have written one meanwhile. */
export function dropEmptyLeaf(node: Node, region: number, local: number): void {
  node.lock();
  const leaf = findLeaf(node, region, local);
  if (leaf !== 0 && isEmpty(node, leaf)) freeLeafLocked(node, region, local);
  node.unlock();
}

function isEmpty(node: Node, leaf: number): boolean {
  for (let i = 0; i < CHUNK_PAGES; i++) if (node.words[leaf + i] !== PTE_NONE) return false;
  return true;
}

/**
 * The folios of one leaf of a file that is being closed, clean or not, and the leaf. Nobody writes the file back any
 * more. A folio that a dead thread left pinned stays.
 */
function dropFileLeaf(node: Node, region: number, local: number): void {
  const { words } = node;
  node.lock();
  const leaf = findLeaf(node, region, local);
  if (leaf === 0) {
    // Reclaim took its last page in between, and the leaf with it.
    node.unlock();
    return;
  }
  words[leaf + L.FL_LISTED] = 0;
  const dirty = clearBits(words, leaf + L.FL_DIRTY, 0, CHUNK_PAGES);
  if (dirty > 0) Atomics.sub(words, L.H_PC_DIRTY, dirty);
  for (let page = 0; page < CHUNK_PAGES; ) {
    const pte = words[leaf + page];
    const order = orderFromPte(pte);
    page += 1 << order;
    if (pte === PTE_NONE) continue;
    const head = frameFromFolioPte(pte);
    if (!freezeLocked(node, head)) continue;
    lruRemoveLocked(node, head);
    removeFolioLocked(node, head);
  }
  freeLeafIfEmptyLocked(node, leaf);
  node.unlock();
}

/**
 * Frees every page and table of a region in every node. Nobody uses it any more. False when a pinned page had to
 * stay.
 */
export function destroyRegion(memory: Memory, region: number, chunks: number): boolean {
  const count = memory.nodes.length;
  let isGone = true;
  for (const node of memory.nodes) {
    let local = 0;
    for (;;) {
      local = nextLeafChunk(node, region, local, Math.ceil(chunks / count));
      if (local < 0) break;
      if (isFile(node, region)) dropFileLeaf(node, region, local);
      else discardInChunk(node, region, local, 0, CHUNK_PAGES);
      local++;
    }
    // A page that a dead thread left pinned keeps its leaf, and so the directories above it.
    if (nextLeafChunk(node, region, 0, Math.ceil(chunks / count)) >= 0) {
      isGone = false;
      continue;
    }
    node.lock();
    freeDirectoriesLocked(node, region);
    node.unlock();
  }
  endDetaching(memory.nodes);
  return isGone;
}
