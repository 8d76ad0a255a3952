/**
 * Bytes of one page out of the file tier, checked and decoded, by a thread that may wait for the device. What is read is the
 * page's as long as its slot's sequence stands, which the caller looks at afterwards (vm/swap-in.ts).
 *
 *   1. what was read ahead for this thread (vm/file-ahead.ts), or fetched for it (vm/no-wait.ts)
 *   2. in order: this object and those of the pages behind it, in one read
 *   3. when the last objects were raw: from the first header, which says whether this one is, to the last wanted part; of what
 *      was read only the wanted parts are checked, each has its own checksum; a wrong guess costs that read
 *   4. the object, as long as the largest one is: its length stands in its header
 *
 * A failure of 1 to 3 is not the page's yet: other pages' bytes were in the same read. 4 has the last word, so that an error
 * of the device is an error of the readers of that page and of nobody else.
 */
import type { Node } from '../arena/node.ts';
import type { Device } from '../base/port.ts';
import { noteReadError } from '../swap/device-errors.ts';
import {
  copyParts,
  decodeObject,
  FILE_OBJECT_BYTES_MAX,
  isObjectOf,
  isRawAt,
  partsLength,
  RAW_PART_BYTES,
  storedBytes,
} from '../swap/file-object.ts';
import { FILE_HEADER_BYTES, fileOffset } from '../swap/file-segments.ts';
import { countFileRead, decodeAhead, findAhead, isAhead, readAhead, waitForDevice } from './file-ahead.ts';
import { FOUND_GRANULE, FOUND_SHADOW, FOUND_SLOT } from './page-read.ts';
import { lastIo, lastWanted, READ_CORRUPT, READ_IO, READ_OK, READ_WAIT } from './read-outcome.ts';
import { isTouchFar, noteTouch } from './refault.ts';

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
  const { entry, wantsWhole, guessed } = ahead;
  ahead.entry = 0;
  ahead.guessed = -1;
  ahead.wantsWhole = false;
  ahead.object = -1;
  let isDamaged = false;
  if (ahead.count > 0 || entry !== 0) {
    let byte = ahead.count > 0 ? findAhead(node, slot, granule, sequence) : -1;
    if (byte < 0 && entry !== 0 && !ahead.noWait) byte = readAhead(node, device, entry, slot, granule, sequence);
    if (byte >= 0 && decodeAhead(node, byte, slot, target, from, wanted)) return READ_OK;
    isDamaged = byte >= 0;
  }
  if (isFetched(node, slot, granule, sequence)) return decodeFetched(node, slot, target, wanted);
  if (ahead.noWait) {
    // What was damaged when it came with others comes by itself the next time: that read has the last word.
    lastWanted.value = { slot, granule, sequence, entry: isDamaged ? 0 : entry, touch: ahead.touch };
    return READ_WAIT;
  }
  ahead.fetched.slot = -1;
  const mayGuess = !wantsWhole && guessed !== slot;
  if (mayGuess && isLikelyParts(node, from, wanted) && readParts(node, device, slot, granule, target, from, wanted))
    return READ_OK;
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
  return fetchParts(node, device, granule, wanted) && copyParts(node, node.ioByte, slot, target, from, wanted);
}

/** What is likely to be a raw page, to the end of the part that has byte `end` − 1, to the thread's I/O buffer. */
function fetchParts(node: Node, device: Device, granule: number, end: number): boolean {
  const length = partsLength(end);
  let got = 0;
  try {
    got = waitForDevice(node, device, fileOffset(node, granule), node.ioByte, length);
  } catch {
    return false;
  }
  countFileRead(node, got);
  return got === length;
}

/**
 * Bytes `from` to `end` of a page that the kernel `readPage` has just found on file, to `target` (kernel address), if it is one
 * to be read where it lies and likely to be raw, and nothing is known of it yet. False: nothing was noted but a wrong guess.
 * `bucket`, `generationAt` and `generation` as for `readPage`.
 */
export function readOnFile(
  node: Node,
  device: Device | undefined,
  generationAt: number,
  generation: number,
  from: number,
  end: number,
  bucket: number,
  target: number,
): boolean {
  const { ahead, words, readBlock } = node;
  if (device === undefined || ahead.noWait || !isLikelyParts(node, from, end)) return false;
  const found = readBlock >>> 2;
  const slot = words[found + FOUND_SLOT];
  if (ahead.fetched.slot === slot || isAhead(node, slot)) return false;
  const shadow = words[found + FOUND_SHADOW];
  if (!isTouchFar(node, bucket, shadow)) return false;
  const isRead =
    fetchParts(node, device, words[found + FOUND_GRANULE], end) &&
    node.kernel.readParts(readBlock | 0, generationAt, generation, node.ioByte | 0, from, end, target) === 1;
  if (isRead) noteTouch(node, slot, bucket, shadow);
  else ahead.guessed = slot; // not guessed again at once
  return isRead;
}

function readWhole(node: Node, device: Device, slot: number, granule: number, target: number, wanted: number): number {
  let got = 0;
  try {
    got = waitForDevice(node, device, fileOffset(node, granule), node.ioByte, FILE_OBJECT_BYTES_MAX);
  } catch (error) {
    got = readExactly(node, device, slot, granule);
    if (got < 0) {
      lastIo.cause = error;
      noteReadError(node, granule);
      return READ_IO;
    }
  }
  countFileRead(node, got);
  return decodeIo(node, slot, got, target, wanted);
}

/** Bytes `from` to `end` are few, and the page is likely to be raw. */
function isLikelyParts(node: Node, from: number, end: number): boolean {
  return node.ahead.rawScore >= RAW_SCORE_LIKELY && end - from <= PARTS_MAX * RAW_PART_BYTES;
}

/** The object and nothing behind it, which may be what cannot be read. −1 when the object cannot either. */
function readExactly(node: Node, device: Device, slot: number, granule: number): number {
  const offset = fileOffset(node, granule);
  try {
    waitForDevice(node, device, offset, node.ioByte, FILE_HEADER_BYTES);
    const bytes = storedBytes(node.words, node.ioByte >>> 2, slot);
    return bytes < 0 ? -1 : waitForDevice(node, device, offset, node.ioByte, bytes);
  } catch {
    return -1;
  }
}

/** Has this thread's async call fetched the object? */
export function isFetched(node: Node, slot: number, granule: number, sequence: number): boolean {
  const { fetched } = node.ahead;
  return fetched.slot === slot && fetched.granule === granule && fetched.sequence === sequence;
}

function decodeFetched(node: Node, slot: number, target: number, wanted: number): number {
  const { fetched } = node.ahead;
  fetched.slot = -1; // used once: what failed may go well the next time
  if (fetched.bytes < 0) {
    lastIo.cause = fetched.cause;
    return READ_IO;
  }
  node.bytes.set(fetched.buffer, node.ioByte);
  return decodeIo(node, slot, fetched.bytes, target, wanted);
}

/** Checks and decodes what lies in the thread's I/O buffer. */
function decodeIo(node: Node, slot: number, got: number, target: number, wanted: number): number {
  if (!isObjectOf(node, node.ioByte, slot, got)) return READ_CORRUPT;
  const { ahead } = node;
  ahead.object = node.ioByte;
  ahead.objectBytes = got;
  ahead.rawScore = isRawAt(node, node.ioByte)
    ? Math.min(ahead.rawScore + 1, RAW_SCORE_MAX)
    : Math.max(ahead.rawScore - 1, 0);
  return decodeObject(node, node.ioByte, target, wanted) ? READ_OK : READ_CORRUPT;
}
