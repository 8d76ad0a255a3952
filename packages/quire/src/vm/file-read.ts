/**
 * Bytes of one page out of the file tier, checked and decoded, by a thread that may wait for the device. What is read is the
 * page's as long as its slot's sequence stands, which the caller looks at afterwards (vm/swap-in.ts).
 *
 *   1. what was read ahead for this thread                                               (vm/file-ahead.ts)
 *   2. in order: this object and those of the pages behind it, in one read
 *   3. when the last objects were raw: the wanted parts alone, each with its own checksum; a wrong guess costs that read
 *   4. the object, as long as the largest one is: its length stands in its header
 *
 * A failure of 1 to 3 is not the page's yet: other pages' bytes were in the same read. 4 has the last word, so that an error
 * of the device is an error of the readers of that page and of nobody else.
 */
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import type { Device } from '../base/port.ts';
import {
  areParts,
  copyParts,
  decodeObject,
  FILE_OBJECT_BYTES_MAX,
  isObjectOf,
  isRawAt,
  RAW_PART_BYTES,
  RAW_PART_STRIDE,
} from '../swap/file-object.ts';
import { fileOffset } from '../swap/file-segments.ts';
import { countFileRead, decodeAhead, findAhead, readAhead } from './file-ahead.ts';
import { lastIo, READ_CORRUPT, READ_IO, READ_OK } from './read-outcome.ts';

/** So many of the last objects raw, and the next is taken for raw. */
const RAW_SCORE_LIKELY = 2;
const RAW_SCORE_MAX = 3;
/** More than half a page is read whole. */
const PARTS_MAX = 2;

/** Bytes `from` to `wanted` of the slot's page to their places in the page at kernel address `target`. A READ_ code. */
export function readFromFile(
  node: Node,
  device: Device | undefined,
  slot: number,
  granule: number,
  sequence: number,
  target: number,
  from: number,
  wanted: number,
): number {
  if (device === undefined) return READ_IO;
  const { ahead } = node;
  const { entry, wantsWhole } = ahead;
  ahead.entry = 0;
  ahead.wantsWhole = false;
  ahead.object = -1;
  if (ahead.count > 0 || entry !== 0) {
    let byte = ahead.count > 0 ? findAhead(node, slot, granule, sequence) : -1;
    if (byte < 0 && entry !== 0) byte = readAhead(node, device, entry, slot, granule, sequence);
    if (byte >= 0 && decodeAhead(node, byte, slot, target, from, wanted)) return READ_OK;
  }
  const isLikelyRaw = !wantsWhole && ahead.rawScore >= RAW_SCORE_LIKELY && wanted - from <= PARTS_MAX * RAW_PART_BYTES;
  if (isLikelyRaw && readParts(node, device, slot, granule, target, from, wanted)) return READ_OK;
  return readWhole(node, device, slot, granule, target, wanted);
}

/** The wanted parts of what is likely to be a raw page. */
function readParts(
  node: Node,
  device: Device,
  slot: number,
  granule: number,
  target: number,
  from: number,
  wanted: number,
): boolean {
  const first = Math.floor(from / RAW_PART_BYTES);
  const end = Math.ceil(wanted / RAW_PART_BYTES);
  const length = (end - first) * RAW_PART_STRIDE;
  let got = 0;
  try {
    got = device.read(fileOffset(node, granule) + first * RAW_PART_STRIDE, node.bytes, node.ioByte, length);
  } catch {
    return false;
  }
  countFileRead(node, got);
  if (got < length || !areParts(node, node.ioByte, slot, first, end)) return false;
  copyParts(node, node.ioByte, target, first, end);
  return true;
}

function readWhole(node: Node, device: Device, slot: number, granule: number, target: number, wanted: number): number {
  let got = 0;
  try {
    got = device.read(fileOffset(node, granule), node.bytes, node.ioByte, FILE_OBJECT_BYTES_MAX);
  } catch (error) {
    lastIo.cause = error;
    node.counters[C.file_read_errors]++;
    return READ_IO;
  }
  return decodeFileObject(node, slot, got, target, wanted);
}

/** Checks and decodes what was read into the thread's I/O buffer. */
export function decodeFileObject(node: Node, slot: number, got: number, target: number, wanted: number): number {
  countFileRead(node, got);
  if (!isObjectOf(node, node.ioByte, slot, got)) return READ_CORRUPT;
  const { ahead } = node;
  ahead.object = node.ioByte;
  ahead.objectBytes = got;
  ahead.rawScore = isRawAt(node, node.ioByte)
    ? Math.min(ahead.rawScore + 1, RAW_SCORE_MAX)
    : Math.max(ahead.rawScore - 1, 0);
  return decodeObject(node, node.ioByte, target, wanted) ? READ_OK : READ_CORRUPT;
}
