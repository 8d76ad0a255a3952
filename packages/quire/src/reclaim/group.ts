/**
 * Groups: names under which memory is accounted and limited (mm/memcontrol.c, cut down to what one process needs). A
 * group is a slot in node 0; its counts are of all nodes, changed atomically, so they are exact at any moment.
 *
 *   pages     frames with pages of its regions and files, and with pages in flight until their frame is free   G_PAGES
 *   swapped   swap slots of its pages, clean copies too, whatever is behind them (an object, a raw frame, …)   G_SWAP_PAGES
 *
 * Page tables, control blocks and the compressed pool are the instance's. A page in flight, and one with a clean copy, has
 * a frame and a slot and counts in both.
 *
 *   charge    before a frame or slot is taken; refused at the limit, with nothing changed
 *   limit     who was refused reclaims from the lists of the group (swap/group-reclaim.ts) and tries again
 *   uncharge  by whoever frees the frame (page-alloc/page-charge.ts) or slot
 */
import { KIND_NEW } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { NO_PFN, type Pfn } from '../base/units.ts';
import { allocLocked } from '../page-alloc/page-allocator.ts';
import {
  groupAt,
  markChargedLocked,
  tryChargePages,
  tryCountLocked,
  unchargePages,
  uncountLocked,
} from '../page-alloc/page-charge.ts';
import { regionAt } from '../page-table/page-table.ts';

export { groupAt };

/** What belongs to no other group. It is always there and has no limit. */
export const DEFAULT_GROUP = 0;

/** In place of a frame: the group may have no more. */
export const OVER_LIMIT = -1 as Pfn;

/**
 * Frames that a write to a page that exists may take beyond the limit when nothing of the group can go: its slot is given
 * up in exchange, which lets another page out.
 */
export const GROUP_RESERVE_PAGES = 16;

/** The group that a region's pages are charged to. It does not change while the region is open. */
export function groupOfRegion(node: Node, region: number): number {
  return node.home[regionAt(region) + L.R_GROUP];
}

/**
 * Charges `pages` swap slots of the node to the group, under its lock. False with nothing changed when that would exceed
 * the limit. (Plain additions where there is one node take a fifth off the time of an allocation.)
 */
export function tryChargeSwap(node: Node, group: number, pages: number): boolean {
  const at = groupAt(group);
  if (tryCountLocked(node, at + L.G_SWAP_PAGES, at + L.G_SWAP_LIMIT_PAGES, pages, 0)) return true;
  Atomics.add(node.home, at + L.G_SWAP_REFUSED, 1);
  return false;
}

/** Gives a charge back, under the lock of the node. */
export function unchargeSwap(node: Node, group: number, pages: number): void {
  const before = uncountLocked(node, groupAt(group) + L.G_SWAP_PAGES, pages);
  assert(before >= pages, 'swap pages of a group', group, before);
}

/**
 * A private frame for a page of the group. NO_PFN when there is none, OVER_LIMIT when the group may have no more; nothing
 * has changed then.
 */
export function allocPageLocked(node: Node, group: number, gfp: number, reserve = 0): Pfn {
  if (!tryChargePages(node, group, 1, reserve)) return OVER_LIMIT;
  const pfn = allocLocked(node, 0, L.MIGRATE_MOVABLE, gfp, KIND_NEW);
  if (pfn === NO_PFN) unchargePages(node, group, 1);
  else markChargedLocked(node, pfn, group);
  return pfn;
}

/** May the group have that many pages more, as far as can be seen without charging them? */
export function hasGroupRoom(node: Node, group: number, pages: number): boolean {
  const at = groupAt(group);
  const limit = Atomics.load(node.home, at + L.G_LIMIT_PAGES);
  return limit === 0 || Atomics.load(node.home, at + L.G_PAGES) + pages <= limit - 1;
}

/** May one more of its pages be swapped out, as far as its own limit goes? */
export function hasSwapRoom(node: Node, group: number): boolean {
  const at = groupAt(group);
  const limit = Atomics.load(node.home, at + L.G_SWAP_LIMIT_PAGES);
  return limit === 0 || Atomics.load(node.home, at + L.G_SWAP_PAGES) < limit - 1;
}

/** Half of what it may swap is in use: slots are too dear for copies (mem_cgroup_swap_full). */
export function isSwapDear(node: Node, group: number): boolean {
  const at = groupAt(group);
  const limit = Atomics.load(node.home, at + L.G_SWAP_LIMIT_PAGES);
  return limit !== 0 && Atomics.load(node.home, at + L.G_SWAP_PAGES) * 2 >= limit - 1;
}
