/** SCAN and KEYS. */
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { Glob } from '../glob.ts';
import type { Database } from '../keyspace.ts';
import { fail, failNotInteger, failSyntax } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';

/** Keys visited by one step of KEYS. */
const STEP = 1024;

interface ScanOptions {
  count: number;
  glob: Glob | undefined;
  /** False for a TYPE that no key has: all are strings. */
  isStringWanted: boolean;
}

/** A cursor as strtoul reads it. One beyond the safe integers was never given out: it is answered as a finished scan. */
function parseCursor(text: string): number {
  if (!/^[+-]?\d*$/.test(text) || text.length > 20) fail('invalid cursor');
  return text === '' ? 0 : Number(text);
}

function parseOptions(request: Request): ScanOptions {
  const options: ScanOptions = { count: 10, glob: undefined, isStringWanted: true };
  for (let i = 2; i < request.count; i += 2) {
    const hasValue = i + 1 < request.count;
    if (hasValue && request.is(i, 'COUNT')) {
      const count = request.integer(i + 1);
      if (count === undefined) failNotInteger();
      if (count < 1) failSyntax();
      options.count = count;
    } else if (hasValue && request.is(i, 'MATCH')) {
      options.glob = new Glob(request.arg(i + 1));
    } else if (hasValue && request.is(i, 'TYPE')) {
      options.isStringWanted = request.lower(i + 1) === 'string';
    } else {
      failSyntax();
    }
  }
  return options;
}

/** Live keys of one step, copied: the map lends them only during the visit. */
function visit(db: Database, cursor: number, count: number, glob: Glob | undefined, keys: Uint8Array[]): number {
  const first = keys.length;
  const next = db.map.scan(cursor, count, (key) => {
    if (glob === undefined || glob.matches(key)) keys.push(Uint8Array.prototype.slice.call(key));
  });
  if (db.map.expiringCount === 0) return next;
  let kept = first;
  for (let i = first; i < keys.length; i++) if (db.map.has(keys[i])) keys[kept++] = keys[i];
  keys.length = kept;
  return next;
}

function scan(client: Client, request: Request, out: ReplyWriter): void {
  const cursor = parseCursor(request.text(1));
  const options = parseOptions(request);
  const keys: Uint8Array[] = [];
  let next = 0;
  if (client.db.map.count > 0 && cursor >= 0 && Number.isSafeInteger(cursor)) {
    next = visit(client.db, cursor, Math.min(options.count, 0x7fffffff), options.glob, keys);
  }
  if (!options.isStringWanted) keys.length = 0;
  out.array(2);
  out.bulkText(String(next));
  out.array(keys.length);
  for (const key of keys) out.bulk(key);
}

function keys(client: Client, request: Request, out: ReplyWriter): void {
  const glob = new Glob(request.arg(1));
  const mark = out.mark();
  let count = 0;
  let cursor = 0;
  do {
    const step: Uint8Array[] = [];
    cursor = visit(client.db, cursor, STEP, glob, step);
    for (const key of step) out.bulk(key);
    count += step.length;
  } while (cursor !== 0);
  const pieces = out.cut(mark);
  out.array(count);
  for (const piece of pieces) out.raw(piece);
}

export const scanHandlers: Handlers = { scan, keys };
