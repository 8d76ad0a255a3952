/** Bits of values: GETBIT, SETBIT, BITCOUNT, BITPOS. Bit 0 is the highest bit of byte 0. Long values are read in pieces. */
import { type ByteMap, KEEP_EXPIRY } from 'quire';
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { VALUE_BYTES_MAX } from '../config.ts';
import { KIND_RAW } from '../keyspace.ts';
import { fail, failNotInteger, failSyntax } from '../reply-error.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';
import { clampRange, EMBEDDED_BYTES_MAX, isReversed, writeInPlace } from './string-ranges.ts';

const PIECE_BYTES = 64 * 1024;
const piece = Buffer.alloc(PIECE_BYTES);
const single = new Uint8Array(1);

const POPCOUNT = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
});

function bitOffset(request: Request, index: number): number {
  const offset = request.integer(index);
  if (offset === undefined || offset < 0 || offset >= VALUE_BYTES_MAX * 8) {
    fail('bit offset is not an integer or out of range');
  }
  return offset;
}

function byteAt(map: ByteMap, key: Uint8Array, offset: number): number {
  return map.readRange(key, offset, single, 0, 1) > 0 ? single[0] : 0;
}

function getbit(client: Client, request: Request, out: ReplyWriter): void {
  const offset = bitOffset(request, 2);
  const byte = byteAt(client.db.map, request.arg(1), Math.floor(offset / 8));
  out.integer((byte >> (7 - (offset & 7))) & 1);
}

function setbit(client: Client, request: Request, out: ReplyWriter): void {
  const { db } = client;
  const offset = bitOffset(request, 2);
  const bit = request.integer(3);
  if (bit === undefined || (bit !== 0 && bit !== 1)) fail('bit is not an integer or out of range');
  const key = request.arg(1);
  const at = Math.floor(offset / 8);
  const length = db.map.valueLength(key);
  const before = byteAt(db.map, key, at);
  const mask = 128 >> (offset & 7);
  const after = bit === 1 ? before | mask : before & ~mask;
  if (after !== before || at >= length) writeInPlace(db, key, at, Uint8Array.of(after));
  else if (length <= EMBEDDED_BYTES_MAX) markRaw(db.map, key);
  out.integer((before & mask) === 0 ? 0 : 1);
}

/** Redis unshares the value even when no bit changes: from then on it is 'raw'. */
function markRaw(map: ByteMap, key: Uint8Array): void {
  if (map.kind(key) === KIND_RAW) return;
  const value = map.get(key);
  if (value !== undefined) map.set(key, value, KEEP_EXPIRY, KIND_RAW);
}

interface BitRange {
  /** First and last bit, both inclusive. */
  start: number;
  end: number;
}

/** The bits between the arguments at `first` and `first + 1`, counted in the unit that may follow; undefined when there are none. */
function bitRange(start: number, end: number, isBits: boolean, bytes: number): BitRange | undefined {
  const range = clampRange(start, end, isBits ? bytes * 8 : bytes);
  if (range === undefined) return undefined;
  return isBits ? range : { start: range.start * 8, end: range.end * 8 + 7 };
}

function isBitUnit(request: Request, index: number): boolean {
  if (index >= request.count) return false;
  if (request.is(index, 'BIT')) return true;
  if (!request.is(index, 'BYTE')) failSyntax();
  return false;
}

function bitcount(client: Client, request: Request, out: ReplyWriter): void {
  const { map } = client.db;
  const key = request.arg(1);
  const length = map.valueLength(key);
  if (length < 0) {
    out.integer(0);
    return;
  }
  if (request.count === 3 || request.count > 5) failSyntax();
  let range: BitRange | undefined = length === 0 ? undefined : { start: 0, end: length * 8 - 1 };
  if (request.count > 2) {
    const start = request.integer(2);
    const end = request.integer(3);
    if (start === undefined || end === undefined) failNotInteger();
    if (isReversed(start, end)) range = undefined;
    else range = bitRange(start, end, isBitUnit(request, 4), length);
  }
  out.integer(range === undefined ? 0 : countBits(map, key, range));
}

/** Set bits of the range. */
function countBits(map: ByteMap, key: Uint8Array, { start, end }: BitRange): number {
  const first = Math.floor(start / 8);
  const last = Math.floor(end / 8);
  let count = 0;
  for (let at = first; at <= last; at += PIECE_BYTES) {
    const bytes = map.readRange(key, at, piece, 0, Math.min(PIECE_BYTES, last - at + 1));
    if (at === first) piece[0] &= 0xff >> (start & 7);
    if (at + bytes - 1 === last) piece[bytes - 1] &= 0xff << (7 - (end & 7));
    for (let i = 0; i < bytes; i++) count += POPCOUNT[piece[i]];
  }
  return count;
}

function bitpos(client: Client, request: Request, out: ReplyWriter): void {
  const bit = request.integer(2);
  if (bit === undefined) failNotInteger();
  if (bit !== 0 && bit !== 1) fail('The bit argument must be 1 or 0.');
  const { map } = client.db;
  const key = request.arg(1);
  const length = map.valueLength(key);
  if (length < 0) {
    out.integer(bit === 1 ? -1 : 0);
    return;
  }
  if (request.count > 6) failSyntax();
  const start = request.count > 3 ? request.integer(3) : 0;
  if (start === undefined) failNotInteger();
  const isBits = isBitUnit(request, 5);
  const end = request.count > 4 ? request.integer(4) : -1;
  if (end === undefined) failNotInteger();
  const range = bitRange(start, end, isBits, length);
  out.integer(range === undefined ? -1 : findBit(map, key, range, bit, request.count > 4));
}

/** Position of the first `bit` of the range. Without an end given, zeros follow the value for ever. */
function findBit(map: ByteMap, key: Uint8Array, { start, end }: BitRange, bit: 0 | 1, isEndGiven: boolean): number {
  const first = Math.floor(start / 8);
  const last = Math.floor(end / 8);
  /** Bytes that hold no such bit. */
  const skip = bit === 1 ? 0 : 0xff;
  for (let at = first; at <= last; at += PIECE_BYTES) {
    const bytes = map.readRange(key, at, piece, 0, Math.min(PIECE_BYTES, last - at + 1));
    for (let i = 0; i < bytes; i++) {
      if (piece[i] === skip && at + i !== first) continue;
      const found = findInByte(piece[i], (at + i) * 8, bit, start, end);
      if (found >= 0) return found;
    }
  }
  return bit === 0 && !isEndGiven ? (last + 1) * 8 : -1;
}

function findInByte(byte: number, base: number, bit: 0 | 1, start: number, end: number): number {
  for (let i = 0; i < 8; i++) {
    const position = base + i;
    if (position >= start && position <= end && ((byte >> (7 - i)) & 1) === bit) return position;
  }
  return -1;
}

export const bitHandlers: Handlers = { getbit, setbit, bitcount, bitpos };
