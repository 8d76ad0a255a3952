/** What a thread does that a group refused a page: reclaim of the group's own, then the error that names it. */
import * as L from '../arena/layout.ts';
import { QuireError } from '../base/errors.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { groupAt, hasSwapRoom } from '../reclaim/group.ts';
import { groupName } from '../reclaim/group-table.ts';
import { reclaimGroup } from '../swap/group-reclaim.ts';
import type { Memory } from './memory.ts';

/** Makes room for `pages` pages of the group. False when none of its own can go. No lock held. */
export function makeGroupRoom(memory: Memory, n: number, group: number, pages: number): boolean {
  Atomics.add(memory.nodes[0].words, groupAt(group) + L.G_REFUSED, 1);
  return reclaimGroup(memory.reclaimers, n, group, pages);
}

/** As `makeGroupRoom`. Throws ERR_QUIRE_OUT_OF_MEMORY when none of its own can go. */
export function needGroupRoom(memory: Memory, n: number, group: number, pages: number): void {
  if (makeGroupRoom(memory, n, group, pages)) return;
  throw groupFull(memory, group);
}

export function tooManyGroups(): QuireError {
  return new QuireError('ERR_QUIRE_OUT_OF_MEMORY', `at most ${L.GROUPS_MAX} groups can be in use`);
}

/** The error of an operation that the group's limit does not allow. */
export function groupFull(memory: Memory, group: number): QuireError {
  const node = memory.nodes[0];
  const at = groupAt(group);
  Atomics.add(node.words, at + L.G_FAILED, 1);
  const limit = (Atomics.load(node.words, at + L.G_LIMIT_PAGES) - 1) * PAGE_BYTES;
  const why = hasSwapRoom(node, group) ? 'none of its pages can go' : 'its swap limit is reached';
  const message = `group '${groupName(node, group)}' is at its limit of ${limit} bytes, and ${why}`;
  return new QuireError('ERR_QUIRE_OUT_OF_MEMORY', message);
}
