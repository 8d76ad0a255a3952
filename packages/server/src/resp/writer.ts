/**
 * Writes replies into blocks. One writer serves all clients, one batch after the other: what a batch of commands answered is handed
 * to the socket before the next client's batch begins.
 *
 *   sealed: [block full] [value of 3 MiB, a buffer of its own] [block full]      block: [......pos            ]
 *
 * `mark()` before a command and `rewind()` after it failed take back everything the command wrote, so an error in the middle of an
 * MGET is an error reply and not a broken stream. Nothing is sent in the middle of a command for the same reason; what one command
 * may answer is bounded by `limitBytes` (`ReplyTooLarge`).
 *
 * Values go straight from the map into the block behind their bulk header. The header's width is not known before the length is, so
 * it is guessed (the last value's) and the value moved by a byte or two when the guess was wrong.
 */
import type { ByteMap } from 'quire';
import { BLOCK_BYTES, type BlockPool } from './block-pool.ts';

const CR = 13;
const LF = 10;
const ZERO = 48;
const PLUS = 43;
const MINUS = 45;
const COLON = 58;
const DOLLAR = 36;
const STAR = 42;
const PERCENT = 37;
const TILDE = 126;
const UNDERSCORE = 95;
const EQUALS = 61;
const COMMA = 44;
/** Different first words that are counted; the words are the server's own, so there are few. */
const ERROR_CODES_MAX = 128;

/** Room for a type byte, an integer of 20 digits and a line end. */
const HEADER_BYTES_MAX = 24;
/** '$' and line end. */
const HEADER_FIXED_BYTES = 3;

/** A command answered more than the limit for one reply. */
export class ReplyTooLarge extends Error {
  override readonly name = 'ReplyTooLarge';
}

interface Sealed {
  buffer: Buffer;
  length: number;
}

export class ReplyWriter {
  /** Protocol of the client being answered. */
  resp: 2 | 3 = 2;
  /** Replies sealed and waiting, in order; the current block follows them. */
  readonly sealed: Sealed[] = [];
  /** Most bytes one batch may hold before it is handed to the socket. */
  limitBytes = Number.MAX_SAFE_INTEGER;

  private readonly pool: BlockPool;
  private block: Buffer;
  private pos = 0;
  private sealedBytes = 0;
  private headerBytes = 7;
  /** Errors written (INFO's total_error_replies). */
  errorCount = 0;
  /** Errors by their first word. */
  readonly errorCounts = new Map<string, number>();

  constructor(pool: BlockPool) {
    this.pool = pool;
    this.block = pool.take();
  }

  /** Bytes written and not handed over. */
  get pending(): number {
    return this.sealedBytes + this.pos;
  }

  /** The current block and how much of it is written. */
  get currentBlock(): Buffer {
    return this.block;
  }

  get currentBytes(): number {
    return this.pos;
  }

  /** After a hand-over: forgets the replies. The current block is kept, or replaced when the socket still holds it. */
  reset(isBlockHeld: boolean): void {
    this.sealed.length = 0;
    this.sealedBytes = 0;
    this.pos = 0;
    if (isBlockHeld) this.block = this.pool.take();
  }

  /** A position to come back to: the number of bytes pending. */
  mark(): number {
    return this.sealedBytes + this.pos;
  }

  /** Takes back everything written since `mark`. */
  rewind(mark: number): void {
    while (this.sealedBytes > mark) {
      const last = this.sealed.pop()!;
      this.sealedBytes -= last.length;
      if (last.buffer.length !== BLOCK_BYTES) continue;
      this.pool.give(this.block);
      this.block = last.buffer;
    }
    this.pos = mark - this.sealedBytes;
  }

  ok(): void {
    this.simple('OK');
  }

  /** `+text`. ASCII, short. */
  simple(text: string): void {
    this.line(PLUS, text);
  }

  /** `-text`. Line ends in it become blanks; anything longer than a block is cut. */
  error(text: string): void {
    this.countError(text);
    const line = text.length > 1024 ? text.slice(0, 1024) : text;
    this.line(MINUS, line.replace(/[\r\n]/g, ' '));
  }

  /** A number that may be none whole: a double in RESP3, its text in RESP2. */
  double(value: number): void {
    if (this.resp === 3) this.line(COMMA, String(value));
    else this.bulkText(String(value));
  }

  integer(value: number | bigint): void {
    this.header(COLON, value);
  }

  /** An array of `count` replies, which follow. */
  array(count: number): void {
    this.header(STAR, count);
  }

  /** A map of `count` pairs, a flat array in RESP2. */
  map(count: number): void {
    if (this.resp === 3) this.header(PERCENT, count);
    else this.header(STAR, count * 2);
  }

  /** A set, an array in RESP2. */
  set(count: number): void {
    this.header(this.resp === 3 ? TILDE : STAR, count);
  }

  /** No value. */
  nil(): void {
    if (this.resp === 3) this.nil3();
    else this.header(DOLLAR, -1);
  }

  /** No array. */
  nilArray(): void {
    if (this.resp === 3) this.nil3();
    else this.header(STAR, -1);
  }

  bulk(bytes: Uint8Array): void {
    const length = bytes.length;
    this.header(DOLLAR, length);
    this.raw(bytes);
    this.lineEnd();
  }

  /** A bulk of text, one byte a character. */
  bulkText(text: string): void {
    const length = text.length;
    if (length + HEADER_BYTES_MAX > BLOCK_BYTES) {
      this.bulk(Buffer.from(text, 'latin1'));
      return;
    }
    this.reserve(length + HEADER_BYTES_MAX);
    this.header(DOLLAR, length);
    this.block.write(text, this.pos, length, 'latin1');
    this.pos += length;
    this.lineEnd();
  }

  /** Text for people: a verbatim string in RESP3, a bulk in RESP2. */
  verbatim(text: string): void {
    const bytes = Buffer.from(text, 'utf8');
    if (this.resp === 3) {
      this.header(EQUALS, bytes.length + 4);
      this.raw(Buffer.from('txt:'));
    } else {
      this.header(DOLLAR, bytes.length);
    }
    this.raw(bytes);
    this.lineEnd();
  }

  /** The value of `key` as a bulk. False, and nothing written, when there is none. */
  valueOf(map: ByteMap, key: Uint8Array): boolean {
    if (BLOCK_BYTES - this.pos < HEADER_BYTES_MAX) this.seal();
    const guess = this.headerBytes;
    const at = this.pos + guess;
    const length = map.getInto(key, this.block, at);
    if (length < 0) return false;
    if (at + length + 4 > BLOCK_BYTES) return this.wideValueOf(map, key, length);
    const width = digitsOf(length) + HEADER_FIXED_BYTES;
    if (width !== guess) {
      this.block.copyWithin(this.pos + width, at, at + length);
      this.headerBytes = width;
    }
    this.putHeader(DOLLAR, length);
    this.pos += length;
    const block = this.block;
    block[this.pos] = CR;
    block[this.pos + 1] = LF;
    this.pos += 2;
    return true;
  }

  /** `length` bytes of the value from `offset` as a bulk; they must be there. */
  rangeOf(map: ByteMap, key: Uint8Array, offset: number, length: number): void {
    if (length + HEADER_BYTES_MAX + 2 <= BLOCK_BYTES) {
      this.reserve(length + HEADER_BYTES_MAX + 2);
      this.header(DOLLAR, length);
      map.readRange(key, offset, this.block, this.pos, length);
      this.pos += length;
      this.lineEnd();
      return;
    }
    this.checkLimit(length);
    const bytes = Buffer.allocUnsafeSlow(length);
    map.readRange(key, offset, bytes, 0, length);
    this.header(DOLLAR, length);
    this.addOwn(bytes);
    this.lineEnd();
  }

  /** Bytes as they are, across blocks. */
  raw(bytes: Uint8Array): void {
    const length = bytes.length;
    if (length <= BLOCK_BYTES - this.pos) {
      this.block.set(bytes, this.pos);
      this.pos += length;
      return;
    }
    if (length <= BLOCK_BYTES) {
      this.seal();
      this.block.set(bytes, 0);
      this.pos = length;
      return;
    }
    const own = Buffer.allocUnsafeSlow(length);
    own.set(bytes);
    this.addOwn(own);
  }

  /** Takes everything written since `mark` out again, to be put behind something that is known only now (an array's length). */
  cut(mark: number): Buffer[] {
    const pieces: Buffer[] = [];
    let before = 0;
    for (const { buffer, length } of [...this.sealed, { buffer: this.block, length: this.pos }]) {
      const from = Math.max(mark - before, 0);
      if (from < length) pieces.push(Buffer.from(buffer.subarray(from, length)));
      before += length;
    }
    this.rewind(mark);
    return pieces;
  }

  /** A value that does not fit behind what the block holds: into the next block, or into a buffer of its own. */
  private wideValueOf(map: ByteMap, key: Uint8Array, length: number): boolean {
    const width = digitsOf(length) + HEADER_FIXED_BYTES;
    const total = width + length + 2;
    if (total + 2 <= BLOCK_BYTES && this.pos > 0) {
      this.seal();
      this.headerBytes = width;
      return this.valueOf(map, key);
    }
    this.checkLimit(total);
    const own = Buffer.allocUnsafeSlow(total);
    if (map.getInto(key, own, width) !== length) return false;
    own.write(`$${length}\r\n`, 0, 'latin1');
    own[total - 2] = CR;
    own[total - 1] = LF;
    this.addOwn(own);
    return true;
  }

  private addOwn(own: Buffer): void {
    this.checkLimit(own.length);
    if (this.pos > 0) this.seal();
    this.sealed.push({ buffer: own, length: own.length });
    this.sealedBytes += own.length;
  }

  resetErrors(): void {
    this.errorCount = 0;
    this.errorCounts.clear();
  }

  private countError(text: string): void {
    this.errorCount++;
    const end = text.indexOf(' ');
    const code = end < 0 ? text : text.slice(0, end);
    const before = this.errorCounts.get(code);
    if (before !== undefined || this.errorCounts.size < ERROR_CODES_MAX) this.errorCounts.set(code, (before ?? 0) + 1);
  }

  private nil3(): void {
    this.reserve(3);
    this.block[this.pos++] = UNDERSCORE;
    this.lineEnd();
  }

  private line(type: number, text: string): void {
    this.reserve(text.length + 3);
    this.block[this.pos++] = type;
    if (text.length < 16) {
      for (let i = 0; i < text.length; i++) this.block[this.pos++] = text.charCodeAt(i);
    } else {
      this.pos += this.block.write(text, this.pos, text.length, 'latin1');
    }
    this.lineEnd();
  }

  private lineEnd(): void {
    this.reserve(2);
    this.block[this.pos++] = CR;
    this.block[this.pos++] = LF;
  }

  private header(type: number, value: number | bigint): void {
    this.reserve(HEADER_BYTES_MAX);
    if (typeof value === 'number' && value >= 0 && value < 1e9) this.putHeader(type, value);
    else this.line(type, String(value));
  }

  /** `type`, a number below 10^9 and the line end, at `pos`. */
  private putHeader(type: number, value: number): void {
    const block = this.block;
    let at = this.pos;
    block[at++] = type;
    const digits = digitsOf(value);
    let rest = value | 0;
    for (let i = at + digits - 1; i >= at; i--) {
      const quotient = (rest / 10) | 0;
      block[i] = ZERO + rest - quotient * 10;
      rest = quotient;
    }
    at += digits;
    block[at] = CR;
    block[at + 1] = LF;
    this.pos = at + 2;
  }

  private reserve(bytes: number): void {
    if (this.pos + bytes > BLOCK_BYTES) this.seal();
  }

  private seal(): void {
    this.checkLimit(0);
    this.sealed.push({ buffer: this.block, length: this.pos });
    this.sealedBytes += this.pos;
    this.block = this.pool.take();
    this.pos = 0;
  }

  private checkLimit(more: number): void {
    if (this.pending + more > this.limitBytes) throw new ReplyTooLarge();
  }
}

function digitsOf(value: number): number {
  if (value < 10) return 1;
  if (value < 100) return 2;
  if (value < 1000) return 3;
  if (value < 10000) return 4;
  if (value < 100000) return 5;
  if (value < 1000000) return 6;
  if (value < 10000000) return 7;
  if (value < 100000000) return 8;
  return 9;
}
