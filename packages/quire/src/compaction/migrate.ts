/**
 * Moving what a frame holds into another frame (mm/migrate.c), in one hold of the node lock: nobody ever sees a page half
 * moved, and a thread that dies between two moves leaves nothing to repair.
 *
 *   kind                      who names the frame             what tells readers
 *   REGION                    its page-table entry            version of the old frame
 *   PAGECACHE, order ≤ 4      the entries of its pages        version of the old head
 *   ZS, ZS_TAIL               slot words, the chain           sequences of the slots
 *   RAW, SHARED               its slot's word                 version of the old frame, sequence of the slot
 *
 * Order in each: the frame is frozen (writers hold pins, so none can be at work), its bytes are copied, the new frame is
 * made ready, whoever names the frame names the new one, version or sequence moves, and only then may the old frame be
 * used again. docs/concurrency.md, "Compaction", has the protocol; compaction/migrate.interleaving.test.ts tries all
 * schedules.
 *
 * Everything else stays where it is: tables, thread areas, pages in flight, private (NEW) and pinned frames, and folios
 * above order 4, which are what compaction wants to make.
 */
import {
  bumpVersionLocked,
  FRAME_KEPT,
  freezeLocked,
  KIND_NEW,
  KIND_PAGECACHE,
  KIND_PAGECACHE_TAIL,
  KIND_RAW,
  KIND_REGION,
  KIND_RESERVED,
  KIND_SHARED,
  KIND_ZS,
  KIND_ZS_TAIL,
  kindOf,
  LRU_MASK,
  LRU_SHIFT,
  orderOf,
  setKindLocked,
  thawLocked,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { pteFromFolio, pteFromFrame } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { PAGE_BYTES, type Pfn, type SlotIndex } from '../base/units.ts';
import { lruBlockOf, lruEndsAt } from '../reclaim/lru.ts';
import { rawMoveLocked } from '../swap/raw-list.ts';
import * as W from '../swap/slot-word.ts';
import { bumpSequenceLocked, setSlotWordLocked, slotWordLocked } from '../swap/swap-table.ts';
import { moveZsFrameLocked } from './migrate-zspage.ts';
import { relinkLocked } from './relink.ts';

/** Largest folio that is moved: 64 KiB, some 3 µs of copying under the lock. */
export const MIGRATE_ORDER_MAX = 4;

/**
 * Could what begins at `pfn` be moved now? A hint: pins come and go without the lock. Free frames and tails of folios
 * are not asked about.
 */
export function isMovableLocked(node: Node, pfn: Pfn): boolean {
  switch (kindOf(node, pfn)) {
    case KIND_REGION:
      return Atomics.load(node.words, node.pinAt + pfn) === 0;
    case KIND_PAGECACHE:
      return orderOf(node, pfn) <= MIGRATE_ORDER_MAX && Atomics.load(node.words, node.pinAt + pfn) === 0;
    case KIND_ZS:
    case KIND_ZS_TAIL:
    case KIND_RAW:
    case KIND_SHARED:
      return true;
    default:
      return false;
  }
}

/**
 * Moves what is at `from` to the private block `to` of the same order. True when it did: `from` is then private (NEW) to
 * this thread. False when it is pinned, or nothing that moves.
 */
export function migrateLocked(node: Node, from: Pfn, to: Pfn): boolean {
  assert(kindOf(node, to) === KIND_NEW && orderOf(node, to) === orderOf(node, from), 'target of a move', from, to);
  const moved = isMovableLocked(node, from) && moveLocked(node, from, to);
  node.counters[moved ? C.pgmigrate_success : C.pgmigrate_fail] += 1 << orderOf(node, moved ? to : from);
  return moved;
}

function moveLocked(node: Node, from: Pfn, to: Pfn): boolean {
  const order = orderOf(node, from);
  const kind = kindOf(node, from);
  const isPinnable = kind === KIND_REGION || kind === KIND_PAGECACHE;
  if (isPinnable && !freezeLocked(node, from)) return false;
  node.kernel.copy(to << 12, from << 12, PAGE_BYTES << order);
  if (kind === KIND_REGION) moveRegionLocked(node, from, to);
  else if (kind === KIND_PAGECACHE) moveFolioLocked(node, from, to, order);
  else if (kind === KIND_RAW) moveRawLocked(node, from, to);
  else if (kind === KIND_SHARED) moveSharedLocked(node, from, to);
  else moveZsFrameLocked(node, from, to);
  node.words[node.slotAt + from] = 0;
  node.words[node.touchAt + from] = 0;
  setKindLocked(node, from, KIND_NEW, order);
  node.words[node.prevAt + from] = node.thread;
  return true;
}

/** The clean copy goes along: only the frame names its slot. */
function moveRegionLocked(node: Node, from: Pfn, to: Pfn): void {
  const { words } = node;
  const pteAt = words[node.ownerAt + from];
  assert(words[pteAt] === pteFromFrame(from), 'owner maps the frame', from, words[pteAt]);
  takeOverLocked(node, from, to, KIND_REGION, 0);
  words[node.slotAt + to] = words[node.slotAt + from];
  thawLocked(node, to, 0);
  // The frame is ready: pairs with the entry's loads of openRead and pinResident.
  Atomics.store(words, pteAt, pteFromFrame(to));
  // After the entry left it: whoever loads the new version does not find the old frame any more.
  bumpVersionLocked(node, from);
}

/** State of blocks is kept by place in the leaf and stays. */
function moveFolioLocked(node: Node, from: Pfn, to: Pfn, order: number): void {
  const { words } = node;
  const pteAt = words[node.ownerAt + from];
  takeOverLocked(node, from, to, KIND_PAGECACHE, order);
  words[node.slotAt + to] = 0;
  for (let i = 1; i < 1 << order; i++) setKindLocked(node, (to + i) as Pfn, KIND_PAGECACHE_TAIL, order);
  thawLocked(node, to, 0);
  for (let i = 0; i < 1 << order; i++) {
    assert(words[pteAt + i] === pteFromFolio((from + i) as Pfn, order), 'entry names its folio', from, i);
    Atomics.store(words, pteAt + i, pteFromFolio((to + i) as Pfn, order));
  }
  bumpVersionLocked(node, from);
  for (let i = 1; i < 1 << order; i++) setKindLocked(node, (from + i) as Pfn, KIND_RESERVED);
}

function moveRawLocked(node: Node, from: Pfn, to: Pfn): void {
  const { words } = node;
  const slot = words[node.ownerAt + from] as SlotIndex;
  assert(slotWordLocked(node, slot) === W.slotWord(W.SLOT_RAW, from), 'slot of a raw page', slot, from);
  setKindLocked(node, to, KIND_RAW);
  words[node.ownerAt + to] = slot;
  words[node.slotAt + to] = 0;
  words[node.touchAt + to] = words[node.touchAt + from];
  rawMoveLocked(node, from, to);
  setSlotWordLocked(node, slot, W.slotWord(W.SLOT_RAW, to));
  bumpSequenceLocked(node, slot);
  bumpVersionLocked(node, from);
}

/** Frozen before and after; entries name the slot, whose word alone names the frame. */
function moveSharedLocked(node: Node, from: Pfn, to: Pfn): void {
  const { words } = node;
  const slot = (words[node.slotAt + from] - 1) as SlotIndex;
  assert(slotWordLocked(node, slot) === W.slotWord(W.SLOT_FRAME, from), 'slot of a shared page', slot, from);
  takeOverLocked(node, from, to, KIND_SHARED, 0);
  words[node.slotAt + to] = slot + 1;
  setSlotWordLocked(node, slot, W.slotWord(W.SLOT_FRAME, to));
  bumpSequenceLocked(node, slot);
  bumpVersionLocked(node, from);
}

/** Owner, group, touch mark and the place on its LRU list: compaction does not make a page younger. */
function takeOverLocked(node: Node, from: Pfn, to: Pfn, kind: number, order: number): void {
  const { words } = node;
  const list = (words[node.kindAt + from] & LRU_MASK) >> LRU_SHIFT;
  assert(list !== 0, 'a mapped frame is on a list', from);
  setKindLocked(node, to, kind, order);
  words[node.kindAt + to] |= words[node.kindAt + from] & (LRU_MASK | FRAME_KEPT);
  // What is charged goes along; `from` loses the mark with its kind.
  words[node.ownerAt + to] = words[node.ownerAt + from];
  words[node.touchAt + to] = words[node.touchAt + from];
  const block = lruBlockOf(node, from);
  const headAt = lruEndsAt(block, list);
  relinkLocked(node, from, to, headAt, headAt + 1);
  if (words[block + L.LB_COPY_CURSOR] === from) words[block + L.LB_COPY_CURSOR] = to;
}
