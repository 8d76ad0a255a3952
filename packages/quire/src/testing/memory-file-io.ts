/**
 * FileIo in memory: files of plain bytes, with faults put in on purpose. Each request asks `plan` for its fate first
 * (undefined: it goes well). `held` lists asynchronous reads that wait to be let go, so that a test can do something in
 * between.
 */
import type { FileIo } from '../base/port.ts';

export interface FileRequest {
  readonly op: 'read' | 'write' | 'truncate';
  readonly fd: number;
  readonly position: number;
  readonly length: number;
  /** Number of this request since the device was made, from 0. */
  readonly index: number;
}

/** The request throws an error with this `code`, or transfers only the first `bytes`. */
export type FileFault =
  | { readonly kind: 'error'; readonly code: string }
  | { readonly kind: 'short'; readonly bytes: number };

export class MemoryFileIo implements FileIo {
  plan: ((request: FileRequest) => FileFault | undefined) | undefined;
  /** What an asynchronous read waits for before it touches the file; default: one turn of the event loop. */
  delay: (request: FileRequest) => Promise<void> = () => new Promise((resolve) => setImmediate(resolve));
  /** Called in the middle of each request, after its bytes were taken (write) or delivered (read). */
  during: ((request: FileRequest) => void) | undefined;
  /** Milliseconds: moves only when a test moves it. */
  clock = 1000;
  reads = 0;
  writes = 0;
  bytesWritten = 0;
  private requests = 0;
  private readonly contents = new Map<number, Uint8Array>();

  /** The bytes of a file as they are on disk. */
  bytes(fd: number): Uint8Array {
    return this.contents.get(fd) ?? new Uint8Array(0);
  }

  /** Makes the file what `bytes` says, as another process would. */
  put(fd: number, bytes: Uint8Array): void {
    this.contents.set(fd, Uint8Array.from(bytes));
  }

  now(): number {
    return this.clock;
  }

  pause(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  readv(fd: number, targets: readonly Uint8Array[], position: number): number {
    const request = this.admit('read', fd, position, sum(targets));
    return this.transferRead(request, targets);
  }

  async readvAsync(fd: number, targets: readonly Uint8Array[], position: number): Promise<number> {
    const request = this.admit('read', fd, position, sum(targets));
    await this.delay(request);
    return this.transferRead(request, targets);
  }

  writev(fd: number, sources: readonly Uint8Array[], position: number): number {
    const request = this.admit('write', fd, position, sum(sources));
    const count = this.fate(request);
    // Through a copy: the source is shared memory, which others may change while a real file system reads it.
    const whole = new Uint8Array(request.length);
    let at = 0;
    for (const source of sources) {
      whole.set(source, at);
      at += source.length;
    }
    if (count > 0) this.resize(fd, Math.max(this.bytes(fd).length, position + count));
    this.bytes(fd).set(whole.subarray(0, count), position);
    this.writes++;
    this.bytesWritten += count;
    this.during?.(request);
    return count;
  }

  truncate(fd: number, size: number): void {
    const request = this.admit('truncate', fd, size, 0);
    this.fate(request);
    this.resize(fd, size);
    this.during?.(request);
  }

  /** Requests of this kind throw `code` until `heal`. */
  fail(op: FileRequest['op'], code: string): void {
    this.plan = (request) => (request.op === op ? { kind: 'error', code } : undefined);
  }

  heal(): void {
    this.plan = undefined;
  }

  private admit(op: FileRequest['op'], fd: number, position: number, length: number): FileRequest {
    if (!Number.isInteger(fd) || fd < 0) throw fileFault('EBADF', op);
    if (!Number.isSafeInteger(position) || position < 0) throw new RangeError(`${op} at ${position}`);
    return { op, fd, position, length, index: this.requests++ };
  }

  /** Bytes the request may transfer. */
  private fate(request: FileRequest): number {
    const fault = this.plan?.(request);
    if (fault?.kind === 'error') throw fileFault(fault.code, request.op);
    return fault === undefined ? request.length : Math.min(fault.bytes, request.length);
  }

  private transferRead(request: FileRequest, targets: readonly Uint8Array[]): number {
    const content = this.bytes(request.fd);
    const count = Math.min(this.fate(request), Math.max(0, content.length - request.position));
    let at = 0;
    for (const target of targets) {
      const step = Math.min(target.length, count - at);
      if (step <= 0) break;
      target.set(content.subarray(request.position + at, request.position + at + step));
      at += step;
    }
    this.reads++;
    this.during?.(request);
    return count;
  }

  private resize(fd: number, size: number): void {
    const before = this.bytes(fd);
    if (before.length === size) return;
    const after = new Uint8Array(size);
    after.set(before.subarray(0, size));
    this.contents.set(fd, after);
  }
}

function sum(parts: readonly Uint8Array[]): number {
  return parts.reduce((bytes, part) => bytes + part.length, 0);
}

/** As node:fs throws it. */
function fileFault(code: string, syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected fault, ${syscall}`), { code, syscall });
}
