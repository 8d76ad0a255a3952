/**
 * Reads commands out of a stream of chunks, whatever way the stream was cut.
 *
 *   direct   the command lies whole in the chunk: arguments are offsets into the chunk, nothing is copied
 *   carried  it does not: its bytes move to `carry`, which holds that one command and never a byte more; once it is complete
 *            the parser goes on in the chunk, directly
 *   big      an argument of 32 KiB and more that arrives in pieces gets a buffer of exactly its size, filled in place
 *   dropped  an argument longer than a value may be, or beyond the request's limit: counted down, kept nowhere
 *
 *          '*' line            '$' line           length reached
 *   START ──────────▶ HEADER ──────────▶ BODY ──────────────────▶ HEADER, or READY after the last
 *     └── any other line: an inline command, READY at its newline
 *
 * A request's lines end at '\r' plus one byte, inline ones at '\n'; lengths, limits and error texts are those of Redis 7.0.
 */
import { splitInline } from './inline.ts';
import { parseInt64 } from './integer.ts';
import { Request } from './request.ts';

/** What `next()` found. */
export const MORE = 0;
export const READY = 1;
export const FAILED = 2;
const NOTHING = 3;
export type Outcome = typeof MORE | typeof READY | typeof FAILED;

const START = 0;
const HEADER = 1;
const BODY = 2;

const CR = 13;
const LF = 10;
const STAR = 42;
const DOLLAR = 36;

/** Longest line without an end (PROTO_INLINE_MAX_SIZE). */
export const LINE_BYTES_MAX = 64 * 1024;
/** Longest bulk of the protocol: beyond it the stream cannot be trusted (proto-max-bulk-len's default). */
export const BULK_BYTES_MAX = 512 * 1024 * 1024;
/** Arguments from here on, when they arrive in pieces, are assembled in place (PROTO_MBULK_BIG_ARG). */
const BIG_BYTES = 32 * 1024;
/** What an argument costs besides its bytes, for the limit of a request. */
const ARGUMENT_OVERHEAD_BYTES = 64;
/** A client that has not given the password may say little (Redis 6.2.6, CVE-2021-32675). */
const UNAUTHENTICATED_ARGUMENTS_MAX = 10;
const UNAUTHENTICATED_BULK_BYTES_MAX = 16384;

export interface ParserLimits {
  /** Longest argument that is kept, in bytes. */
  valueBytesMax: number;
  /** Bytes of one request, 64 for each argument included. */
  requestBytesMax: number;
}

export class RequestParser {
  /** The command `next()` found; valid until the following call. */
  readonly request = new Request();
  /** The protocol error after FAILED, without '-ERR '. */
  error = '';
  /** The password is still owed. */
  isRestricted = false;

  private readonly limits: ParserLimits;
  private chunk: Uint8Array = Buffer.alloc(0);
  private position = 0;
  private end = 0;
  private carry = Buffer.alloc(0);
  private carryBytes = 0;
  private isCarrying = false;
  private phase = START;
  /** Offset in the buffer being parsed of the line or body to look at next. */
  private cursor = 0;
  /** How far the line at `cursor` was searched for its end. */
  private searched = 0;
  private argumentsLeft = 0;
  private bulkBytes = 0;
  private requestBytes = 0;
  private isDropping = false;
  private big: Buffer | undefined;
  /** Bytes of a big or dropped body, its line end included, that have arrived. */
  private bodyBytes = 0;

  constructor(limits: ParserLimits) {
    this.limits = limits;
  }

  /** Sets the bytes that `next()` reads: `chunk[start, end)`, unchanged until `next()` says MORE. */
  feed(chunk: Uint8Array, start: number, end: number): void {
    this.chunk = chunk;
    this.position = start;
    this.end = end;
  }

  /** A copy of the bytes fed and not read yet. */
  takeRest(): Buffer {
    const rest = Buffer.allocUnsafeSlow(this.end - this.position);
    rest.set(this.chunk.subarray(this.position, this.end));
    this.position = this.end;
    return rest;
  }

  /** Bytes held for a command that is not complete. */
  get heldBytes(): number {
    return (this.isCarrying ? this.carry.length : 0) + (this.big === undefined ? 0 : this.big.length);
  }

  next(): Outcome {
    for (;;) {
      if (this.isCarrying) {
        const outcome = this.nextCarried();
        if (outcome !== NOTHING) return outcome;
        continue;
      }
      if (this.position === this.end) return MORE;
      this.phase = START;
      this.cursor = this.position;
      this.searched = this.position;
      this.request.begin(this.chunk, this.position);
      const outcome = this.advance(this.chunk, this.position, this.end);
      if (outcome === READY) {
        this.position = this.cursor;
        return READY;
      }
      if (outcome === FAILED) return FAILED;
      if (outcome === MORE) this.startCarry();
      else this.position = this.cursor;
    }
  }

  /** Moves the beginning of a command out of the chunk. */
  private startCarry(): void {
    const base = this.position;
    const kept = this.phase === BODY && this.isAssembled() ? this.cursor : this.end;
    this.growCarry(kept - base, 0);
    this.carry.set(this.chunk.subarray(base, kept), 0);
    this.carryBytes = kept - base;
    this.position = kept;
    this.cursor -= base;
    this.searched = Math.max(this.searched - base, 0);
    this.isCarrying = true;
    this.request.source = this.carry;
    this.request.base = 0;
  }

  private nextCarried(): Outcome | typeof NOTHING {
    while (this.position < this.end) {
      if (this.phase === BODY && this.isAssembled()) {
        if (!this.fillBody()) return MORE;
      } else {
        this.absorb();
      }
      const outcome = this.advance(this.carry, 0, this.carryBytes);
      if (outcome === FAILED) return FAILED;
      if (outcome === MORE) continue;
      this.isCarrying = false;
      if (outcome === READY) this.releaseCarry();
      return outcome;
    }
    return MORE;
  }

  /** The request keeps the carried bytes; the parser keeps the buffer for the next one only when it is small. */
  private releaseCarry(): void {
    if (this.carry.length > BIG_BYTES) this.carry = Buffer.alloc(0);
    this.carryBytes = 0;
  }

  /** Runs the state machine over `source[cursor, end)`. On MORE the cursor stays on the line or body that is not complete. */
  private advance(source: Uint8Array, base: number, end: number): Outcome | typeof NOTHING {
    if (this.phase === START) {
      if (source[this.cursor] !== STAR) return this.readInline(source, base, end);
      const outcome = this.readCount(source, end);
      if (outcome !== READY) return outcome;
    }
    while (this.argumentsLeft > 0) {
      if (this.phase === HEADER) {
        const outcome = this.readHeader(source, end);
        if (outcome !== READY) return outcome;
      }
      const next = this.cursor + this.bulkBytes + 2;
      if (this.isDropping || next > end) return MORE;
      this.request.push(this.cursor - base, this.bulkBytes);
      this.finishArgument(next);
    }
    return READY;
  }

  private finishArgument(next: number): void {
    this.cursor = next;
    this.searched = next;
    this.argumentsLeft--;
    this.phase = HEADER;
  }

  private readCount(source: Uint8Array, end: number): Outcome | typeof NOTHING {
    const lineEnd = this.findLineEnd(source, end);
    if (lineEnd < 0) return this.lineOutcome(end, 'too big mbulk count string');
    const count = parseInt64(source, this.cursor + 1, lineEnd);
    if (count === undefined || count > 0x7fffffff) return this.fail('invalid multibulk length');
    if (this.isRestricted && count > UNAUTHENTICATED_ARGUMENTS_MAX)
      return this.fail('unauthenticated multibulk length');
    this.cursor = lineEnd + 2;
    this.searched = this.cursor;
    if (count <= 0) return NOTHING;
    this.argumentsLeft = Number(count);
    this.requestBytes = 0;
    this.isDropping = false;
    this.phase = HEADER;
    return READY;
  }

  private readHeader(source: Uint8Array, end: number): Outcome {
    const lineEnd = this.findLineEnd(source, end);
    if (lineEnd < 0) return this.lineOutcome(end, 'too big bulk count string');
    if (source[this.cursor] !== DOLLAR) {
      return this.fail(`expected '$', got '${String.fromCharCode(source[this.cursor])}'`);
    }
    const length = parseInt64(source, this.cursor + 1, lineEnd);
    if (length === undefined || length < 0 || length > BULK_BYTES_MAX) return this.fail('invalid bulk length');
    if (this.isRestricted && length > UNAUTHENTICATED_BULK_BYTES_MAX) return this.fail('unauthenticated bulk length');
    this.bulkBytes = Number(length);
    this.requestBytes += this.bulkBytes + ARGUMENT_OVERHEAD_BYTES;
    this.isDropping =
      this.bulkBytes > this.limits.valueBytesMax ||
      this.requestBytes > this.limits.requestBytesMax ||
      this.request.isOversize;
    this.cursor = lineEnd + 2;
    this.phase = BODY;
    this.bodyBytes = 0;
    return READY;
  }

  private readInline(source: Uint8Array, base: number, end: number): Outcome | typeof NOTHING {
    const limit = Math.min(end, base + LINE_BYTES_MAX + 1);
    let at = this.searched;
    while (at < limit && source[at] !== LF) at++;
    this.searched = at;
    if (at === limit) return at - base > LINE_BYTES_MAX ? this.fail('too big inline request') : MORE;
    const lineEnd = at > base && source[at - 1] === CR ? at - 1 : at;
    const words = splitInline(source, base, lineEnd);
    if (words === undefined) return this.fail('unbalanced quotes in request');
    this.cursor = at + 1;
    if (words.length === 0) return NOTHING;
    this.request.begin(Buffer.concat(words), 0);
    let start = 0;
    for (const word of words) {
      this.request.push(start, word.length);
      start += word.length;
    }
    return READY;
  }

  /** Offset of the '\r' that ends the line at the cursor, with a byte behind it; -1 when it has not arrived. */
  private findLineEnd(source: Uint8Array, end: number): number {
    let at = this.searched;
    while (at < end && source[at] !== CR) at++;
    this.searched = at;
    return at + 1 < end ? at : -1;
  }

  private lineOutcome(end: number, error: string): Outcome {
    return end - this.cursor > LINE_BYTES_MAX ? this.fail(error) : MORE;
  }

  private fail(error: string): typeof FAILED {
    this.error = `Protocol error: ${error}`;
    return FAILED;
  }

  /** The body at hand does not go through the carry buffer. */
  private isAssembled(): boolean {
    return this.isDropping || this.bulkBytes >= BIG_BYTES;
  }

  /** Moves bytes of a big body to its buffer, or drops them. True when the body is complete. */
  private fillBody(): boolean {
    const total = this.bulkBytes + 2;
    if (!this.isDropping && this.big === undefined) this.big = Buffer.allocUnsafeSlow(total);
    const step = Math.min(total - this.bodyBytes, this.end - this.position);
    if (this.big !== undefined) {
      this.big.set(this.chunk.subarray(this.position, this.position + step), this.bodyBytes);
    }
    this.position += step;
    this.bodyBytes += step;
    if (this.bodyBytes < total) return false;
    if (this.big !== undefined) this.request.pushBig(this.big.subarray(0, this.bulkBytes));
    else this.request.isOversize = true;
    this.big = undefined;
    this.isDropping = false;
    this.finishArgument(this.cursor);
    return true;
  }

  /** Carries the bytes that the line or body at the cursor still needs, as far as they are here. */
  private absorb(): void {
    const available = this.end - this.position;
    const missing = this.phase === BODY ? this.cursor + this.bulkBytes + 2 - this.carryBytes : this.lineBytesMissing();
    const step = Math.min(missing, available);
    this.growCarry(this.carryBytes + step, this.phase === BODY ? this.cursor + this.bulkBytes + 2 : 0);
    this.carry.set(this.chunk.subarray(this.position, this.position + step), this.carryBytes);
    this.carryBytes += step;
    this.position += step;
  }

  /** Bytes of the chunk up to and with the end of the current line, or all of them. */
  private lineBytesMissing(): number {
    const isInline = this.phase === START && this.carryBytes > 0 && this.carry[0] !== STAR;
    if (!isInline && this.carryBytes > this.cursor && this.carry[this.carryBytes - 1] === CR) return 1;
    const terminator = isInline ? LF : CR;
    let at = this.position;
    while (at < this.end && this.chunk[at] !== terminator) at++;
    return at - this.position + (isInline ? 1 : 2);
  }

  private growCarry(bytes: number, expectedBytes: number): void {
    if (bytes <= this.carry.length && expectedBytes <= this.carry.length) return;
    const room = Math.max(bytes, expectedBytes, Math.min(this.carry.length * 2, this.limits.requestBytesMax), 256);
    const grown = Buffer.allocUnsafeSlow(room);
    grown.set(this.carry.subarray(0, this.carryBytes), 0);
    this.carry = grown;
    this.request.source = grown;
  }
}
