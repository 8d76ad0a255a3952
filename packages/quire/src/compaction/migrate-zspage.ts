/**
 * A frame of a zspage moves. Its bytes are copied, its place in the chain is taken over, and the slots of all objects
 * that lie in it, wholly or in part, are told:
 *
 *   an object that starts in the frame            its slot's word gets the new location
 *   one that starts before and reaches into it    its word stays; who reads it follows the chain, which has changed
 *
 * In both cases the slot's sequence moves, after word and chain and before the old frame can be used again: a reader in
 * the middle of the old bytes starts again (vm/swap-in.ts), and a batch of the demoter leaves the object where it is.
 */
import { KIND_ZS, kindOf, setKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { PAGE_BYTES, type Pfn, type SlotIndex } from '../base/units.ts';
import { SIZE_CLASSES } from '../swap/size-classes.ts';
import * as W from '../swap/slot-word.ts';
import { bumpSequenceLocked, setSlotWordLocked, slotWordLocked } from '../swap/swap-table.ts';
import { forEachObjectLocked, objectsInUse } from '../swap/zs-pool.ts';
import { relinkLocked } from './relink.ts';

/** `to` is private, its bytes are those of `from`. Afterwards `from` is nobody's. */
export function moveZsFrameLocked(node: Node, from: Pfn, to: Pfn): void {
  const { words } = node;
  const kind = kindOf(node, from);
  const head = (kind === KIND_ZS ? from : words[node.ownerAt + from]) as Pfn;
  const cls = words[node.ownerAt + head] & 0xff;
  const first = chainIndex(node, head, from) * PAGE_BYTES;
  // Collected while the chain still leads through the old frame.
  const slots: SlotIndex[] = [];
  const locations: number[] = [];
  const { bytes } = SIZE_CLASSES[cls];
  forEachObjectLocked(node, head, (slot, location) => {
    const start = offsetInChain(node, head, location);
    if (start + bytes <= first || start >= first + PAGE_BYTES) return;
    slots.push(slot);
    locations.push(start >= first ? W.objectLocation(to, W.locationOffsetBytes(location)) : location);
  });
  setKindLocked(node, to, kind);
  words[node.ownerAt + to] = words[node.ownerAt + from];
  words[node.touchAt + to] = words[node.touchAt + from];
  Atomics.store(words, node.slotAt + to, words[node.slotAt + from]);
  if (kind === KIND_ZS) moveHeadLocked(node, from, to, cls);
  else {
    const before = frameBefore(node, head, from);
    Atomics.store(words, node.slotAt + before, to);
  }
  for (let i = 0; i < slots.length; i++) {
    const word = slotWordLocked(node, slots[i]);
    assert(W.tagOf(word) === W.SLOT_OBJECT, 'slot of an object', slots[i], word);
    setSlotWordLocked(node, slots[i], W.slotWord(W.SLOT_OBJECT, locations[i]) | (word & W.SLOT_CACHED));
    bumpSequenceLocked(node, slots[i]);
  }
}

/** Tails name the new head, the fullness list too. A full zspage is on no list. */
function moveHeadLocked(node: Node, from: Pfn, to: Pfn, cls: number): void {
  const { words } = node;
  for (let tail = words[node.slotAt + to]; tail !== 0; tail = words[node.slotAt + tail])
    words[node.ownerAt + tail] = to;
  if (objectsInUse(node, to) === SIZE_CLASSES[cls].objects) return;
  const sparseAt = L.ZS_HEADS_AT + cls * 4;
  relinkLocked(node, from, to, words[sparseAt] === from ? sparseAt : sparseAt + 1, 0);
}

function chainIndex(node: Node, head: Pfn, pfn: Pfn): number {
  let index = 0;
  for (let at = head as number; at !== pfn; at = node.words[node.slotAt + at]) index++;
  return index;
}

function frameBefore(node: Node, head: Pfn, pfn: Pfn): number {
  let at = head as number;
  while (node.words[node.slotAt + at] !== pfn) at = node.words[node.slotAt + at];
  return at;
}

function offsetInChain(node: Node, head: Pfn, location: number): number {
  return chainIndex(node, head, W.locationPfn(location) as Pfn) * PAGE_BYTES + W.locationOffsetBytes(location);
}
