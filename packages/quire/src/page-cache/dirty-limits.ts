/**
 * How much may be dirty, and for how long: four words of the node headers, so that all threads agree. Shares are of the
 * frames that the page allocator manages, in each node by itself: a small file lies in one node, and fills that one.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';

export interface DirtyLimitOptions {
  /** Per cent of a node's frames. */
  readonly dirtyRatio: number;
  readonly dirtyBackgroundRatio: number;
  readonly dirtyExpireMs: number;
  readonly dirtyWritebackMs: number;
}

/** Those of Linux: vm.dirty_ratio, dirty_background_ratio, dirty_expire_centisecs, dirty_writeback_centisecs. */
export const DIRTY_LIMITS_DEFAULT: DirtyLimitOptions = {
  dirtyRatio: 20,
  dirtyBackgroundRatio: 10,
  dirtyExpireMs: 30_000,
  dirtyWritebackMs: 5_000,
};

export interface DirtyTimes {
  readonly expireMs: number;
  readonly writebackMs: number;
}

/** Called once, when the instance is made. Without it the defaults hold. */
export function setDirtyLimits(nodes: readonly Node[], options: DirtyLimitOptions): void {
  assert(options.dirtyRatio > options.dirtyBackgroundRatio, 'dirty ratios', options.dirtyRatio);
  for (const { words, frames, firstFree } of nodes) {
    const managed = frames - firstFree;
    words[L.H_DIRTY_EXPIRE_MS] = options.dirtyExpireMs;
    words[L.H_DIRTY_WRITEBACK_MS] = options.dirtyWritebackMs;
    words[L.H_DIRTY_BACKGROUND] = Math.floor((managed * options.dirtyBackgroundRatio) / 100);
    // Last, and never 0: 0 says that nobody has set them.
    Atomics.store(words, L.H_DIRTY_LIMIT, Math.max(1, Math.floor((managed * options.dirtyRatio) / 100)));
  }
}

/** Sets the defaults in a node whose limits nobody has set; two threads that do so store the same. */
export function ensureDirtyLimits(node: Node): void {
  if (Atomics.load(node.words, L.H_DIRTY_LIMIT) === 0) setDirtyLimits([node], DIRTY_LIMITS_DEFAULT);
}

/** The times of node 0. */
export function dirtyLimits(home: Node): DirtyTimes {
  ensureDirtyLimits(home);
  return { expireMs: home.words[L.H_DIRTY_EXPIRE_MS], writebackMs: home.words[L.H_DIRTY_WRITEBACK_MS] };
}

/** Milliseconds as a word holds them, modulo 2^31; never 0, which says "none". */
export function stampOf(ms: number): number {
  return Math.max(1, Math.floor(ms) % 2 ** 31);
}

/** From `earlier` to `later`, both stamps, at most 2^30 ms apart: negative when it is the other way round. */
export function msBetween(earlier: number, later: number): number {
  return ((later - earlier) << 1) >> 1;
}

/** Stands an error's pause on this file? `retryMs` is its I_RETRY_MS. */
export function isPaused(retryMs: number, now: number): boolean {
  return retryMs !== 0 && msBetween(stampOf(now), retryMs) > 0;
}
