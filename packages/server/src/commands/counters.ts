/** INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT. */
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { type Database, KIND_PLAIN, KIND_TEXT } from '../keyspace.ts';
import { addLong, formatLong, isFiniteLong, parseLong } from '../long-double.ts';
import { fail, failNotInteger } from '../reply-error.ts';
import { INT64_MAX, INT64_MIN, INT64_TEXT_BYTES_MAX, narrow, parseInt64 } from '../resp/integer.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';

const scratch = Buffer.alloc(INT64_TEXT_BYTES_MAX);

/** The integer stored under `key`, 0 when there is none. Throws for any other value. */
function storedInteger(db: Database, key: Uint8Array): number | bigint {
  const length = db.map.getInto(key, scratch, 0);
  if (length < 0) return 0;
  const value = length > INT64_TEXT_BYTES_MAX ? undefined : parseInt64(scratch, 0, length);
  if (value === undefined) failNotInteger();
  return value;
}

function add(db: Database, key: Uint8Array, increment: number | bigint, out: ReplyWriter): void {
  const sum = addInt64(storedInteger(db, key), increment);
  db.replace(key, Buffer.from(String(sum), 'latin1'), KIND_PLAIN);
  out.integer(sum);
}

function addInt64(a: number | bigint, b: number | bigint): number | bigint {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const wide = BigInt(a) + BigInt(b);
  if (wide > INT64_MAX || wide < INT64_MIN) fail('increment or decrement would overflow');
  return narrow(wide);
}

function incrby(client: Client, request: Request, out: ReplyWriter): void {
  const increment = request.int64(2);
  if (increment === undefined) failNotInteger();
  add(client.db, request.arg(1), increment, out);
}

function decrby(client: Client, request: Request, out: ReplyWriter): void {
  const decrement = request.int64(2);
  if (decrement === undefined) failNotInteger();
  if (decrement === INT64_MIN) fail('decrement would overflow');
  add(client.db, request.arg(1), typeof decrement === 'number' ? 0 - decrement : -decrement, out);
}

function incrbyfloat(client: Client, request: Request, out: ReplyWriter): void {
  const { db } = client;
  const key = request.arg(1);
  const stored = db.map.get(key);
  const before = parseLong(stored === undefined ? '0' : Buffer.from(stored).toString('latin1'));
  if (before === undefined) fail('value is not a valid float');
  const increment = parseLong(request.text(2));
  if (increment === undefined) fail('value is not a valid float');
  const sum = addLong(before, increment);
  if (!isFiniteLong(sum)) fail('increment would produce NaN or Infinity');
  const text = Buffer.from(formatLong(sum), 'latin1');
  db.replace(key, text, KIND_TEXT);
  out.bulk(text);
}

export const counterHandlers: Handlers = {
  incr: (client, request, out) => add(client.db, request.arg(1), 1, out),
  decr: (client, request, out) => add(client.db, request.arg(1), -1, out),
  incrby,
  decrby,
  incrbyfloat,
};
