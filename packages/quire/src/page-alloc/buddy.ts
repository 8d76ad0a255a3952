/**
 * The buddy allocator: free frames as naturally aligned blocks of 2^order, order 0…9 (Knowlton 1965; mm/page_alloc.c).
 *
 *   block at pfn, order k   buddy = pfn ^ (1 << k)   merged block = pfn & ~(1 << k)
 *
 * One list per migrate type and order. A pageblock (512 frames) has a type; its free blocks go to that type's lists.
 * An allocation takes the smallest fitting block of its type and, when there is none, the largest of the other type;
 * from order 4 up the whole pageblock changes type with it, which keeps unmovable frames together.
 *
 * Invariants (isValid): heads have kind FREE and their order; the inside of a block is RESERVED; no two free buddies
 * of one order exist unmerged; the counts match the lists. Everything here runs under the node lock.
 */

import { FROZEN, KIND_FREE, KIND_MASK, KIND_RESERVED, ORDER_SHIFT } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { CHUNK_PAGES, NO_PFN, ORDER_MAX, type Pfn } from '../base/units.ts';

/** From half a pageblock's order up, a fallback claims the pageblock (kernel: pageblock_order / 2). */
const CLAIM_ORDER = 4;

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
  for (let from = order; from <= ORDER_MAX; from++) {
    const pfn = node.words[listAt(type, from)] as Pfn;
    if (pfn === NO_PFN) continue;
    unlinkBlock(node, pfn, from);
    splitBlock(node, pfn, from, order, type);
    return pfn;
  }
  return takeFallbackLocked(node, order, type);
}

function takeFallbackLocked(node: Node, order: number, type: number): Pfn {
  const other = type === L.MIGRATE_MOVABLE ? L.MIGRATE_UNMOVABLE : L.MIGRATE_MOVABLE;
  for (let from = ORDER_MAX; from >= order; from--) {
    const pfn = node.words[listAt(other, from)] as Pfn;
    if (pfn === NO_PFN) continue;
    unlinkBlock(node, pfn, from);
    const claimed = from >= CLAIM_ORDER;
    if (claimed) setType(node, pfn, type);
    splitBlock(node, pfn, from, order, claimed ? type : other);
    return pfn;
  }
  return NO_PFN;
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
  // A claimed pageblock may have blocks on the list of its former type: the block itself remembers which list it is on.
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
  return node.words[node.blocksAt + Math.floor(pfn / CHUNK_PAGES)];
}

function setType(node: Node, pfn: Pfn, type: number): void {
  node.words[node.blocksAt + Math.floor(pfn / CHUNK_PAGES)] = type;
}

function listAt(type: number, order: number): number {
  return L.BUDDY_AT + (type * 10 + order) * 2;
}

/** Free blocks of one order, all types (buddyinfo). */
export function freeBlocks(node: Node, order: number): number {
  return node.words[listAt(L.MIGRATE_UNMOVABLE, order) + 1] + node.words[listAt(L.MIGRATE_MOVABLE, order) + 1];
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
