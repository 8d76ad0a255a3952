/**
 * The core's only door to the world. Everything from arena to map gets the time, storage and waiting through these,
 * so that it runs the same in a worker, inline and in the simulator.
 */
export interface Device {
  /*
   * All files of the file tier are one address space: byte b of device d is at offset d · 2^44 + b
   * (swap/file-devices.ts). A read of a device that is gone gets no bytes.
   */
  /** Reads `length` bytes at `offset` into `target[start…]`. Returns the bytes read; throws on an I/O error. Blocks. */
  read(offset: number, target: Uint8Array, start: number, length: number): number;
  /** Writes. Returns the bytes written; throws on an I/O error (ENOSPC included). Blocks. */
  write(offset: number, source: Uint8Array, start: number, length: number): number;
  /** As `read`, without blocking the thread. */
  readAsync(offset: number, target: Uint8Array, start: number, length: number): Promise<number>;
  /** The device's file ends at `offset` from now on. Throws on an I/O error. Absent where nothing can be given back. */
  cut?(offset: number): void;
}

/**
 * Copies bytes between a node's memory and a caller's, which never overlap. `TypedArray.set` copies shared memory word by
 * word; a system may have something faster for longer pieces.
 */
export interface ByteCopier {
  /** Bytes from which on it is the faster way. Shorter pieces are not given to it. */
  readonly bytesMin: number;
  /** Copies `source[from…]`, `length` bytes, to byte `to` of a node's memory. */
  copyIn(memory: Uint8Array, to: number, source: Uint8Array, from: number, length: number): void;
  /** Copies `length` bytes from byte `from` of a node's memory to `target[to…]`. */
  copyOut(memory: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void;
}

/**
 * Files behind the page cache: positioned vector I/O on descriptors that all threads of the process share. A result
 * shorter than asked is not an error: at the end of the file, or when the system felt like it; the caller goes on from
 * there. Throws the system's error (with `code`: 'EIO', 'ENOSPC', …).
 */
export interface FileIo {
  readv(fd: number, targets: readonly Uint8Array[], position: number): number;
  writev(fd: number, sources: readonly Uint8Array[], position: number): number;
  readvAsync(fd: number, targets: readonly Uint8Array[], position: number): Promise<number>;
  /** Absent where `TypedArray.set` is all there is. */
  readonly copier?: ByteCopier;
  /** Cuts the file off at `size` bytes, or extends it by a hole. Blocks. */
  truncate(fd: number, size: number): void;
  /** Milliseconds of a clock that only goes forward, the same for all threads. */
  now(): number;
  /** Resolves after `ms` milliseconds, with 0 when others have had their turn. Keeps the process alive till then. */
  pause(ms: number): Promise<void>;
}

/** Threads of this process as the system knows them. */
export interface Tasks {
  /** The calling thread; `task` is 0 where the system does not tell. */
  self(): Task;
  /** False only when it is certain that the thread has ended. Of a thread that another process noted nothing is. */
  isAlive(task: number, start: number, process: number): boolean;
}

export interface Task {
  /** The system's number of the thread, above 0. Used again after its end, so it comes with the time it began. */
  readonly task: number;
  readonly start: number;
  /** Where these numbers mean something: a process restored from an image, or moved to another /proc, is another. Above 0. */
  readonly process: number;
  /** Its number among the program's workers, never used again. */
  readonly worker: number;
}

export interface Port {
  /** Milliseconds since 1970. */
  now(): number;
  /** The file tier, undefined when there is none. */
  readonly device: Device | undefined;
}
