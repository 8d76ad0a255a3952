/**
 * Zero-copy: a range of a file seen in place, in one folio that stays where it is until it is given back. The range lies
 * in one naturally aligned block of 2^k pages (k ≤ 9: inside 2 MiB); when the block's pages are not in one folio yet, they
 * are moved into one:
 *
 *   1. what is missing of the range is read in
 *   2. a private folio of 2^k frames                                                 no lock: may reclaim
 *   3. inode and writeback lock: bytes and dirty bits stand still. Every folio of the block is pinned and copied
 *   4. one hold of the node lock: all pins are ours → all frozen, removed, the new folio published with one pin;
 *      the bits of the blocks stay, they belong to the place in the file
 *
 * The owner of a pin that may write changes bytes behind the cache's back; its blocks become dirty when it is given back.
 */
import { announceEase, FROZEN, headOf, LRU_ACTIVE, orderOf, pinLocked, thawLocked, unpin } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { isLost } from '../arena/node-lock.ts';
import { forgetPin } from '../arena/pin-note.ts';
import { frameFromFolioPte, orderFromPte, PTE_NONE } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { outOfRange, QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, PAGE_BYTES, type Pfn, type WordIndex } from '../base/units.ts';
import { freeFolio } from '../compaction/alloc-folio.ts';
import { publishFolioLocked, removeFolioLocked } from '../reclaim/folio.ts';
import { lruRemoveLocked } from '../reclaim/lru.ts';
import { isUptodate, markDirty, markUptodate } from './block-state.ts';
import { fillRange } from './file-fill.ts';
import type { FileMap } from './file-map.ts';
import { takeFolio } from './folio-alloc.ts';
import { lockInode, lockWriteback, sizeOf, unlockInode, unlockWriteback } from './inode.ts';

export interface HeldFolio {
  readonly node: number;
  readonly head: Pfn;
  /** Byte of the file where `bytes` begins. */
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly isWritable: boolean;
}

/** Tries for a contiguous block, and for folios that nobody else has pinned, before giving up. */
const TRIES_MAX = 16;

/**
 * Throws ERR_QUIRE_RANGE when the range leaves its 2 MiB block or the file, ERR_QUIRE_OUT_OF_MEMORY when no block can be
 * had or a page is pinned elsewhere, ERR_QUIRE_IO when the range cannot be read.
 */
export function pinRange(map: FileMap, position: number, length: number, isWritable: boolean): HeldFolio {
  const size = sizeOf(map.inode);
  if (length <= 0 || position + length > size) throw outOfRange('length', `inside the file of ${size} bytes`, length);
  const first = Math.floor(position / CHUNK_BYTES);
  if (first !== Math.floor((position + length - 1) / CHUNK_BYTES)) {
    throw outOfRange('length', 'a range inside one 2 MiB block', length);
  }
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    const held = pinInPlace(map, position, length, isWritable);
    if (held !== undefined) return held;
    const page = Math.floor(position / PAGE_BYTES);
    const pages = Math.floor((position + length - 1) / PAGE_BYTES) - page + 1;
    fillRange(map, position, pages, orderOfRange(position, length));
    const filled = pinInPlace(map, position, length, isWritable);
    if (filled !== undefined) return filled;
    gather(map, position, length);
  }
  throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'a page of the range is pinned elsewhere');
}

/** Order of the smallest naturally aligned block around the range. */
function orderOfRange(position: number, length: number): number {
  const first = (position % CHUNK_BYTES) >>> 12;
  const last = ((position + length - 1) % CHUNK_BYTES) >>> 12;
  return first === last ? 0 : 32 - Math.clz32(first ^ last);
}

/** The range if it lies in one folio and all of it is there. */
function pinInPlace(map: FileMap, position: number, length: number, isWritable: boolean): HeldFolio | undefined {
  map.seek(position);
  if (!map.pinFolio()) return undefined;
  const { node, leaf, page, pfn, order } = map;
  const last = (map.inChunk + length - 1) >>> 12;
  const head = headOf(pfn, order);
  if (last >>> order !== page >>> order || !isUptodate(node, leaf, page, last - page + 1)) {
    unpin(node, head);
    return undefined;
  }
  const start = map.pinnedByte() + (map.inChunk & (PAGE_BYTES - 1));
  return { node: map.n, head, position, bytes: node.bytes.subarray(start, start + length), isWritable };
}

/** Puts the pages of the block around the range into one folio, as far as nobody else holds them. */
function gather(map: FileMap, position: number, length: number): void {
  const order = orderOfRange(position, length);
  map.seek(position);
  const { n } = map;
  const block = takeFolio(map.memory, n, order, order);
  let isUsed = false;
  try {
    isUsed = gatherInto(map, block, position, order);
  } catch (error) {
    // A lock that was not to be had. After a broken invariant nothing may be touched, the node lock may be ours.
    if (error instanceof QuireError) freeFolio(map.nodes[n], block);
    throw error;
  }
  if (!isUsed) freeFolio(map.nodes[n], block);
}

function gatherInto(map: FileMap, block: Pfn, position: number, order: number): boolean {
  lockInode(map.inode, map.me, map.reap);
  try {
    lockWriteback(map.inode, map.me, map.reap);
    try {
      map.seek(position);
      return map.leaf !== 0 && moveInto(map, block, map.page & -(1 << order), order);
    } finally {
      unlockWriteback(map.inode, map.me);
    }
  } finally {
    unlockInode(map.inode, map.me);
  }
}

/** Both locks held. False when some folio is pinned by somebody else. */
function moveInto(map: FileMap, block: Pfn, first: number, order: number): boolean {
  const { node, region, local } = map;
  const leaf = map.leaf;
  const heads = pinAll(map, leaf, first, order);
  if (heads === undefined) return false;
  for (const head of heads) {
    const page = node.words[node.ownerAt + head] - leaf;
    const to = (block + page - first) * PAGE_BYTES;
    node.kernel.copy(to | 0, (head * PAGE_BYTES) | 0, PAGE_BYTES << orderOf(node, head));
  }
  node.lock();
  // A page that was absent may have been read in since: fills of absent pages take neither lock.
  const isOurs = isAllOfLocked(node, leaf, first, order, heads) && freezeAllLocked(node, heads);
  if (isOurs) {
    assert(node.words[leaf + L.FL_REGION] === region && node.words[leaf + L.FL_CHUNK] === local, 'leaf stays', leaf);
    swapLocked(node, leaf, first, block, order, heads);
  }
  node.unlock();
  if (!isOurs) for (const head of heads) unpin(node, head);
  return isOurs;
}

/**
 * A pin on every folio of the block, which keeps the leaf; undefined when the leaf went, nothing of the block is cached any
 * more, or a folio is larger than the block.
 */
function pinAll(map: FileMap, leaf: WordIndex, first: number, order: number): Pfn[] | undefined {
  const { node } = map;
  const heads: Pfn[] = [];
  node.lock();
  // A folio around the block came after the last look: the range may be pinned in it as it is.
  const isThere = map.isCurrent() && orderFromPte(node.words[leaf + first]) <= order;
  if (isThere) {
    collectHeadsLocked(node, leaf, first, order, heads);
    for (const head of heads) pinLocked(node, head);
  }
  node.unlock();
  // Without a pin in it the leaf may go, or be another file's, as soon as the lock is released.
  return heads.length > 0 ? heads : undefined;
}

/** Heads of the folios that are in the block, in order. None of them is larger than it. */
function collectHeadsLocked(node: Node, leaf: WordIndex, first: number, order: number, into: Pfn[]): void {
  for (let page = first; page < first + (1 << order); ) {
    const pte = node.words[leaf + page];
    if (pte !== PTE_NONE) into.push(headOf(frameFromFolioPte(pte), orderFromPte(pte)));
    page += 1 << orderFromPte(pte);
  }
}

/** Is nothing in the block but these folios, which are pinned? */
function isAllOfLocked(node: Node, leaf: WordIndex, first: number, order: number, heads: readonly Pfn[]): boolean {
  const now: Pfn[] = [];
  collectHeadsLocked(node, leaf, first, order, now);
  return now.length === heads.length;
}

/** One pin each, ours, becomes the freeze; all or none. */
function freezeAllLocked(node: Node, heads: readonly Pfn[]): boolean {
  for (let i = 0; i < heads.length; i++) {
    if (Atomics.compareExchange(node.words, node.pinAt + heads[i], 1, FROZEN) === 1) {
      forgetPin(node, heads[i]);
      continue;
    }
    for (let undo = 0; undo < i; undo++) thawLocked(node, heads[undo], 1);
    return false;
  }
  return true;
}

/** The frozen folios leave, the block takes their place; what is known of the blocks stays. */
function swapLocked(
  node: Node,
  leaf: WordIndex,
  first: number,
  block: Pfn,
  order: number,
  heads: readonly Pfn[],
): void {
  const good: number[] = [];
  for (let page = first; page < first + (1 << order); page++) if (isUptodate(node, leaf, page, 1)) good.push(page);
  for (const head of heads) {
    lruRemoveLocked(node, head);
    removeFolioLocked(node, head);
  }
  for (const page of good) markUptodate(node, leaf, page, 1);
  publishFolioLocked(node, leaf, first, block, order, 0, LRU_ACTIVE);
}

/** Gives the range back. Throws, with the pin still held, when the file's lock cannot be had. */
export function unpinRange(map: FileMap, held: HeldFolio): void {
  const node = map.nodes[held.node];
  if (held.isWritable) {
    const isLocked = lockUnlessLost(map);
    try {
      dirtyRange(map, held);
    } finally {
      if (isLocked) unlockInode(map.inode, map.me);
    }
  }
  unpin(node, held.head);
  announceEase(node);
}

/** False when a writer died with the lock: nobody writes the file or changes its size any more, so none is needed. */
function lockUnlessLost(map: FileMap): boolean {
  try {
    lockInode(map.inode, map.me, map.reap);
    return true;
  } catch (error) {
    if (isLost(map.inode, L.I_LOCK)) return false;
    throw error;
  }
}

/** What lies behind the end of the file by now is zeroed, the blocks before it are dirty. Inode lock held. */
function dirtyRange(map: FileMap, held: HeldFolio): void {
  const { position, bytes } = held;
  map.seek(position);
  const { node, leaf, page } = map;
  const inside = Math.min(Math.max(sizeOf(map.inode) - position, 0), bytes.length);
  if (inside < bytes.length) node.kernel.fill((bytes.byteOffset + inside) | 0, 0, bytes.length - inside);
  if (inside === 0) return;
  const last = (map.inChunk + inside - 1) >>> 12;
  assert(leaf !== 0 && isUptodate(node, leaf, page, last - page + 1), 'pinned blocks stay uptodate', page, last);
  markDirty(node, map.inode, leaf, page, last - page + 1, map.files);
}
