/**
 * Whose a slot is: the group it is charged to. As a rule a cluster has slots of one group, which its descriptor names, so
 * freeing a slot finds the group where it counts the slot anyway. Only a slot that was stolen for another group (step 5 of
 * swap/slot-alloc.ts) gives the cluster a table of bytes, until it is empty (memcg ids: two bytes a slot in the kernel).
 *
 *   descriptor word D_GROUP     NOBODYS          no slot in use but bad ones
 *                               group + 1
 *                               table | MIXED    512 bytes: the group of each slot
 *
 * Tables are parts of slabs, so their word indexes are multiples of 128 and the low bits have room.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import type { SlotIndex, WordIndex } from '../base/units.ts';
import { allocTableLocked, freeTableLocked, SLAB_512 } from '../page-alloc/table-slab.ts';
import { D_GROUP, descriptorAt, INDEX_MASK } from './swap-table.ts';

/* Owner codes of a cluster: the low bits of D_GROUP, and which lists it is on. */
export const NOBODYS = 0;
export const MIXED = L.GROUPS_MAX + 1;
const CODE_MASK = 127;

/** Owner code of the cluster. */
export function ownerCode(node: Node, descriptor: number): number {
  return node.words[descriptor + D_GROUP] & CODE_MASK;
}

/** Group that the slot in use is charged to. */
export function slotGroupLocked(node: Node, slot: SlotIndex): number {
  return groupAtLocked(node, descriptorAt(node, slot >>> 9), slot & INDEX_MASK);
}

export function groupAtLocked(node: Node, descriptor: number, index: number): number {
  const owner = node.words[descriptor + D_GROUP];
  return owner <= CODE_MASK ? owner - 1 : node.bytes[(owner & ~CODE_MASK) * 4 + index];
}

/** Group of a slot just handed out of a mixed cluster. */
export function noteGroupLocked(node: Node, descriptor: number, index: number, group: number): void {
  const owner = node.words[descriptor + D_GROUP];
  assert((owner & CODE_MASK) === MIXED, 'cluster is mixed', owner);
  node.bytes[(owner & ~CODE_MASK) * 4 + index] = group;
}

/** The cluster gets a table of groups. On no list meanwhile. False, with nothing changed, when there is no memory for it. */
export function mixLocked(node: Node, descriptor: number, gfp: number): boolean {
  const { words } = node;
  const owner = words[descriptor + D_GROUP];
  assert(owner > NOBODYS && owner < MIXED, 'cluster of one group', owner);
  const table = allocTableLocked(node, SLAB_512, gfp);
  if (table === 0) return false;
  node.bytes.fill(owner - 1, table * 4, table * 4 + L.CLUSTER_SLOTS);
  words[descriptor + D_GROUP] = table | MIXED;
  return true;
}

/** The cluster has no slot in use any more. On no list. */
export function forgetGroupLocked(node: Node, descriptor: number): void {
  const owner = node.words[descriptor + D_GROUP];
  node.words[descriptor + D_GROUP] = NOBODYS;
  if (owner > CODE_MASK) freeTableLocked(node, SLAB_512, (owner & ~CODE_MASK) as WordIndex);
}

assert(MIXED <= CODE_MASK && L.GROUPS_MAX <= 256, 'owner codes and groups fit');
