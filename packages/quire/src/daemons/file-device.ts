/**
 * The devices of the file tier as one thread reaches them: positioned reads and writes on descriptors that all threads of
 * the process share and find in the shared table (swap/file-devices.ts).
 *
 * A descriptor is only closed when nobody can be about to use its number, which the system may give to another file at
 * once:
 *
 *   user     USERS += 1;  fd = FD;  0: the device is gone  |  system call  |  USERS −= 1
 *   closer   FD = 0;  waits for USERS = 0;  close
 *
 * One of the two sees the other (all four are sequentially consistent). A thread that dies inside leaves USERS above zero,
 * and the descriptor open until the process ends.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, read, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import * as L from '../arena/layout.ts';
import { QuireError } from '../base/errors.ts';
import type { Device } from '../base/port.ts';
import { DEVICE_BYTES, deviceAt } from '../swap/file-devices.ts';

export class FileDevice implements Device {
  /** Words of node 0. */
  private readonly home: Int32Array;

  constructor(home: Int32Array) {
    this.home = home;
  }

  read(offset: number, target: Uint8Array, start: number, length: number): number {
    const device = Math.floor(offset / DEVICE_BYTES);
    const fd = takeDescriptor(this.home, device);
    if (fd < 0) return 0;
    try {
      let got = 0;
      while (got < length) {
        const n = readSync(fd, target, start + got, length - got, (offset % DEVICE_BYTES) + got);
        if (n === 0) break; // end of the file
        got += n;
      }
      return got;
    } finally {
      giveDescriptor(this.home, device);
    }
  }

  write(offset: number, source: Uint8Array, start: number, length: number): number {
    const device = Math.floor(offset / DEVICE_BYTES);
    const fd = takeDescriptor(this.home, device);
    if (fd < 0) return 0;
    try {
      let put = 0;
      while (put < length) put += writeSync(fd, source, start + put, length - put, (offset % DEVICE_BYTES) + put);
      return put;
    } finally {
      giveDescriptor(this.home, device);
    }
  }

  async readAsync(offset: number, target: Uint8Array, start: number, length: number): Promise<number> {
    let got = 0;
    while (got < length) {
      const n = await this.readOnce(offset + got, target, start + got, length - got);
      if (n === 0) break; // end of the file
      got += n;
    }
    return got;
  }

  /** May be short before an error: what is behind is asked for again, and tells it. */
  private readOnce(offset: number, target: Uint8Array, start: number, length: number): Promise<number> {
    const device = Math.floor(offset / DEVICE_BYTES);
    const fd = takeDescriptor(this.home, device);
    if (fd < 0) return Promise.resolve(0);
    return new Promise((resolve, reject) => {
      read(fd, target, start, length, offset % DEVICE_BYTES, (error, n) => {
        giveDescriptor(this.home, device);
        if (error === null) resolve(n);
        else reject(error);
      });
    });
  }

  cut(offset: number): void {
    const device = Math.floor(offset / DEVICE_BYTES);
    const fd = takeDescriptor(this.home, device);
    if (fd < 0) return;
    try {
      ftruncateSync(fd, offset % DEVICE_BYTES);
    } finally {
      giveDescriptor(this.home, device);
    }
  }
}

/** The device's descriptor, announced as in use; −1 when the device is gone (nothing to give back then). */
function takeDescriptor(home: Int32Array, device: number): number {
  if (device >= L.DEVICES_MAX) return -1;
  const at = deviceAt(device);
  Atomics.add(home, at + L.V_USERS, 1);
  // After the announcement: pairs with the exchange in `closeDescriptor`.
  const fd = Atomics.load(home, at + L.V_FD) - 1;
  if (fd < 0) giveDescriptor(home, device);
  return fd;
}

function giveDescriptor(home: Int32Array, device: number): void {
  Atomics.sub(home, deviceAt(device) + L.V_USERS, 1);
}

/** Nobody gets the descriptor from now on. Returns it, −1 when there was none; `isUnused` says when it may be closed. */
export function retireDescriptor(home: Int32Array, device: number): number {
  return Atomics.exchange(home, deviceAt(device) + L.V_FD, 0) - 1;
}

/** No thread is inside a system call on the device's descriptor. */
export function isUnused(home: Int32Array, device: number): boolean {
  return Atomics.load(home, deviceAt(device) + L.V_USERS) === 0;
}

/**
 * Makes a swap file and unlinks it at once: it is gone with the last descriptor, also after a crash. `path` names a
 * file that must not exist yet, or a folder to make one in. Returns the descriptor. Throws ERR_QUIRE_IO.
 */
export function openSwapFile(path: string): number {
  try {
    const target = isFolder(path) ? join(path, `quire-${process.pid}-${randomUUID()}.swap`) : path;
    const fd = openSync(target, 'wx+', 0o600);
    rmSync(target, { force: true });
    return fd;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new QuireError('ERR_QUIRE_IO', `cannot make the swap file: ${reason}`, { cause: error });
  }
}

export function closeSwapFile(fd: number): void {
  closeSync(fd);
}

/** Gives the space of the whole file back at once. */
export function emptySwapFile(fd: number): void {
  ftruncateSync(fd, 0);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
