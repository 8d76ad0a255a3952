/**
 * The disk beneath the page cache: files in memory, and everything a real one may do. By the random source of the
 * operation under way it throws EIO or ENOSPC, gives or takes less than asked, and is slow: others run in the middle
 * of a call, with half of the bytes transferred.
 */
import type { ByteCopier, FileIo } from '../base/port.ts';
import type { Random } from '../simulator/random.ts';
import { SparseBytes } from './sparse-bytes.ts';

export interface FileFaults {
  /** Shares of calls. */
  readonly read: number;
  readonly write: number;
  readonly short: number;
  readonly slow: number;
}

export class DiskFile {
  readonly bytes = new SparseBytes();
  size = 0;
  /** Moves with each change. */
  mtimeNs = 1n;
  /** Calls that failed. */
  readErrors = 0;
  writeErrors = 0;
  truncateErrors = 0;
  /** Every write fails with this. */
  broken: string | undefined;
  /** Called for each failed write. */
  onWriteError: () => void = () => undefined;
  /** What a flush of the device does; throws when that fails. */
  flush: () => void = () => undefined;
}

interface PendingRead {
  readonly finish: () => void;
}

const FD_FIRST = 100;
/** One copy in so many between a page and a caller's buffer is interrupted half way: nothing atomic is near it. */
const COPIES_PER_INTERRUPT = 8;

export class FaultyFiles implements FileIo {
  readonly files: DiskFile[] = [];
  /** Reads whose answer is still on its way. */
  readonly pending: PendingRead[] = [];
  faultsOn = true;
  /** What the next calls of a kind fail with, for tests of one path. */
  readonly due: Record<'read' | 'write' | 'truncate' | 'flush', string[]> = {
    read: [],
    write: [],
    truncate: [],
    flush: [],
  };
  readonly copier: ByteCopier = {
    bytesMin: 0,
    copyIn: (memory, to, source, from, length) =>
      this.copySlowly(length, (start, end) => memory.set(source.subarray(from + start, from + end), to + start)),
    copyOut: (memory, from, target, to, length) =>
      this.copySlowly(length, (start, end) => target.set(memory.subarray(from + start, from + end), to + start)),
  };
  nowMs = 1000;
  calls = 0;
  injected = 0;
  private readonly faults: FileFaults;
  private readonly random: () => Random;
  private readonly interrupt: () => void;

  constructor(faults: FileFaults, random: () => Random, interrupt: () => void) {
    this.faults = faults;
    this.random = random;
    this.interrupt = interrupt;
  }

  /** A new empty file. Its descriptor is good for everybody. */
  create(): { readonly fd: number; readonly file: DiskFile } {
    const file = new DiskFile();
    this.files.push(file);
    file.flush = () => {
      const code = this.due.flush.shift();
      if (code !== undefined) throw this.failWrite(file, code);
      if (this.fails(this.faults.write)) throw this.failWrite(file, 'EIO');
    };
    return { fd: FD_FIRST + this.files.length - 1, file };
  }

  now(): number {
    return this.nowMs;
  }

  pause(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  readv(fd: number, targets: readonly Uint8Array[], position: number): number {
    const file = this.fileOf(fd);
    const code = this.due.read.shift();
    if (code !== undefined) throw this.failRead(file, code);
    if (this.fails(this.faults.read)) throw this.failRead(file, 'EIO');
    return this.transfer(targets, this.lengthOf(targets, file.size - position), (part, done) => {
      file.bytes.read(position + done, part);
    });
  }

  readvAsync(fd: number, targets: readonly Uint8Array[], position: number): Promise<number> {
    const file = this.fileOf(fd);
    const due = this.due.read.shift();
    const hasFailed = due !== undefined || this.fails(this.faults.read);
    const isEarly = this.random().chance(0.5);
    const copy = (length: number): number =>
      this.forEachPart(targets, 0, length, (part, done) => file.bytes.read(position + done, part));
    const length = this.lengthOf(targets, file.size - position);
    if (isEarly && !hasFailed) copy(length);
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        if (hasFailed) return void reject(this.failRead(file, due ?? 'EIO'));
        if (!isEarly) copy(length);
        resolve(length);
      };
      this.pending.push({ finish });
    });
  }

  writev(fd: number, sources: readonly Uint8Array[], position: number): number {
    const file = this.fileOf(fd);
    const code = this.due.write.shift() ?? (this.faultsOn ? file.broken : undefined);
    if (code !== undefined) throw this.failWrite(file, code);
    if (this.fails(this.faults.write)) throw this.failWrite(file, this.random().chance(0.5) ? 'EIO' : 'ENOSPC');
    const length = this.lengthOf(sources, Number.POSITIVE_INFINITY);
    return this.transfer(sources, length, (part, done) => {
      file.bytes.write(position + done, part);
      file.size = Math.max(file.size, position + done + part.length);
      file.mtimeNs++;
    });
  }

  truncate(fd: number, size: number): void {
    const file = this.fileOf(fd);
    const code = this.due.truncate.shift() ?? (this.faultsOn && file.broken === 'EIO' ? 'EIO' : undefined);
    if (code !== undefined || this.fails(this.faults.write)) {
      file.truncateErrors++;
      throw systemError(code ?? 'EIO');
    }
    if (size < file.size) file.bytes.cut(size);
    file.size = size;
    file.mtimeNs++;
  }

  fileOf(fd: number): DiskFile {
    const file = this.files[fd - FD_FIRST];
    if (file === undefined) throw systemError('EBADF');
    return file;
  }

  /** The oldest answer arrives. */
  deliver(): void {
    this.pending.shift()?.finish();
  }

  private fails(share: number): boolean {
    this.calls++;
    return this.faultsOn && share > 0 && this.random().chance(share);
  }

  private failRead(file: DiskFile, code: string): Error {
    this.injected++;
    file.readErrors++;
    return systemError(code);
  }

  private failWrite(file: DiskFile, code: string): Error {
    this.injected++;
    file.writeErrors++;
    file.onWriteError();
    return systemError(code);
  }

  /** Bytes this call will move: all, or for no reason less. */
  private lengthOf(parts: readonly Uint8Array[], available: number): number {
    const wanted = Math.min(
      parts.reduce((sum, part) => sum + part.length, 0),
      Math.max(0, available),
    );
    if (!this.faultsOn || wanted < 2 || !this.random().chance(this.faults.short)) return wanted;
    return this.random().between(1, wanted - 1);
  }

  private copySlowly(length: number, copy: (start: number, end: number) => void): void {
    const middle = this.random().below(COPIES_PER_INTERRUPT) === 0 ? length >>> 1 : length;
    copy(0, middle);
    if (middle === length) return;
    this.interrupt();
    copy(middle, length);
  }

  /** One half, others run, the other half. */
  private transfer(
    parts: readonly Uint8Array[],
    length: number,
    move: (part: Uint8Array, done: number) => void,
  ): number {
    const isSlow = this.faultsOn && this.random().chance(this.faults.slow);
    const first = isSlow ? this.random().below(length + 1) : length;
    this.forEachPart(parts, 0, first, move);
    if (!isSlow) return length;
    this.interrupt();
    this.forEachPart(parts, first, length, move);
    return length;
  }

  private forEachPart(
    parts: readonly Uint8Array[],
    from: number,
    to: number,
    move: (part: Uint8Array, done: number) => void,
  ): number {
    let start = 0;
    for (const part of parts) {
      const low = Math.max(from, start);
      const high = Math.min(to, start + part.length);
      if (low < high) move(part.subarray(low - start, high - start), low);
      start += part.length;
    }
    return to;
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(`simulated ${code}`), { code });
}
