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
import { allocatedOrder, freeFolio } from '../compaction/alloc-folio.ts';
import { GFP_USER } from '../page-alloc/gfp.ts';
import { ensureLeafLocked } from '../page-table/page-table.ts';
import { isVacantLocked, publishFolioLocked } from '../reclaim/folio.ts';
import { needMemory } from '../vm/fault.ts';
import { isUptodate, markDirty, markUptodate } from './block-state.ts';
import type { ByteVector } from './byte-vector.ts';
import { fittingOrder, readInto } from './file-fill.ts';
import type { FileMap } from './file-map.ts';
import { takeChargedFolio } from './folio-alloc.ts';
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
    while (done < length) {
      map.seek(position + done);
      done += map.pinFolio()
        ? writePinned(map, position + done, source, sourceOffset + done, length - done)
        : writeMissing(map, position + done, source, sourceOffset + done, length - done);
    }
  } catch (error) {
    if (done === 0 || error instanceof AssertionError) throw error;
  }
  return done;
}

/** As `writeLocked`, from a vector: what lies in one cached folio takes one pin and one marking. */
export function writeVectorLocked(map: FileMap, position: number, vector: ByteVector, length: number): number {
  let done = 0;
  try {
    while (done < length) {
      map.seek(position + done);
      const { part, offset } = vector;
      const step = map.pinFolio()
        ? writePinned(map, position + done, part, offset, length - done, vector)
        : writeMissing(map, position + done, part, offset, part.length - offset);
      vector.advance(step);
      done += step;
    }
  } catch (error) {
    if (done === 0 || error instanceof AssertionError) throw error;
  }
  return done;
}

/** One step, as much as lies in one folio, which was not there at the first look. Returns the bytes written, at least one. */
function writeMissing(map: FileMap, position: number, source: Uint8Array, from: number, length: number): number {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    map.seek(position);
    if (map.pinFolio()) return writePinned(map, position, source, from, length);
    if (map.isAbsent()) {
      const done = writeFresh(map, position, source, from, length);
      if (done > 0) return done;
    }
    if (attempt % ATTEMPTS_BEFORE_LOCK === 0) map.node.waitForLock();
  }
  throw new QuireError('ERR_QUIRE_FAILED', 'a write to a file made no progress');
}

/** Into the folio that the map has pinned, from the source or the vector; unpins it. */
function writePinned(
  map: FileMap,
  position: number,
  source: Uint8Array,
  from: number,
  length: number,
  vector?: ByteVector,
): number {
  const { node, leaf, page, inChunk, order, pfn } = map;
  const room = (((page >>> order) + 1) << (order + 12)) - inChunk;
  const step = length < room ? length : room;
  const last = (inChunk + step - 1) >>> 12;
  try {
    // Stands still until the unpin: what clears the bit needs the inode lock (truncate) or an unpinned folio.
    const wasUptodate = isUptodate(node, leaf, page, last - page + 1);
    if (!wasUptodate) keepEnds(map, position, step, last);
    if (map.naiveWalk) walkBlocks(map);
    const to = pfn * PAGE_BYTES + (inChunk & (PAGE_BYTES - 1));
    if (vector === undefined) map.copyIn(node, to, source, from, step);
    else vector.copyIn(map, node, to, step);
    if (map.naiveWalk) walkBlocks(map);
    finishWrite(map, position + step, page, last - page + 1, wasUptodate);
  } finally {
    unpin(node, headOf(pfn, order));
  }
  return step;
}

/** Before a write of [position, position + length) into the pinned folio: what is kept of the blocks written in part. */
function keepEnds(map: FileMap, position: number, length: number, last: number): void {
  const { node, leaf, page, inChunk, pfn } = map;
  if (((inChunk | length) & (PAGE_BYTES - 1)) === 0) return;
  if (!isUptodate(node, leaf, page, 1)) keepRest(map, node, pfn, position, length);
  if (last !== page && !isUptodate(node, leaf, last, 1)) {
    keepRest(map, node, (pfn + last - page) as Pfn, position, length, last - page);
  }
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
  const head = takeChargedFolio(map.memory, n, map.region, wanted);
  const order = allocatedOrder.value;
  const step = Math.min(length, (PAGE_BYTES << order) - inPage);
  const last = (1 << order) - 1;
  let isPublished = false;
  try {
    keepRest(map, node, head, position, step);
    if (last > 0) keepRest(map, node, (head + last) as Pfn, position, step, last);
    map.copyIn(node, head * PAGE_BYTES + inPage, source, from, step);
    isPublished = publishFresh(map, n, local, page, head, order);
  } finally {
    if (!isPublished) freeFolio(node, head);
  }
  if (!isPublished) return 0;
  map.seek(position);
  finishWrite(map, position + step, page, last + 1, true);
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

/** The bytes are in place and their folio pinned: `count` blocks from `page` of the sought leaf on, up to byte `end`. */
function finishWrite(map: FileMap, end: number, page: number, count: number, wasUptodate: boolean): void {
  const { node, inode, leaf } = map;
  if (end > sizeLocked(inode)) publishSize(inode, end);
  if (!wasUptodate) markUptodate(node, leaf, page, count);
  markDirty(node, inode, leaf, page, count, map.files);
}

/**
 * Looks at the state of every block of the pinned folio, one by one, with plain loads as the kernel's loop over buffer
 * heads does: what FileSpaceOptions.naiveWalk is for.
 */
function walkBlocks(map: FileMap): void {
  const { node, leaf, page, order } = map;
  const { words } = node;
  const end = (page & -(1 << order)) + (1 << order);
  let known = 0;
  for (let block = page & -(1 << order); block < end; block++) {
    const at = leaf + (block >>> 5);
    const bit = 1 << (block & 31);
    if ((words[at + L.FL_UPTODATE] & bit) !== 0) known++;
    if ((words[at + L.FL_DIRTY] & bit) !== 0) known++;
  }
  map.walked = known;
}
