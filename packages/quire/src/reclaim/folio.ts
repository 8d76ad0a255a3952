/**
 * Folios of the page cache: how they enter a file's address space and leave it. A folio of order k is 2^k naturally
 * aligned frames holding 2^k naturally aligned pages of one leaf.
 *
 *   entry of each page    own frame, order                           so one load names frame, order and head
 *   head                  PAGECACHE | order, on an LRU list          pin, version and touch mark of the whole folio
 *                         owner = word index of its first page's entry
 *   tails                 PAGECACHE_TAIL | order, frozen             never looked at but for their head
 *
 *   private (NEW) ──publishFolioLocked──► cached ──evictFolioLocked──► free        clean, unpinned
 *                                           └─────removeFolioLocked──► free        truncate, close, moved into a larger folio
 *
 * A folio leaves in this order: frozen (no pin can come), entries NONE, uptodate bits cleared, version moved, frames
 * freed. An optimistic reader that found the folio before sees the version move; one that comes after finds no entry.
 */
import {
  bumpVersionLocked,
  FRAME_CHARGED,
  groupOf,
  KIND_NEW,
  KIND_PAGECACHE,
  KIND_PAGECACHE_TAIL,
  KIND_RESERVED,
  kindOf,
  LRU_MASK,
  orderOf,
  setKindLocked,
  thawLocked,
  turnKindLocked,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { PTE_NONE, pteFromFolio } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { CHUNK_PAGES, PAGE_WORDS, type Pfn, type WordIndex } from '../base/units.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
import { forceChargePages, markChargedLocked } from '../page-alloc/page-charge.ts';
import { clearBits, hasAnyBit } from '../page-table/block-bits.ts';
import { freeLeafLocked, regionAt } from '../page-table/page-table.ts';
import { groupOfRegion } from './group.ts';
import { lruAddLocked } from './lru.ts';

/** The leaf a folio is in, by its head: a file's leaf is one whole frame. */
export function leafOfFolio(node: Node, head: Pfn): WordIndex {
  return (node.words[node.ownerAt + head] & -PAGE_WORDS) as WordIndex;
}

/** Number in its leaf of a folio's first page. */
export function pageOfFolio(node: Node, head: Pfn): number {
  return node.words[node.ownerAt + head] & (PAGE_WORDS - 1);
}

/** Are the entries of the 2^order pages from `page` on all empty? */
export function isVacantLocked(node: Node, leaf: WordIndex, page: number, order: number): boolean {
  for (let at = leaf + page; at < leaf + page + (1 << order); at++) if (node.words[at] !== PTE_NONE) return false;
  return true;
}

/**
 * A private folio whose bytes are in place becomes part of the file, with `pins` pins of the caller. Uptodate bits are
 * the caller's to set, before (a clean folio) or while it is pinned.
 */
export function publishFolioLocked(
  node: Node,
  leaf: WordIndex,
  page: number,
  head: Pfn,
  order: number,
  pins: number,
  list: number,
): void {
  const { words } = node;
  const pages = 1 << order;
  assert(kindOf(node, head) === KIND_NEW && (head & (pages - 1)) === 0, 'private folio', head, order);
  assert((page & (pages - 1)) === 0 && page + pages <= CHUNK_PAGES, 'place of a folio', page, order);
  chargeLocked(node, leaf, head, pages);
  turnKindLocked(node, head, KIND_PAGECACHE, order);
  words[node.ownerAt + head] = leaf + page;
  words[node.slotAt + head] = 0;
  words[node.touchAt + head] = 0;
  for (let i = 1; i < pages; i++) setKindLocked(node, (head + i) as Pfn, KIND_PAGECACHE_TAIL, order);
  lruAddLocked(node, head, list);
  countPagesLocked(node, leaf, pages);
  thawLocked(node, head, pins);
  // Last: whoever finds an entry finds the folio ready. Pairs with the entry's loads of readers and `pinFolio`.
  for (let i = 0; i < pages; i++) {
    assert(words[leaf + page + i] === PTE_NONE, 'page is not cached yet', leaf, page + i);
    Atomics.store(words, leaf + page + i, pteFromFolio((head + i) as Pfn, order));
  }
}

/**
 * A frozen folio on no list leaves its file and is freed; dirty bits are none any more. The leaf stays, even when it is
 * empty now.
 */
export function removeFolioLocked(node: Node, head: Pfn): void {
  const { words } = node;
  const order = orderOf(node, head);
  const pages = 1 << order;
  const leaf = leafOfFolio(node, head);
  const page = pageOfFolio(node, head);
  assert((words[node.kindAt + head] & LRU_MASK) === 0, 'folio is off its list', head);
  for (let i = 0; i < pages; i++) {
    assert(words[leaf + page + i] === pteFromFolio((head + i) as Pfn, order), 'entry names its folio', head, i);
    Atomics.store(words, leaf + page + i, PTE_NONE);
  }
  clearBits(words, leaf + L.FL_UPTODATE, page, pages);
  // After the entries: whoever loads the new version does not find the folio any more.
  bumpVersionLocked(node, head);
  countPagesLocked(node, leaf, -pages);
  for (let i = 1; i < pages; i++) setKindLocked(node, (head + i) as Pfn, KIND_RESERVED);
  turnKindLocked(node, head, KIND_NEW, order);
  freeLocked(node, head);
}

/** A folio whose pages were cached before, in others, is charged now, whatever the limit: theirs have given way to it. */
function chargeLocked(node: Node, leaf: WordIndex, head: Pfn, pages: number): void {
  const group = groupOfRegion(node, node.words[leaf + L.FL_REGION]);
  if ((node.words[node.kindAt + head] & FRAME_CHARGED) === 0) {
    forceChargePages(node, group, pages);
    markChargedLocked(node, head, group);
  }
  assert(groupOf(node, head) === group, 'folio is charged to the group of its file', head, group);
}

/**
 * The frozen folio leaves memory if nothing of it has to be written first. False: some block is dirty or being written.
 */
export function evictFolioLocked(node: Node, head: Pfn): boolean {
  const leaf = leafOfFolio(node, head);
  const page = pageOfFolio(node, head);
  const pages = 1 << orderOf(node, head);
  if (hasAnyBit(node.words, leaf + L.FL_DIRTY, page, pages)) return false;
  if (hasAnyBit(node.words, leaf + L.FL_WRITEBACK, page, pages)) return false;
  removeFolioLocked(node, head);
  freeLeafIfEmptyLocked(node, leaf);
  return true;
}

/** Frees a leaf that has no page and is on no list of dirty leaves. True when it did. */
export function freeLeafIfEmptyLocked(node: Node, leaf: WordIndex): boolean {
  const { words } = node;
  if (words[leaf + L.FL_PRESENT] !== 0 || words[leaf + L.FL_LISTED] !== 0) return false;
  freeLeafLocked(node, words[leaf + L.FL_REGION], words[leaf + L.FL_CHUNK]);
  return true;
}

function countPagesLocked(node: Node, leaf: WordIndex, pages: number): void {
  const { words } = node;
  words[leaf + L.FL_PRESENT] += pages;
  words[L.H_PC_PAGES] += pages;
  words[regionAt(words[leaf + L.FL_REGION]) + L.R_PAGES] += pages;
  assert(words[leaf + L.FL_PRESENT] >= 0 && words[leaf + L.FL_PRESENT] <= CHUNK_PAGES, 'pages of a leaf', leaf);
}
