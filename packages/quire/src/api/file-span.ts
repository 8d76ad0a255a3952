/**
 * The argument forms of `FileHandle.read` and `write`, turned into one: which bytes of which buffer, where in the file.
 *
 *   (buffer, offset?, length?, position?)   (buffer, { offset, length, position }?)   ({ buffer, offset, length, position }?)
 *   (text, position?, encoding?)
 *
 * Offset and length count bytes whatever the view's elements are. Stricter than Node where Node takes anything: what is
 * neither absent nor a number of the right kind is ERR_QUIRE_INVALID_ARG.
 */
import { invalidArg, outOfRange } from '../base/errors.ts';

/** Position of a span without one: the handle's own. */
export const OWN_POSITION = -1;

export interface FileSpan {
  bytes: Uint8Array;
  offset: number;
  length: number;
  /** Byte of the file, or OWN_POSITION. */
  position: number;
}

export interface SpanOptions {
  /** Byte of the buffer to begin at. Default 0. */
  readonly offset?: number | null;
  /** Bytes. Default: to the end of the buffer. */
  readonly length?: number | null;
  /** Byte of the file. Default, and for `null`: the handle's own position, which the call moves. */
  readonly position?: number | bigint | null;
}

export interface ReadOptions<T extends NodeJS.ArrayBufferView = Buffer> extends SpanOptions {
  /** Default: a new Buffer of 16 KiB. */
  readonly buffer?: T;
}

/** Of a read without a buffer, as Node's. */
const BUFFER_BYTES_DEFAULT = 16_384;

/** Fills `span` from the arguments of a call with a buffer. No object is made for a Uint8Array and positional arguments. */
export function fillSpan(
  span: FileSpan,
  buffer: NodeJS.ArrayBufferView,
  offsetOrOptions: unknown,
  length: unknown,
  position: unknown,
): void {
  // What most calls are; V8 inlines all of it.
  const isOwn = position === null || position === undefined;
  if (buffer instanceof Uint8Array && isCount(offsetOrOptions) && isCount(length) && (isOwn || isCount(position))) {
    const size = buffer.length;
    if (offsetOrOptions <= size && length <= size - offsetOrOptions) {
      if (span.bytes !== buffer) span.bytes = buffer;
      span.offset = offsetOrOptions;
      span.length = length;
      span.position = isOwn ? OWN_POSITION : position;
      return;
    }
  }
  const bytes = bytesOf('buffer', buffer);
  if (typeof offsetOrOptions === 'object' && offsetOrOptions !== null) {
    const options = offsetOrOptions as SpanOptions;
    fillRange(span, bytes, options.offset, options.length, options.position);
  } else fillRange(span, bytes, offsetOrOptions, length, position);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function fillRange(span: FileSpan, bytes: Uint8Array, offset: unknown, length: unknown, position: unknown): void {
  const { byteLength } = bytes;
  const from = offset === undefined || offset === null ? 0 : checkCount('offset', offset);
  if (from > byteLength) throw outOfRange('offset', `at most ${byteLength}`, from);
  const most = byteLength - from;
  const count = length === undefined || length === null ? most : checkCount('length', length);
  if (count > most) throw outOfRange('length', `at most ${most}`, count);
  span.bytes = bytes;
  span.offset = from;
  span.length = count;
  span.position = positionOf(position);
}

/** Splits `read({ buffer, … })` and `read()` from `read(buffer, …)`: the buffer, made when there is none. */
export function bufferOf(bufferOrOptions: unknown): NodeJS.ArrayBufferView {
  if (isView(bufferOrOptions)) return bufferOrOptions;
  if (bufferOrOptions === undefined || bufferOrOptions === null) return Buffer.alloc(BUFFER_BYTES_DEFAULT);
  if (typeof bufferOrOptions !== 'object' || isRawBuffer(bufferOrOptions)) {
    throw invalidArg('buffer', 'an ArrayBufferView', bufferOrOptions);
  }
  const { buffer } = bufferOrOptions as ReadOptions<NodeJS.ArrayBufferView>;
  if (buffer === undefined) return Buffer.alloc(BUFFER_BYTES_DEFAULT);
  if (!isView(buffer)) throw invalidArg('buffer', 'an ArrayBufferView', buffer);
  return buffer;
}

function isView(value: unknown): value is NodeJS.ArrayBufferView {
  return ArrayBuffer.isView(value);
}

function isRawBuffer(value: object): boolean {
  return value instanceof ArrayBuffer || value instanceof SharedArrayBuffer || Array.isArray(value);
}

export function encodeText(text: string, encoding: unknown): Uint8Array {
  const name = encoding ?? 'utf8';
  if (typeof name !== 'string' || !Buffer.isEncoding(name))
    throw invalidArg('encoding', 'an encoding of Buffer', encoding);
  return Buffer.from(text, name);
}

/** All buffers of a vector call, as bytes. */
export function vectorOf(buffers: unknown): Uint8Array[] {
  if (!Array.isArray(buffers)) throw invalidArg('buffers', 'an array of ArrayBufferViews', buffers);
  // The name of each only when it is needed.
  return buffers.map((buffer, index) => (buffer instanceof Uint8Array ? buffer : bytesOf(`buffers[${index}]`, buffer)));
}

export function bytesOf(name: string, view: unknown): Uint8Array {
  if (view instanceof Uint8Array) return view;
  if (!ArrayBuffer.isView(view)) throw invalidArg(name, 'an ArrayBufferView', view);
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

export function positionOf(position: unknown): number {
  if (position === null || position === undefined) return OWN_POSITION;
  const value = typeof position === 'bigint' ? Number(position) : position;
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw invalidArg('position', 'an integer ≥ 0, or null', position);
  }
  return value as number;
}

export function checkCount(name: string, value: unknown): number {
  if (!isCount(value)) throw invalidArg(name, 'an integer ≥ 0', value);
  return value;
}
