/** Whole values: GET, SET and their relatives. */
import { KEEP_EXPIRY } from 'quire';
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { wrongArity } from '../dispatcher.ts';
import type { Database } from '../keyspace.ts';
import { CommandError } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';
import { deadline, isPast, parseSetOptions, type SetOptions } from './set-options.ts';

/** Replies the value of `key`, or nil, and counts the hit or miss. True for a hit. */
function replyValue(db: Database, key: Uint8Array, out: ReplyWriter): boolean {
  if (out.valueOf(db.map, key)) {
    db.hits++;
    return true;
  }
  db.misses++;
  out.nil();
  return false;
}

function get(client: Client, request: Request, out: ReplyWriter): void {
  replyValue(client.db, request.arg(1), out);
}

function set(client: Client, request: Request, out: ReplyWriter): void {
  if (request.count === 3) {
    client.db.set(request.arg(1), request.arg(2));
    out.ok();
    return;
  }
  setWithOptions(client.db, request, parseSetOptions(request, 3, 'set'), out);
}

function setWithOptions(db: Database, request: Request, options: SetOptions, out: ReplyWriter): void {
  const key = request.arg(1);
  const expiresAtMs = deadline(request, options, 'set', db.map.now());
  if (options.isGet) replyValue(db, key, out);
  if (options.isIfAbsent || options.isIfPresent) {
    if (db.map.has(key) === options.isIfAbsent) {
      if (!options.isGet) out.nil();
      return;
    }
  }
  db.set(key, request.arg(2), options.isKeepTtl ? KEEP_EXPIRY : expiresAtMs);
  if (!options.isGet) out.ok();
}

function setnx(client: Client, request: Request, out: ReplyWriter): void {
  const key = request.arg(1);
  const isAbsent = !client.db.map.has(key);
  if (isAbsent) client.db.set(key, request.arg(2));
  out.integer(isAbsent ? 1 : 0);
}

/** SETEX and PSETEX: key, time, value. */
function setFor(unit: 'EX' | 'PX', name: string) {
  return (client: Client, request: Request, out: ReplyWriter): void => {
    const options = { unit, timeIndex: 2 } as const;
    const expiresAtMs = deadline(request, options, name, client.db.map.now());
    client.db.set(request.arg(1), request.arg(3), expiresAtMs);
    out.ok();
  };
}

function getset(client: Client, request: Request, out: ReplyWriter): void {
  replyValue(client.db, request.arg(1), out);
  client.db.set(request.arg(1), request.arg(2));
}

function getdel(client: Client, request: Request, out: ReplyWriter): void {
  if (replyValue(client.db, request.arg(1), out)) client.db.delete(request.arg(1));
}

function getex(client: Client, request: Request, out: ReplyWriter): void {
  const { db } = client;
  const key = request.arg(1);
  const options = parseSetOptions(request, 2, 'getex');
  if (!db.map.has(key)) {
    db.misses++;
    out.nil();
    return;
  }
  const nowMs = db.map.now();
  const expiresAtMs = deadline(request, options, 'getex', nowMs);
  replyValue(db, key, out);
  if (options.isPersist) {
    if (db.map.expiry(key) > 0) db.setExpiry(key, 0);
  } else if (expiresAtMs > 0) {
    if (isPast(expiresAtMs, nowMs)) db.delete(key);
    else db.setExpiry(key, expiresAtMs);
  }
}

function mget(client: Client, request: Request, out: ReplyWriter): void {
  out.array(request.count - 1);
  for (let i = 1; i < request.count; i++) replyValue(client.db, request.arg(i), out);
}

function requirePairs(request: Request, name: string): void {
  if (request.count % 2 === 0) throw new CommandError(wrongArity(name));
}

function mset(client: Client, request: Request, out: ReplyWriter): void {
  requirePairs(request, 'mset');
  for (let i = 1; i < request.count; i += 2) client.db.set(request.arg(i), request.arg(i + 1));
  out.ok();
}

/** All or nothing, also when the room runs out in the middle. */
function msetnx(client: Client, request: Request, out: ReplyWriter): void {
  requirePairs(request, 'msetnx');
  const { db } = client;
  for (let i = 1; i < request.count; i += 2) {
    if (!db.map.has(request.arg(i))) continue;
    out.integer(0);
    return;
  }
  let i = 1;
  try {
    for (; i < request.count; i += 2) db.set(request.arg(i), request.arg(i + 1));
  } catch (error) {
    for (let done = 1; done < i; done += 2) db.delete(request.arg(done));
    throw error;
  }
  out.integer(1);
}

export const stringHandlers: Handlers = {
  get,
  set,
  setnx,
  setex: setFor('EX', 'setex'),
  psetex: setFor('PX', 'psetex'),
  getset,
  getdel,
  getex,
  mget,
  mset,
  msetnx,
};
