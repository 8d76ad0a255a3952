/**
 * How a region is read: a hint of its users (madvise's NORMAL, SEQUENTIAL and RANDOM), in one word of the region's slot in
 * node 0 (R_ACCESS), shared by all threads. Pages that become resident while the region counts as sequential carry
 * FRAME_SEQUENTIAL and go out in units (swap/unit.ts).
 *
 *   word     hint | score << 8        score: of 'auto' only, 0 … SCORE_MAX
 *
 * A region that nobody gave a hint is random: those of maps stay so. 'auto', which `Quire.region` gives, begins as
 * random, and learns from reads of swapped pages: one that follows the last adds 1, any other but the same again takes
 * SCORE_LOSS. Threads count into one word without a lock; a lost update is harmless.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { regionAt } from '../page-table/page-table.ts';

export type Access = 'auto' | 'sequential' | 'random';

/** In the order of their codes. */
export const ACCESS_HINTS: readonly Access[] = ['auto', 'sequential', 'random'];
const SEQUENTIAL = 1;
const HINT_MASK = 0xff;
const SCORE_SHIFT = 8;
const SCORE_MAX = 64;
/** A run of this many pages makes a region sequential: 128 KiB, the kernel's readahead window. */
const SCORE_SEQUENTIAL = 32;
/** Four jumps take a long run back. */
const SCORE_LOSS = 8;

/** A new region counts as random, which is what maps and files want. */
export function resetAccess(node: Node, region: number): void {
  setAccess(node, region, 'random');
}

export function setAccess(node: Node, region: number, access: Access): void {
  const hint = ACCESS_HINTS.indexOf(access);
  assert(hint >= 0, 'access hint', hint);
  Atomics.store(node.home, regionAt(region) + L.R_ACCESS, hint);
}

export function accessOf(node: Node, region: number): Access {
  return ACCESS_HINTS[node.home[regionAt(region) + L.R_ACCESS] & HINT_MASK];
}

/** A clone is read as its source, as far as anybody knows. */
export function copyAccess(node: Node, from: number, to: number): void {
  Atomics.store(node.home, regionAt(to) + L.R_ACCESS, node.home[regionAt(from) + L.R_ACCESS]);
}

export function isReadInSequence(node: Node, region: number): boolean {
  const word = node.home[regionAt(region) + L.R_ACCESS];
  if ((word & HINT_MASK) !== 0) return (word & HINT_MASK) === SEQUENTIAL;
  return word >>> SCORE_SHIFT >= SCORE_SEQUENTIAL;
}

/** A swapped page was read, `distance` pages after the one before. */
export function noteRead(node: Node, region: number, distance: number): void {
  const at = regionAt(region) + L.R_ACCESS;
  const word = node.home[at];
  if ((word & HINT_MASK) !== 0 || distance === 0) return;
  const score = word >>> SCORE_SHIFT;
  const next = distance === 1 ? Math.min(score + 1, SCORE_MAX) : Math.max(score - SCORE_LOSS, 0);
  if (next !== score) node.home[at] = next << SCORE_SHIFT;
}
