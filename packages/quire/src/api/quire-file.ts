/** QuireFile: a file behind the page cache, with the methods of Node's FileHandle and their synchronous twins. */
import type { BigIntStats, Stats } from 'node:fs';
import { outOfRange } from '../base/errors.ts';
import { REGION_BYTES_MAX } from '../vm/region-table.ts';
import { checkSpan } from './arguments.ts';
import { isOfSystem } from './file-async.ts';
import { linesOf } from './file-lines.ts';
import {
  bufferOf,
  bytesOf,
  checkCount,
  encodeText,
  type FileSpan,
  fillSpan,
  OWN_POSITION,
  positionOf,
  type ReadOptions,
  type SpanOptions,
  vectorOf,
} from './file-span.ts';
import { HeldPages } from './held-pages.ts';
import type { OpenFile } from './open-file.ts';

type View = NodeJS.ArrayBufferView;
type Position = number | bigint | null;

/** Bytes of a file held in place. Dispose of it soon: what is pinned cannot be reclaimed. */
export interface FilePin extends Disposable {
  /**
   * Zero-copy view, valid until the pin is released. Of a handle that writes, storing to it writes the file, which
   * learns of it with the release. Of one that only reads, it must not be stored to.
   */
  readonly bytes: Uint8Array;
  release(): void;
}

export interface LineOptions {
  /** First byte. Default 0. */
  readonly start?: number;
  /** Byte after the last one. Default: the end of the file. */
  readonly end?: number;
}

/** What a handle asks of the instance and the system (api/file-opener.ts). */
export interface FileOwner {
  /** Writes everything back and waits for the device; throws an error that this handle was not told of yet. */
  sync(file: OpenFile, withMetadata: boolean): Promise<void>;
  stat(file: OpenFile, bigint: boolean): Promise<Stats | BigIntStats>;
  /** Gives the handle up; the last one of a file writes back first. */
  close(file: QuireFile, handle: OpenFile): Promise<void>;
}

/**
 * A file of the file system, cached in the instance's memory and written back behind. All handles on one file, of all
 * threads of this process, share its pages: what one wrote the others read at once. Changes by others than this
 * instance are noticed when a file is opened that nobody has open here, by its size and time of change; meanwhile they
 * are not supported.
 *
 * Offsets, lengths and positions are bytes. Without a position (or with `null`) a call uses the handle's own position and
 * moves it; the asynchronous calls of that kind run one after the other. `flags` with 'a' write at the end of the file
 * whatever the position.
 *
 * Every method throws ERR_QUIRE_INVALID_ARG (a wrong type, or a handle that was not opened for this), ERR_QUIRE_RANGE,
 * ERR_QUIRE_CLOSED (closed or closing), ERR_QUIRE_FAILED (an invariant broke earlier), ERR_QUIRE_IO (`cause` is the
 * system's error), ERR_QUIRE_OUT_OF_MEMORY or ERR_QUIRE_SWAP_FULL when no page can be made free. A write is in memory
 * when it returns and on disk after `sync`; an error of writing back is reported by `sync` or `datasync`, once to every
 * handle, and the bytes stay dirty, so that it can be tried again.
 */
export class QuireFile implements AsyncDisposable {
  private readonly file: OpenFile;
  private readonly owner: FileOwner;
  private readonly span: FileSpan = { bytes: new Uint8Array(0), offset: 0, length: 0, position: 0 };
  private readonly pins = new Set<FilePin>();

  constructor(file: OpenFile, owner: FileOwner) {
    this.file = file;
    this.owner = owner;
  }

  get path(): string {
    return this.file.path;
  }

  /** Bytes of the file, as all its handles see it. */
  get size(): number {
    this.file.checkOpen();
    return this.file.space.size();
  }

  /** Returns the bytes read: fewer than asked at the end of the file, 0 behind it. Blocks while a page is read from disk. */
  readSync(buffer: View, offset?: number | null, length?: number | null, position?: Position): number;
  readSync(buffer: View, options?: SpanOptions): number;
  readSync(buffer: View, offsetOrOptions?: unknown, length?: unknown, position?: unknown): number {
    const { span } = this;
    fillSpan(span, buffer, offsetOrOptions, length, position);
    this.file.checkReads();
    return this.file.read(span.bytes, span.offset, span.length, span.position);
  }

  /** As `readSync`, without blocking the event loop. */
  read<T extends View>(
    buffer: T,
    offset?: number | null,
    length?: number | null,
    position?: Position,
  ): Promise<{ bytesRead: number; buffer: T }>;
  read<T extends View>(buffer: T, options?: SpanOptions): Promise<{ bytesRead: number; buffer: T }>;
  read<T extends View = Buffer>(options?: ReadOptions<T>): Promise<{ bytesRead: number; buffer: T }>;
  async read(
    bufferOrOptions?: unknown,
    offsetOrOptions?: unknown,
    length?: unknown,
    position?: unknown,
  ): Promise<{ bytesRead: number; buffer: View }> {
    const buffer = bufferOf(bufferOrOptions);
    const options = buffer === bufferOrOptions ? offsetOrOptions : bufferOrOptions;
    const span = { ...this.span };
    fillSpan(span, buffer, options, length, position);
    this.file.checkReads();
    const bytesRead = await this.file.run('read', span.position, () =>
      this.file.readLater(span.bytes, span.offset, span.length, span.position),
    );
    return { bytesRead, buffer };
  }

  /** Fills the buffers one after the other. */
  readvSync(buffers: readonly View[], position?: Position): number {
    const parts = vectorOf(buffers);
    const at = positionOf(position);
    this.file.checkReads();
    return this.file.readVector(parts, at);
  }

  async readv<T extends readonly View[]>(buffers: T, position?: Position): Promise<{ bytesRead: number; buffers: T }> {
    const parts = vectorOf(buffers);
    let at = positionOf(position);
    this.file.checkReads();
    const bytesRead = await this.file.run('read', at, async () => {
      let total = 0;
      for (const part of parts) {
        const got = await this.file.readLater(part, 0, part.length, at).catch(afterSome(total));
        total += got;
        if (got < part.length) break;
        if (at !== OWN_POSITION) at += got;
      }
      return total;
    });
    return { bytesRead, buffers };
  }

  /**
   * Returns the bytes written: all, or fewer when an error came in between, which the next call meets. May read from
   * disk what a block that is written in part holds beside it, and waits while too much of the memory is dirty.
   */
  writeSync(buffer: View, offset?: number | null, length?: number | null, position?: Position): number;
  writeSync(buffer: View, options?: SpanOptions): number;
  writeSync(text: string, position?: Position, encoding?: BufferEncoding): number;
  writeSync(data: unknown, offsetOrPosition?: unknown, lengthOrEncoding?: unknown, position?: unknown): number {
    const { span } = this;
    fillSource(span, data, offsetOrPosition, lengthOrEncoding, position);
    this.file.checkWrites();
    return this.file.write(span.bytes, span.offset, span.length, span.position);
  }

  /** As `writeSync`, without blocking the event loop on reads. The buffer must not change until it is done. */
  write<T extends View>(
    buffer: T,
    offset?: number | null,
    length?: number | null,
    position?: Position,
  ): Promise<{ bytesWritten: number; buffer: T }>;
  write<T extends View>(buffer: T, options?: SpanOptions): Promise<{ bytesWritten: number; buffer: T }>;
  write(
    text: string,
    position?: Position,
    encoding?: BufferEncoding,
  ): Promise<{ bytesWritten: number; buffer: string }>;
  async write(
    data: unknown,
    offsetOrPosition?: unknown,
    lengthOrEncoding?: unknown,
    position?: unknown,
  ): Promise<{ bytesWritten: number; buffer: unknown }> {
    const span = { ...this.span };
    fillSource(span, data, offsetOrPosition, lengthOrEncoding, position);
    this.file.checkWrites();
    const bytesWritten = await this.file.run('write', span.position, () =>
      this.file.writeLater(span.bytes, span.offset, span.length, span.position),
    );
    return { bytesWritten, buffer: data };
  }

  /** Writes the buffers one after the other; when appending, in one piece. */
  writevSync(buffers: readonly View[], position?: Position): number {
    const parts = this.writeParts(buffers);
    const at = positionOf(position);
    this.file.checkWrites();
    return this.file.writeVector(parts, at);
  }

  async writev<T extends readonly View[]>(
    buffers: T,
    position?: Position,
  ): Promise<{ bytesWritten: number; buffers: T }> {
    const parts = this.writeParts(buffers);
    let at = positionOf(position);
    this.file.checkWrites();
    const bytesWritten = await this.file.run('write', at, async () => {
      let total = 0;
      for (const part of parts) {
        const written = await this.file.writeLater(part, 0, part.length, at).catch(afterSome(total));
        total += written;
        if (written < part.length) break;
        if (at !== OWN_POSITION) at += written;
      }
      return total;
    });
    return { bytesWritten, buffers };
  }

  /** The rest of the file, from the handle's own position on: bytes, or text in UTF-8. */
  async readFile(options?: { readonly encoding?: null } | null): Promise<Buffer>;
  async readFile(options: { readonly encoding: BufferEncoding } | BufferEncoding): Promise<string>;
  async readFile(
    options?: { readonly encoding?: BufferEncoding | null } | BufferEncoding | null,
  ): Promise<Buffer | string> {
    const encoding = typeof options === 'string' ? options : (options?.encoding ?? undefined);
    if (encoding !== undefined) encodeText('', encoding);
    this.file.checkReads();
    const bytes = await this.file.run('read', OWN_POSITION, () => this.file.readRest());
    return encoding === undefined ? bytes : bytes.toString(encoding);
  }

  /** Writes all of `data` at the handle's own position. */
  async writeFile(data: View | string, encoding?: BufferEncoding): Promise<void> {
    const bytes = typeof data === 'string' ? encodeText(data, encoding) : bytesOf('data', data);
    this.file.checkWrites();
    await this.file.run('write', OWN_POSITION, async () => {
      for (let done = 0; done < bytes.length; ) {
        done += await this.file.writeLater(bytes, done, bytes.length - done, OWN_POSITION);
      }
    });
  }

  /** As `writeFile`, whose flags decide where: open with 'a' to append. */
  appendFile(data: View | string, encoding?: BufferEncoding): Promise<void> {
    return this.writeFile(data, encoding);
  }

  /**
   * Lines in UTF-8, without their '\n' or '\r\n'; the last one need not have an end. Does not move the handle's own
   * position and does not close the handle.
   */
  readLines(options: LineOptions = {}): AsyncGenerator<string, void, undefined> {
    const start = checkCount('start', options.start ?? 0);
    const end = options.end === undefined ? Number.POSITIVE_INFINITY : checkCount('end', options.end);
    this.file.checkReads();
    const readAt = (target: Uint8Array, position: number): Promise<number> => {
      this.file.checkReads();
      return this.file.run('read', position, () => this.file.readLater(target, 0, target.length, position));
    };
    return linesOf(readAt, start, end);
  }

  /**
   * Holds `length` bytes at `offset` in place and gives them as one zero-copy view: inside the file, and inside one folio
   * of its pages, which is made as large as needed (at most 2 MiB, naturally aligned). Blocks while pages are read from disk.
   * Throws ERR_QUIRE_RANGE for a range that no such folio holds, ERR_QUIRE_OUT_OF_MEMORY when a page of it is pinned elsewhere.
   */
  pin(offset: number, length: number): FilePin {
    checkSpan(offset, length, REGION_BYTES_MAX);
    if (length === 0) throw outOfRange('length', 'at least 1', 0);
    this.file.checkReads();
    const held = this.file.pin(offset, length);
    const pin = new HeldPages(held.bytes, () => {
      held.release();
      this.pins.delete(pin);
    });
    this.pins.add(pin);
    return pin;
  }

  /** Cuts the file off at `length` bytes, or extends it with zeros. */
  async truncate(length = 0): Promise<void> {
    checkCount('length', length);
    if (length > REGION_BYTES_MAX) throw outOfRange('length', `at most ${REGION_BYTES_MAX}`, length);
    this.file.checkWrites();
    await this.file.run('truncate', 0, async () => this.file.space.truncate(length));
  }

  /** Everything written so far, by any handle, is on the device when this resolves: bytes and what is known of the file. */
  async sync(): Promise<void> {
    this.file.checkOpen();
    await this.file.run('sync', 0, () => this.owner.sync(this.file, true));
  }

  /** As `sync`, without times and other metadata that reading the bytes does not need. */
  async datasync(): Promise<void> {
    this.file.checkOpen();
    await this.file.run('sync', 0, () => this.owner.sync(this.file, false));
  }

  /** As the system knows the file, with the size as it is here; times are those of the last writeback. */
  async stat(options?: { readonly bigint?: false }): Promise<Stats>;
  async stat(options: { readonly bigint: true }): Promise<BigIntStats>;
  async stat(options?: { readonly bigint?: boolean }): Promise<Stats | BigIntStats> {
    this.file.checkOpen();
    return this.file.run('stat', 0, () => this.owner.stat(this.file, options?.bigint === true));
  }

  /**
   * Releases the pins of this handle, waits for its calls under way and gives it up. The last handle of a file writes back
   * what is dirty first (without waiting for the device: that is `sync`); when that fails, the call rejects with
   * ERR_QUIRE_IO and the handle stays open, the bytes with it. Idempotent.
   */
  close(): Promise<void> {
    try {
      for (const pin of this.pins) pin.release();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.file.close(() => this.owner.close(this, this.file));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private writeParts(buffers: readonly View[]): readonly Uint8Array[] {
    const parts = vectorOf(buffers);
    return this.file.appends && parts.length > 1 ? [Buffer.concat(parts)] : parts;
  }
}

/** The bytes of a write: a view's, or a text's. */
function fillSource(
  span: FileSpan,
  data: unknown,
  offsetOrPosition: unknown,
  lengthOrEncoding: unknown,
  position: unknown,
): void {
  if (typeof data === 'string') fillSpan(span, encodeText(data, lengthOrEncoding), 0, null, offsetOrPosition);
  else fillSpan(span, data as View, offsetOrPosition, lengthOrEncoding, position);
}

/** Of a vector call: an error after some bytes went well is for the next call to meet. */
function afterSome(total: number): (error: unknown) => number {
  return (error) => {
    if (total > 0 && isOfSystem(error)) return 0;
    throw error;
  };
}
