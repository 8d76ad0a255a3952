/** BITOP AND | OR | XOR | NOT: combines values bit by bit; shorter ones count as followed by zeros. */
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { KIND_RAW } from '../keyspace.ts';
import { fail, failSyntax } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';

type Operation = 'AND' | 'OR' | 'XOR' | 'NOT';
const OPERATIONS: readonly Operation[] = ['AND', 'OR', 'XOR', 'NOT'];

function bitop(client: Client, request: Request, out: ReplyWriter): void {
  const { db } = client;
  const operation = OPERATIONS.find((known) => request.is(1, known));
  if (operation === undefined) failSyntax();
  if (operation === 'NOT' && request.count !== 4) fail('BITOP NOT must be called with a single source key.');
  let length = 0;
  for (let i = 3; i < request.count; i++) length = Math.max(length, db.map.valueLength(request.arg(i)));
  const target = request.arg(2);
  if (length === 0) {
    db.delete(target);
  } else {
    const result = combine(operation, length, (index) => db.map.get(request.arg(3 + index)), request.count - 3);
    db.set(target, result, 0, KIND_RAW);
  }
  out.integer(length);
}

/** The combination of `count` values, one in memory at a time besides the result. */
function combine(
  operation: Operation,
  length: number,
  valueAt: (index: number) => Uint8Array | undefined,
  count: number,
): Uint8Array {
  const result = new Uint8Array(length);
  result.set(valueAt(0) ?? [], 0);
  if (operation === 'NOT') {
    for (let i = 0; i < length; i++) result[i] = ~result[i];
    return result;
  }
  for (let index = 1; index < count; index++) {
    const value = valueAt(index) ?? new Uint8Array(0);
    const common = value.length;
    if (operation === 'AND') {
      for (let i = 0; i < common; i++) result[i] &= value[i];
      result.fill(0, common);
    } else if (operation === 'OR') {
      for (let i = 0; i < common; i++) result[i] |= value[i];
    } else {
      for (let i = 0; i < common; i++) result[i] ^= value[i];
    }
  }
  return result;
}

export const bitopHandlers: Handlers = { bitop };
