/** Parts of values: APPEND, STRLEN, GETRANGE, SETRANGE. */
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { VALUE_BYTES_MAX } from '../config.ts';
import { type Database, KIND_RAW } from '../keyspace.ts';
import { fail, failNotInteger } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';

/** Values up to this long are 'embstr' when stored whole and 'raw' when changed in place (OBJ_ENCODING_EMBSTR_SIZE_LIMIT). */
export const EMBEDDED_BYTES_MAX = 44;

/** Throws when a value of this many bytes would be too long. */
export function checkValueLength(bytes: number): void {
  if (bytes > VALUE_BYTES_MAX) fail('string exceeds maximum allowed size (proto-max-bulk-len)');
}

/**
 * Writes inside or past a value that may be short; returns the new length. A short value is stored anew, to note that it was changed in
 * place; a long one is 'raw' in any case and only the written bytes are touched.
 */
export function writeInPlace(db: Database, key: Uint8Array, offset: number, source: Uint8Array): number {
  const before = db.map.valueLength(key);
  const length = Math.max(before, offset + source.length);
  if (length > EMBEDDED_BYTES_MAX) return db.writeRange(key, offset, source);
  const value = new Uint8Array(length);
  db.map.getInto(key, value, 0);
  value.set(source, offset);
  db.replace(key, value, KIND_RAW);
  return length;
}

function append(client: Client, request: Request, out: ReplyWriter): void {
  const { db } = client;
  const key = request.arg(1);
  const before = db.map.valueLength(key);
  if (before < 0) {
    db.set(key, request.arg(2));
    out.integer(request.length(2));
    return;
  }
  checkValueLength(before + request.length(2));
  out.integer(writeInPlace(db, key, before, request.arg(2)));
}

function strlen(client: Client, request: Request, out: ReplyWriter): void {
  const length = client.db.map.valueLength(request.arg(1));
  if (length < 0) client.db.misses++;
  else client.db.hits++;
  out.integer(Math.max(length, 0));
}

function getrange(client: Client, request: Request, out: ReplyWriter): void {
  const start = request.integer(2);
  const end = request.integer(3);
  if (start === undefined || end === undefined) failNotInteger();
  const key = request.arg(1);
  const length = client.db.map.valueLength(key);
  if (length < 0) client.db.misses++;
  else client.db.hits++;
  const range = isReversed(start, end) ? undefined : clampRange(start, end, Math.max(length, 0));
  if (range === undefined) out.bulkText('');
  else out.rangeOf(client.db.map, key, range.start, range.end - range.start + 1);
}

/** Both from the end, and the wrong way round. `clampRange` alone would move both to the beginning, as BITPOS does. */
export function isReversed(start: number, end: number): boolean {
  return start < 0 && end < 0 && start > end;
}

/** `start` and `end`, both inclusive, negative ones counted from the end of `length` units; undefined when nothing is between them. */
export function clampRange(start: number, end: number, length: number): { start: number; end: number } | undefined {
  const from = Math.max(start < 0 ? length + start : start, 0);
  const to = Math.min(Math.max(end < 0 ? length + end : end, 0), length - 1);
  return from > to || length === 0 ? undefined : { start: from, end: to };
}

function setrange(client: Client, request: Request, out: ReplyWriter): void {
  const { db } = client;
  const offset = request.integer(2);
  if (offset === undefined) failNotInteger();
  if (offset < 0) fail('offset is out of range');
  const key = request.arg(1);
  const before = db.map.valueLength(key);
  if (request.length(3) === 0) {
    out.integer(Math.max(before, 0));
    return;
  }
  checkValueLength(offset + request.length(3));
  out.integer(writeInPlace(db, key, offset, request.arg(3)));
}

export const stringRangeHandlers: Handlers = { append, strlen, getrange, substr: getrange, setrange };
