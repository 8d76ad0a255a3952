/**
 * Frames charged to a group (mem_cgroup_charge). What is charged is in the frame's own kind word, FRAME_CHARGED and the
 * group, on the head for all frames of a folio, so whoever frees a frame gives the charge back: a page that leaves, a read
 * that came to nothing, the burial of a dead thread. Counts are in node 0, changed under the lock of the node that
 * the frame is of and, when there are several, atomically: exact over all nodes at any moment, never above the limit in
 * between.
 *
 *   G_PAGES = frames with FRAME_CHARGED of the group    a frame is marked in the hold of the node lock that charged it
 */
import { FRAME_CHARGED, FRAME_GROUP_MASK, FRAME_GROUP_SHIFT, groupOf, orderOf } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import type { Pfn } from '../base/units.ts';

/** Adds between a load and its exchange mean that others got on; this often in a row is no chance. */
const ADD_TRIES_MAX = 1_000_000;

export function groupAt(group: number): number {
  assert(group >= 0 && group < L.GROUPS_MAX, 'group', group);
  return L.GROUPS_AT + group * L.GROUP_WORDS;
}

/**
 * Adds `amount` to a count of a group unless it would exceed the limit at `limitAt` (+ 1, 0 none) by more than `reserve`. The
 * node lock is held. With one node, the usual case, that guards the count and a plain addition will do.
 */
export function tryCountLocked(node: Node, at: number, limitAt: number, amount: number, reserve: number): boolean {
  const { home } = node;
  const limit = home[limitAt];
  if (node.nodes === 1) {
    if (limit !== 0 && home[at] + amount > limit - 1 + reserve) return false;
    home[at] += amount;
    return true;
  }
  if (limit === 0) {
    Atomics.add(home, at, amount);
    return true;
  }
  for (let attempt = 0; attempt < ADD_TRIES_MAX; attempt++) {
    const used = Atomics.load(home, at);
    if (used + amount > limit - 1 + reserve) return false;
    if (Atomics.compareExchange(home, at, used, used + amount) === used) return true;
  }
  return false;
}

/** Takes `amount` off a count, whose value before is returned. The node lock is held. */
export function uncountLocked(node: Node, at: number, amount: number): number {
  if (node.nodes > 1) return Atomics.sub(node.home, at, amount);
  const before = node.home[at];
  node.home[at] = before - amount;
  return before;
}

/** Charges `pages` frames that are about to be marked. False with nothing changed when the group may have no more. */
export function tryChargePages(node: Node, group: number, pages: number, reserve = 0): boolean {
  const at = groupAt(group);
  if (!tryCountLocked(node, at + L.G_PAGES, at + L.G_LIMIT_PAGES, pages, reserve)) return false;
  notePeak(node.home, at);
  return true;
}

/** Whatever the limit: what is charged has to be in memory now. */
export function forceChargePages(node: Node, group: number, pages: number): void {
  const at = groupAt(group);
  uncountLocked(node, at + L.G_PAGES, -pages);
  notePeak(node.home, at);
}

/** Raised, never lowered: threads of other nodes may raise it at the same time. */
function notePeak(home: Int32Array, at: number): void {
  const pages = home[at + L.G_PAGES];
  for (let peak = home[at + L.G_PEAK_PAGES]; pages > peak; ) {
    const found = Atomics.compareExchange(home, at + L.G_PEAK_PAGES, peak, pages);
    if (found === peak) return;
    peak = found;
  }
}

export function unchargePages(node: Node, group: number, pages: number): void {
  const before = uncountLocked(node, groupAt(group) + L.G_PAGES, pages);
  assert(before >= pages, 'pages of a group', group, before);
}

/** The frames of the block were charged to the group: they are its own until they are freed. */
export function markChargedLocked(node: Node, pfn: Pfn, group: number): void {
  const at = node.kindAt + pfn;
  assert((node.words[at] & (FRAME_CHARGED | FRAME_GROUP_MASK)) === 0, 'frame is nobody’s yet', pfn, group);
  node.words[at] |= FRAME_CHARGED | (group << FRAME_GROUP_SHIFT);
}

/** Gives the charge of a block back. */
export function unchargeFrameLocked(node: Node, pfn: Pfn): void {
  const at = node.kindAt + pfn;
  if ((node.words[at] & FRAME_CHARGED) === 0) return;
  unchargePages(node, groupOf(node, pfn), 1 << orderOf(node, pfn));
  node.words[at] &= ~(FRAME_CHARGED | FRAME_GROUP_MASK);
}
