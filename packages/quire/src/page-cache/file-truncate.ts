/**
 * A file is cut off, or extended. Inode and writeback lock are held: nobody writes, nobody writes back, so dirty bits stand
 * still; readers go on.
 *
 *   shrink    the file itself → size → content sequence → zeros behind the new end in the last block → pages behind it go
 *   extend    the file itself → size                               the bytes in between are a hole
 *
 * The file first: if the system refuses, nothing has changed. Fills that began before may still hold bytes from behind the
 * new end: they took the content sequence before they read, so they are published before the pages go, or never.
 */
import { freezeLocked, headOf, tryPin, unpin } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromFolioPte, orderFromPte, PTE_NONE } from '../arena/pte.ts';
import { CHUNK_PAGES, PAGE_BYTES, type Pfn, type WordIndex } from '../base/units.ts';
import { hasAnyBit } from '../page-table/block-bits.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { freeLeafIfEmptyLocked, removeFolioLocked } from '../reclaim/folio.ts';
import { lruRemoveLocked } from '../reclaim/lru.ts';
import { clearDirty, unlistLeafLocked } from './block-state.ts';
import { forEachLeafFrom, nextFolio } from './file-drop.ts';
import { ioError } from './file-fill.ts';
import type { FileMap } from './file-map.ts';
import { publishSize, sizeOf } from './inode.ts';

/** Pages looked at in one hold of the node lock. */
const DROP_BATCH = 64;

/** Inode and writeback lock held. Throws ERR_QUIRE_IO with nothing changed when the system refuses. */
export function truncateLocked(map: FileMap, size: number): void {
  const before = sizeOf(map.inode);
  try {
    map.files.truncate(Atomics.load(map.inode, L.I_WRITE_FD) - 1, size);
  } catch (error) {
    throw ioError(error, 'truncated');
  }
  publishSize(map.inode, size);
  if (size >= before) return;
  Atomics.add(map.inode, L.I_CONTENT_SEQ, 1);
  if (size % PAGE_BYTES !== 0) zeroTail(map, size);
  const firstPage = Math.ceil(size / PAGE_BYTES);
  forEachLeafFrom(map.memory, map.region, firstPage, (node, local, from) => {
    dropFrom(node, map, local, from);
  });
}

/** The last block's bytes behind the end of the file are zero in memory, whoever reads the file when it grows again. */
function zeroTail(map: FileMap, size: number): void {
  map.seek(size);
  if (map.leaf === 0) return;
  zeroPages(map.node, map, map.local, map.page, size % PAGE_BYTES);
}

/** All pages of the leaf from `from` on leave the file; a folio that begins before, or is pinned, is zeroed there. */
function dropFrom(node: Node, map: FileMap, local: number, from: number): void {
  for (let page = from; page < CHUNK_PAGES; ) {
    let isHeld = false;
    node.lock();
    const leaf = findLeaf(node, map.region, local);
    const end = Math.min(CHUNK_PAGES, page + DROP_BATCH);
    while (leaf !== 0 && page < end && !isHeld) {
      const pte = node.words[leaf + page];
      const head = headOf(frameFromFolioPte(pte), orderFromPte(pte));
      if (pte !== PTE_NONE) isHeld = !dropHereLocked(node, map, leaf, page, head);
      if (!isHeld) page = nextFolio(page, pte);
    }
    if (leaf === 0) page = CHUNK_PAGES;
    node.unlock();
    if (isHeld) page = zeroPages(node, map, local, page, 0);
  }
  node.lock();
  const leaf = findLeaf(node, map.region, local);
  if (leaf !== 0) settleLeafLocked(node, map.inode, leaf);
  node.unlock();
}

/** False when the folio has to stay: its first page is before the end, or it is pinned. */
function dropHereLocked(node: Node, map: FileMap, leaf: WordIndex, page: number, head: Pfn): boolean {
  if (node.words[node.ownerAt + head] !== leaf + page || !freezeLocked(node, head)) return false;
  clearDirty(node, map.inode, leaf, page, 1 << orderFromPte(node.words[leaf + page]));
  lruRemoveLocked(node, head);
  removeFolioLocked(node, head);
  return true;
}

/**
 * Zeroes the rest of the folio from byte `inPage` of `page` on, and what is wholly behind that is not dirty any more. The
 * page after the folio, or the next when nothing is cached.
 */
function zeroPages(node: Node, map: FileMap, local: number, page: number, inPage: number): number {
  node.lock();
  const leaf = findLeaf(node, map.region, local);
  const pte = leaf === 0 ? PTE_NONE : node.words[leaf + page];
  const next = nextFolio(page, pte);
  const head = headOf(frameFromFolioPte(pte), orderFromPte(pte));
  const isPinned = pte !== PTE_NONE && tryPin(node, head);
  node.unlock();
  if (!isPinned) return inPage === 0 && pte !== PTE_NONE ? page : next;
  const start = frameFromFolioPte(pte) * PAGE_BYTES + inPage;
  node.kernel.fill(start | 0, 0, (next - page) * PAGE_BYTES - inPage);
  const firstGone = inPage === 0 ? page : page + 1;
  if (firstGone < next) clearDirty(node, map.inode, leaf, firstGone, next - firstGone);
  unpin(node, head);
  return next;
}

/** A leaf without dirty blocks needs not be listed; without pages it goes. */
function settleLeafLocked(node: Node, inode: Int32Array, leaf: WordIndex): void {
  const isListed = node.words[leaf + L.FL_LISTED] !== 0;
  if (isListed && !hasAnyBit(node.words, leaf + L.FL_DIRTY, 0, CHUNK_PAGES)) unlistLeafLocked(node, inode, leaf);
  freeLeafIfEmptyLocked(node, leaf);
}
