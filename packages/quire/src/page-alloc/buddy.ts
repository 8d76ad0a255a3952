/**
 * The buddy allocator: free frames as naturally aligned blocks of 2^order, order 0…9 (Knowlton 1965; mm/page_alloc.c).
 *
 *   block at pfn, order k   buddy = pfn ^ (1 << k)   merged block = pfn & ~(1 << k)
 *
 * One list per migrate type and order. A pageblock (512 frames) has a type; its free blocks are on that type's lists.
 * An allocation takes the smallest fitting block of its type. When there is none it falls back to the other type:
 *
 *   claim   from the largest block down: a whole pageblock at once; else the pageblock it lies in, if at least half of it is
 *           free or compatible. For movable memory only from order 4 up (pageblock order / 2)
 *   steal   else, from the smallest up, a block alone: its pageblock keeps its type
 *
 * Claiming keeps unmovable frames together, which is what lets compaction find blocks that it can empty.
 *
 * Invariants (isValid): heads have kind FREE and their order; the inside of a block is RESERVED; no two free buddies
 * of one order exist unmerged; the counts match the lists; a block is on the list of its pageblock's type. Everything
 * here runs under the node lock.
 */

import {
  FROZEN,
  KIND_COMPRESSING,
  KIND_FREE,
  KIND_MASK,
  KIND_PAGECACHE,
  KIND_PAGECACHE_TAIL,
  KIND_QUEUED,
  KIND_RAW,
  KIND_REGION,
  KIND_RESERVED,
  KIND_SHARED,
  KIND_ZS,
  KIND_ZS_TAIL,
  ORDER_SHIFT,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { CHUNK_PAGES, NO_PFN, ORDER_MAX, type Pfn } from '../base/units.ts';

/** From half a pageblock's order up, movable memory may claim a pageblock (kernel: pageblock_order / 2). */
const CLAIM_ORDER = 4;

/** Kinds of frames that hold data which may be anywhere: what makes a pageblock compatible with movable memory. */
const MOVABLE_KINDS =
  (1 << KIND_REGION) |
  (1 << KIND_QUEUED) |
  (1 << KIND_COMPRESSING) |
  (1 << KIND_ZS) |
  (1 << KIND_ZS_TAIL) |
  (1 << KIND_RAW) |
  (1 << KIND_SHARED) |
  (1 << KIND_PAGECACHE) |
  (1 << KIND_PAGECACHE_TAIL);

/** Gives every frame from `firstFree` up to the lists, as the largest aligned blocks. */
export function formatBuddy(node: Node): void {
  const { words } = node;
  words.fill(FROZEN, node.pinAt, node.pinAt + node.frames);
  words.fill(L.MIGRATE_MOVABLE, node.blocksAt, node.blocksAt + Math.ceil(node.frames / CHUNK_PAGES));
  let pfn = node.firstFree;
  while (pfn < node.frames) {
    let order = 0;
    while (order < ORDER_MAX && pfn % (2 << order) === 0 && pfn + (2 << order) <= node.frames) order++;
    pushBlock(node, pfn as Pfn, order, L.MIGRATE_MOVABLE);
    pfn += 1 << order;
  }
  words[L.H_FREE_FRAMES] = node.frames - node.firstFree;
}

/**
 * The first frame of a block, NO_PFN when no block is large enough. Kind is left RESERVED: the caller says what it
 * becomes.
 */
export function takeBlockLocked(node: Node, order: number, type: number): Pfn {
  const pfn = takeSmallestLocked(node, order, type);
  return pfn !== NO_PFN ? pfn : takeFallbackLocked(node, order, type);
}

function takeSmallestLocked(node: Node, order: number, type: number): Pfn {
  for (let from = order; from <= ORDER_MAX; from++) {
    const pfn = node.words[listAt(type, from)] as Pfn;
    if (pfn === NO_PFN) continue;
    unlinkBlock(node, pfn, from);
    splitBlock(node, pfn, from, order, type);
    return pfn;
  }
  return NO_PFN;
}

function takeFallbackLocked(node: Node, order: number, type: number): Pfn {
  const other = type === L.MIGRATE_MOVABLE ? L.MIGRATE_UNMOVABLE : L.MIGRATE_MOVABLE;
  const claimsAny = type === L.MIGRATE_UNMOVABLE;
  for (let from = ORDER_MAX; from >= order && (claimsAny || from >= CLAIM_ORDER); from--) {
    const pfn = node.words[listAt(other, from)] as Pfn;
    if (pfn !== NO_PFN && claimPageblockLocked(node, pfn, from, type)) return takeSmallestLocked(node, order, type);
  }
  return takeSmallestLocked(node, order, other);
}

/** The pageblock that the free block lies in changes type, if enough of it suits. */
function claimPageblockLocked(node: Node, pfn: Pfn, order: number, type: number): boolean {
  if (order < ORDER_MAX) {
    const { free, movable } = countPageblock(node, pfn);
    // What is neither free nor movable counts as unmovable: tables, and whatever is private to a thread at this moment.
    const alike = type === L.MIGRATE_MOVABLE ? movable : CHUNK_PAGES - free - movable;
    if (free + alike < CHUNK_PAGES / 2) return false;
  }
  setTypeLocked(node, pfn, type);
  return true;
}

function countPageblock(node: Node, pfn: Pfn): { free: number; movable: number } {
  const { words, kindAt } = node;
  const end = Math.min(startOf(pfn) + CHUNK_PAGES, node.frames);
  let free = 0;
  let movable = 0;
  for (let at = startOf(pfn); at < end; ) {
    const word = words[kindAt + at];
    const kind = word & KIND_MASK;
    if (kind === KIND_FREE) {
      const frames = 1 << ((word >>> ORDER_SHIFT) & 0xf);
      free += frames;
      at += frames;
      continue;
    }
    movable += (MOVABLE_KINDS >>> kind) & 1;
    at++;
  }
  return { free, movable };
}

/** A pageblock's type changes, and its free blocks change lists. What compaction noted of it is forgotten. */
export function setTypeLocked(node: Node, pfn: Pfn, type: number): void {
  const { words, kindAt } = node;
  const end = Math.min(startOf(pfn) + CHUNK_PAGES, node.frames);
  words[node.blocksAt + Math.floor(pfn / CHUNK_PAGES)] = type;
  for (let at = startOf(pfn); at < end; ) {
    const word = words[kindAt + at];
    if ((word & KIND_MASK) !== KIND_FREE) {
      at++;
      continue;
    }
    const order = (word >>> ORDER_SHIFT) & 0xf;
    unlinkBlock(node, at as Pfn, order);
    pushBlock(node, at as Pfn, order, type);
    at += 1 << order;
  }
}

function startOf(pfn: Pfn): number {
  return pfn - (pfn % CHUNK_PAGES);
}

/** Takes the free block that begins at `pfn` off its list, whole. Returns its order; kind is left RESERVED. */
export function isolateBlockLocked(node: Node, pfn: Pfn): number {
  const word = node.words[node.kindAt + pfn];
  assert((word & KIND_MASK) === KIND_FREE, 'a free block begins here', pfn, word);
  const order = (word >>> ORDER_SHIFT) & 0xf;
  unlinkBlock(node, pfn, order);
  return order;
}

/** Takes 2^order frames from the front of the free block that begins at `pfn`; the rest stays free. */
export function takeFrontLocked(node: Node, pfn: Pfn, order: number): void {
  const from = isolateBlockLocked(node, pfn);
  assert(from >= order, 'free block is large enough', from, order);
  splitBlock(node, pfn, from, order, typeOf(node, pfn));
}

/** Returns a block to the lists, merged with its buddies as far as they are free. */
export function giveBlockLocked(node: Node, first: Pfn, firstOrder: number): void {
  const { words } = node;
  let pfn = first as number;
  let order = firstOrder;
  assert(pfn >= node.firstFree && pfn + (1 << order) <= node.frames, 'freed block inside the node', pfn, order);
  assert((words[node.kindAt + pfn] & KIND_MASK) !== KIND_FREE, 'block freed twice', pfn, order);
  const type = typeOf(node, first);
  while (order < ORDER_MAX) {
    const buddy = pfn ^ (1 << order);
    if (buddy < node.firstFree || buddy + (1 << order) > node.frames) break;
    if (words[node.kindAt + buddy] !== (KIND_FREE | (order << ORDER_SHIFT))) break;
    unlinkBlock(node, buddy as Pfn, order);
    words[node.kindAt + pfn] = KIND_RESERVED;
    pfn &= ~(1 << order);
    order++;
  }
  pushBlock(node, pfn as Pfn, order, type);
}

/** The upper halves go back to the lists until `pfn` is a block of `to`. */
function splitBlock(node: Node, pfn: Pfn, from: number, to: number, type: number): void {
  for (let order = from - 1; order >= to; order--) pushBlock(node, (pfn + (1 << order)) as Pfn, order, type);
}

function pushBlock(node: Node, pfn: Pfn, order: number, type: number): void {
  const { words, nextAt, prevAt } = node;
  const at = listAt(type, order);
  const head = words[at];
  words[node.kindAt + pfn] = KIND_FREE | (order << ORDER_SHIFT);
  words[node.ownerAt + pfn] = type;
  words[nextAt + pfn] = head;
  words[prevAt + pfn] = 0;
  if (head !== 0) words[prevAt + head] = pfn;
  words[at] = pfn;
  words[at + 1]++;
}

function unlinkBlock(node: Node, pfn: Pfn, order: number): void {
  const { words, nextAt, prevAt } = node;
  const at = listAt(words[node.ownerAt + pfn], order);
  assert(words[at + 1] > 0, 'buddy list count', pfn, order);
  const next = words[nextAt + pfn];
  const prev = words[prevAt + pfn];
  if (prev === 0) words[at] = next;
  else words[nextAt + prev] = next;
  if (next !== 0) words[prevAt + next] = prev;
  words[at + 1]--;
  words[node.kindAt + pfn] = KIND_RESERVED;
}

export function typeOf(node: Node, pfn: Pfn): number {
  return node.words[node.blocksAt + Math.floor(pfn / CHUNK_PAGES)] & L.BLOCK_TYPE_MASK;
}

/** Word index of a list's head; its count is the next word. */
export function listAt(type: number, order: number): number {
  return L.BUDDY_AT + (type * 10 + order) * 2;
}

/** Free blocks of one order, all types (buddyinfo). */
export function freeBlocks(node: Node, order: number): number {
  return node.words[listAt(L.MIGRATE_UNMOVABLE, order) + 1] + node.words[listAt(L.MIGRATE_MOVABLE, order) + 1];
}

/** Is there a block of at least this order, of any type? What the watermark check asks for orders above 0. */
export function hasFreeBlock(node: Node, order: number): boolean {
  for (let at = order; at <= ORDER_MAX; at++) if (freeBlocks(node, at) > 0) return true;
  return false;
}

/** Walks every list. O(free blocks); for tests. Returns the number of free frames on the lists. */
export function checkBuddy(node: Node): number {
  const { words } = node;
  let frames = 0;
  for (let type = 0; type < L.MIGRATE_TYPES; type++) {
    for (let order = 0; order <= ORDER_MAX; order++) {
      let count = 0;
      let prev = 0;
      for (let pfn = words[listAt(type, order)]; pfn !== 0; pfn = words[node.nextAt + pfn]) {
        assert(pfn % (1 << order) === 0, 'block alignment', pfn, order);
        assert(words[node.kindAt + pfn] === (KIND_FREE | (order << ORDER_SHIFT)), 'block head', pfn, order);
        assert(words[node.ownerAt + pfn] === type, 'block knows its list', pfn, type);
        assert(typeOf(node, pfn as Pfn) === type, 'block is on the list of its pageblock', pfn, type);
        assert(words[node.prevAt + pfn] === prev, 'block back link', pfn, prev);
        const buddy = pfn ^ (1 << order);
        const merged = order < ORDER_MAX && buddy >= node.firstFree && buddy + (1 << order) <= node.frames;
        assert(
          !merged || words[node.kindAt + buddy] !== (KIND_FREE | (order << ORDER_SHIFT)),
          'unmerged buddies',
          pfn,
          order,
        );
        for (let inside = 1; inside < 1 << order; inside++) {
          assert((words[node.kindAt + pfn + inside] & KIND_MASK) === KIND_RESERVED, 'inside of a block', pfn, inside);
        }
        prev = pfn;
        count++;
        assert(count <= node.frames, 'list loops', type, order);
      }
      assert(count === words[listAt(type, order) + 1], 'list count', count, words[listAt(type, order) + 1]);
      frames += count << order;
    }
  }
  return frames;
}
