/**
 * Writing into the cache, under the inode lock, folio by folio:
 *
 *   cached     pin the folio · read what is kept of a block that is not uptodate · copy
 *   missing    private frames, filled and zeroed as needed · copy · publish with one pin
 *   then       size, when it grows → uptodate bits → dirty bits → the leaf is listed → unpin
 *
 * Bytes first, size second, dirty bits third (page-cache/block-state.ts says why). A block is read from the file only when
 * a part of it that lies before the end of the file is kept. Nothing here depends on the size of the folio: the words of
 * the blocks written are all that is touched.
 */
import { headOf, LRU_INACTIVE, unpin } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { AssertionError } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_PAGES, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { GFP_USER } from '../page-alloc/gfp.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
import { ensureLeafLocked } from '../page-table/page-table.ts';
import { isVacantLocked, publishFolioLocked } from '../reclaim/folio.ts';
import { needMemory } from '../vm/fault.ts';
import { isUptodate, markDirty, markUptodate } from './block-state.ts';
import { fittingOrder, readInto } from './file-fill.ts';
import { type FileMap, waitForLock } from './file-map.ts';
import { takeFolio, takenOrder } from './folio-alloc.ts';
import { publishSize, sizeLocked } from './inode.ts';

/** A folio may be snatched away between two looks; more often than this in a row is a broken invariant, not bad luck. */
const ATTEMPTS_MAX = 100_000;
/** Attempts between two looks at the node lock: its holder may be off the processor half way through. */
const ATTEMPTS_BEFORE_LOCK = 64;

/**
 * Writes `length` bytes at `position`. Inode lock held. Returns the bytes written: fewer than asked for when a step
 * failed after others had succeeded. Throws when the first one failed; nothing was changed then.
 */
export function writeLocked(
  map: FileMap,
  position: number,
  source: Uint8Array,
  sourceOffset: number,
  length: number,
): number {
  let done = 0;
  try {
    while (done < length) done += writeFolio(map, position + done, source, sourceOffset + done, length - done);
  } catch (error) {
    if (done === 0 || error instanceof AssertionError) throw error;
  }
  return done;
}

/** One step: as much as lies in one folio. Returns the bytes written, at least one. */
function writeFolio(map: FileMap, position: number, source: Uint8Array, from: number, length: number): number {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    map.seek(position);
    if (map.pinFolio()) return writePinned(map, position, source, from, length);
    if (map.isAbsent()) {
      const done = writeFresh(map, position, source, from, length);
      if (done > 0) return done;
    }
    if (attempt % ATTEMPTS_BEFORE_LOCK === 0) waitForLock(map.node);
  }
  throw new QuireError('ERR_QUIRE_FAILED', 'a write to a file made no progress');
}

/** Into the folio that the map has pinned; unpins it. */
function writePinned(map: FileMap, position: number, source: Uint8Array, from: number, length: number): number {
  const { node, leaf, page, inChunk, order, pfn } = map;
  const room = (((page >>> order) + 1) << (order + 12)) - inChunk;
  const step = length < room ? length : room;
  const last = (inChunk + step - 1) >>> 12;
  const to = pfn * PAGE_BYTES + (inChunk & (PAGE_BYTES - 1));
  try {
    if (((inChunk | step) & (PAGE_BYTES - 1)) !== 0) {
      if (!isUptodate(node, leaf, page, 1)) keepRest(map, node, pfn, position, step);
      if (last !== page && !isUptodate(node, leaf, last, 1)) {
        keepRest(map, node, (pfn + last - page) as Pfn, position, step, last - page);
      }
    }
    if (map.naiveWalk) walkBlocks(map);
    copyIn(node, to, source, from, step);
    if (map.naiveWalk) walkBlocks(map);
    finishWrite(map, position + step, page, last - page + 1);
  } finally {
    unpin(node, headOf(pfn, order));
  }
  return step;
}

/**
 * Bytes of the block `index` blocks into the write that are not overwritten: read from the file if it has any of them,
 * else zeros. `pfn` is the block's frame; nobody else looks at it, the block is not uptodate.
 */
function keepRest(map: FileMap, node: Node, pfn: Pfn, position: number, length: number, index = 0): void {
  const block = position - (position % PAGE_BYTES) + index * PAGE_BYTES;
  const start = Math.max(position - block, 0);
  const end = Math.min(position + length - block, PAGE_BYTES);
  if (start === 0 && end === PAGE_BYTES) return;
  const size = sizeLocked(map.inode);
  const isKept = (start > 0 && block < size) || (end < PAGE_BYTES && block + end < size);
  const at = pfn * PAGE_BYTES;
  if (isKept) {
    readInto(map, node, at, block);
    return;
  }
  if (start > 0) node.kernel.fill(at | 0, 0, start);
  if (end < PAGE_BYTES) node.kernel.fill((at + end) | 0, 0, PAGE_BYTES - end);
}

/** Into frames that nobody knows yet. 0: somebody else cached the page meanwhile. */
function writeFresh(map: FileMap, position: number, source: Uint8Array, from: number, length: number): number {
  const { node, n, local, page, inChunk } = map;
  const inPage = inChunk & (PAGE_BYTES - 1);
  const pages = Math.max(1, Math.min((inPage + length) >>> 12, CHUNK_PAGES - page));
  const wanted = fittingOrder(page, Math.max(1, map.absentRun(pages)), 9);
  const head = takeFolio(map.memory, n, wanted, 0);
  const order = takenOrder.value;
  const step = Math.min(length, (PAGE_BYTES << order) - inPage);
  const last = (1 << order) - 1;
  let isPublished = false;
  try {
    keepRest(map, node, head, position, step);
    if (last > 0) keepRest(map, node, (head + last) as Pfn, position, step, last);
    copyIn(node, head * PAGE_BYTES + inPage, source, from, step);
    isPublished = publishFresh(map, n, local, page, head, order);
  } finally {
    if (!isPublished) freeFolio(node, head);
  }
  if (!isPublished) return 0;
  map.seek(position);
  finishWrite(map, position + step, page, last + 1);
  unpin(node, head);
  return step;
}

/** The folio enters the file with one pin, uptodate. False when the pages are cached by now. */
function publishFresh(map: FileMap, n: number, local: number, page: number, head: Pfn, order: number): boolean {
  const node = map.nodes[n];
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    node.lock();
    const leaf = ensureLeafLocked(node, map.region, local, GFP_USER);
    const isVacant = leaf !== 0 && isVacantLocked(node, leaf, page, order);
    if (isVacant) {
      markUptodate(node, leaf, page, 1 << order);
      publishFolioLocked(node, leaf, page, head, order, 1, LRU_INACTIVE);
    }
    node.unlock();
    if (leaf !== 0) return isVacant;
    needMemory(map.memory, n, 4);
  }
  return false;
}

function freeFolio(node: Node, head: Pfn): void {
  node.lock();
  freeLocked(node, head);
  node.unlock();
}

/** The bytes are in place and their folio pinned: `count` blocks from `page` of the sought leaf on, up to byte `end`. */
function finishWrite(map: FileMap, end: number, page: number, count: number): void {
  const { node, inode, leaf } = map;
  if (end > sizeLocked(inode)) publishSize(inode, end);
  if (!isUptodate(node, leaf, page, count)) markUptodate(node, leaf, page, count);
  markDirty(node, inode, leaf, page, count, map.files);
}

/** In the kernel's way when both lie in one memory. */
function copyIn(node: Node, to: number, source: Uint8Array, from: number, length: number): void {
  if (source.buffer === node.bytes.buffer) {
    node.kernel.copy(to | 0, (source.byteOffset + from) | 0, length);
  } else node.bytes.set(from === 0 && length === source.length ? source : source.subarray(from, from + length), to);
}

/** Looks at the state of every block of the pinned folio, one by one: what FileSpaceOptions.naiveWalk is for. */
function walkBlocks(map: FileMap): number {
  const { node, leaf, page, order } = map;
  const first = page & -(1 << order);
  let known = 0;
  for (let block = first; block < first + (1 << order); block++) {
    const bit = 1 << (block & 31);
    if ((Atomics.load(node.words, leaf + L.FL_UPTODATE + (block >>> 5)) & bit) !== 0) known++;
    if ((Atomics.load(node.words, leaf + L.FL_DIRTY + (block >>> 5)) & bit) !== 0) known++;
  }
  return known;
}
