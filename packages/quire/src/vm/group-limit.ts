/**
 * Groups as the layers above use them: opened and closed by name, limited, and what a thread does that a group refused a
 * page: reclaim of the group's own, then the error that names it.
 */
import { announceEase } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { QuireError } from '../base/errors.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { groupAt, hasSwapRoom } from '../reclaim/group.ts';
import { enterGroupLocked, groupName, leaveGroupLocked, NO_GROUP_SLOT } from '../reclaim/group-table.ts';
import { forgetWantedSegment } from '../swap/file-cleaner.ts';
import { reclaimGroup } from '../swap/group-reclaim.ts';
import type { Memory } from './memory.ts';
import { passOnCleaning } from './read-outcome.ts';

/** Each is some hundreds of MiB: more than any node has. */
const SHRINK_TURNS_MAX = 1000;

/** Makes room for `pages` pages of the group. False when none of its own can go. No lock held. */
export function makeGroupRoom(memory: Memory, group: number, pages: number): boolean {
  Atomics.add(memory.nodes[0].words, groupAt(group) + L.G_REFUSED, 1);
  for (const node of memory.nodes) forgetWantedSegment(node);
  return reclaimGroup(memory.reclaimers, group, pages);
}

/** As `makeGroupRoom`. Throws ERR_QUIRE_OUT_OF_MEMORY when none of its own can go. */
export function needGroupRoom(memory: Memory, group: number, pages: number): void {
  if (makeGroupRoom(memory, group, pages)) return;
  passOnCleaning(memory.nodes);
  throw groupFull(memory, group);
}

/** A use of the group of this name, which is made if need be. Throws ERR_QUIRE_OUT_OF_MEMORY when the table is full. */
export function openGroup(memory: Memory, name: string): number {
  const [node] = memory.nodes;
  node.lock();
  const group = enterGroupLocked(node, name);
  node.unlock();
  if (group !== NO_GROUP_SLOT) return group;
  // Groups that nobody uses any more keep their slots until their last page is freed.
  if (memory.freeDetached()) return openGroup(memory, name);
  throw tooManyGroups();
}

export function closeGroup(memory: Memory, group: number): void {
  const [node] = memory.nodes;
  node.lock();
  leaveGroupLocked(node, group);
  node.unlock();
}

/** In pages; `Infinity` for none, undefined leaves a limit as it is. Holds for every charge that begins from now on. */
export function setGroupLimits(
  memory: Memory,
  group: number,
  pages: number | undefined,
  swapPages: number | undefined,
): void {
  const { words } = memory.nodes[0];
  const at = groupAt(group);
  if (pages !== undefined) Atomics.store(words, at + L.G_LIMIT_PAGES, limitWord(pages));
  if (swapPages !== undefined) Atomics.store(words, at + L.G_SWAP_LIMIT_PAGES, limitWord(swapPages));
  for (const node of memory.nodes) announceEase(node);
}

function limitWord(pages: number): number {
  return pages === Number.POSITIVE_INFINITY ? 0 : pages + 1;
}

/** Reclaims until the group is within its limit, or gains nothing any more. True when it is. */
export function shrinkGroup(memory: Memory, group: number): boolean {
  const [node] = memory.nodes;
  const usedAt = groupAt(group) + L.G_PAGES;
  for (let turn = 0; turn < SHRINK_TURNS_MAX; turn++) {
    const before = Atomics.load(node.words, usedAt);
    if (reclaimGroup(memory.reclaimers, group, 0)) return true;
    if (Atomics.load(node.words, usedAt) >= before) return false;
  }
  return false;
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
