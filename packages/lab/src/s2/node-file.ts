/** Node's fs as the files of `lab s2` and `lab file` see it. */
import { closeSync, fsyncSync, openSync, readSync, writeSync, writevSync } from 'node:fs';
import type { TimedFile, WrittenFile } from './timed-writes.ts';

export class NodeFile implements WrittenFile {
  readonly #fd: number;

  /** @param flags as for fs.open */
  constructor(path: string, flags: string) {
    this.#fd = openSync(path, flags);
  }

  readSync(buffer: Uint8Array, offset: number, length: number, position: number | null): number {
    return readSync(this.#fd, buffer, offset, length, position);
  }

  writeSync(buffer: Uint8Array, offset: number, length: number, position: number | null): number {
    return writeSync(this.#fd, buffer, offset, length, position);
  }

  writevSync(buffers: readonly Uint8Array[], position: number | null): number {
    return writevSync(this.#fd, buffers, position ?? undefined);
  }

  sync(): void {
    fsyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Node's fs has no seek: a file is rewound by opening it again. */
export class NodeTimedFile implements TimedFile {
  readonly #path: string;
  #file: NodeFile;

  constructor(path: string) {
    this.#path = path;
    this.#file = new NodeFile(path, 'r+');
  }

  rewound(): Promise<WrittenFile> {
    this.#file.close();
    this.#file = new NodeFile(this.#path, 'r+');
    return Promise.resolve(this.#file);
  }

  close(): void {
    this.#file.close();
  }
}
