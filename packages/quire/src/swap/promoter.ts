/**
 * Promotion: a page of the file tier that is wanted again soon goes back to the compressed tier, as it is. No page table is
 * touched, nothing is decompressed: the slot's word is rewritten, as by the demoter, whose mirror this is.
 *
 *   1. –       somebody read the object, whole, into private memory; slot, word and sequence as they were before the read
 *   2. –       checked, all of it: what is damaged stays where it is, and is the trouble of its readers
 *   3. lock    word and sequence unchanged, room in the pool: object or raw frame made, word FILE → OBJECT or RAW,
 *              sequence moved, place in the file given back
 *
 * The sequence says that the slot was not freed, moved by the cleaner or promoted by another thread in between. Room means that
 * the pool is below its limit and frames are free above the low watermark: a promotion must not make reclaim demote
 * another page for it, which would turn into a circle.
 *
 * All schedules against free, cleaner and another promotion are tried in swap/promoter.interleaving.test.ts.
 */
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import type { SlotIndex } from '../base/units.ts';
import { GFP_NOWARN } from '../page-alloc/gfp.ts';
import { isObjectOf } from './file-object.ts';
import { hasPoolRoom, storeInPoolLocked } from './pool-store.ts';
import * as W from './slot-word.ts';
import { attachStorageLocked, releaseStorageLocked } from './storage.ts';
import { sequenceAt, slotWordLocked } from './swap-table.ts';

/**
 * Moves the slot's object, of which `available` bytes lie at node byte `byte`, from the file to the compressed tier. `granule` is
 * where the slot's word said it was, `sequence` the slot's, loaded before that word. False when it stays where it is. The
 * node lock is not held.
 */
export function promoteObject(
  node: Node,
  slot: SlotIndex,
  granule: number,
  sequence: number,
  byte: number,
  available: number,
): boolean {
  if (!hasPoolRoom(node) || !isObjectOf(node, byte, slot, available)) return false;
  node.lock();
  const isDone = promoteLocked(node, slot, granule, sequence, byte);
  node.unlock();
  if (isDone) node.counters[C.swap_promoted]++;
  return isDone;
}

function promoteLocked(node: Node, slot: SlotIndex, granule: number, sequence: number, byte: number): boolean {
  // Unchanged: the slot is in use and still names the granule, so it has a table.
  if (node.words[sequenceAt(slot)] !== sequence) return false;
  const word = slotWordLocked(node, slot);
  // A page with a clean copy is resident: its copy is well where it is.
  if (word !== W.slotWord(W.SLOT_FILE, granule) || !hasPoolRoom(node)) return false;
  const stored = storeInPoolLocked(node, slot, byte, GFP_NOWARN);
  if (stored === 0) return false;
  attachStorageLocked(node, slot, stored);
  releaseStorageLocked(node, slot, word);
  return true;
}
