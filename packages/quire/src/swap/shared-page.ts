/**
 * A page of several regions that is in memory. Its frame is found through its slot, as a page in flight is, and stays on
 * its LRU list (the kernel's swap cache). Frozen, so nobody writes it; the entries are swapped ones, and the slot counts
 * them (swap/slot-count.ts). docs/concurrency.md, "Clones", has the states.
 *
 *   kind SHARED     owner NO_ENTRY     slot s + 1     word of s: FRAME pfn     on a list     counted as a page of regions
 *
 * A page in flight that several entries name has owner NO_ENTRY too: what is rescued without an entry to map it to
 * becomes a shared page. Its frame is charged to the group that had it first, until another takes it. It stays one when all entries but one have gone; that one's next write maps it.
 */
import {
  bumpVersionLocked,
  freezeLocked,
  groupOf,
  KIND_COMPRESSING,
  KIND_MASK,
  KIND_QUEUED,
  KIND_SHARED,
  kindOf,
  LRU_ACTIVE,
  LRU_INACTIVE,
  LRU_MASK,
  LRU_NONE,
  LRU_SHIFT,
  NO_ENTRY,
  thawLocked,
  turnKindLocked,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { pteFromFrame, pteFromSlot } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import type { Pfn, SlotIndex } from '../base/units.ts';
import { GFP_USER } from '../page-alloc/gfp.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
import { markChargedLocked, tryChargePages, unchargeFrameLocked } from '../page-alloc/page-charge.ts';
import { lruAddLocked, lruBlockOf, lruRemoveLocked } from '../reclaim/lru.ts';
import { advanceAge, ageBucket, shadowByteAt } from '../reclaim/working-set.ts';
import { allocSlotLocked } from './slot-alloc.ts';
import * as W from './slot-word.ts';
import { releaseStorageLocked } from './storage.ts';
import { NO_SLOT, setSlotWordLocked, slotWordLocked } from './swap-table.ts';

/** No slot's number, nor NO_SLOT. */
export const PINNED = -2;

/**
 * The mapped page leaves the page table, so that other entries can name its slot too; its entry does already. It stays in
 * memory, unless it was idle and had a clean copy. With nothing changed: PINNED, or NO_SLOT when none is to be had. A pin may
 * be a writer's that is about to look whether it pinned the right page, and gone at once: nobody can tell by the count.
 */
export function shareMappedLocked(node: Node, pteAt: number, pfn: Pfn): SlotIndex | typeof PINNED {
  const { words } = node;
  assert(words[pteAt] === pteFromFrame(pfn) && words[node.ownerAt + pfn] === pteAt, 'entry maps the frame', pteAt, pfn);
  if (!freezeLocked(node, pfn)) return PINNED;
  let slot = (words[node.slotAt + pfn] - 1) as SlotIndex;
  if (slot !== NO_SLOT) {
    const word = slotWordLocked(node, slot) & ~W.SLOT_CACHED;
    words[L.H_CLEAN_COPIES]--;
    if (isIdle(node, pfn) && W.tagOf(word) !== W.SLOT_EMPTY) {
      evictLocked(node, pteAt, pfn, slot, word);
      return slot;
    }
    setSlotWordLocked(node, slot, W.slotWord(W.SLOT_FRAME, pfn));
    releaseStorageLocked(node, slot, word);
  } else {
    slot = allocSlotLocked(node, W.slotWord(W.SLOT_FRAME, pfn), GFP_USER, groupOf(node, pfn));
    if (slot === NO_SLOT) {
      thawLocked(node, pfn, 0);
      return NO_SLOT;
    }
    words[node.slotAt + pfn] = slot + 1;
  }
  words[node.kindAt + pfn] = (words[node.kindAt + pfn] & ~KIND_MASK) | KIND_SHARED; // on its list as before
  words[node.ownerAt + pfn] = NO_ENTRY;
  Atomics.store(words, pteAt, pteFromSlot(slot));
  bumpVersionLocked(node, pfn);
  return slot;
}

function isIdle(node: Node, pfn: Pfn): boolean {
  const list = (node.words[node.kindAt + pfn] & LRU_MASK) >> LRU_SHIFT;
  return list === LRU_INACTIVE && node.words[node.touchAt + pfn] === 0;
}

/** The clean copy is all that stays. */
function evictLocked(node: Node, pteAt: number, pfn: Pfn, slot: SlotIndex, word: number): void {
  setSlotWordLocked(node, slot, word);
  Atomics.store(node.words, pteAt, pteFromSlot(slot));
  bumpVersionLocked(node, pfn);
  lruRemoveLocked(node, pfn);
  node.words[L.H_REGION_PAGES]--;
  noteEvictionLocked(node, slot);
  freeLocked(node, pfn);
}

/** The private frame, filled with what is behind the slot, becomes its page: the storage goes. */
export function shareFreshLocked(node: Node, slot: SlotIndex, fresh: Pfn, list: number): void {
  const { words } = node;
  const word = slotWordLocked(node, slot);
  assert(!W.isCached(word) && W.tagOf(word) !== W.SLOT_FRAME, 'shared slot has storage and no frame', slot, word);
  setSlotWordLocked(node, slot, W.slotWord(W.SLOT_FRAME, fresh));
  releaseStorageLocked(node, slot, word);
  words[node.slotAt + fresh] = slot + 1;
  enterLocked(node, fresh, list);
}

/** Pages in flight, of the node and of the frame's group. */
export function countFlightLocked(node: Node, pfn: Pfn, pages: number): void {
  const inflight = (node.words[L.H_INFLIGHT] += pages);
  if (inflight > node.words[L.H_INFLIGHT_PEAK]) node.words[L.H_INFLIGHT_PEAK] = inflight;
  node.words[lruBlockOf(node, pfn) + L.LB_INFLIGHT] += pages;
}

/** Reclaim takes the shared page, which is on no list any more. Its slot names it all the time. */
export function queueSharedLocked(node: Node, pfn: Pfn): void {
  assert(kindOf(node, pfn) === KIND_SHARED, 'shared page', pfn);
  turnKindLocked(node, pfn, KIND_QUEUED);
  node.words[L.H_REGION_PAGES]--;
  countFlightLocked(node, pfn, 1);
  noteEvictionLocked(node, (node.words[node.slotAt + pfn] - 1) as SlotIndex);
}

/** A page in flight that no one entry owns stays in memory. Who compresses it learns by the version. */
export function keepSharedLocked(node: Node, pfn: Pfn): void {
  const kind = kindOf(node, pfn);
  assert(kind === KIND_QUEUED || kind === KIND_COMPRESSING, 'page in flight', pfn, kind);
  bumpVersionLocked(node, pfn);
  countFlightLocked(node, pfn, -1);
  enterLocked(node, pfn, LRU_ACTIVE);
}

/**
 * A page in flight or shared, charged to the group that had it first, is about to be a page of another group. False, with
 * nothing changed, when that may have no more.
 */
export function chargeToLocked(node: Node, pfn: Pfn, group: number, reserve: number): boolean {
  if (groupOf(node, pfn) === group) return true;
  if (!tryChargePages(node, group, 1, reserve)) return false;
  const list = (node.words[node.kindAt + pfn] & LRU_MASK) >> LRU_SHIFT;
  const isInFlight = kindOf(node, pfn) !== KIND_SHARED;
  if (list !== LRU_NONE) lruRemoveLocked(node, pfn);
  if (isInFlight) countFlightLocked(node, pfn, -1);
  unchargeFrameLocked(node, pfn);
  markChargedLocked(node, pfn, group);
  if (isInFlight) countFlightLocked(node, pfn, 1);
  if (list !== LRU_NONE) lruAddLocked(node, pfn, list);
  return true;
}

/** The shared page is on no list any more, and no page of regions: it is about to be mapped or freed. */
export function leaveSharedLocked(node: Node, pfn: Pfn): void {
  assert(kindOf(node, pfn) === KIND_SHARED, 'shared page', pfn);
  lruRemoveLocked(node, pfn);
  node.words[L.H_REGION_PAGES]--;
}

function enterLocked(node: Node, pfn: Pfn, list: number): void {
  turnKindLocked(node, pfn, KIND_SHARED);
  node.words[node.ownerAt + pfn] = NO_ENTRY;
  node.words[node.touchAt + pfn] = 1;
  lruAddLocked(node, pfn, list);
  node.words[L.H_REGION_PAGES]++;
}

function noteEvictionLocked(node: Node, slot: SlotIndex): void {
  advanceAge(node);
  node.bytes[shadowByteAt(node, slot)] = ageBucket(node);
}
