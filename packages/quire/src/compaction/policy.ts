/**
 * Who does what when a large block is wanted and none is free: the variants measured for the kernel (shared reference,
 * costly-order allocation on the write path), and ours.
 *
 *   direct      any order may reclaim and compact in the caller, once (NORETRY), costly ones twice       baseline
 *   caller      a request that wants a costly order does neither, at any order above its minimum         v1, in the write path
 *   split       costly orders do neither; others as direct                                               page cache
 *   light       no order above the minimum does                                                          page cache
 *   background  costly orders wake kcompactd and fail; others as direct                                  page allocator
 *   stocked     no order above the minimum does; kcompactd keeps free blocks ready before they are asked for
 *
 * A request that may do neither wakes kcompactd in all of them, as the kernel does when free memory is there but broken up
 * (wakeup_kswapd). At the minimum order every policy reclaims, and compacts if that is a block.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { COSTLY_ORDER } from '../page-alloc/gfp.ts';

export type CompactionPolicy = 'direct' | 'caller' | 'split' | 'light' | 'background' | 'stocked';

/** In the order of their codes; 0, what a fresh header has, is the default. */
export const COMPACTION_POLICIES: readonly CompactionPolicy[] = [
  'stocked',
  'direct',
  'caller',
  'split',
  'light',
  'background',
];

export const POLICY_STOCKED = 0;
const POLICY_DIRECT = 1;
const POLICY_CALLER = 2;
const POLICY_LIGHT = 4;

export function setCompaction(nodes: readonly Node[], policy: CompactionPolicy): void {
  const code = COMPACTION_POLICIES.indexOf(policy);
  assert(code >= 0, 'compaction policy', code);
  for (const node of nodes) Atomics.store(node.words, L.H_COMPACTION, code);
}

/** May an attempt at `order`, above the minimum, of a request that wants `orderWanted`, reclaim and compact in the caller? */
export function mayStall(policy: number, order: number, orderWanted: number): boolean {
  if (policy === POLICY_STOCKED || policy === POLICY_LIGHT) return false;
  if (policy === POLICY_DIRECT) return true;
  if (policy === POLICY_CALLER) return orderWanted <= COSTLY_ORDER;
  return order <= COSTLY_ORDER;
}
