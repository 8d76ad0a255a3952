/** The file tier's device: positioned reads and writes on one descriptor, shared by all threads of the process. */

import { randomUUID } from 'node:crypto';
import { closeSync, openSync, read, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { QuireError } from '../base/errors.ts';
import type { Device } from '../base/port.ts';

export class FileDevice implements Device {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  read(offset: number, target: Uint8Array, start: number, length: number): number {
    let got = 0;
    while (got < length) {
      const n = readSync(this.fd, target, start + got, length - got, offset + got);
      if (n === 0) break; // end of the file
      got += n;
    }
    return got;
  }

  write(offset: number, source: Uint8Array, start: number, length: number): number {
    let put = 0;
    while (put < length) put += writeSync(this.fd, source, start + put, length - put, offset + put);
    return put;
  }

  readAsync(offset: number, target: Uint8Array, start: number, length: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.fd, target, start, length, offset, (error, n) => (error === null ? resolve(n) : reject(error)));
    });
  }
}

/**
 * Makes the swap file and unlinks it at once: it is gone with the last descriptor, also after a crash. `path` names a
 * file that must not exist yet, or a folder to make one in. Throws ERR_QUIRE_IO.
 */
export function openSwapFile(path: string): FileDevice {
  try {
    const target = isFolder(path) ? join(path, `quire-${process.pid}-${randomUUID()}.swap`) : path;
    const fd = openSync(target, 'wx+', 0o600);
    rmSync(target, { force: true });
    return new FileDevice(fd);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new QuireError('ERR_QUIRE_IO', `cannot make the swap file: ${reason}`, { cause: error });
  }
}

export function closeSwapFile(device: FileDevice): void {
  closeSync(device.fd);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
