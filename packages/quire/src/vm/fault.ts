/**
 * Page faults: the slow path that makes a page resident. Each loop of a fault looks at the page-table entry under the
 * node lock, does the long work (zeroing, decoding, disk) outside it on a private frame, and takes the lock again to
 * publish, if the entry is still what it was.
 *
 *   entry      word of the slot    what happens
 *   none       –                   new frame, zeroed or filled by the writer before anybody sees it
 *   present    –                   pin; a clean copy is dropped before a write
 *   swapped    FRAME               rescue: the page is still there, the swap-out is void
 *              any, several        a write takes a new frame with the same bytes and leaves slot and storage to the others;
 *              entries name it     a promotion gives the slot a frame that all of them find (swap/shared-page.ts)
 *              RAW                 the storage frame is mapped as it is
 *              SAME OBJECT FILE    new frame, decode; a read keeps the slot as clean copy, a write gives it up
 *              LOST                error for this page's readers; a whole-page write makes it good again
 */

import {
  bumpVersionLocked,
  FRAME_SEQUENTIAL,
  groupOf,
  KIND_REGION,
  LRU_ACTIVE,
  pinLocked,
  thawLocked,
  turnKindLocked,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromPte, isPresent, PTE_NONE, pteFromFrame } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import { NO_PFN, PAGE_BYTES, type Pfn, type SlotIndex } from '../base/units.ts';
import { GFP_MEMALLOC, GFP_USER } from '../page-alloc/gfp.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
import { markChargedLocked, tryChargePages } from '../page-alloc/page-charge.ts';
import { ensureLeafLocked, findLeaf, regionAt } from '../page-table/page-table.ts';
import {
  allocPageLocked,
  GROUP_RESERVE_PAGES,
  groupAt,
  groupOfRegion,
  isSwapDear,
  OVER_LIMIT,
} from '../reclaim/group.ts';
import { lruAddLocked } from '../reclaim/lru.ts';
import { listOfNew, listOfRefault } from '../reclaim/policy.ts';
import { dropCleanCopyLocked } from '../swap/clean-copy.ts';
import { noteGrowthLocked, wantsCopies } from '../swap/copy-ahead.ts';
import { swapFull } from '../swap/device-errors.ts';
import { slotOfEntry } from '../swap/direct-entry.ts';
import { reclaimDirect } from '../swap/direct-reclaim.ts';
import { reclaimGroupOnce } from '../swap/group-reclaim.ts';
import { rawRemoveLocked } from '../swap/raw-list.ts';
import { chargeToLocked, shareFreshLocked } from '../swap/shared-page.ts';
import { isSlotSharedLocked, putSlotLocked } from '../swap/slot-count.ts';
import { freeSlotLocked } from '../swap/slot-free.ts';
import * as W from '../swap/slot-word.ts';
import { rescueForLocked } from '../swap/swap-out.ts';
import { entryWordLocked, NO_SLOT, sequenceAt, setSlotWordLocked, slotWordLocked } from '../swap/swap-table.ts';
import { isReadInSequence } from './access.ts';
import { makeGroupRoom, needGroupRoom } from './group-limit.ts';
import type { Memory } from './memory.ts';
import { passOnCleaning, READ_OK, READ_RETRY, readError, WouldClean } from './read-outcome.ts';
import { readStorage } from './swap-in.ts';
import { dropEmptyLeaf } from './unmap.ts';

/** A page may be snatched away between two looks; more often than this in a row is a broken invariant, not bad luck. */
const ATTEMPTS_MAX = 10_000;

/** A daemon asleep hears of memory filling up once in so many faults of a thread. */
const FAULTS_PER_WAKE = 256;

/** Fills a private frame before it is mapped: `target` is its first byte in `node.bytes`. */
export type PageFiller = (node: Node, target: number) => void;

/**
 * Makes the page writable and returns its frame, pinned once. With `filler` the whole page is being overwritten: its
 * old bytes are not brought in, and when the page had no frame the filler's bytes are in place before anybody can see
 * it. `filled.done` says whether the filler ran.
 */
export function faultWrite(
  memory: Memory,
  n: number,
  region: number,
  chunk: number,
  page: number,
  filler?: PageFiller,
): Pfn {
  try {
    return faultWriteLoop(memory, n, region, chunk, page, filler);
  } catch (error) {
    // Undone without a trace: the leaf may have been made for this page.
    if (error instanceof QuireError || error instanceof WouldClean) dropEmptyLeaf(memory.nodes[n], region, chunk);
    throw error;
  }
}

function faultWriteLoop(
  memory: Memory,
  n: number,
  region: number,
  chunk: number,
  page: number,
  filler: PageFiller | undefined,
): Pfn {
  const node = memory.nodes[n];
  const group = groupOfRegion(node, region);
  if ((++node.counters[C.pgfault] & (FAULTS_PER_WAKE - 1)) === 0) wakeForWorkAhead(node);
  filled.done = false;
  let isFull = false;
  let isGroupFull = false;
  if (memory.inlineDaemons !== undefined && Atomics.load(node.words, L.H_KSWAPD_WAKE) !== 0) memory.inlineDaemons();
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    node.lock();
    const leaf = ensureLeafLocked(node, region, chunk, GFP_USER);
    if (leaf === 0) {
      node.unlock();
      needMemory(memory, n, 4);
      continue;
    }
    const reserve = isGroupFull ? GROUP_RESERVE_PAGES : 0;
    const pfn = writeHereLocked(node, leaf + page, group, reserve);
    if (pfn > NO_PFN) {
      node.unlock();
      return pfn;
    }
    const givesUp = givesUpStorageLocked(node, leaf + page);
    const gfp = givesUp ? reserveFlags(node, isFull) : GFP_USER;
    const fresh = pfn === OVER_LIMIT ? pfn : allocPageLocked(node, group, gfp, givesUp ? reserve : 0);
    if (fresh === NO_PFN || fresh === OVER_LIMIT) {
      node.unlock();
      if (fresh === OVER_LIMIT) isGroupFull = !makeRoom(memory, group, givesUp && !isGroupFull);
      else if (givesUp && !isFull) isFull = !reclaimDirect(memory.reclaimers[n], 1);
      else needMemory(memory, n, 1);
      continue;
    }
    const done =
      filler === undefined
        ? bringIn(memory, n, region, leaf + page, fresh, 1)
        : fillFresh(node, region, leaf + page, fresh, filler);
    if (done) return fresh;
  }
  throw new QuireError('ERR_QUIRE_FAILED', 'a page fault made no progress');
}

/** Does the page exist, and does no other entry name what is behind it? */
function givesUpStorageLocked(node: Node, pteAt: number): boolean {
  const pte = node.words[pteAt];
  return pte !== PTE_NONE && !isSlotSharedLocked(node, slotOfEntry(node, pteAt, pte));
}

/** Room for one page in the group. False when there is none, but the reserve may help. */
function makeRoom(memory: Memory, group: number, hasReserve: boolean): boolean {
  if (hasReserve) return makeGroupRoom(memory, group, 1);
  needGroupRoom(memory, group, 1);
  return true;
}

/** A wake-up is a system call where somebody sleeps: not for every fault. */
function wakeForWorkAhead(node: Node): void {
  const { words } = node;
  if (words[L.H_KSWAPDS] === 0) return;
  const isCopied = wantsCopies(node);
  // Or memory that has never been used is next, which kswapd touches ahead (daemons/prefault.ts).
  if (isCopied || words[L.H_FREE_FRAMES] > words[L.H_WMARK_HIGH]) node.wakeDaemons();
  if (isCopied) node.wakeCompressors(L.THREADS_MAX);
}

/**
 * When all is full, changing a page that exists may still take a frame of the reserve: its old storage is given up in
 * exchange, and it may be needed to free something (a delete changes an index page). A quarter of the reserve is left
 * to reclaim.
 */
function reserveFlags(node: Node, isFull: boolean): number {
  const mayUseReserve = isFull && node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_MIN] >> 2;
  return mayUseReserve ? GFP_USER | GFP_MEMALLOC : GFP_USER;
}

/** Whether the last `faultWrite` of this thread with a filler has written the page already. */
export const filled = { done: false };

/**
 * Promotes a swapped page into memory, keeping its slot as clean copy. Best effort: false when memory is short or the
 * page moved. At the group's limit one round of reclaim is tried. The node lock is not held.
 */
export function faultRead(memory: Memory, n: number, region: number, chunk: number, page: number): boolean {
  const group = groupOfRegion(memory.nodes[n], region);
  const done = promote(memory, n, region, chunk, page, group);
  if (done !== OVER_LIMIT) return done === PROMOTED;
  Atomics.add(memory.nodes[0].words, groupAt(group) + L.G_REFUSED, 1);
  if (!reclaimGroupOnce(memory.reclaimers, group)) return false;
  return promote(memory, n, region, chunk, page, group) === PROMOTED;
}

const PROMOTED = 1;

/** PROMOTED, or why it could not be: NO_PFN, OVER_LIMIT. */
function promote(memory: Memory, n: number, region: number, chunk: number, page: number, group: number): number {
  const node = memory.nodes[n];
  node.lock();
  // Looked up again: the leaf the caller read without the lock may be gone, and its words another table's.
  const leaf = findLeaf(node, region, chunk);
  const pteAt = leaf + page;
  const pte = leaf === 0 ? PTE_NONE : node.words[pteAt];
  if (pte === PTE_NONE || isPresent(pte)) {
    node.unlock();
    return PROMOTED;
  }
  const slot = slotOfEntry(node, pteAt, pte);
  const word = entryWordLocked(node, slot, pte);
  if (W.tagOf(word) === W.SLOT_FRAME || W.tagOf(word) === W.SLOT_RAW) {
    // One that others name too is read where it is.
    const isDone = isSlotSharedLocked(node, slot) || mapStorageFrameLocked(node, pteAt, slot, word, 0, group, 0);
    node.unlock();
    return isDone ? PROMOTED : OVER_LIMIT;
  }
  const fresh = allocPageLocked(node, group, GFP_USER);
  if (fresh === NO_PFN || fresh === OVER_LIMIT) {
    node.unlock();
    return fresh;
  }
  return bringIn(memory, n, region, pteAt, fresh, 0) ? PROMOTED : NO_PFN;
}

/** Cases that need no new frame. NO_PFN when one is needed, OVER_LIMIT when the group may not have the one that is there. */
function writeHereLocked(node: Node, pteAt: number, group: number, reserve: number): Pfn {
  const pte = node.words[pteAt];
  if (pte === PTE_NONE) return NO_PFN;
  if (isPresent(pte)) {
    const pfn = frameFromPte(pte);
    if (node.words[node.slotAt + pfn] !== 0) dropCleanCopyLocked(node, pfn);
    pinLocked(node, pfn);
    node.words[node.touchAt + pfn] = 1;
    return pfn;
  }
  const slot = slotOfEntry(node, pteAt, pte);
  const word = entryWordLocked(node, slot, pte);
  if ((W.tagOf(word) === W.SLOT_FRAME || W.tagOf(word) === W.SLOT_RAW) && !isSlotSharedLocked(node, slot)) {
    const isMapped = mapStorageFrameLocked(node, pteAt, slot, word, 1, group, reserve);
    return isMapped ? (W.payloadOf(word) as Pfn) : OVER_LIMIT;
  }
  return NO_PFN; // even when all of it will be overwritten: until the new frame is mapped, readers must find the old page
}

/**
 * The page is in a frame, and no other entry names its slot: the frame goes back into the page table. False when the group
 * may not have it.
 */
function mapStorageFrameLocked(
  node: Node,
  pteAt: number,
  slot: SlotIndex,
  word: number,
  pins: number,
  group: number,
  reserve: number,
): boolean {
  const pfn = W.payloadOf(word) as Pfn;
  if (W.tagOf(word) === W.SLOT_RAW) return mapRawLocked(node, pteAt, slot, pfn, pins, group, reserve);
  if (!chargeToLocked(node, pfn, group, reserve)) return false;
  rescueForLocked(node, pteAt, pfn, pins);
  return true;
}

/** A raw page goes back into the page table: its frame was the storage. False when the group may not have it. */
function mapRawLocked(
  node: Node,
  pteAt: number,
  slot: SlotIndex,
  pfn: Pfn,
  pins: number,
  group: number,
  reserve: number,
): boolean {
  if (!tryChargePages(node, group, 1, reserve)) return false;
  markChargedLocked(node, pfn, group);
  rawRemoveLocked(node, pfn);
  freeSlotLocked(node, slot);
  bumpVersionLocked(node, pfn);
  mapLocked(node, pteAt, pfn, pins, LRU_ACTIVE);
  node.counters[C.pswpin]++;
  return true;
}

/** A private frame is about to become a page of the region. */
function markAccess(node: Node, region: number, fresh: Pfn): void {
  if (isReadInSequence(node, region)) node.words[node.kindAt + fresh] |= FRAME_SEQUENTIAL;
}

/** Publishes a frame whose bytes are in place. */
function mapLocked(node: Node, pteAt: number, pfn: Pfn, pins: number, list: number, cleanCopy = 0): void {
  const { words } = node;
  turnKindLocked(node, pfn, KIND_REGION);
  words[node.ownerAt + pfn] = pteAt;
  words[node.slotAt + pfn] = cleanCopy;
  words[node.touchAt + pfn] = 0;
  lruAddLocked(node, pfn, list);
  words[L.H_REGION_PAGES]++;
  thawLocked(node, pfn, pins);
  // Last: whoever finds the entry finds the frame ready. Pairs with the loads of openRead and tryPin.
  Atomics.store(words, pteAt, pteFromFrame(pfn));
}

/** The lock is held on entry, not on return. False when the entry changed meanwhile; the frame is then free again. */
function fillFresh(node: Node, region: number, pteAt: number, fresh: Pfn, filler: PageFiller): boolean {
  const before = node.words[pteAt];
  const generationAt = regionAt(region) + L.R_GENERATION;
  const generation = node.words[generationAt];
  node.unlock();
  filler(node, fresh * PAGE_BYTES);
  node.lock();
  // Same generation: the leaf is still this region's. Same entry: still the same page, or another absence of one,
  // which is as good.
  if (
    node.words[generationAt] !== generation ||
    node.words[pteAt] !== before ||
    !replaceableLocked(node, pteAt, before)
  ) {
    freeLocked(node, fresh);
    node.unlock();
    return false;
  }
  const slot = before === PTE_NONE ? NO_SLOT : slotOfEntry(node, pteAt, before);
  const list = slot === NO_SLOT ? listOfNew(node) : listOfRefault(node, slot);
  if (slot !== NO_SLOT) putForWriteLocked(node, slot);
  else {
    node.words[regionAt(region) + L.R_PAGES]++;
    noteGrowthLocked(node);
  }
  markAccess(node, region, fresh);
  mapLocked(node, pteAt, fresh, 1, list);
  node.unlock();
  filled.done = true;
  return true;
}

function replaceableLocked(node: Node, pteAt: number, pte: number): boolean {
  if (pte === PTE_NONE) return true;
  const slot = slotOfEntry(node, pteAt, pte);
  const tag = W.tagOf(entryWordLocked(node, slot, pte));
  return (tag !== W.SLOT_FRAME && tag !== W.SLOT_RAW) || isSlotSharedLocked(node, slot);
}

function zeroPage(node: Node, target: number): void {
  node.kernel.fill(target | 0, 0, PAGE_BYTES);
}

/**
 * Zeroes or decodes into `fresh` and maps it. The lock is held on entry, not on return. `pins` 1 = for writing, 0 =
 * for reading.
 */
function bringIn(memory: Memory, n: number, region: number, pteAt: number, fresh: Pfn, pins: number): boolean {
  const node = memory.nodes[n];
  const pte = node.words[pteAt];
  if (pte === PTE_NONE) {
    return fillFresh(node, region, pteAt, fresh, zeroPage);
  }
  const slot = slotOfEntry(node, pteAt, pte);
  const word = entryWordLocked(node, slot, pte);
  if (W.tagOf(word) === W.SLOT_FRAME || W.tagOf(word) === W.SLOT_RAW) {
    copySharedLocked(node, region, pteAt, slot, W.payloadOf(word) as Pfn, fresh);
    node.unlock();
    return true;
  }
  const sequence = node.words[sequenceAt(slot)];
  const generationAt = regionAt(region) + L.R_GENERATION;
  const generation = node.words[generationAt];
  node.unlock();
  node.counters[C.pgmajfault]++;
  const outcome = readStorage(node, memory.device, slot, word, sequence, fresh << 12, PAGE_BYTES);
  node.lock();
  // A slot may outlive the leaf, in a clone; and the leaf may have become one of a clone's, with the same slot in it.
  const isSame = node.words[generationAt] === generation && node.words[pteAt] === pte;
  if (outcome !== READ_OK || !isSame || node.words[sequenceAt(slot)] !== sequence) {
    freeLocked(node, fresh);
    node.unlock();
    if (outcome !== READ_OK && outcome !== READ_RETRY) throw readError(node, outcome);
    return false;
  }
  countSwapIn(node, word);
  markAccess(node, region, fresh);
  mapSwappedLocked(node, pteAt, slot, fresh, pins);
  node.unlock();
  return true;
}

/** A write to a page that is in a frame and that others name too: it gets a copy, pinned once, they keep the frame. */
function copySharedLocked(node: Node, region: number, pteAt: number, slot: SlotIndex, pfn: Pfn, fresh: Pfn): void {
  assert(isSlotSharedLocked(node, slot), 'page in a frame is copied for a writer among several', slot, pfn);
  node.kernel.copy(fresh << 12, pfn << 12, PAGE_BYTES);
  markAccess(node, region, fresh);
  mapSwappedLocked(node, pteAt, slot, fresh, 1);
}

/** The writer has its page elsewhere now. */
function putForWriteLocked(node: Node, slot: SlotIndex): void {
  if (putSlotLocked(node, slot) > 0) node.counters[C.cow_faults]++;
}

function mapSwappedLocked(node: Node, pteAt: number, slot: SlotIndex, fresh: Pfn, pins: number): void {
  const list = listOfRefault(node, slot);
  if (pins === 0 && isSlotSharedLocked(node, slot)) {
    shareFreshLocked(node, slot, fresh, list);
    return;
  }
  if (pins > 0 || !node.isVirtual || isSwapDear(node, groupOf(node, fresh))) {
    putForWriteLocked(node, slot);
    mapLocked(node, pteAt, fresh, pins, list);
    node.words[node.touchAt + fresh] = 1;
    return;
  }
  const word = slotWordLocked(node, slot);
  assert(!W.isCached(word), 'slot of a swapped page has no frame', slot);
  setSlotWordLocked(node, slot, word | W.SLOT_CACHED);
  mapLocked(node, pteAt, fresh, 0, list, slot + 1);
  node.words[node.touchAt + fresh] = 1;
  node.words[L.H_CLEAN_COPIES]++;
}

function countSwapIn(node: Node, word: number): void {
  const tag = W.tagOf(word);
  node.counters[C.pswpin]++;
  if (tag === W.SLOT_SAME) node.counters[C.swpin_zero]++;
  else if (tag === W.SLOT_OBJECT) node.counters[C.zswpin]++;
}

/** Direct reclaim, or the error that says all is full. */
export function needMemory(memory: Memory, n: number, frames: number): void {
  if (reclaimDirect(memory.reclaimers[n], frames)) return;
  passOnCleaning([memory.nodes[n]]);
  memory.nodes[n].counters[C.swap_full]++;
  if (!memory.hasSwap)
    throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'the budget is used up and no swap tier was configured');
  throw swapFull(memory.nodes[0].words);
}
