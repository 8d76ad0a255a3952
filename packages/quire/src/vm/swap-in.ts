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
import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import type { Device } from '../base/port.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { decodeObject, FILE_OBJECT_BYTES_MAX, isObjectOf } from '../swap/file-object.ts';
import { fileOffset } from '../swap/file-segments.ts';
import * as W from '../swap/slot-word.ts';
import { sequenceAt } from '../swap/swap-table.ts';
import { gathered, isUnitAt, zsGather } from '../swap/zs-pool.ts';
import { beginUnit, endUnit, readDecoded } from './unit-read.ts';

export const READ_OK = 0;
/** The slot changed under the reader: look at the page table again. */
export const READ_RETRY = 1;
export const READ_CORRUPT = 2;
export const READ_IO = 3;

/** What the device last threw on this thread, for the `cause` of the error that follows. */
export const lastIo: { cause: unknown } = { cause: undefined };

/**
 * Decodes at least the first `wanted` bytes of the page behind `slot` to kernel address `target` (a whole page of
 * private memory). `word` is the slot's word and `sequence` its sequence, loaded before it. Handles SAME, OBJECT,
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
      outcome = readFile(node, device, slot, payload, target, wanted);
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
  const got = node.kernel.decompressPartial(source, gathered.length, target, wanted, PAGE_BYTES);
  return got >= wanted ? READ_OK : READ_CORRUPT;
}

function readFile(
  node: Node,
  device: Device | undefined,
  slot: number,
  granule: number,
  target: number,
  wanted: number,
): number {
  if (device === undefined) return READ_IO;
  let got = 0;
  node.stalls?.begin();
  try {
    got = device.read(fileOffset(node, granule), node.bytes, node.ioByte, FILE_OBJECT_BYTES_MAX);
  } catch (error) {
    lastIo.cause = error;
    node.counters[C.file_read_errors]++;
    return READ_IO;
  } finally {
    node.stalls?.end();
  }
  return decodeFileObject(node, slot, got, target, wanted);
}

/** Checks and decodes what was read into the thread's I/O buffer. */
export function decodeFileObject(node: Node, slot: number, got: number, target: number, wanted: number): number {
  node.counters[C.file_reads]++;
  node.counters[C.file_bytes_read] += got;
  if (isObjectOf(node, node.ioByte, slot, got) && decodeObject(node, node.ioByte, target, wanted)) return READ_OK;
  return READ_CORRUPT;
}

/** The error for a READ_ code other than OK and RETRY. */
export function readError(node: Node, outcome: number): QuireError {
  if (outcome === READ_IO) {
    return new QuireError('ERR_QUIRE_IO', 'a page could not be read back from the file tier', { cause: lastIo.cause });
  }
  node.counters[C.file_corrupt]++;
  return new QuireError('ERR_QUIRE_CORRUPT', 'a page failed its check when it was read back');
}
