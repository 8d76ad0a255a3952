/**
 * Bytes of a swapped page, without the node lock.
 *
 * A slot found in a page-table entry may be freed, moved, demoted or reused at any moment. So: load its sequence
 * word, load the entry again (it still names the slot: the sequence belongs to this use of it), load the slot's word,
 * read what it names into private memory, and load the sequence again. Unchanged means that what was read was the
 * page. Pairs with `bumpSequenceLocked`, which stands between the change of the slot's word and the next use of what it
 * led to. All schedules of small models are tried in vm/swap-in.interleaving.test.ts.
 *
 * Outcomes are codes: hot paths do not throw.
 */
import { closingLoad } from '../arena/fence.ts';
import type { Node } from '../arena/node.ts';
import type { Device } from '../base/port.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { decodeBlock } from '../swap/block-codec.ts';
import * as W from '../swap/slot-word.ts';
import { sequenceAt } from '../swap/swap-table.ts';
import { gathered, isUnitAt, zsGather } from '../swap/zs-pool.ts';
import { readFromFile } from './file-read.ts';
import { READ_CORRUPT, READ_IO, READ_OK, READ_RETRY } from './read-outcome.ts';
import { beginUnit, endUnit, readDecoded } from './unit-read.ts';

/**
 * Decodes at least bytes `from` to `wanted` of the page behind `slot` to their places in the page at kernel address `target` (a
 * whole page of private memory). `word` is the slot's word and `sequence` its sequence, loaded before it. Handles SAME, OBJECT,
 * FILE and LOST; frames are the caller's.
 */
export function readStorage(
  node: Node,
  device: Device | undefined,
  slot: number,
  word: number,
  sequence: number,
  target: number,
  wanted: number,
  from = 0,
): number {
  const payload = W.payloadOf(word);
  let outcome = READ_RETRY;
  switch (W.tagOf(word)) {
    case W.SLOT_SAME:
      node.kernel.fill(target, payload & 0xff, wanted);
      outcome = READ_OK;
      break;
    case W.SLOT_OBJECT:
      outcome = readObject(node, slot, payload, sequence, target, wanted);
      break;
    case W.SLOT_FILE:
      outcome = readFromFile(node, device, slot, payload, sequence, target, from, wanted);
      break;
    case W.SLOT_LOST:
      outcome = payload === W.LOST_IO ? READ_IO : READ_CORRUPT;
      break;
    default:
      return READ_RETRY;
  }
  return closingLoad(node.words, sequenceAt(slot)) === sequence ? outcome : READ_RETRY;
}

function readObject(
  node: Node,
  slot: number,
  location: number,
  sequence: number,
  target: number,
  wanted: number,
): number {
  if (readDecoded(node, slot, location, sequence, target, wanted)) return READ_OK;
  const isUnit = isUnitAt(node, location);
  const isWhole = isUnit && beginUnit(node, slot, location, sequence);
  const source = zsGather(node, location);
  if (source === -1 || gathered.isUnit !== isUnit) return READ_CORRUPT; // or changed meanwhile, says the sequence
  if (isUnit) return endUnit(node, slot, source, isWhole, target, wanted) ? READ_OK : READ_CORRUPT;
  const got = decodeBlock(node, source, gathered.length, gathered.isZstd, target, wanted, PAGE_BYTES);
  return got >= wanted ? READ_OK : READ_CORRUPT;
}
