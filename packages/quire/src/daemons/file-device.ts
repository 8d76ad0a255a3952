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
 * One of the two sees the other (all four are sequentially consistent). A thread's slot says how many uses are its own, so a
 * thread that dies inside is taken out of USERS when it is buried; where nobody can tell that it died, the descriptor stays
 * open until the process ends.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, read, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { QuireError } from '../base/errors.ts';
import type { Device } from '../base/port.ts';
import { DEVICE_BYTES, deviceAt } from '../swap/file-devices.ts';

export class FileDevice implements Device {
  /** Node 0 of the thread. */
  private readonly home: Node;

  constructor(home: Node) {
    this.home = home;
  }

  read(offset: number, target: Uint8Array, start: number, length: number): number {
    // Small reads of the one file that most have: neither a division nor a remainder, which is a call of the C library.
    const device = offset < DEVICE_BYTES ? 0 : Math.floor(offset / DEVICE_BYTES);
    const position = offset - device * DEVICE_BYTES;
    const fd = takeDescriptor(this.home, device);
    if (fd < 0) return 0;
    try {
      let got = 0;
      while (got < length) {
        const n = readSync(fd, target, start + got, length - got, position + got);
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
function takeDescriptor(home: Node, device: number): number {
  if (device >= L.DEVICES_MAX) return -1;
  const at = deviceAt(device);
  Atomics.add(home.words, at + L.V_USERS, 1);
  // Its own share, for who buries it: after the announcement, so that never more is taken back than was announced.
  home.words[home.threadAt + L.T_DEVICES + device]++;
  // After the announcement: pairs with the exchange in `retireDescriptor`.
  const fd = Atomics.load(home.words, at + L.V_FD) - 1;
  if (fd < 0) giveDescriptor(home, device);
  return fd;
}

function giveDescriptor(home: Node, device: number): void {
  home.words[home.threadAt + L.T_DEVICES + device]--;
  Atomics.sub(home.words, deviceAt(device) + L.V_USERS, 1);
}

/** A thread died inside: its system calls are over, Node ends a thread no earlier. */
export function buryDescriptorUses(home: Int32Array, threadAt: number): void {
  for (let device = 0; device < L.DEVICES_MAX; device++) {
    const at = threadAt + L.T_DEVICES + device;
    const uses = home[at];
    home[at] = 0;
    if (uses > 0) Atomics.sub(home, deviceAt(device) + L.V_USERS, uses);
  }
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
