/**
 * Compaction of the compressed pool: the objects of sparse zspages move into fuller ones of their class, and the
 * frames come free (zs_compact). A moved object's slot gets a new word and a new sequence, so a reader in the middle
 * of the old place starts again.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import { NO_PFN, type SlotIndex } from '../base/units.ts';
import { SIZE_CLASSES } from './size-classes.ts';
import * as W from './slot-word.ts';
import { bumpSequenceLocked, setSlotWordLocked, slotWordLocked } from './swap-table.ts';
import {
  forEachObjectLocked,
  objectsInUse,
  otherRoomLocked,
  sparseVictim,
  zsCloneLocked,
  zsFreeObjectLocked,
} from './zs-pool.ts';

/** Objects, or pages of units, moved in one hold of the lock: 16 copies of about 1 KiB. */
const MOVES_MAX = 16;

/** Empties sparse zspages, class by class, up to `limit` objects. Returns the frames gained. Takes the lock itself. */
export function compactPool(node: Node, limit: number): number {
  const before = node.words[L.H_ZS_FRAMES];
  let budget = limit;
  for (let cls = SIZE_CLASSES.length - 1; cls >= 0 && budget > 0; cls--) {
    for (;;) {
      node.lock();
      const moved = compactClassLocked(node, cls);
      node.unlock();
      budget -= moved;
      if (moved === 0 || budget <= 0) break;
    }
  }
  return Math.max(0, before - node.words[L.H_ZS_FRAMES]);
}

function compactClassLocked(node: Node, cls: number): number {
  const head = sparseVictim(node, cls);
  if (head === NO_PFN) return 0;
  const inUse = objectsInUse(node, head);
  // Only worth it when all of it finds room elsewhere: half an emptied zspage frees nothing.
  if (inUse > MOVES_MAX || otherRoomLocked(node, head, cls) < inUse) return 0;
  const slots: SlotIndex[] = [];
  const locations: number[] = [];
  forEachObjectLocked(node, head, (slot, location) => {
    slots.push(slot);
    locations.push(location);
  });
  for (let i = 0; i < slots.length; ) {
    let end = i + 1;
    while (end < slots.length && locations[end] === locations[i]) end++; // a unit
    moveObjectLocked(node, slots.slice(i, end), locations[i]);
    i = end;
  }
  return slots.length;
}

function moveObjectLocked(node: Node, slots: readonly SlotIndex[], location: number): void {
  const moved = zsCloneLocked(node, location);
  if (moved === -1) return;
  for (const slot of slots) {
    const word = slotWordLocked(node, slot);
    setSlotWordLocked(node, slot, W.slotWord(W.SLOT_OBJECT, moved) | (word & W.SLOT_CACHED));
    bumpSequenceLocked(node, slot);
  }
  zsFreeObjectLocked(node, location);
  node.counters[C.zs_compacted]++;
}
