/**
 * One batch of sealed objects, from the staging buffer into the log: on the device whose turn it is, and when that one
 * fails, on the next. What failed is passed over for a while: the device, and the segment, if it seems to be that
 * (swap/bad-segments.ts).
 */
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import type { Device } from '../base/port.ts';
import { isSuspected, noteFailureLocked, noteWritten } from './bad-segments.ts';
import { noteWriteDone, noteWriteError } from './device-errors.ts';
import { deviceOf, FILE_GRANULE_BYTES, fileOffset, holdDeviceLocked, SEGMENT_GRANULES } from './file-devices.ts';
import { commitLocked, reserveLocked } from './file-segments.ts';

/** No device has room. */
export const WRITE_FULL = -1;
/** Those that had room failed. */
export const WRITE_FAILED = -2;

/**
 * Writes the first `granules` of the staging buffer. Returns the first granule of where they are now, to be committed by
 * the caller, or a WRITE_ code. `spare` and `skip` as for `reserveLocked`. No lock held; the caller is the node's demoter.
 */
export function writeBatch(node: Node, device: Device, granules: number, spare: number, skip = 0): number {
  let tried = skip;
  let outcome = WRITE_FULL;
  for (;;) {
    node.lock();
    const first = reserveLocked(node, granules, spare, tried);
    node.unlock();
    if (first < 0) return outcome;
    const number = deviceOf(node, first);
    assert(number >= 0 && (tried & (1 << number)) === 0, 'each device is tried once', number, tried);
    const failure = write(node, device, number, first, granules * FILE_GRANULE_BYTES);
    if (failure === undefined) {
      if (isSuspected(node, number)) noteWritten(node, number);
      noteWriteDone(node, number);
      return first;
    }
    tried |= 1 << number;
    outcome = WRITE_FAILED;
    node.lock();
    // Before the commit, which would give an empty segment back.
    if (failure === 'EIO') noteFailureLocked(node, Math.floor(first / SEGMENT_GRANULES));
    commitLocked(node, first, 0, 0);
    holdDeviceLocked(node, number);
    node.unlock();
  }
}

/** The system's code when the device refused, undefined when it did not. */
function write(node: Node, device: Device, number: number, first: number, length: number): string | undefined {
  try {
    if (device.write(fileOffset(node, first), node.bytes, node.stagingByte, length) !== length) {
      throw new RangeError('short write');
    }
  } catch (error) {
    noteWriteError(node, number, error);
    return String((error as NodeJS.ErrnoException).code);
  }
  node.counters[C.file_writes]++;
  node.counters[C.file_bytes_written] += length;
  return undefined;
}
