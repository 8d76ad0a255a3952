/** Expiry of keys: EXPIRE and its kin, TTL and its kin, PERSIST. */
import type { Client } from '../client.ts';
import type { Handler, Handlers } from '../command-table.ts';
import { fail, failNotInteger } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';
import { isPast, toMoment } from './set-options.ts';

interface Condition {
  isIfNone: boolean;
  isIfAny: boolean;
  isIfLater: boolean;
  isIfSooner: boolean;
}

function parseCondition(request: Request): Condition {
  const condition: Condition = { isIfNone: false, isIfAny: false, isIfLater: false, isIfSooner: false };
  for (let i = 3; i < request.count; i++) {
    if (request.is(i, 'NX')) condition.isIfNone = true;
    else if (request.is(i, 'XX')) condition.isIfAny = true;
    else if (request.is(i, 'GT')) condition.isIfLater = true;
    else if (request.is(i, 'LT')) condition.isIfSooner = true;
    else fail(`Unsupported option ${request.text(i)}`);
  }
  const { isIfNone, isIfAny, isIfLater, isIfSooner } = condition;
  if (isIfNone && (isIfAny || isIfLater || isIfSooner)) {
    fail('NX and XX, GT or LT options at the same time are not compatible');
  }
  if (isIfLater && isIfSooner) fail('GT and LT options at the same time are not compatible');
  return condition;
}

/** `current` is 0 for a key that never expires, which counts as later than any moment. */
function holds(condition: Condition, current: number, moment: number): boolean {
  if (condition.isIfNone && current !== 0) return false;
  if (condition.isIfAny && current === 0) return false;
  if (condition.isIfLater && (current === 0 || moment <= current)) return false;
  return !(condition.isIfSooner && current !== 0 && moment >= current);
}

function expireBy(name: string, isSeconds: boolean, isRelative: boolean): Handler {
  return (client, request, out) => {
    const { db } = client;
    const condition = parseCondition(request);
    const given = request.int64(2);
    if (given === undefined) failNotInteger();
    const nowMs = db.map.now();
    const moment = toMoment(given, isSeconds, isRelative ? nowMs : 0, name);
    const key = request.arg(1);
    const current = db.map.expiry(key);
    if (current < 0 || !holds(condition, current, moment)) {
      out.integer(0);
      return;
    }
    if (isPast(moment, nowMs)) db.delete(key);
    else db.setExpiry(key, moment);
    out.integer(1);
  };
}

/** -2 without the key, -1 without an expiry. */
function timeLeft(isSeconds: boolean, isAbsolute: boolean): Handler {
  return (client, request, out) => {
    const { map } = client.db;
    const moment = map.expiry(request.arg(1));
    if (moment <= 0) {
      out.integer(moment < 0 ? -2 : -1);
      return;
    }
    const ms = isAbsolute ? moment : Math.max(moment - map.now(), 0);
    out.integer(isSeconds ? Math.floor((ms + 500) / 1000) : ms);
  };
}

function persist(client: Client, request: Request, out: ReplyWriter): void {
  const { db } = client;
  const key = request.arg(1);
  const hasExpiry = db.map.expiry(key) > 0;
  if (hasExpiry) db.setExpiry(key, 0);
  out.integer(hasExpiry ? 1 : 0);
}

export const expireHandlers: Handlers = {
  expire: expireBy('expire', true, true),
  pexpire: expireBy('pexpire', false, true),
  expireat: expireBy('expireat', true, false),
  pexpireat: expireBy('pexpireat', false, false),
  ttl: timeLeft(true, false),
  pttl: timeLeft(false, false),
  expiretime: timeLeft(true, true),
  pexpiretime: timeLeft(false, true),
  persist,
};
