/**
 * Compaction that failed is put off, each time twice as long (defer_compaction): up to 64 requests of that order, or of
 * larger ones, go by before it is tried again. A success ends it.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';

/** At most 2^6 requests are let go by (COMPACT_MAX_DEFER_SHIFT). */
const SHIFT_MAX = 6;

export function deferLocked(node: Node, order: number): void {
  const { words } = node;
  words[L.H_COMPACT_CONSIDERED] = 0;
  if (words[L.H_COMPACT_SHIFT] < SHIFT_MAX) words[L.H_COMPACT_SHIFT]++;
  const failed = words[L.H_COMPACT_FAILED];
  if (failed === 0 || order < failed) words[L.H_COMPACT_FAILED] = order;
}

/** Is compaction for this order put off at the moment? */
export function isPutOff(node: Node, order: number): boolean {
  const { words } = node;
  const failed = words[L.H_COMPACT_FAILED];
  return failed !== 0 && order >= failed && words[L.H_COMPACT_CONSIDERED] < 1 << words[L.H_COMPACT_SHIFT];
}

/** A request for a block comes by: one less to let go by. */
export function considerLocked(node: Node, order: number): void {
  const { words } = node;
  const failed = words[L.H_COMPACT_FAILED];
  if (failed === 0 || order < failed) return;
  words[L.H_COMPACT_CONSIDERED] = Math.min(words[L.H_COMPACT_CONSIDERED] + 1, 1 << words[L.H_COMPACT_SHIFT]);
}

/** A block of this order was made, or (`isAllocated` false) at least one was seen. */
export function deferResetLocked(node: Node, order: number, isAllocated: boolean): void {
  const { words } = node;
  if (isAllocated) {
    words[L.H_COMPACT_CONSIDERED] = 0;
    words[L.H_COMPACT_SHIFT] = 0;
  }
  const failed = words[L.H_COMPACT_FAILED];
  if (failed !== 0 && order >= failed) words[L.H_COMPACT_FAILED] = order + 1;
}

/** The longest deferral has run out: skip marks are worth taking back (compaction_restarting). */
export function isRestarting(node: Node, order: number): boolean {
  const { words } = node;
  const failed = words[L.H_COMPACT_FAILED];
  if (failed === 0 || order < failed) return false;
  return words[L.H_COMPACT_SHIFT] === SHIFT_MAX && words[L.H_COMPACT_CONSIDERED] >= 1 << SHIFT_MAX;
}
