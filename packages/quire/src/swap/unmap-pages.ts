/** Pages leave a page table for good: their frames, slots and storage go. Node lock held. Needs no memory and cannot fail. */
import { bumpVersionLocked, freezeLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromPte, isPresent, PTE_NONE, wordFromPte } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { PAGE_BYTES, type Pfn } from '../base/units.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
import { lruRemoveLocked } from '../reclaim/lru.ts';
import { dropCleanCopyLocked } from './clean-copy.ts';
import { slotOfEntry } from './direct-entry.ts';
import { isSlotSharedLocked, putReferenceLocked } from './slot-count.ts';
import * as W from './slot-word.ts';
import { dropRowLocked } from './storage.ts';
import { cancelLocked } from './swap-out.ts';
import { D_COUNTS, descriptorAt, INDEX_MASK, tableAt } from './swap-table.ts';
import { objectWordAt } from './zs-pool.ts';

/** Entries cleared in one hold of the lock: up to some 15 µs. */
export const UNMAP_BATCH = 64;
/** Slot words of the batch's swapped pages; others have 0. */
const ahead = new Int32Array(UNMAP_BATCH);
/** Slots of one cluster that go together, and their words. */
const rowSlots = new Int32Array(UNMAP_BATCH);
const rowWords = new Int32Array(UNMAP_BATCH);
/** Where the looks ahead go, so that they are not optimized away. */
const looks = new Int32Array(1);

export interface UnmapResult {
  /** Pages that are gone, and pinned ones that stayed. */
  gone: number;
  left: number;
}

export function createUnmapResult(): UnmapResult {
  return { gone: 0, left: 0 };
}

/** Clears `count` entries from `first` on, at most UNMAP_BATCH. A pinned page stays; it is zeroed where it is if `zeroes`. */
export function unmapBatchLocked(node: Node, first: number, count: number, zeroes: boolean, result: UnmapResult): void {
  assert(count <= UNMAP_BATCH, 'entries of a batch', count);
  result.gone = 0;
  result.left = 0;
  lookAheadLocked(node, first, count);
  for (let i = 0; i < count; ) {
    const pte = node.words[first + i];
    if (pte !== PTE_NONE && !isPresent(pte)) {
      i = unmapRowLocked(node, first, i, count, result);
      continue;
    }
    if (pte !== PTE_NONE) {
      if (unmapPresentLocked(node, first + i, frameFromPte(pte), zeroes)) result.gone++;
      else result.left++;
    }
    i++;
  }
}

/**
 * The slot words of the batch, and one look at each compressed object. Freeing one waits for its first word to come from
 * memory; looked at one after the other, with nothing in between that depends on them, they come at the same time. Takes a
 * tenth off the time of freeing.
 */
function lookAheadLocked(node: Node, first: number, count: number): void {
  const { words } = node;
  let seen = 0;
  let cluster = -1;
  let table = 0;
  for (let i = 0; i < count; i++) {
    const pte = words[first + i];
    ahead[i] = 0;
    if (pte === PTE_NONE || isPresent(pte)) continue;
    const slot = slotOfEntry(node, first + i, pte);
    if (node.isVirtual && slot >>> 9 !== cluster) {
      cluster = slot >>> 9;
      table = tableAt(node, cluster);
    }
    const word = node.isVirtual ? words[table + (slot & INDEX_MASK)] : wordFromPte(pte);
    ahead[i] = word;
    if (W.tagOf(word) === W.SLOT_OBJECT) seen ^= words[objectWordAt(W.payloadOf(word))];
  }
  looks[0] = seen;
}

/**
 * Swapped pages from entry `from` on whose slots are of one cluster. Entries and words go, sequences move, and then what was
 * behind the slots: the entries' plain stores are before the sequences'. Returns where the row ends.
 */
function unmapRowLocked(node: Node, first: number, from: number, count: number, result: UnmapResult): number {
  const { words } = node;
  const cluster = slotOfEntry(node, first + from, words[first + from]) >>> 9;
  const countsAt = node.isVirtual ? descriptorAt(node, cluster) + D_COUNTS : 0;
  let length = 0;
  let i = from;
  for (; i < count; i++) {
    const pte = words[first + i];
    if (pte === PTE_NONE) continue;
    if (isPresent(pte)) break;
    const slot = slotOfEntry(node, first + i, pte);
    if (slot >>> 9 !== cluster) break;
    words[first + i] = PTE_NONE;
    result.gone++;
    if (countsAt !== 0 && words[countsAt] !== 0 && isSlotSharedLocked(node, slot)) putReferenceLocked(node, slot);
    else if (W.tagOf(ahead[i]) === W.SLOT_FRAME) cancelLocked(node, W.payloadOf(ahead[i]) as Pfn);
    else {
      rowSlots[length] = slot;
      rowWords[length++] = ahead[i];
    }
  }
  if (length > 0) dropRowLocked(node, rowSlots, rowWords, length);
  return i;
}

/** False when the page is pinned. */
function unmapPresentLocked(node: Node, pteAt: number, pfn: Pfn, zeroes: boolean): boolean {
  if (node.words[node.slotAt + pfn] !== 0) dropCleanCopyLocked(node, pfn);
  if (!freezeLocked(node, pfn)) {
    if (zeroes) node.kernel.fill(pfn << 12, 0, PAGE_BYTES);
    return false;
  }
  Atomics.store(node.words, pteAt, PTE_NONE);
  bumpVersionLocked(node, pfn);
  lruRemoveLocked(node, pfn);
  node.words[L.H_REGION_PAGES]--;
  freeLocked(node, pfn);
  return true;
}
