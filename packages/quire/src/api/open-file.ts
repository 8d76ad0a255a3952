/**
 * One handle on a file: its rights, its own position, what is under way, and how errors leave it. QuireFile
 * (api/quire-file.ts) gives it the shape of Node's FileHandle.
 *
 *   open ──close()──► closing: new calls are refused, those under way end ──► written back ──► closed
 *                        └──── cannot be written back: open again, the data still there
 */
import * as L from '../arena/layout.ts';
import { outOfRange, QuireError } from '../base/errors.ts';
import type { ErrorCursor } from '../page-cache/errseq.ts';
import type { FileSpace } from '../page-cache/file-space.ts';
import type { Readahead } from '../page-cache/readahead.ts';
import type { Memory } from '../vm/memory.ts';
import { REGION_BYTES_MAX } from '../vm/region-table.ts';
import { FileAsync } from './file-async.ts';
import { fileError } from './file-error.ts';
import type { FileAccess } from './file-flags.ts';
import { OWN_POSITION } from './file-span.ts';
import type { WritePace } from './write-pace.ts';

/** The file may grow while it is read: one more read finds out. */
const REST_BYTES_MIN = 64 * 1024;

/** What a handle keeps for itself. */
export interface HandleState {
  readonly readahead: Readahead;
  readonly pace: WritePace;
  readonly errors: ErrorCursor;
}

export class OpenFile {
  readonly path: string;
  readonly space: FileSpace;
  /** Which errors of writeback it was told of. */
  readonly errors: ErrorCursor;
  private readonly memory: Memory;
  private readonly home: Int32Array;
  private readonly access: FileAccess;
  private readonly readahead: Readahead;
  private readonly ways: FileAsync;
  /** Where reads and writes without a position go on. */
  private position = 0;
  /** Async calls without a position run one after the other, in the order of the calls. */
  private turn: Promise<unknown> = Promise.resolve();
  private inFlight = 0;
  private onIdle: (() => void) | undefined;
  private closing: Promise<void> | undefined;

  constructor(path: string, memory: Memory, space: FileSpace, access: FileAccess, state: HandleState) {
    this.path = path;
    this.memory = memory;
    this.home = memory.nodes[0].words;
    this.space = space;
    this.access = access;
    this.errors = state.errors;
    this.readahead = state.readahead;
    this.ways = new FileAsync(space, state.readahead, state.pace, () => memory.checkAlive());
  }

  checkOpen(): void {
    if (this.closing !== undefined) throw new QuireError('ERR_QUIRE_CLOSED', `file '${this.path}' is closed`);
    // A hint is enough: the instance may end at any moment, also behind an atomic load, which is a call.
    if (this.home[L.H_STATE] !== L.STATE_OPEN) this.memory.checkAlive();
  }

  checkReads(): void {
    this.checkOpen();
    if (!this.access.reads) throw new QuireError('ERR_QUIRE_INVALID_ARG', `'${this.path}' is open for writing only`);
  }

  checkWrites(): void {
    this.checkOpen();
    if (!this.access.writes) throw new QuireError('ERR_QUIRE_INVALID_ARG', `'${this.path}' is open for reading only`);
  }

  get writes(): boolean {
    return this.access.writes;
  }

  get appends(): boolean {
    return this.access.appends;
  }

  read(bytes: Uint8Array, offset: number, length: number, position: number): number {
    try {
      const at = position === OWN_POSITION ? this.position : position;
      const got = this.space.read(at, bytes, offset, length);
      this.readahead.onRead(at + got);
      if (position === OWN_POSITION) this.position = at + got;
      return got;
    } catch (error) {
      throw this.failure('read', error);
    }
  }

  write(bytes: Uint8Array, offset: number, length: number, position: number): number {
    try {
      if (this.access.appends) return this.appended(position, this.space.append(bytes, offset, length));
      const at = this.writePosition(position, length);
      const written = this.space.write(at, bytes, offset, length);
      if (position === OWN_POSITION) this.position = at + written;
      return written;
    } catch (error) {
      throw this.failure('write', error);
    }
  }

  /** As `read`, into the parts one after the other. */
  readVector(parts: readonly Uint8Array[], position: number): number {
    try {
      const at = position === OWN_POSITION ? this.position : position;
      const got = this.space.readVector(at, parts);
      this.readahead.onRead(at + got);
      if (position === OWN_POSITION) this.position = at + got;
      return got;
    } catch (error) {
      throw this.failure('read', error);
    }
  }

  /** As `write`, the parts one after the other; one part at most when the handle appends. */
  writeVector(parts: readonly Uint8Array[], position: number): number {
    if (parts.length === 0) return 0;
    if (this.access.appends) return this.write(parts[0], 0, parts[0].length, position);
    try {
      let length = 0;
      for (const part of parts) length += part.length;
      const at = this.writePosition(position, length);
      const written = this.space.writeVector(at, parts);
      if (position === OWN_POSITION) this.position = at + written;
      return written;
    } catch (error) {
      throw this.failure('write', error);
    }
  }

  /** Inside `run`. */
  async readLater(bytes: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    const at = position === OWN_POSITION ? this.position : position;
    const got = await this.ways.read(at, bytes, offset, length);
    this.readahead.onRead(at + got);
    if (position === OWN_POSITION) this.position = at + got;
    return got;
  }

  /** Inside `run`. */
  async writeLater(bytes: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    if (this.access.appends) return this.appended(position, await this.ways.append(bytes, offset, length));
    const at = this.writePosition(position, length);
    const written = await this.ways.write(at, bytes, offset, length);
    if (position === OWN_POSITION) this.position = at + written;
    return written;
  }

  /** Inside `run`: from the handle's own position to the end of the file. */
  async readRest(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (;;) {
      const part = bufferFor(Math.max(REST_BYTES_MIN, this.space.size() - this.position));
      const got = await this.readLater(part, 0, part.length, OWN_POSITION);
      parts.push(part.subarray(0, got));
      if (got < part.length) return parts.length === 1 ? parts[0] : Buffer.concat(parts);
    }
  }

  pin(offset: number, length: number): { readonly bytes: Uint8Array; release(): void } {
    try {
      const held = this.space.pin(offset, length, this.access.writes);
      return { bytes: held.bytes, release: () => this.space.unpin(held) };
    } catch (error) {
      throw this.failure('pin', error);
    }
  }

  /** Runs an async call that `close` waits for. `position`: of the call, OWN_POSITION puts it in line. */
  run<T>(doing: string, position: number, call: () => Promise<T>): Promise<T> {
    this.inFlight++;
    const guarded = async (): Promise<T> => {
      try {
        this.memory.checkAlive();
        return await call();
      } catch (error) {
        throw this.failure(doing, error);
      } finally {
        if (--this.inFlight === 0) this.onIdle?.();
      }
    };
    if (position !== OWN_POSITION) return guarded();
    const result = this.turn.then(guarded);
    this.turn = result.catch(() => undefined);
    return result;
  }

  /** `giveUp` writes back and gives the handle up; when it throws, the handle is open again. One promise for all callers. */
  close(giveUp: () => Promise<void>): Promise<void> {
    this.closing ??= this.closeOnce(giveUp);
    return this.closing;
  }

  private async closeOnce(giveUp: () => Promise<void>): Promise<void> {
    if (this.inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
      this.onIdle = undefined;
    }
    await this.ways.settled();
    try {
      await giveUp();
    } catch (error) {
      this.closing = undefined;
      throw this.failure('close', error);
    }
  }

  /** Closed for good, whatever cannot be written. */
  abandon(giveUp: () => Promise<void>): Promise<void> {
    this.closing = giveUp();
    return this.closing;
  }

  failure(doing: string, error: unknown): unknown {
    return this.memory.latch(fileError(this.path, doing, error));
  }

  private writePosition(position: number, length: number): number {
    const at = position === OWN_POSITION ? this.position : position;
    if (at + length > REGION_BYTES_MAX)
      throw outOfRange('position + length', `at most ${REGION_BYTES_MAX}`, at + length);
    return at;
  }

  /** As with O_APPEND: the position goes to the end of what was appended, unless the call named one (pwrite). */
  private appended(position: number, result: { readonly position: number; readonly written: number }): number {
    if (position === OWN_POSITION) this.position = result.position + result.written;
    return result.written;
  }
}

/** What one Buffer can be depends on the version of Node and on the machine. */
function bufferFor(bytes: number): Buffer {
  try {
    return Buffer.allocUnsafe(bytes);
  } catch {
    throw outOfRange('the rest of the file', 'small enough for one Buffer', bytes);
  }
}
