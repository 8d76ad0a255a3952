/** Files behind the page cache, on node:fs. Descriptors belong to the process: every thread of it may use them. */
import { ftruncateSync, readv, readvSync, writevSync } from 'node:fs';
import type { FileIo } from '../base/port.ts';

export class NodeFileIo implements FileIo {
  readv(fd: number, targets: readonly Uint8Array[], position: number): number {
    return readvSync(fd, targets, position);
  }

  writev(fd: number, sources: readonly Uint8Array[], position: number): number {
    return writevSync(fd, sources, position);
  }

  readvAsync(fd: number, targets: readonly Uint8Array[], position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      readv(fd, targets, position, (error, count) => (error === null ? resolve(count) : reject(error)));
    });
  }

  truncate(fd: number, size: number): void {
    ftruncateSync(fd, size);
  }

  /** The machine's clock, the same in all threads: stamps of one are compared with the clock of another. */
  now(): number {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1000 + nanoseconds / 1e6;
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (ms > 0) setTimeout(resolve, ms);
      else setImmediate(resolve);
    });
  }
}
