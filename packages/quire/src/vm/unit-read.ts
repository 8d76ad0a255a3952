/**
 * One page out of a unit (swap/unit.ts), without the node lock. Everything before the page has to be decoded too. So the
 * thread keeps what it decoded last, and gives the next pages of the same unit from there: a sequential reader decodes
 * each unit once, and takes no frame.
 *
 * A unit is decoded whole by whoever reads its first page, or a second page of it; else as far as the page reaches.
 *
 * What was kept is page j's as long as slot j's sequence is the one noted before the object was read, if slot j named the
 * object then: a slot's sequence moves before what it names is released, and an object's bytes do not change.
 */
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import { PAGE_BYTES, UNIT_BYTES, UNIT_PAGES } from '../base/units.ts';
import { decodeBlock } from '../swap/block-codec.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot, sequenceAt } from '../swap/swap-table.ts';
import { pageInUnit, unitBase } from '../swap/unit.ts';
import { gathered } from '../swap/zs-pool.ts';

/** Copies `wanted` bytes of the slot's page to `target` if they were decoded before. `sequence` as for `readStorage`. */
export function readDecoded(
  node: Node,
  slot: number,
  location: number,
  sequence: number,
  target: number,
  wanted: number,
): boolean {
  const { decoded } = node;
  if (decoded.base !== unitBase(slot) || decoded.location !== location) return false;
  const page = pageInUnit(slot);
  if ((decoded.valid & (1 << page)) === 0 || decoded.sequences[page] !== sequence) return false;
  if (decoded.bytes < page * PAGE_BYTES + wanted) return false;
  node.kernel.copy(target, (node.stagingByte + page * PAGE_BYTES) | 0, wanted);
  return true;
}

/**
 * Notes the sequences of the unit's slots: before its object is read. `sequence` is that of `slot`, loaded earlier. True
 * when all of the unit is wanted.
 */
export function beginUnit(node: Node, slot: number, location: number, sequence: number): boolean {
  const { decoded } = node;
  const base = unitBase(slot);
  const isWhole = slot === base || (decoded.base === base && decoded.location === location);
  decoded.bytes = 0;
  decoded.base = base;
  decoded.location = location;
  decoded.valid = 0;
  for (let i = 0; i < UNIT_PAGES; i++) {
    decoded.sequences[i] = base + i === slot ? sequence : Atomics.load(node.words, sequenceAt(base + i));
    const word = peekSlot(node, base + i) & ~W.SLOT_CACHED;
    if (word === W.slotWord(W.SLOT_OBJECT, location)) decoded.valid |= 1 << i;
  }
  return isWhole;
}

/** Decodes the gathered object at `source`, whole or as far as the page is wanted. False when it is malformed. */
export function endUnit(
  node: Node,
  slot: number,
  source: number,
  isWhole: boolean,
  target: number,
  wanted: number,
): boolean {
  const { decoded } = node;
  const at = pageInUnit(slot) * PAGE_BYTES;
  const end = isWhole ? UNIT_BYTES : at + wanted;
  const { length, isZstd } = gathered;
  const got = decodeBlock(node, source, length, isZstd, node.stagingByte | 0, end, UNIT_BYTES);
  decoded.bytes = Math.max(got, 0);
  if (got < at + wanted) return false;
  if (isWhole) node.counters[C.thp_swpin]++;
  node.kernel.copy(target, (node.stagingByte + at) | 0, wanted);
  return true;
}
