/**
 * A Device in memory: sparse, deterministic, with faults put in on purpose. Tests and the simulator use it in place of the swap file.
 *
 * Each request asks `plan` for its fate first (undefined: it goes well). `damage` flips bits that lie in storage, `fail` and `heal` are the plan of a device that is
 * simply broken for a while.
 */
import type { Device } from '../base/port.ts';
import { DEVICE_BYTES } from '../swap/file-devices.ts';

export interface DeviceRequest {
  readonly op: 'read' | 'write';
  readonly offset: number;
  readonly length: number;
  /** Number of this request since the device was made, from 0. */
  readonly index: number;
}

/**
 * What becomes of a request that does not go well: it throws an error with this `code`, it transfers only the first `bytes` (a write stores them), or, for a read, the
 * byte at `at` (from the request's start) is delivered with `mask` xored into it, while what is stored stays right.
 */
export type DeviceFault =
  | { readonly kind: 'error'; readonly code: string }
  | { readonly kind: 'short'; readonly bytes: number }
  | { readonly kind: 'flip'; readonly at: number; readonly mask: number };

export type FaultPlan = (request: DeviceRequest) => DeviceFault | undefined;

const BLOCK_BYTES = 64 * 1024;

export class MemoryDevice implements Device {
  /** Fate of each request; replaceable at any time. */
  plan: FaultPlan | undefined;
  /** What a `readAsync` waits for before it touches storage; default: one turn of the event loop. */
  delay: (request: DeviceRequest) => Promise<void> = nextTurn;
  /** Called in the middle of each write, after the source was read: what other threads may do meanwhile. */
  duringWrite: ((request: DeviceRequest) => void) | undefined;
  /** Called in the middle of each read, after storage was read. */
  duringRead: ((request: DeviceRequest) => void) | undefined;
  reads = 0;
  writes = 0;
  bytesWritten = 0;
  cuts = 0;
  /** One past the last byte ever stored, to whole blocks: where a file of this content ends. */
  end = 0;
  private requests = 0;
  private readonly blocks = new Map<number, Uint8Array>();

  read(offset: number, target: Uint8Array, start: number, length: number): number {
    const request = this.admit('read', offset, length);
    return this.transferRead(request, target, start);
  }

  async readAsync(offset: number, target: Uint8Array, start: number, length: number): Promise<number> {
    const request = this.admit('read', offset, length);
    await this.delay(request);
    return this.transferRead(request, target, start);
  }

  write(offset: number, source: Uint8Array, start: number, length: number): number {
    const request = this.admit('write', offset, length);
    const fault = this.plan?.(request);
    if (fault?.kind === 'error') throw deviceError(fault.code, 'write');
    const count = fault?.kind === 'short' ? Math.min(fault.bytes, length) : length;
    // Through a copy: the source is shared memory, which others may change while a real device reads it.
    this.store(offset, Uint8Array.from(source.subarray(start, start + count)));
    this.writes++;
    this.bytesWritten += count;
    this.duringWrite?.(request);
    return count;
  }

  cut(offset: number): void {
    const device = Math.floor(offset / DEVICE_BYTES);
    this.cuts++;
    for (const number of [...this.blocks.keys()]) {
      const at = number * BLOCK_BYTES;
      if (at >= offset && Math.floor(at / DEVICE_BYTES) === device) this.blocks.delete(number);
    }
  }

  /** Bytes stored, in whole blocks. */
  get bytesStored(): number {
    return this.blocks.size * BLOCK_BYTES;
  }

  /** Requests of this kind throw `code` until `heal`. */
  fail(op: 'read' | 'write' | 'both', code: string): void {
    this.plan = (request) => (op === 'both' || request.op === op ? { kind: 'error', code } : undefined);
  }

  heal(): void {
    this.plan = undefined;
  }

  /** Flips bits of the byte at `offset` as it is stored. */
  damage(offset: number, mask = 0xff): void {
    const block = this.blockAt(offset);
    block[offset % BLOCK_BYTES] ^= mask;
  }

  /** Bytes as they are stored, without faults and without counting. */
  peek(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at++) {
      bytes[at] = this.blocks.get(Math.floor((offset + at) / BLOCK_BYTES))?.[(offset + at) % BLOCK_BYTES] ?? 0;
    }
    return bytes;
  }

  private admit(op: 'read' | 'write', offset: number, length: number): DeviceRequest {
    if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(length) || length < 0) {
      throw new RangeError(`device request out of range: ${op} ${offset} ${length}`);
    }
    return { op, offset, length, index: this.requests++ };
  }

  private transferRead(request: DeviceRequest, target: Uint8Array, start: number): number {
    const fault = this.plan?.(request);
    if (fault?.kind === 'error') throw deviceError(fault.code, 'read');
    const wanted = Math.max(0, Math.min(request.length, this.end - request.offset));
    const count = fault?.kind === 'short' ? Math.min(fault.bytes, wanted) : wanted;
    let done = 0;
    while (done < count) {
      const at = request.offset + done;
      const step = Math.min(BLOCK_BYTES - (at % BLOCK_BYTES), count - done);
      const block = this.blocks.get(Math.floor(at / BLOCK_BYTES));
      if (block === undefined) target.fill(0, start + done, start + done + step);
      else target.set(block.subarray(at % BLOCK_BYTES, (at % BLOCK_BYTES) + step), start + done);
      done += step;
    }
    if (fault?.kind === 'flip' && fault.at < count) target[start + fault.at] ^= fault.mask;
    this.reads++;
    this.duringRead?.(request);
    return count;
  }

  private store(offset: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      const at = offset + done;
      const step = Math.min(BLOCK_BYTES - (at % BLOCK_BYTES), bytes.length - done);
      this.blockAt(at).set(bytes.subarray(done, done + step), at % BLOCK_BYTES);
      done += step;
    }
  }

  private blockAt(offset: number): Uint8Array {
    const number = Math.floor(offset / BLOCK_BYTES);
    let block = this.blocks.get(number);
    if (block === undefined) {
      block = new Uint8Array(BLOCK_BYTES);
      this.blocks.set(number, block);
      this.end = Math.max(this.end, (number + 1) * BLOCK_BYTES);
    }
    return block;
  }
}

/** As node:fs throws it. */
function deviceError(code: string, syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected fault, ${syscall}`), { code, syscall });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
