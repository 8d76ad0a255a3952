/**
 * Groups: names under which memory is accounted and limited (mm/memcontrol.c, cut down to what one process needs). A
 * group is a slot in node 0; its counts are of all nodes, changed atomically, so they are exact at any moment.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';

/** What belongs to no other group. */
export const DEFAULT_GROUP = 0;

export function groupAt(group: number): number {
  return L.GROUPS_AT + group * L.GROUP_WORDS;
}

/** Charges `pages` swap slots to the group. False with nothing changed when that would exceed its limit. */
export function tryChargeSwap(node: Node, group: number, pages: number): boolean {
  const { home } = node;
  const at = groupAt(group);
  const used = Atomics.add(home, at + L.G_SWAP_PAGES, pages) + pages;
  const limit = home[at + L.G_SWAP_LIMIT_PAGES];
  if (limit === 0 || used <= limit) return true;
  Atomics.sub(home, at + L.G_SWAP_PAGES, pages);
  return false;
}

export function unchargeSwap(node: Node, group: number, pages: number): void {
  const before = Atomics.sub(node.home, groupAt(group) + L.G_SWAP_PAGES, pages);
  assert(before >= pages, 'swap pages of a group', group, before);
}
