/**
 * Whose pages reclaim for everybody looks at: the groups in turn, each for a sixteenth of its own pages (shrink_node_memcgs;
 * there the share follows from the priority). So pressure is in proportion to size and no group starves. What a turn has
 * left outlives the hold of the lock: H_RECLAIM_GROUP and H_RECLAIM_CREDIT. Groups without pages are passed over in a
 * bitmap, they cost nothing.
 *
 * Everything here runs under the node lock.
 */
import { LRU_ACTIVE, LRU_INACTIVE } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { hasLru, lruBlockAt, lruSize } from './lru.ts';

/** A turn is the group's pages shifted right by this, and one: short beside a look at all of memory, long beside a batch. */
const TURN_SHIFT = 4;

/** No group has a page on a list. */
export const NO_GROUP = -1;

/** The first group at or after `from`, round the end, that has pages on the node's lists. */
export function nextGroupLocked(node: Node, from: number): number {
  for (let i = 0, group = from & (L.GROUPS_MAX - 1); i < L.GROUPS_MAX; i++, group = (group + 1) & (L.GROUPS_MAX - 1)) {
    if (hasLru(node, group)) return group;
    // Nothing in the rest of this word.
    const left = node.words[L.H_LRU_GROUPS + (group >>> 5)] >>> (group & 31);
    if (left === 0) {
      i += 31 - (group & 31);
      group |= 31;
    }
  }
  return NO_GROUP;
}

/** Groups with pages on the node's lists. */
export function groupsOnLists(node: Node): number {
  let count = 0;
  for (let at = 0; at < L.GROUPS_MAX / 32; at++) {
    for (let bits = node.words[L.H_LRU_GROUPS + at]; bits !== 0; bits &= bits - 1) count++;
  }
  return count;
}

/** The group whose turn it is, with credit to spend; NO_GROUP when all lists are empty. */
export function turnOfLocked(node: Node): number {
  const { words } = node;
  const group = words[L.H_RECLAIM_GROUP];
  if (words[L.H_RECLAIM_CREDIT] > 0 && hasLru(node, group)) return group;
  const next = nextGroupLocked(node, group + 1);
  if (next === NO_GROUP) return NO_GROUP;
  const block = lruBlockAt(next);
  const size = lruSize(node, block, LRU_INACTIVE) + lruSize(node, block, LRU_ACTIVE);
  assert(size > 0, 'a group in the bitmap has pages', next);
  words[L.H_RECLAIM_GROUP] = next;
  words[L.H_RECLAIM_CREDIT] = (size >>> TURN_SHIFT) + 1;
  return next;
}

/** Pages that may still be looked at in this turn. */
export function turnLeft(node: Node): number {
  return node.words[L.H_RECLAIM_CREDIT];
}

/** `pages` were looked at. */
export function spendTurnLocked(node: Node, pages: number): void {
  node.words[L.H_RECLAIM_CREDIT] = Math.max(0, node.words[L.H_RECLAIM_CREDIT] - pages);
}

/** Nothing more is to be had of the group now. */
export function endTurnLocked(node: Node): void {
  node.words[L.H_RECLAIM_CREDIT] = 0;
}
