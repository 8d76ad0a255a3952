/**
 * Async calls: synchronous operations tried again, each time with one more object fetched.
 *
 *   try the operation with `noWait` set ──done──► resolved
 *        │ an object would have to be read from the device: WouldWait passes through, all locks and frames given back
 *        ▼
 *   fetch it with the device's non-blocking read, into a buffer of the JS heap
 *        ▼
 *   leave it where the thread's reads look first (`Node.ahead.fetched`), or those of several pages in order in its read-ahead
 *   buffer; try again in the same turn of the event loop: no other call of this thread can come in between
 *
 * The operation finds the object by slot, granule and sequence (vm/file-read.ts): what was moved or freed while it was being
 * fetched is looked up and fetched anew. An error of the device reaches the operation the same way, as that of the page. So
 * an async call takes the same paths as a synchronous one, faults and promotions included, and the thread never waits for a read.
 *
 * A try that is out of memory, where the cleaner of the file tier could make room, ends the same way (WouldClean): the cleaner has to
 * read a segment, which is fetched first. Inline daemons of such a try leave cleaning and trimming alone.
 *
 * A try is started over from its beginning, so operations must be such that this does no harm: reads, and writes of the
 * same bytes.
 */
import type { Node } from '../arena/node.ts';
import { QuireError } from '../base/errors.ts';
import type { Device } from '../base/port.ts';
import { noteReadError } from '../swap/device-errors.ts';
import { forgetWantedSegment } from '../swap/file-cleaner.ts';
import { FILE_OBJECT_BYTES_MAX, storedBytes } from '../swap/file-object.ts';
import { FILE_HEADER_BYTES, fileOffset, SEGMENT_BYTES, SEGMENT_GRANULES } from '../swap/file-segments.ts';
import { countFileRead, readAheadAsync } from './file-ahead.ts';
import type { Memory } from './memory.ts';
import { type WantedObject, WouldClean, WouldWait } from './read-outcome.ts';

/** Each page of a range may have to be fetched, and fetched again since others push it out. */
const TRIES_MAX = 4096;
/** Segments cleaned for one call, 64 MiB: each should free the better part of one. */
const CLEANINGS_MAX = 256;
/** What a long write tries at a time, 16 pages: each fetch of an object starts the piece over, not the whole. */
const PIECE_BYTES = 65_536;

/**
 * Runs `work` until it gets through without a read of the device. `stillOpen` throws when what it works on was closed
 * while an object was being fetched.
 */
export async function withoutWaiting<T>(memory: Memory, stillOpen: () => void, work: () => T): Promise<T> {
  let cleanings = 0;
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    let missing: WouldWait | WouldClean;
    setNoWait(memory, true);
    try {
      return work();
    } catch (error) {
      if (!(error instanceof WouldWait || error instanceof WouldClean)) throw error;
      missing = error;
    } finally {
      setNoWait(memory, false);
    }
    if (memory.device === undefined) break;
    if (missing instanceof WouldClean) {
      if (++cleanings > CLEANINGS_MAX)
        throw new QuireError('ERR_QUIRE_SWAP_FULL', 'cleaning the file tier makes no room');
      await fetchSegment(missing.node, memory.device, missing.segment);
      stillOpen();
      missing.node.ahead.cleanReady = missing.segment;
      continue;
    }
    const install = await fetchObject(missing.node, memory.device, missing.wanted);
    stillOpen();
    install();
    touchOnce(missing.node, missing.wanted);
  }
  throw new QuireError('ERR_QUIRE_FAILED', 'an async call made no progress');
}

/** As `withoutWaiting`, of `work` for each piece of the bytes in turn. At least one, if empty: it checks. */
export async function inPiecesWithoutWaiting(
  memory: Memory,
  stillOpen: () => void,
  offset: number,
  length: number,
  work: (at: number, length: number) => void,
): Promise<void> {
  const end = offset + length;
  let at = offset;
  do {
    const from = at;
    const piece = Math.min(PIECE_BYTES - (at % PIECE_BYTES), end - at);
    await withoutWaiting(memory, stillOpen, () => work(from, piece));
    at += piece;
  } while (at < end);
}

function setNoWait(memory: Memory, noWait: boolean): void {
  for (const node of memory.nodes) {
    const { ahead } = node;
    ahead.noWait = noWait;
    forgetWantedSegment(node);
    if (!noWait) ahead.cleanReady = -1;
  }
}

/**
 * What is read is not kept: the cleaner reads the segment again, as the node's demoter, whom nobody may overtake, and finds it
 * in the system's page cache. It meets an error of the device by itself.
 */
async function fetchSegment(node: Node, device: Device, segment: number): Promise<void> {
  const buffer = new Uint8Array(SEGMENT_BYTES);
  try {
    await device.readAsync(fileOffset(node, segment * SEGMENT_GRANULES), buffer, 0, SEGMENT_BYTES);
  } catch {
    // Told by the cleaner, which goes on to other segments.
  }
}

/** The touch that found the object on file is not counted again. */
function touchOnce({ ahead }: Node, { slot, sequence, touch }: WantedObject): void {
  ahead.touchSlot = slot;
  ahead.touchSequence = sequence;
  ahead.touch = touch;
}

/** Gives the function that leaves what was read where the thread's reads look first. */
async function fetchObject(node: Node, device: Device, wanted: WantedObject): Promise<() => void> {
  const { slot, granule, sequence, entry } = wanted;
  const install = entry === 0 ? undefined : await readAheadAsync(node, device, entry, slot, granule, sequence);
  if (install !== undefined) return install;
  const { fetched } = node.ahead;
  const buffer = new Uint8Array(FILE_OBJECT_BYTES_MAX);
  const offset = fileOffset(node, granule);
  let bytes = 0;
  try {
    bytes = await device.readAsync(offset, buffer, 0, buffer.length);
  } catch (cause) {
    bytes = await readExactly(device, offset, buffer, slot);
    if (bytes < 0) {
      noteReadError(node, granule);
      return () => Object.assign(fetched, { slot, granule, sequence, bytes, buffer, cause });
    }
  }
  countFileRead(node, bytes);
  return () => Object.assign(fetched, { slot, granule, sequence, bytes, buffer, cause: undefined });
}

/** As in vm/file-read.ts: the object and nothing behind it. */
async function readExactly(device: Device, offset: number, buffer: Uint8Array, slot: number): Promise<number> {
  try {
    await device.readAsync(offset, buffer, 0, FILE_HEADER_BYTES);
    const bytes = storedBytes(new Int32Array(buffer.buffer), 0, slot);
    return bytes < 0 ? -1 : await device.readAsync(offset, buffer, 0, bytes);
  } catch {
    return -1;
  }
}
