/** Whole keys: DEL, EXISTS, TYPE, RENAME, COPY, RANDOMKEY, and the emptying of databases. */
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import type { Database } from '../keyspace.ts';
import { fail, failNotInteger, failSyntax } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';
import type { Server } from '../server.ts';

/** Tries of RANDOMKEY to meet a key that has not expired. */
const RANDOM_TRIES_MAX = 100;

function del(client: Client, request: Request, out: ReplyWriter): void {
  let deleted = 0;
  for (let i = 1; i < request.count; i++) if (client.db.delete(request.arg(i))) deleted++;
  out.integer(deleted);
}

/** Counts the keys that are there, each as often as it is named. */
function exists(client: Client, request: Request, out: ReplyWriter): void {
  const { db } = client;
  let found = 0;
  for (let i = 1; i < request.count; i++) if (db.map.has(request.arg(i))) found++;
  db.hits += found;
  db.misses += request.count - 1 - found;
  out.integer(found);
}

function type(client: Client, request: Request, out: ReplyWriter): void {
  out.simple(client.db.map.has(request.arg(1)) ? 'string' : 'none');
}

/** Moves value, expiry and kind. False when the target exists and must not be replaced. */
function transfer(from: Database, source: Uint8Array, to: Database, target: Uint8Array, isReplace: boolean): boolean {
  if (!isReplace && to.map.has(target)) return false;
  const value = from.map.get(source)!;
  to.set(target, value, from.map.expiry(source), from.map.kind(source));
  return true;
}

function isSameKey(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function rename(client: Client, request: Request, out: ReplyWriter): void {
  const { db } = client;
  const source = request.arg(1);
  const target = request.arg(2);
  if (!db.map.has(source)) fail('no such key');
  if (!isSameKey(source, target)) {
    transfer(db, source, db, target, true);
    db.delete(source);
  }
  out.ok();
}

function renamenx(client: Client, request: Request, out: ReplyWriter): void {
  const { db } = client;
  const source = request.arg(1);
  const target = request.arg(2);
  if (!db.map.has(source)) fail('no such key');
  const isMoved = !isSameKey(source, target) && transfer(db, source, db, target, false);
  if (isMoved) db.delete(source);
  out.integer(isMoved ? 1 : 0);
}

/** A database number argument; only 32-bit integers are read at all. */
export function databaseIndex(request: Request, index: number, count: number): number {
  const given = request.integer(index);
  if (given === undefined) failNotInteger();
  if (given > 0x7fffffff || given < -0x80000000) {
    fail('value is out of range, value must between -2147483648 and 2147483647');
  }
  if (given < 0 || given >= count) fail('DB index is out of range');
  return given;
}

function randomkey(client: Client, _request: Request, out: ReplyWriter): void {
  const { map } = client.db;
  for (let i = 0; i < RANDOM_TRIES_MAX; i++) {
    const key = map.randomKey();
    if (key === undefined) break;
    if (!map.has(key)) continue;
    out.bulk(key);
    return;
  }
  out.nil();
}

function checkFlushOptions(request: Request): void {
  if (request.count > 2) failSyntax();
  if (request.count === 2 && !request.is(1, 'SYNC') && !request.is(1, 'ASYNC')) failSyntax();
}

export function keyHandlers(server: Server): Handlers {
  function copy(client: Client, request: Request, out: ReplyWriter): void {
    let target = client.db;
    let isReplace = false;
    for (let i = 3; i < request.count; i++) {
      if (request.is(i, 'REPLACE')) isReplace = true;
      else if (request.is(i, 'DB') && i + 1 < request.count) {
        target = server.keyspace.database(databaseIndex(request, ++i, server.keyspace.count));
      } else failSyntax();
    }
    const source = request.arg(1);
    const key = request.arg(2);
    if (target === client.db && isSameKey(source, key)) fail('source and destination objects are the same');
    const isCopied = client.db.map.has(source) && transfer(client.db, source, target, key, isReplace);
    out.integer(isCopied ? 1 : 0);
  }

  return {
    del,
    unlink: del,
    exists,
    touch: exists,
    type,
    rename,
    renamenx,
    copy,
    randomkey,
    dbsize: (client, _request, out) => out.integer(client.db.map.count),
    flushdb: (client, request, out) => {
      checkFlushOptions(request);
      client.db.clear();
      out.ok();
    },
    flushall: (_client, request, out) => {
      checkFlushOptions(request);
      for (const db of server.keyspace.open()) db.clear();
      out.ok();
    },
  };
}
