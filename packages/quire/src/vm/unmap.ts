/** Pages leave a region: discard and close. Whole pages only; needs no memory and cannot fail. */

import { bumpVersionLocked, freezeLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromFolioPte, frameFromPte, isPresent, orderFromPte, PTE_NONE } from '../arena/pte.ts';
import { CHUNK_BYTES, CHUNK_PAGES, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
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
import { dropCleanCopyLocked } from '../swap/clean-copy.ts';
import { slotOfEntry } from '../swap/direct-entry.ts';
import { isSlotSharedLocked, putReferenceLocked } from '../swap/slot-count.ts';
import { endRowLocked } from '../swap/slot-free.ts';
import * as W from '../swap/slot-word.ts';
import { dropInRowLocked } from '../swap/storage.ts';
import { cancelLocked } from '../swap/swap-out.ts';
import { entryWordLocked } from '../swap/swap-table.ts';
import { objectWordAt } from '../swap/zs-pool.ts';
import type { Memory } from './memory.ts';

/** Entries cleared in one hold of the lock. */
const UNMAP_BATCH = 64;
/** Slot words of the batch's swapped pages; others have 0. */
const ahead = new Int32Array(UNMAP_BATCH);
/** Where the looks ahead go, so that they are not optimized away. */
const looks = new Int32Array(1);

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
  let pinned = false;
  for (let page = start; page < end; page += UNMAP_BATCH) {
    node.lock();
    // Looked up under the lock: another discard may have freed the leaf since.
    const leaf = findLeaf(node, region, local);
    const count = leaf === 0 ? 0 : Math.min(end - page, UNMAP_BATCH);
    lookAheadLocked(node, leaf + page, count);
    for (let i = 0; i < count; i++) {
      if (!unmapPageLocked(node, region, leaf + page + i, ahead[i])) pinned = true;
    }
    endRowLocked(node);
    node.unlock();
  }
  if (pinned || end - start < CHUNK_PAGES) return;
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
 * The slot words of the batch, and one look at each compressed object. Freeing one waits for its first word to come from
 * memory; looked at one after the other, with nothing in between that depends on them, they come at the same time. Takes a
 * tenth off the time of freeing.
 */
function lookAheadLocked(node: Node, first: number, count: number): void {
  const { words } = node;
  let seen = 0;
  for (let i = 0; i < count; i++) {
    const pte = words[first + i];
    if (pte === PTE_NONE || isPresent(pte)) {
      ahead[i] = 0;
      continue;
    }
    const word = entryWordLocked(node, slotOfEntry(node, first + i, pte), pte);
    ahead[i] = word;
    if (W.tagOf(word) === W.SLOT_OBJECT) seen ^= words[objectWordAt(W.payloadOf(word))];
  }
  looks[0] = seen;
}

/** `word` is the slot's of a swapped page; a row of slots may be left to end. False when the page is pinned: it then reads as zeros but stays. */
function unmapPageLocked(node: Node, region: number, pteAt: number, word: number): boolean {
  const { words } = node;
  const pte = words[pteAt];
  if (pte === PTE_NONE) return true;
  if (isPresent(pte)) return unmapPresentLocked(node, region, pteAt, frameFromPte(pte));
  const slot = slotOfEntry(node, pteAt, pte);
  Atomics.store(words, pteAt, PTE_NONE);
  words[regionAt(region) + L.R_PAGES]--;
  if (isSlotSharedLocked(node, slot)) putReferenceLocked(node, slot);
  else if (W.tagOf(word) === W.SLOT_FRAME) cancelLocked(node, W.payloadOf(word) as Pfn);
  else dropInRowLocked(node, slot, word);
  return true;
}

function unmapPresentLocked(node: Node, region: number, pteAt: number, pfn: Pfn): boolean {
  if (node.words[node.slotAt + pfn] !== 0) dropCleanCopyLocked(node, pfn);
  if (!freezeLocked(node, pfn)) {
    node.kernel.fill(pfn << 12, 0, PAGE_BYTES);
    return false;
  }
  Atomics.store(node.words, pteAt, PTE_NONE);
  bumpVersionLocked(node, pfn);
  lruRemoveLocked(node, pfn);
  node.words[L.H_REGION_PAGES]--;
  node.words[regionAt(region) + L.R_PAGES]--;
  freeLocked(node, pfn);
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
  return isGone;
}
