/**
 * Slots for a batch of pages that leave in one hold of the node lock (folio_alloc_swap with the per-cpu cluster's offset, a
 * batch at a time): a run of free slots of the thread's cluster is set apart, with its charge, its counts and its
 * sequences, and then handed out one by one, each by one store. What is left goes back at the end of the hold.
 *
 *   none ──beginLocked──► set apart ──allocInRowLocked, last slot──► none
 *                             └──────endSlotRowLocked: count, charge and hint go back──────► none
 *
 * Set apart is short of nothing: a row begins only where the next slots can be had without asking anybody, from a cluster
 * of the group, below SLOTS_MAX, the group without a limit. Everything else, and every refusal, is `allocSlotLocked`'s,
 * which finds the row settled. So the rule stands that no allocation fails while a slot is free, and that a failure leaves no trace.
 *
 * The words of the row are FREE until handed out. Nobody sees that: the lock is held, and in this hold no other allocation
 * is made before the row has ended.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import type { SlotIndex } from '../base/units.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { groupAt, tryChargeSwap, unchargeSwap } from '../reclaim/group.ts';
import { findSlot } from './cluster.ts';
import { allocSlotLocked } from './slot-alloc.ts';
import { SLOT_FREE } from './slot-word.ts';
import { bumpSequencesLocked, D_COUNT, D_GROUP, D_HINT, D_TABLE, descriptorAt, INDEX_MASK } from './swap-table.ts';

/** As `allocSlotLocked` for reclaim, of a page that up to `wanted - 1` more may follow. `endSlotRowLocked` must, in the same hold. */
export function allocInRowLocked(node: Node, word: number, group: number, wanted: number): SlotIndex {
  const { slotRow: row } = node;
  if (row.left === 0 || row.group !== group) {
    endSlotRowLocked(node);
    if (!beginLocked(node, group, wanted)) return allocSlotLocked(node, word, GFP_RECLAIM, group);
  }
  row.left--;
  // A plain store, as in allocSlotLocked: the sequence moved when the row was set apart.
  node.words[row.wordAt++] = word;
  return row.next++ as SlotIndex;
}

/** Sets apart up to `wanted` slots, at least one. False, with nothing changed, where allocSlotLocked has to look. */
function beginLocked(node: Node, group: number, wanted: number): boolean {
  const { words, slotRow: row } = node;
  const cluster = words[node.threadAt + L.T_CLUSTER] - 1;
  if (cluster < 0 || node.home[groupAt(group) + L.G_SWAP_LIMIT_PAGES] !== 0) return false;
  const descriptor = descriptorAt(node, cluster);
  const left = words[L.H_SLOTS_MAX] - words[L.H_SLOTS_USED] - words[L.H_SLOTS_BAD];
  const lengthMax = Math.min(wanted, left);
  if (lengthMax <= 0 || words[descriptor + D_GROUP] !== group + 1 || words[descriptor + D_COUNT] === L.CLUSTER_SLOTS) {
    return false;
  }
  const index = findSlot(node, descriptor);
  const wordAt = words[descriptor + D_TABLE] + index;
  const length = freeFrom(words, wordAt, Math.min(lengthMax, L.CLUSTER_SLOTS - index));
  const isCharged = tryChargeSwap(node, group, length);
  if (!isCharged) return false; // another node's thread has set a limit
  row.left = length;
  row.next = (cluster << 9) | index;
  row.group = group;
  row.descriptor = descriptor;
  row.wordAt = wordAt;
  words[descriptor + D_COUNT] += length;
  words[descriptor + D_HINT] = (index + length) & INDEX_MASK;
  words[L.H_SLOTS_USED] += length;
  bumpSequencesLocked(node, row.next as SlotIndex, length);
  return true;
}

/** Free slots in a row from word `at` on, which is one of them, at most `max`. */
function freeFrom(words: Int32Array, at: number, max: number): number {
  let length = 1;
  while (length < max && words[at + length] === SLOT_FREE) length++;
  return length;
}

/** What is left of the row is free again. The cluster stays the thread's, and has the slot that was handed out first. */
export function endSlotRowLocked(node: Node): void {
  const { words, slotRow: row } = node;
  if (row.left === 0) return;
  words[row.descriptor + D_COUNT] -= row.left;
  words[row.descriptor + D_HINT] = row.next & INDEX_MASK;
  words[L.H_SLOTS_USED] -= row.left;
  unchargeSwap(node, row.group, row.left);
  row.left = 0;
  assert(words[row.descriptor + D_COUNT] > 0, 'cluster of a row is in use', row.next);
}
