/**
 * Misses: bytes come from the file into the cache.
 *
 *   batch    a run of pages that are not cached, in one leaf → private folios (kind NEW)
 *            C = content sequence, then size, then ONE readv into them, without any lock; zeros beyond the end of file
 *            node lock: C the same, each folio's entries empty → published, else freed
 *   block    of a folio that is cached but not uptodate: read under the inode lock, in place; nobody looks at its bytes
 *            before the bit is set. An asynchronous fill reads into a private frame instead, then takes the lock.
 *
 * The content sequence moves whenever bytes of the file may have changed since: with each batch written back (before its
 * pages become clean) and each truncate. So a fill that read old bytes never publishes them after newer ones were cached,
 * written and evicted. If the pages are cached again meanwhile, the entries say so.
 *
 * A file that is written back without a pause would overtake every fill: one that was overtaken often keeps writeback out
 * while it reads.
 */
import { LRU_INACTIVE } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { AssertionError, assert } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_PAGES, ORDER_MAX, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { allocatedOrder } from '../compaction/alloc-folio.ts';
import { GFP_USER } from '../page-alloc/gfp.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
import { ensureLeafLocked } from '../page-table/page-table.ts';
import { isVacantLocked, publishFolioLocked } from '../reclaim/folio.ts';
import { groupOfRegion, hasGroupRoom } from '../reclaim/group.ts';
import { needMemory } from '../vm/fault.ts';
import { isUptodate, markUptodate } from './block-state.ts';
import type { FileMap } from './file-map.ts';
import { takeChargedFolio } from './folio-alloc.ts';
import { lockInode, lockWriteback, sizeOf, unlockInode, unlockWriteback } from './inode.ts';

/** Folios of one batch: as many vectors go to the system at once. */
const BATCH_FOLIOS = 64;

/** Fills of a handle that were overtaken in a row before one takes the writeback lock. */
const OVERTAKEN_MAX = 8;
/** Of a fill, beside the pages it published: more than one page, and not all can be read; no frame for the leaf. */
const UNREADABLE = -1;
const NO_LEAF = -2;

/** Private folios on their way into the cache. */
interface Batch {
  readonly n: number;
  readonly local: number;
  /** Page of the file, and in its chunk, where the batch begins. */
  readonly firstPage: number;
  readonly inChunk: number;
  readonly pfns: Pfn[];
  readonly orders: number[];
  pages: number;
  /** I_CONTENT_SEQ and size before the read. */
  content: number;
  size: number;
}

/** Reads `pages` pages from byte `position` on into the cache, those that are missing, in folios of up to `order`. */
export function fillRange(map: FileMap, position: number, pages: number, order: number): void {
  let page = Math.floor(position / PAGE_BYTES);
  const end = Math.min(page + pages, Math.ceil(sizeOf(map.inode) / PAGE_BYTES));
  while (page < end) page = fillSome(map, page, end, order);
}

/**
 * As `fillRange`, but no more than one request to the system: what it brings in is still there when the caller looks, however
 * little memory there is.
 */
export function fillNext(map: FileMap, position: number, pages: number, order: number): void {
  let page = Math.floor(position / PAGE_BYTES);
  const end = Math.min(page + pages, Math.ceil(sizeOf(map.inode) / PAGE_BYTES));
  for (let next = page; page < end; page = next) {
    next = skipCached(map, page, end);
    if (next === page) break;
  }
  if (page < end) fillSome(map, page, end, order);
}

/** One step of a fill: returns the page to go on with. */
function fillSome(map: FileMap, page: number, end: number, order: number): number {
  const next = skipCached(map, page, end);
  if (next > page) return next;
  if (!map.isAbsent()) {
    fillBlock(map, page);
    return page + 1;
  }
  const batch = takeBatch(map, page, end, order);
  const filled = map.fillsOvertaken < OVERTAKEN_MAX ? fillBatch(map, batch) : fillAlone(map, batch);
  return filled === UNREADABLE ? fillSome(map, page, page + 1, 0) : page + pagesFilled(map, batch, filled);
}

/** Reads and publishes; pages, 0 to look again, UNREADABLE, NO_LEAF. */
function fillBatch(map: FileMap, batch: Batch): number {
  let isRead = false;
  try {
    readBatch(map, batch);
    isRead = true;
  } catch (error) {
    // The rest of the batch may be unreadable where the page that is wanted is not.
    if (batch.pages === 1 || error instanceof AssertionError) throw ioError(error, 'read');
  } finally {
    if (!isRead) freeBatch(map, batch);
  }
  return isRead ? publishBatch(map, batch) : UNREADABLE;
}

/** As `fillBatch`, while nobody writes the file back. The frames are there already: no reclaim waits for that. */
function fillAlone(map: FileMap, batch: Batch): number {
  let isLocked = false;
  try {
    lockWriteback(map.inode, map.me, map.reap);
    isLocked = true;
    noteContent(map, batch);
  } finally {
    if (!isLocked) freeBatch(map, batch);
  }
  try {
    return fillBatch(map, batch);
  } finally {
    unlockWriteback(map.inode, map.me);
  }
}

function pagesFilled(map: FileMap, batch: Batch, filled: number): number {
  map.fillsOvertaken = filled === 0 ? map.fillsOvertaken + 1 : 0;
  if (filled === NO_LEAF) needMemory(map.memory, batch.n, 4);
  return Math.max(0, filled);
}

/** As `fillRange`, without blocking the thread while the file is read. */
export async function fillRangeAsync(map: FileMap, position: number, pages: number, order: number): Promise<void> {
  let page = Math.floor(position / PAGE_BYTES);
  const end = Math.min(page + pages, Math.ceil(sizeOf(map.inode) / PAGE_BYTES));
  while (page < end) {
    map.checkAlive();
    page = await fillSomeAsync(map, page, end, order);
  }
}

async function fillSomeAsync(map: FileMap, page: number, end: number, order: number): Promise<number> {
  const next = skipCached(map, page, end);
  if (next > page) return next;
  if (!map.isAbsent()) {
    await fillBlockAsync(map, page);
    return page + 1;
  }
  if (map.fillsOvertaken >= OVERTAKEN_MAX) return fillSome(map, page, end, order);
  const batch = takeBatch(map, page, end, order);
  let isRead = false;
  try {
    await readBatchAsync(map, batch);
    isRead = true;
  } catch (error) {
    if (batch.pages === 1 || error instanceof AssertionError) throw ioError(error, 'read');
  } finally {
    if (!isRead) freeBatch(map, batch);
  }
  if (!isRead) return fillSomeAsync(map, page, page + 1, 0);
  return page + pagesFilled(map, batch, publishBatch(map, batch));
}

/**
 * The first page from `page` on that is missing or stale; leaves the map there. Looks no further than to the end of the
 * chunk, or to page `limit`.
 */
export function skipCached(map: FileMap, page: number, limit: number): number {
  map.seek(page * PAGE_BYTES);
  const { node, leaf } = map;
  const end = Math.min(limit, page - map.page + CHUNK_PAGES);
  let next = page;
  while (next < end && !map.isAbsent() && isUptodate(node, leaf, map.page, 1)) {
    next++;
    map.page++;
  }
  if (next > page) map.seek(next * PAGE_BYTES);
  return next;
}

/** Frames for as much of [page, end) as is not cached, in one leaf and one request. */
function takeBatch(map: FileMap, page: number, end: number, order: number): Batch {
  const { n, local, page: inChunk } = map;
  // At least one: the page may have been cached since, then what is read is not published.
  const limit = Math.max(1, map.absentRun(Math.min(end - page, CHUNK_PAGES - inChunk)));
  const batch: Batch = { n, local, firstPage: page, inChunk, pfns: [], orders: [], pages: 0, content: 0, size: 0 };
  try {
    do {
      const wanted = fittingOrder(inChunk + batch.pages, limit - batch.pages, order);
      batch.pfns.push(takeChargedFolio(map.memory, n, map.region, wanted));
      batch.orders.push(allocatedOrder.value);
      batch.pages += 1 << allocatedOrder.value;
    } while (batch.pages < limit && batch.pfns.length < BATCH_FOLIOS && hasRoom(map));
  } catch (error) {
    if (batch.pages === 0 || error instanceof AssertionError) throw error;
  }
  // After everything that may itself write back.
  noteContent(map, batch);
  return batch;
}

/** In this order: whatever changes the file from here on is noticed. */
function noteContent(map: FileMap, batch: Batch): void {
  batch.content = Atomics.load(map.inode, L.I_CONTENT_SEQ);
  batch.size = sizeOf(map.inode);
}

/** Pages ahead are not worth reclaiming for. */
function hasRoom({ node, region }: FileMap): boolean {
  return node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_LOW] && hasGroupRoom(node, groupOfRegion(node, region), 1);
}

/** Largest order ≤ `order` of a folio that begins at `page` of its chunk, naturally aligned, in `pages` pages. */
export function fittingOrder(page: number, pages: number, order: number): number {
  assert(pages > 0 && order >= 0, 'pages for a folio', pages, order);
  const aligned = page === 0 ? ORDER_MAX : 31 - Math.clz32(page & -page);
  return Math.min(order, aligned, 31 - Math.clz32(pages));
}

function vectorsOf(map: FileMap, batch: Batch): Uint8Array[] {
  const { bytes } = map.nodes[batch.n];
  return batch.pfns.map((pfn, i) => bytes.subarray(pfn * PAGE_BYTES, (pfn + (1 << batch.orders[i])) * PAGE_BYTES));
}

function readBatch(map: FileMap, batch: Batch): void {
  const fd = readDescriptor(map);
  let vectors = vectorsOf(map, batch);
  let position = batch.firstPage * PAGE_BYTES;
  while (vectors.length > 0 && position < batch.size) {
    const got = map.files.readv(fd, vectors, position);
    if (got === 0) break;
    position += got;
    vectors = afterRead(vectors, got);
  }
  zeroAfter(map, batch, position);
}

async function readBatchAsync(map: FileMap, batch: Batch): Promise<void> {
  const fd = readDescriptor(map);
  let vectors = vectorsOf(map, batch);
  let position = batch.firstPage * PAGE_BYTES;
  while (vectors.length > 0 && position < batch.size) {
    const got = await map.files.readvAsync(fd, vectors, position);
    if (got === 0) break;
    position += got;
    vectors = afterRead(vectors, got);
  }
  zeroAfter(map, batch, position);
}

/** What is left of the vectors after `got` bytes. */
export function afterRead(vectors: readonly Uint8Array[], got: number): Uint8Array[] {
  let left = got;
  let index = 0;
  while (index < vectors.length && left >= vectors[index].length) left -= vectors[index++].length;
  const rest = vectors.slice(index);
  if (left > 0) rest[0] = rest[0].subarray(left);
  return rest;
}

/** Bytes that the file did not have, or that lie beyond its end as we know it, are zeros. */
function zeroAfter(map: FileMap, batch: Batch, readEnd: number): void {
  const { kernel } = map.nodes[batch.n];
  const good = Math.min(readEnd, batch.size);
  let position = batch.firstPage * PAGE_BYTES;
  for (let i = 0; i < batch.pfns.length; i++) {
    const bytes = PAGE_BYTES << batch.orders[i];
    const keep = Math.min(Math.max(good - position, 0), bytes);
    if (keep < bytes) kernel.fill((batch.pfns[i] * PAGE_BYTES + keep) | 0, 0, bytes - keep);
    position += bytes;
  }
}

function freeBatch(map: FileMap, batch: Batch): void {
  const node = map.nodes[batch.n];
  node.lock();
  for (const pfn of batch.pfns) freeLocked(node, pfn);
  node.unlock();
}

/** Makes what was read part of the file, where it still may be. Returns the pages to go on by, 0 to look again, NO_LEAF. */
function publishBatch(map: FileMap, batch: Batch): number {
  const node = map.nodes[batch.n];
  node.lock();
  // Frames and leaves come and go under the node lock only; the file's content does not.
  const leaf = ensureLeafLocked(node, map.region, batch.local, GFP_USER);
  const isFresh = Atomics.load(map.inode, L.I_CONTENT_SEQ) === batch.content;
  let page = batch.inChunk;
  for (let i = 0; i < batch.pfns.length; i++) {
    const order = batch.orders[i];
    if (leaf !== 0 && isFresh && isVacantLocked(node, leaf, page, order)) {
      markUptodate(node, leaf, page, 1 << order);
      publishFolioLocked(node, leaf, page, batch.pfns[i], order, 0, LRU_INACTIVE);
    } else freeLocked(node, batch.pfns[i]);
    page += 1 << order;
  }
  node.unlock();
  if (leaf === 0) return NO_LEAF;
  return isFresh ? batch.pages : 0;
}

/** A block of a cached folio, read in place under the inode lock. */
function fillBlock(map: FileMap, page: number): void {
  lockInode(map.inode, map.me, map.reap);
  try {
    map.seek(page * PAGE_BYTES);
    if (!map.pinFolio()) return;
    try {
      if (!isUptodate(map.node, map.leaf, map.page, 1)) readPinnedBlock(map, page);
    } finally {
      map.unpinFolio();
    }
  } finally {
    unlockInode(map.inode, map.me);
  }
}

/** Inode lock held, the folio pinned by the map, the block not uptodate. */
export function readPinnedBlock(map: FileMap, page: number): void {
  readInto(map, map.node, map.pinnedByte(), page * PAGE_BYTES);
  markUptodate(map.node, map.leaf, map.page, 1);
}

/** Reads the block at `position` of the file to byte `to` of the node; zeros beyond the end of the file. */
export function readInto(map: FileMap, node: Node, to: number, position: number): void {
  const good = Math.min(Math.max(sizeOf(map.inode) - position, 0), PAGE_BYTES);
  let got = 0;
  try {
    while (got < good) {
      const step = map.files.readv(readDescriptor(map), [node.bytes.subarray(to + got, to + good)], position + got);
      if (step === 0) break;
      got += step;
    }
  } catch (error) {
    throw ioError(error, 'read');
  }
  if (got < PAGE_BYTES) node.kernel.fill((to + got) | 0, 0, PAGE_BYTES - got);
}

async function fillBlockAsync(map: FileMap, page: number): Promise<void> {
  map.seek(page * PAGE_BYTES);
  const batch = takeBatch(map, page, page + 1, 0);
  try {
    await readBatchAsync(map, batch);
    copyToStale(map, batch);
  } catch (error) {
    throw ioError(error, 'read');
  } finally {
    freeBatch(map, batch);
  }
}

/** What was read goes into the cached folio, if its block is stale still and the file unchanged. */
function copyToStale(map: FileMap, batch: Batch): void {
  lockInode(map.inode, map.me, map.reap);
  try {
    map.seek(batch.firstPage * PAGE_BYTES);
    if (!map.pinFolio()) return;
    const isFresh = Atomics.load(map.inode, L.I_CONTENT_SEQ) === batch.content && sizeOf(map.inode) === batch.size;
    if (isFresh && !isUptodate(map.node, map.leaf, map.page, 1)) {
      map.node.kernel.copy(map.pinnedByte() | 0, (batch.pfns[0] * PAGE_BYTES) | 0, PAGE_BYTES);
      markUptodate(map.node, map.leaf, map.page, 1);
    }
    map.unpinFolio();
  } finally {
    unlockInode(map.inode, map.me);
  }
}

export function readDescriptor(map: FileMap): number {
  // A handle that may only write has the file's other descriptor to read with, if it was opened for both.
  const fd = Atomics.load(map.inode, L.I_READ_FD);
  return (fd !== 0 ? fd : Atomics.load(map.inode, L.I_WRITE_FD)) - 1;
}

export function ioError(error: unknown, what: string): unknown {
  if (error instanceof QuireError || !(error instanceof Error) || !('code' in error)) return error;
  return new QuireError('ERR_QUIRE_IO', `a file could not be ${what}: ${String(error.code)}`, { cause: error });
}
