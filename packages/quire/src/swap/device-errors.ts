/**
 * What the files of the swap refused, for people to see: how often, and why the last write failed. The counts only grow; the
 * reason is forgotten with the next write that goes well, so that it tells how the device is now. Nothing is decided by them
 * (swap/bad-segments.ts and the hold of a device do that).
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import { errnoOf, errorName, systemError } from '../base/error-number.ts';
import { QuireError } from '../base/errors.ts';
import { deviceAt, deviceOf, NO_DEVICE } from './file-devices.ts';
import { devicesInUse, tierName } from './tiers.ts';

const EIO = 5;

/** A write to `device` failed. What is not the system's error (a short write) counts as EIO. */
export function noteWriteError(node: Node, device: number, error: unknown): void {
  const at = deviceAt(device);
  node.counters[C.file_write_errors]++;
  Atomics.add(node.home, at + L.V_WRITE_ERRORS, 1);
  const errno = errnoOf(error);
  Atomics.store(node.home, at + L.V_ERRNO, errno === 0 ? EIO : errno);
}

/** One went well. */
export function noteWriteDone(node: Node, device: number): void {
  const at = deviceAt(device) + L.V_ERRNO;
  if (node.home[at] !== 0) Atomics.store(node.home, at, 0);
}

/** The object at `granule` could not be read. */
export function noteReadError(node: Node, granule: number): void {
  node.counters[C.file_read_errors]++;
  const device = deviceOf(node, granule);
  // A reader that comes late: the device is gone.
  if (device === NO_DEVICE) return;
  Atomics.add(node.home, deviceAt(device) + L.V_READ_ERRORS, 1);
}

export interface DeviceErrors {
  readonly readErrors: number;
  readonly writeErrors: number;
  /** 'ENOSPC': why the last write failed; absent when it went well. */
  readonly error?: string;
}

export function deviceErrors(home: Int32Array, device: number): DeviceErrors {
  const at = deviceAt(device);
  const errno = Atomics.load(home, at + L.V_ERRNO);
  return {
    readErrors: Atomics.load(home, at + L.V_READ_ERRORS),
    writeErrors: Atomics.load(home, at + L.V_WRITE_ERRORS),
    ...(errno === 0 ? {} : { error: errorName(errno) }),
  };
}

/** ERR_QUIRE_SWAP_FULL; when that is because a file takes no more, it names the file, and its cause is the system's error. */
export function swapFull(home: Int32Array): QuireError {
  const text = 'the budget and every swap tier are full';
  const failing = devicesInUse(home)
    .map((device) => ({ name: tierName(home, device), errno: Atomics.load(home, deviceAt(device) + L.V_ERRNO) }))
    .filter(({ errno }) => errno !== 0);
  if (failing.length === 0) return new QuireError('ERR_QUIRE_SWAP_FULL', text);
  const reasons = failing.map(({ name, errno }) => `${name}: ${errorName(errno)}`).join(', ');
  const cause = systemError(failing[0].errno, 'write', `${failing[0].name} could not be written`);
  return new QuireError('ERR_QUIRE_SWAP_FULL', `${text} (${reasons})`, { cause });
}
