/**
 * Which page to give up: a contract, and two policies that keep it. Both work on what there is for every page whoever
 * decides: two lists a group, a touch mark a frame, a shadow byte a slot. A policy holds no state of its own, so it may be
 * chosen when an instance is made (H_RECLAIM_POLICY) and looked up at each use.
 *
 *                          active-inactive (mm/vmscan.c)            s3-fifo (Yang et al., SOSP 2023)
 *   inactive list          waits for a second look                  small queue: a tenth, filters what is used once
 *   active list            what was used since it came in           main queue
 *   page without history   inactive                                 inactive
 *   page that comes back   active, if less than memory's worth of other pages was wanted in between (both)
 *   looked at next         inactive tail                            inactive tail while it is a tenth or more, else active tail
 *   touched, at the tail   active head                              active head
 *   idle, at the tail      given up                                 given up
 *   ageing                 idle pages of the active tail go to      none: each queue is its own
 *                          inactive while that is the shorter one
 *
 * S3-FIFO's ghost queue is the shadow bytes, its counter of uses the touch mark: one bit instead of two, since a read may
 * store nothing but a mark. Which one is the default, and what that was decided by: docs/decisions.md, `lab policy`.
 *
 * Everything here runs under the node lock.
 */
import { LRU_ACTIVE, LRU_INACTIVE } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { lruSize, refillInactiveLocked } from './lru.ts';
import { ageBucket, MEMORY_BUCKETS, NO_DISTANCE, refaultDistance, shadowByteAt } from './working-set.ts';

/** Names of `Quire.open`'s option `reclaim`, in the order of their codes; 0, what a fresh header has, is the default. */
export const RECLAIM_POLICIES = ['active-inactive', 's3-fifo'] as const;
export type ReclaimPolicyName = (typeof RECLAIM_POLICIES)[number];

/** The contract. A list is LRU_INACTIVE or LRU_ACTIVE; `block`: the word index of a group's lists. */
export interface ReclaimPolicy {
  /**
   * List at whose head a page comes in. `distance`: how much else was wanted since it left or was last read in passing, in
   * buckets of 1/64 of memory; NO_DISTANCE for a page that never left, or longer ago than a shadow byte tells.
   */
  listFor(distance: number): number;
  /** Looks at up to `limit` pages, before tails are, and moves some between the lists. Returns how many it looked at. */
  ageLocked(node: Node, block: number, limit: number): number;
  /**
   * List whose tail is looked at next. When it is empty, so is the other, or ageing has taken touch marks back and finds
   * a page for it the next time.
   */
  scanListLocked(node: Node, block: number): number;
  /** List at whose head a page goes that was found touched at the tail of `list`. */
  listOfTouched(list: number): number;
}

/** It would have been in memory still had it been on the active list (workingset_refault). */
function listByDistance(distance: number): number {
  return distance < MEMORY_BUCKETS ? LRU_ACTIVE : LRU_INACTIVE;
}

const activeInactive: ReclaimPolicy = {
  listFor: listByDistance,
  ageLocked: refillInactiveLocked,
  scanListLocked: () => LRU_INACTIVE,
  listOfTouched: () => LRU_ACTIVE,
};

/** The small queue's share of the pages: one in so many (the paper's 10 %). */
const SMALL_DIVISOR = 10;

const s3Fifo: ReclaimPolicy = {
  listFor: listByDistance,
  ageLocked: () => 0,
  scanListLocked(node, block) {
    const small = lruSize(node, block, LRU_INACTIVE);
    return small * SMALL_DIVISOR >= small + lruSize(node, block, LRU_ACTIVE) ? LRU_INACTIVE : LRU_ACTIVE;
  },
  listOfTouched: () => LRU_ACTIVE,
};

const POLICIES: readonly ReclaimPolicy[] = [activeInactive, s3Fifo];

export function setReclaimPolicy(nodes: readonly Node[], name: ReclaimPolicyName): void {
  const code = RECLAIM_POLICIES.indexOf(name);
  assert(code >= 0 && code < POLICIES.length, 'reclaim policy', code);
  for (const node of nodes) Atomics.store(node.words, L.H_RECLAIM_POLICY, code);
}

export function reclaimPolicyOf(node: Node): ReclaimPolicy {
  return POLICIES[node.words[L.H_RECLAIM_POLICY]];
}

/** Where a page comes in that has no bytes elsewhere. */
export function listOfNew(node: Node): number {
  return reclaimPolicyOf(node).listFor(NO_DISTANCE);
}

/** Where the page behind `slot` comes in. To be asked while it has the slot. */
export function listOfRefault(node: Node, slot: number): number {
  const distance = refaultDistance(ageBucket(node), node.bytes[shadowByteAt(node, slot)]);
  return reclaimPolicyOf(node).listFor(distance);
}
