/** OBJECT: how a value would be held. The encodings are what Redis would have chosen; the values here are bytes in the arena. */
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { type Database, KIND_RAW, KIND_TEXT } from '../keyspace.ts';
import { fail } from '../reply-error.ts';
import { INT64_TEXT_BYTES_MAX, parseInt64 } from '../resp/integer.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';
import { replyHelp } from './help.ts';
import { EMBEDDED_BYTES_MAX } from './string-ranges.ts';

const scratch = Buffer.alloc(INT64_TEXT_BYTES_MAX);
/** Redis shares the integers below 10,000 and says so with this count. */
const SHARED_INTEGERS = 10000;
const SHARED_REFCOUNT = 0x7fffffff;

const HELP = [
  'ENCODING <key>',
  '    Return the kind of internal representation used in order to store the value',
  '    associated with a <key>.',
  'FREQ <key>',
  '    Return the access frequency index of the <key>. The returned integer is',
  '    proportional to the logarithm of the recent access frequency of the key.',
  'IDLETIME <key>',
  '    Return the idle time of the <key>, that is the approximated number of',
  '    seconds elapsed since the last access to the key.',
  'REFCOUNT <key>',
  '    Return the number of references of the value associated with the specified',
  '    <key>.',
];

/** The integer a value is held as; undefined when it is held as text. */
function heldInteger(db: Database, key: Uint8Array, length: number): number | bigint | undefined {
  if (length > INT64_TEXT_BYTES_MAX || db.map.kind(key) !== 0) return undefined;
  db.map.getInto(key, scratch, 0);
  return parseInt64(scratch, 0, length);
}

function encodingOf(db: Database, key: Uint8Array, length: number): string {
  const kind = db.map.kind(key);
  if (kind === KIND_RAW || length > EMBEDDED_BYTES_MAX) return 'raw';
  if (kind === KIND_TEXT) return 'embstr';
  return heldInteger(db, key, length) === undefined ? 'embstr' : 'int';
}

/** Runs `answer` with the value's length, or replies nil. */
function withKey(answer: (db: Database, key: Uint8Array, length: number, out: ReplyWriter) => void) {
  return (client: Client, request: Request, out: ReplyWriter): void => {
    const key = request.arg(2);
    const length = client.db.map.valueLength(key);
    if (length < 0) out.nil();
    else answer(client.db, key, length, out);
  };
}

function refcount(db: Database, key: Uint8Array, length: number, out: ReplyWriter): void {
  const value = heldInteger(db, key, length);
  const isShared = value !== undefined && value >= 0 && value < SHARED_INTEGERS;
  out.integer(isShared ? SHARED_REFCOUNT : 1);
}

function freq(): void {
  fail(
    'An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies ' +
      'at runtime LRU and LFU data will take some time to adjust.',
  );
}

export const objectHandlers: Handlers = {
  'object|encoding': withKey((db, key, length, out) => out.bulkText(encodingOf(db, key, length))),
  'object|refcount': withKey(refcount),
  'object|idletime': withKey((_db, _key, _length, out) => out.integer(0)),
  'object|freq': withKey(freq),
  'object|help': (_client, _request, out) => replyHelp('OBJECT', HELP, out),
};
