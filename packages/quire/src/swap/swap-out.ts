/**
 * Swap-out of one page, in the steps that reclaim and kcompressd share.
 *
 *   mapped ──isolate──► QUEUED ──claim──► COMPRESSING ──publish──► (frame free, slot OBJECT | SAME | RAW)
 *     ▲                    │                    │
 *     └─────────rescue─────┴────────rescue──────┘        a fault or a write takes the page back; publish then finds nothing to do
 *
 * From isolate to publish the slot's word is FRAME: the page is still found where it is (the swap cache), and may be
 * read or rescued at any moment. Its frame is frozen, so nobody writes it; a rescue or a discard moves the frame's
 * version, which is how the compressing thread learns that its work is void. It reads the frame without a lock: bytes
 * that change under it only spoil a result that is thrown away.
 *
 * A page with a clean copy takes the short way: its slot is put back into the page table and the frame is free. A shared
 * page (swap/shared-page.ts) is found through its slot already, and takes the same way from QUEUED on.
 */

import {
  bumpVersionLocked,
  freezeLocked,
  groupOf,
  isSequential,
  KIND_COMPRESSING,
  KIND_MASK,
  KIND_PAGECACHE,
  KIND_QUEUED,
  KIND_RAW,
  KIND_REGION,
  KIND_SHARED,
  kindOf,
  LRU_ACTIVE,
  NO_ENTRY,
  orderOf,
  thawLocked,
  turnKindLocked,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { pteFromFrame } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { PAGE_BYTES, type Pfn, type SlotIndex, UNIT_PAGES } from '../base/units.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
import { unchargeFrameLocked } from '../page-alloc/page-charge.ts';
import { evictFolioLocked } from '../reclaim/folio.ts';
import {
  endTurnLocked,
  groupsOnLists,
  NO_GROUP,
  spendTurnLocked,
  turnLeft,
  turnOfLocked,
} from '../reclaim/group-turn.ts';
import { lruAddLocked, lruBlockAt, lruRemoveLocked, lruTail, testAndClearTouch } from '../reclaim/lru.ts';
import { reclaimPolicyOf } from '../reclaim/policy.ts';
import { advanceAge, ageBucket, shadowByteAt } from '../reclaim/working-set.ts';
import { compressBlock } from './block-codec.ts';
import { directSlot, entryInFlight } from './direct-entry.ts';
import { countFlightLocked, keepSharedLocked, leaveSharedLocked, queueSharedLocked } from './shared-page.ts';
import { OBJECT_BYTES_MAX } from './size-classes.ts';
import { allocRunLocked } from './slot-alloc.ts';
import { freeSlotLocked } from './slot-free.ts';
import { allocInRowLocked, endSlotRowLocked } from './slot-row.ts';
import * as W from './slot-word.ts';
import { exchangeStorageLocked } from './storage.ts';
import { NO_SLOT, setSlotWordLocked, slotWordLocked } from './swap-table.ts';
import { freezeGroupLocked, thawGroupLocked } from './unit.ts';
import { OBJECT_HEADER_BYTES, zsAllocLocked, zsAllocUnitLocked, zsWriteLocked } from './zs-pool.ts';

/** Largest compressed page that is stored as an object; above it the page is kept raw. */
export const COMPRESSED_BYTES_MAX = OBJECT_BYTES_MAX - OBJECT_HEADER_BYTES;
/** Pages per hold of the lock when compressing: 16 copies of about 2 KiB, some 5 µs. Half as many fill 3 % slower. */
export const COMPRESS_BATCH = 16;

export interface IsolateResult {
  /** Frames whose pages had a clean copy, or were clean pages of a file: free already. */
  freed: number;
  /** Of these, frames of files. */
  freedFile: number;
  /** Frames in `out`, kind QUEUED, to be compressed. */
  isolated: number;
  scanned: number;
  /** Frames that were looked at beforehand, to keep the lists in proportion. */
  aged: number;
  /** Folios of files that could not go because something of them has to be written first. */
  dirty: number;
  /** The group that found no slot last: until the caller resets it, only those of its pages go that need none. */
  shutGroup: number;
  /** Set by the caller: folios that have to be written first leave the list they are on, so that others are looked at. */
  passesDirty: boolean;
}

export function createIsolateResult(): IsolateResult {
  return {
    freed: 0,
    freedFile: 0,
    isolated: 0,
    scanned: 0,
    aged: 0,
    dirty: 0,
    shutGroup: NO_GROUP,
    passesDirty: false,
  };
}

/**
 * Takes up to `limit` idle pages from the tails of the groups' lists, in turn, as the policy says (reclaim/policy.ts), and
 * up to three more where a unit is taken whole, if there is room in `out`, which receives the frames to compress. Looks at
 * no more than 4·limit frames, so the lock is held for a few microseconds. With a group, of its pages alone.
 */
export function isolateLocked(
  node: Node,
  limit: number,
  out: Int32Array,
  result: IsolateResult,
  group = NO_GROUP,
): void {
  result.freed = 0;
  result.freedFile = 0;
  result.isolated = 0;
  result.scanned = 0;
  result.aged = 0;
  result.dirty = 0;
  if (group === NO_GROUP) isolateInTurnLocked(node, limit, out, result);
  else isolateFromLocked(node, group, limit, limit * 4, out, result);
  endSlotRowLocked(node);
}

function isolateInTurnLocked(node: Node, limit: number, out: Int32Array, result: IsolateResult): void {
  // Each of these has ended a turn early.
  let dryMax = groupsOnLists(node);
  while (dryMax > 0 && result.scanned < limit * 4 && result.isolated + result.freed < limit) {
    const group = turnOfLocked(node);
    if (group === NO_GROUP) return;
    const before = result.scanned;
    const scanMax = Math.min(turnLeft(node), limit * 4 - before);
    const hasMore = isolateFromLocked(node, group, limit, scanMax, out, result);
    spendTurnLocked(node, result.scanned - before);
    if (hasMore) continue;
    endTurnLocked(node);
    dryMax--;
  }
}

/** From the lists of one group, looking at up to `scanMax` frames; adds to `result`. False when no more is to be had of them. */
function isolateFromLocked(
  node: Node,
  group: number,
  limit: number,
  scanMax: number,
  out: Int32Array,
  result: IsolateResult,
): boolean {
  const block = lruBlockAt(group);
  const scanEnd = result.scanned + scanMax;
  const policy = reclaimPolicyOf(node);
  result.aged += policy.ageLocked(node, block, Math.min(limit * 2, scanMax));
  while (result.scanned < scanEnd && result.isolated + result.freed < limit) {
    const list = policy.scanListLocked(node, block);
    const pfn = lruTail(node, block, list);
    if (pfn === 0) return false;
    result.scanned++;
    lruRemoveLocked(node, pfn);
    if (testAndClearTouch(node, pfn)) {
      lruAddLocked(node, pfn, policy.listOfTouched(list));
      node.counters[list === LRU_ACTIVE ? C.pgrotated : C.pgactivate]++;
    } else if (kindOf(node, pfn) === KIND_SHARED) {
      queueSharedLocked(node, pfn);
      out[result.isolated++] = pfn;
    } else if (!freezeLocked(node, pfn)) {
      // Pinned: in use. Left on this list it could be all that is ever looked at.
      lruAddLocked(node, pfn, policy.listOfTouched(list));
      node.counters[C.pgrotated]++;
    } else if (kindOf(node, pfn) === KIND_PAGECACHE) {
      evictOrRotateLocked(node, pfn, result.passesDirty ? policy.listOfTouched(list) : list, result);
    } else if (result.shutGroup === group && node.words[node.slotAt + pfn] === 0) keepLocked(node, pfn);
    else if (isSequential(node, pfn) && unmapUnitLocked(node, pfn, out, result)) continue;
    else if (!unmapLocked(node, pfn, limit, out, result)) {
      keepLocked(node, pfn);
      result.shutGroup = group; // no slot to be had for any of its pages: what needs none may still go
    }
  }
  return true;
}

/** A frozen page that finds no slot. */
function keepLocked(node: Node, pfn: Pfn): void {
  thawLocked(node, pfn, 0);
  lruAddLocked(node, pfn, LRU_ACTIVE);
}

/** A frozen folio of a file: free, or at the head of `list` because it has to be written first. */
function evictOrRotateLocked(node: Node, head: Pfn, list: number, result: IsolateResult): void {
  const frames = 1 << orderOf(node, head);
  if (evictFolioLocked(node, head)) {
    result.freed += frames;
    result.freedFile += frames;
    return;
  }
  thawLocked(node, head, 0);
  lruAddLocked(node, head, list);
  node.counters[C.pgrotated]++;
  result.dirty++;
}

/** The frozen page leaves the page table, one of up to `limit`. False when there is no slot for it. */
function unmapLocked(node: Node, pfn: Pfn, limit: number, out: Int32Array, result: IsolateResult): boolean {
  const { words } = node;
  const pteAt = words[node.ownerAt + pfn];
  let slot = (words[node.slotAt + pfn] - 1) as SlotIndex;
  assert(words[pteAt] === pteFromFrame(pfn), 'owner maps the frame', pfn, words[pteAt]);
  if (slot !== NO_SLOT) {
    const word = slotWordLocked(node, slot) & ~W.SLOT_CACHED;
    words[L.H_CLEAN_COPIES]--;
    if (W.tagOf(word) !== W.SLOT_EMPTY) {
      setSlotWordLocked(node, slot, word);
      leavePageTable(node, pfn, pteAt, slot);
      freeLocked(node, pfn);
      node.counters[C.swap_clean_copies]++;
      result.freed++;
      return true;
    }
    setSlotWordLocked(node, slot, W.slotWord(W.SLOT_FRAME, pfn));
  } else {
    slot = node.isVirtual
      ? allocInRowLocked(
          node,
          W.slotWord(W.SLOT_FRAME, pfn),
          groupOf(node, pfn),
          limit - result.isolated - result.freed,
        )
      : directSlot(node, pteAt);
    if (slot === NO_SLOT) return false;
    words[node.slotAt + pfn] = slot + 1;
  }
  leavePageTable(node, pfn, pteAt, slot);
  turnKindLocked(node, pfn, KIND_QUEUED);
  countFlightLocked(node, pfn, 1);
  out[result.isolated++] = pfn;
  return true;
}

const unit = new Int32Array(UNIT_PAGES);

/** The frozen page and its three neighbours leave the page table, if they can go as a unit. False with nothing changed. */
function unmapUnitLocked(node: Node, pfn: Pfn, out: Int32Array, result: IsolateResult): boolean {
  const { words } = node;
  if (result.isolated + UNIT_PAGES > out.length || !freezeGroupLocked(node, pfn, unit)) return false;
  endSlotRowLocked(node); // what is set apart is free for the run
  const base = node.isVirtual
    ? allocRunLocked(node, unit, GFP_RECLAIM, groupOf(node, pfn))
    : directSlot(node, words[node.ownerAt + unit[0]]);
  if (base === NO_SLOT) {
    thawGroupLocked(node, pfn, unit, UNIT_PAGES);
    node.counters[C.thp_swpout_fallback]++;
    return false;
  }
  for (let i = 0; i < UNIT_PAGES; i++) {
    const page = unit[i] as Pfn;
    if (page !== pfn) lruRemoveLocked(node, page);
    words[node.slotAt + page] = base + i + 1;
    leavePageTable(node, page, words[node.ownerAt + page], (base + i) as SlotIndex);
    turnKindLocked(node, page, KIND_QUEUED);
    countFlightLocked(node, page, 1);
    out[result.isolated++] = page;
  }
  result.scanned += UNIT_PAGES - 1;
  return true;
}

function leavePageTable(node: Node, pfn: Pfn, pteAt: number, slot: SlotIndex): void {
  Atomics.store(node.words, pteAt, entryInFlight(node, slot, pfn));
  bumpVersionLocked(node, pfn);
  node.words[L.H_REGION_PAGES]--;
  advanceAge(node);
  node.bytes[shadowByteAt(node, slot)] = ageBucket(node);
}

/** QUEUED → COMPRESSING. False when the page was rescued or discarded meanwhile. */
export function claimLocked(node: Node, pfn: Pfn): boolean {
  if ((node.words[node.kindAt + pfn] & KIND_MASK) !== KIND_QUEUED) return false;
  turnKindLocked(node, pfn, KIND_COMPRESSING);
  node.words[node.prevAt + pfn] = node.thread; // whose work is lost if this thread dies
  return true;
}

/** Is this still the page that was claimed at `version`? */
export function isClaimed(node: Node, pfn: Pfn, version: number): boolean {
  return (
    node.words[node.versionAt + pfn] === version && (node.words[node.kindAt + pfn] & KIND_MASK) === KIND_COMPRESSING
  );
}

/** Every byte of the page is `byte`: it needs no storage at all. */
export function publishSameLocked(node: Node, pfn: Pfn, byte: number): void {
  endFlight(node, pfn, W.slotWord(W.SLOT_SAME, byte));
  node.counters[C.swpout_zero]++;
  releaseFrame(node, pfn);
}

/**
 * Stores `length` compressed bytes at kernel address `source`. False when no zspage can be had; the page is then
 * mapped again.
 */
export function publishObjectLocked(node: Node, pfn: Pfn, source: number, length: number): boolean {
  const slot = (node.words[node.slotAt + pfn] - 1) as SlotIndex;
  const location = zsAllocLocked(node, slot, length, GFP_RECLAIM);
  if (location === -1) {
    rescueLocked(node, pfn, 0);
    return false;
  }
  zsWriteLocked(node, location, source, length);
  endFlight(node, pfn, W.slotWord(W.SLOT_OBJECT, location));
  node.counters[C.zswpout]++;
  releaseFrame(node, pfn);
  return true;
}

/**
 * Stores four claimed pages, `pfns[first]` and the three after it, as one object of `length` bytes. False when no zspage
 * can be had; they are still claimed.
 */
export function publishUnitLocked(
  node: Node,
  pfns: Int32Array,
  first: number,
  source: number,
  length: number,
): boolean {
  const base = (node.words[node.slotAt + pfns[first]] - 1) as SlotIndex;
  const location = zsAllocUnitLocked(node, base, length, GFP_RECLAIM);
  if (location === -1) return false;
  zsWriteLocked(node, location, source, length);
  for (let i = 0; i < UNIT_PAGES; i++) {
    const pfn = pfns[first + i] as Pfn;
    const slot = endFlight(node, pfn, W.slotWord(W.SLOT_OBJECT, location));
    assert(slot === base + i, 'slots of a unit are a run', slot, base);
    releaseFrame(node, pfn);
  }
  node.counters[C.zswpout] += UNIT_PAGES;
  node.counters[C.thp_swpout]++;
  return true;
}

/**
 * Incompressible: the frame itself becomes the storage. Nothing is gained but that reclaim will not try it again; the
 * file tier may take it.
 */
export function publishRawLocked(node: Node, pfn: Pfn): void {
  turnKindLocked(node, pfn, KIND_RAW); // before the slot names it: the list of raw pages takes no others
  const slot = endFlight(node, pfn, W.slotWord(W.SLOT_RAW, pfn));
  unchargeFrameLocked(node, pfn); // swapped from now on, as its slot says
  node.words[node.ownerAt + pfn] = slot;
  node.words[node.slotAt + pfn] = 0;
  node.words[node.touchAt + pfn] = 0;
}

/** The page in flight is behind its slot from now on, as `word` says. */
function endFlight(node: Node, pfn: Pfn, word: number): SlotIndex {
  const slot = (node.words[node.slotAt + pfn] - 1) as SlotIndex;
  exchangeStorageLocked(node, slot, W.slotWord(W.SLOT_FRAME, pfn), word);
  countFlightLocked(node, pfn, -1);
  node.counters[C.pswpout]++;
  return slot;
}

function releaseFrame(node: Node, pfn: Pfn): void {
  bumpVersionLocked(node, pfn);
  freeLocked(node, pfn);
}

/**
 * Maps a page in flight again, with `pins` pins; its slot is given up. One that no one entry owns stays in memory as a
 * shared page, and with it its slot.
 */
export function rescueLocked(node: Node, pfn: Pfn, pins: number): void {
  const { words } = node;
  const slot = (words[node.slotAt + pfn] - 1) as SlotIndex;
  const pteAt = words[node.ownerAt + pfn];
  if (kindOf(node, pfn) !== KIND_SHARED) node.counters[C.swap_rescued]++;
  if (pteAt === NO_ENTRY) {
    assert(pins === 0, 'who writes a page owns it', pfn, pins);
    keepSharedLocked(node, pfn);
    return;
  }
  assert(words[pteAt] === entryInFlight(node, slot, pfn), 'page table names the slot in flight', pfn, slot);
  endRescue(node, pfn, slot);
  turnKindLocked(node, pfn, KIND_REGION);
  words[node.slotAt + pfn] = 0;
  words[node.touchAt + pfn] = 1;
  lruAddLocked(node, pfn, LRU_ACTIVE);
  words[L.H_REGION_PAGES]++;
  Atomics.store(words, pteAt, pteFromFrame(pfn));
  thawLocked(node, pfn, pins);
}

/** As `rescueLocked`, of a page in flight or shared, by the last entry that names it: it becomes that entry's. */
export function rescueForLocked(node: Node, pteAt: number, pfn: Pfn, pins: number): void {
  node.words[node.ownerAt + pfn] = pteAt;
  rescueLocked(node, pfn, pins);
}

/** A page in flight or shared is discarded by the last that named it: slot and frame go. */
export function cancelLocked(node: Node, pfn: Pfn): void {
  const slot = (node.words[node.slotAt + pfn] - 1) as SlotIndex;
  if (kindOf(node, pfn) !== KIND_SHARED) node.counters[C.swap_cancelled]++;
  endRescue(node, pfn, slot);
  freeLocked(node, pfn);
}

function endRescue(node: Node, pfn: Pfn, slot: SlotIndex): void {
  freeSlotLocked(node, slot);
  // After the slot forgot the frame: whoever loads the new version does not find the frame by it any more.
  bumpVersionLocked(node, pfn);
  if (kindOf(node, pfn) === KIND_SHARED) leaveSharedLocked(node, pfn);
  else countFlightLocked(node, pfn, -1);
}

/**
 * Compresses claimed frames into the thread's staging buffer. `lengths[i]` becomes the compressed length, 0 for
 * incompressible; `places[i]` the kernel address. No lock.
 */
export function compressBatch(
  node: Node,
  pfns: Int32Array,
  count: number,
  lengths: Int32Array,
  places: Int32Array,
): void {
  const staging = node.takeStaging();
  let used = 0;
  for (let i = 0; i < count; i++) {
    assert(used + COMPRESSED_BYTES_MAX <= L.AREA_STAGING_BYTES, 'batch fits the staging buffer', i, used);
    const target = (staging + used) | 0;
    lengths[i] = compressPage(node, pfns[i], target);
    places[i] = target;
    used = (used + lengths[i] + 15) & ~15;
  }
}

/** Compresses one page to kernel address `target`. Returns the length, 0 for incompressible. */
export function compressPage(node: Node, pfn: number, target: number): number {
  return compressBytes(node, pfn << 12, target);
}

/** As `compressPage`, of the page at kernel address `source`. */
export function compressBytes(node: Node, source: number, target: number): number {
  return compressBlock(node, source, PAGE_BYTES, target, COMPRESSED_BYTES_MAX);
}
