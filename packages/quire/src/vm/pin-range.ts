/**
 * Pins of more than one page: the pages are moved into one naturally aligned block, so that they can be seen as one
 * run of bytes. A range that is contiguous already is pinned where it is.
 *
 * Each page is moved by itself, as compaction moves pages (compaction/migrate.ts), and keeps its one pin. The block
 * is taken apart into single frames, which go back one by one when they are unpinned and reclaimed.
 */

import { announceEase, dropPin, KIND_NEW, pinLocked, setKindLocked, unpin } from '../arena/frame.ts';
import type { Node } from '../arena/node.ts';
import { forgetRun, noteRun } from '../arena/pin-note.ts';
import { outOfRange, QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, NO_PFN, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { allocFolio } from '../compaction/alloc-folio.ts';
import { migrateLocked } from '../compaction/migrate.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
import { faultWrite, needMemory } from './fault.ts';
import type { Memory } from './memory.ts';
import type { RegionSpace } from './region-space.ts';

export interface HeldRange {
  readonly node: number;
  readonly pfns: Pfn[];
  readonly bytes: Uint8Array;
  /** The thread noted it as one run (arena/pin-note.ts). */
  readonly isRun: boolean;
}

/**
 * Throws ERR_QUIRE_RANGE when the range leaves its aligned block, ERR_QUIRE_OUT_OF_MEMORY when no block can be had or
 * a page is pinned elsewhere.
 */
export function pinRange(memory: Memory, space: RegionSpace, offset: number, length: number): HeldRange {
  const first = Math.floor(offset / PAGE_BYTES);
  const pages = Math.floor((offset + length - 1) / PAGE_BYTES) - first + 1;
  const order = Math.ceil(Math.log2(pages));
  const inside = Math.floor(offset / CHUNK_BYTES) === Math.floor((offset + length - 1) / CHUNK_BYTES);
  if (order > 9 || !inside) throw outOfRange('length', 'a range inside one 2 MiB block', length);
  const { n, chunk, page } = space.placeOf(first * PAGE_BYTES);
  const node = memory.nodes[n];
  const pfns: Pfn[] = [];
  try {
    for (let i = 0; i < pages; i++) pfns.push(faultWrite(memory, n, space.region, chunk, page + i));
    if (!isRun(pfns)) moveToBlock(memory, n, pfns, order);
  } catch (error) {
    for (const pfn of pfns) unpin(node, pfn);
    throw error;
  }
  const start = pfns[0] * PAGE_BYTES + (offset % PAGE_BYTES);
  const bytes = node.bytes.subarray(start, start + length);
  return { node: n, pfns, bytes, isRun: pages > 1 && noteRun(node, pfns[0], pages) };
}

export function unpinRange(memory: Memory, held: HeldRange): void {
  const node = memory.nodes[held.node];
  if (held.isRun) forgetRun(node, held.pfns[0], held.pfns.length);
  for (const pfn of held.pfns) {
    if (held.isRun) dropPin(node, pfn);
    else unpin(node, pfn);
  }
  announceEase(node);
}

function isRun(pfns: readonly Pfn[]): boolean {
  return pfns.every((pfn, i) => pfn === pfns[0] + i);
}

/** Replaces each pinned frame of `pfns` by the frame of a block, in place. */
function moveToBlock(memory: Memory, n: number, pfns: Pfn[], order: number): void {
  const node = memory.nodes[n];
  const block = takeBlock(memory, n, order);
  let moved = 0;
  for (; moved < pfns.length; moved++) {
    if (!movePage(node, pfns[moved], (block + moved) as Pfn)) break;
    pfns[moved] = (block + moved) as Pfn;
  }
  node.lock();
  for (let i = moved; i < 1 << order; i++) freeLocked(node, (block + i) as Pfn);
  node.unlock();
  if (moved < pfns.length) throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'a page of the range is pinned elsewhere');
}

/** A block, taken apart into frames of order 0. */
function takeBlock(memory: Memory, n: number, order: number): Pfn {
  const node = memory.nodes[n];
  const block = allocFolio(memory, n, order, order);
  if (block === NO_PFN) {
    // Throws when all is full.
    needMemory(memory, n, 1 << order);
    throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'no contiguous block of memory for the pin');
  }
  node.lock();
  for (let i = 0; i < 1 << order; i++) {
    setKindLocked(node, (block + i) as Pfn, KIND_NEW);
    node.words[node.prevAt + block + i] = node.thread;
  }
  node.unlock();
  return block;
}

/** Our pin is the only one, or it cannot move. The lock is held all the time, so the pin given up is not missed. */
function movePage(node: Node, from: Pfn, to: Pfn): boolean {
  node.lock();
  unpin(node, from);
  const isMoved = migrateLocked(node, from, to);
  pinLocked(node, isMoved ? to : from);
  if (isMoved) freeLocked(node, from);
  node.unlock();
  return isMoved;
}
