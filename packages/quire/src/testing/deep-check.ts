/**
 * What `checkNode` does not see: that page tables, slots, storage and frames name each other, and how often. Walks every page table of every region. No thread may be at
 * work. Throws AssertionError.
 */
import * as F from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromPte, isPresent, isSwapped, PTE_NONE } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { PAGE_WORDS, type Pfn, type SlotIndex } from '../base/units.ts';
import { checkFiles } from '../page-cache/file-check.ts';
import { findLeaf, isFile, nextLeafChunk, regionAt } from '../page-table/page-table.ts';
import { groupOfRegion } from '../reclaim/group.ts';
import { detachedLeaves } from '../swap/detached-leaves.ts';
import { slotOfEntry } from '../swap/direct-entry.ts';
import { DEVICE_DRAINING, DEVICE_NONE, DEVICE_ON, deviceOf, deviceState } from '../swap/file-devices.ts';
import { nextUsedSegment, SEGMENT_GRANULES, segmentAt, segmentLive } from '../swap/file-segments.ts';
import { SIZE_CLASSES } from '../swap/size-classes.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot } from '../swap/swap-table.ts';
import { forEachObjectLocked, objectsInUse } from '../swap/zs-pool.ts';
import { checkReferences } from '../vm/reference-check.ts';
import { regionsInUse } from '../vm/region-table.ts';

const CHUNKS_MAX = 2 ** 24;

/** Every slot that somebody owns, and what its word must then be. */
interface Owners {
  /** Slots named by a page-table entry. */
  readonly swapped: Set<number>;
  /** Slots that are the clean copy of a mapped frame. */
  readonly copies: Set<number>;
}

export function deepCheck(nodes: readonly Node[]): void {
  checkReferences(nodes);
  checkFiles(nodes);
  for (const node of nodes) {
    const owners: Owners = { swapped: new Set(), copies: new Set() };
    for (const region of regionsInUse(nodes[0])) if (!isFile(node, region)) walkRegion(node, region, owners);
    for (const { leaf, group } of detachedLeaves(node)) walkLeaf(node, leaf, group, owners);
    walkFrames(node, owners);
    walkSlots(node, owners);
    walkPool(node);
  }
}

function walkRegion(node: Node, region: number, owners: Owners): void {
  let pages = 0;
  for (
    let chunk = nextLeafChunk(node, region, 0, CHUNKS_MAX);
    chunk >= 0;
    chunk = nextLeafChunk(node, region, chunk + 1, CHUNKS_MAX)
  ) {
    pages += walkLeaf(node, findLeaf(node, region, chunk), groupOfRegion(node, region), owners);
  }
  const counted = node.words[regionAt(region) + L.R_PAGES];
  assert(pages === counted, 'pages of a region', region, pages - counted);
}

/** Returns its pages. */
function walkLeaf(node: Node, leaf: number, group: number, owners: Owners): number {
  let pages = 0;
  for (let page = 0; page < 512; page++) {
    const pte = node.words[leaf + page];
    if (pte === PTE_NONE) continue;
    pages++;
    if (isPresent(pte)) {
      const pfn = frameFromPte(pte);
      assert(F.kindOf(node, pfn) === F.KIND_REGION, 'entry names a mapped frame', pfn, F.kindOf(node, pfn));
      assert(node.words[node.ownerAt + pfn] === leaf + page, 'frame names its entry', pfn, leaf + page);
      assert(F.groupOf(node, pfn) === group, 'page is charged to its region’s group', pfn, group);
      continue;
    }
    assert(!node.isVirtual || isSwapped(pte), 'entry is present or swapped', pte);
    owners.swapped.add(slotOfEntry(node, leaf + page, pte));
  }
  return pages;
}

function walkFrames(node: Node, owners: Owners): void {
  let inflight = 0;
  for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
    const kind = F.kindOf(node, pfn as Pfn);
    const slot = node.words[node.slotAt + pfn] - 1;
    if (kind === F.KIND_REGION && slot >= 0) owners.copies.add(slot);
    if (kind !== F.KIND_QUEUED && kind !== F.KIND_COMPRESSING) continue;
    inflight++;
    assert(owners.swapped.has(slot), 'page in flight is in a page table', pfn, slot);
    assert(peekSlot(node, slot) === W.slotWord(W.SLOT_FRAME, pfn), 'slot names the page in flight', slot, pfn);
  }
  assert(inflight === node.words[L.H_INFLIGHT], 'pages in flight', inflight, node.words[L.H_INFLIGHT]);
  assert(
    owners.copies.size === node.words[L.H_CLEAN_COPIES],
    'clean copies',
    owners.copies.size,
    node.words[L.H_CLEAN_COPIES],
  );
}

function walkSlots(node: Node, owners: Owners): void {
  const counts = new Array<number>(8).fill(0);
  for (const slot of owners.swapped) {
    const word = peekSlot(node, slot);
    assert(!W.isCached(word) && !owners.copies.has(slot), 'slot of a swapped page is nobody’s clean copy', slot, word);
    assert(W.tagOf(word) !== W.SLOT_FREE && W.tagOf(word) !== W.SLOT_EMPTY, 'swapped page is somewhere', slot, word);
    counts[W.tagOf(word)]++;
  }
  for (const slot of owners.copies) {
    const word = peekSlot(node, slot);
    assert(W.isCached(word), 'clean copy is marked', slot, word);
    assert(
      W.tagOf(word) !== W.SLOT_FRAME && W.tagOf(word) !== W.SLOT_RAW,
      'a clean copy has storage of its own',
      slot,
      word,
    );
    counts[W.tagOf(word)]++;
  }
  const { words } = node;
  const slots = node.isVirtual ? owners.swapped.size + owners.copies.size : 0;
  assert(slots === words[L.H_SLOTS_USED], 'each slot has one owner', slots, words[L.H_SLOTS_USED]);
  assert(
    counts[W.SLOT_SAME] === words[L.H_SAME_SLOTS],
    'same-filled slots',
    counts[W.SLOT_SAME],
    words[L.H_SAME_SLOTS],
  );
  assert(
    counts[W.SLOT_OBJECT] === words[L.H_ZS_OBJECTS],
    'compressed slots',
    counts[W.SLOT_OBJECT],
    words[L.H_ZS_OBJECTS],
  );
  assert(counts[W.SLOT_RAW] === words[L.H_RAW_FRAMES], 'raw slots', counts[W.SLOT_RAW], words[L.H_RAW_FRAMES]);
  assert(counts[W.SLOT_FILE] === words[L.H_FILE_SLOTS], 'file slots', counts[W.SLOT_FILE], words[L.H_FILE_SLOTS]);
  walkFiles(node, [...owners.swapped, ...owners.copies]);
}

/** Each object of a file lies in a segment in use, of a device that is there, and no two at one granule; live counts are theirs. */
function walkFiles(node: Node, slots: readonly number[]): void {
  const live = new Map<number, number>();
  const granules = new Set<number>();
  for (const slot of slots) {
    const word = peekSlot(node, slot) & ~W.SLOT_CACHED;
    if (W.tagOf(word) !== W.SLOT_FILE) continue;
    const granule = W.payloadOf(word);
    const device = deviceOf(node, granule);
    const state = device < 0 ? DEVICE_NONE : deviceState(node.home, device);
    assert(state === DEVICE_ON || state === DEVICE_DRAINING, 'device of an object', slot, device);
    assert(!granules.has(granule), 'one object at a granule', slot, granule);
    granules.add(granule);
    const segment = Math.floor(granule / SEGMENT_GRANULES);
    live.set(segment, (live.get(segment) ?? 0) + 1);
  }
  for (let segment = nextUsedSegment(node, -1); segment >= 0; segment = nextUsedSegment(node, segment)) {
    const counted = segmentLive(node.words[segmentAt(node, segment)]);
    assert(counted === (live.get(segment) ?? 0), 'live objects of a segment', segment, counted);
    live.delete(segment);
  }
  assert(live.size === 0, 'objects lie in segments in use', live.size);
}

function walkPool(node: Node): void {
  checkPool(node);
  for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
    const kind = F.kindOf(node, pfn as Pfn);
    if (kind === F.KIND_RAW) {
      const slot = node.words[node.ownerAt + pfn];
      assert(peekSlot(node, slot) === W.slotWord(W.SLOT_RAW, pfn), 'raw page and slot name each other', pfn, slot);
    }
    if (kind !== F.KIND_ZS) continue;
    forEachObjectLocked(node, pfn as Pfn, (slot: SlotIndex, location: number) => {
      assert(
        (peekSlot(node, slot) & ~W.SLOT_CACHED) === W.slotWord(W.SLOT_OBJECT, location),
        'object and slot name each other',
        slot,
        location,
      );
    });
  }
}

/** The compressed pool by itself: fullness lists, chains, counts. */
export function checkPool(node: Node): void {
  const { words } = node;
  let objects = 0;
  let listed = 0;
  let partlyFull = 0;
  for (let cls = 0; cls < SIZE_CLASSES.length; cls++) {
    for (const group of [0, 1]) listed += checkFullnessList(node, cls, group);
  }
  for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
    if (F.kindOf(node, pfn as Pfn) !== F.KIND_ZS) continue;
    const cls = words[node.ownerAt + pfn] & 0xff;
    const { frames, objects: room } = SIZE_CLASSES[cls];
    let used = 0;
    let pages = 0;
    let last = -1;
    forEachObjectLocked(node, pfn as Pfn, (_slot, location) => {
      pages++;
      if (location !== last) used++;
      last = location;
    });
    assert(used === objectsInUse(node, pfn as Pfn) && used > 0, 'objects in use', pfn, used);
    let chain = 1;
    for (let tail = words[node.slotAt + pfn]; tail !== 0; tail = words[node.slotAt + tail]) {
      assert(
        F.kindOf(node, tail as Pfn) === F.KIND_ZS_TAIL && words[node.ownerAt + tail] === pfn,
        'tail frame names its head',
        tail,
        pfn,
      );
      chain++;
      assert(chain <= 8, 'zspage chain ends', pfn);
    }
    assert(chain === frames, 'frames of a zspage', chain, frames);
    objects += pages;
    if (used < room) partlyFull++;
  }
  assert(objects === words[L.H_ZS_OBJECTS], 'objects of the pool', objects, words[L.H_ZS_OBJECTS]);
  assert(listed === partlyFull, 'zspages with room are listed', listed, partlyFull);
}

function checkFullnessList(node: Node, cls: number, group: number): number {
  const { words } = node;
  const { objects } = SIZE_CLASSES[cls];
  let count = 0;
  let prev = 0;
  for (let pfn = words[L.ZS_HEADS_AT + cls * 4 + group]; pfn !== 0; pfn = words[node.nextAt + pfn]) {
    assert(F.kindOf(node, pfn as Pfn) === F.KIND_ZS, 'list holds zspages', pfn);
    assert((words[node.ownerAt + pfn] & 0xff) === cls, 'zspage on the list of its class', pfn, cls);
    assert(words[node.prevAt + pfn] === prev, 'zspage back link', pfn, prev);
    const inUse = objectsInUse(node, pfn as Pfn);
    assert(
      inUse < objects && inUse * 2 <= objects === (group === 0),
      'zspage on the list of its fullness',
      inUse,
      group,
    );
    prev = pfn;
    count++;
    assert(count <= node.frames, 'fullness list loops', cls);
  }
  return count;
}

/** Words of a page-table leaf that name a page, for tests that damage one. */
export function pteAtOf(node: Node, region: number, chunk: number, page: number): number {
  const leaf = findLeaf(node, region, chunk);
  assert(leaf > PAGE_WORDS, 'page has a leaf', chunk, page);
  return leaf + page;
}
