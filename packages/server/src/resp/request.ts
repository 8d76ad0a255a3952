/**
 * One command as it arrived: a list of arguments that are offsets into the buffer they were read into. Nothing is copied and no
 * string is made; `arg(i)` makes a view (about 40 ns) only for the arguments a command looks at.
 *
 * A request is valid until the parser is asked for the next one: the buffer under it is the server's single read buffer. What has
 * to live longer (a queue of MULTI) takes `clone()`.
 */
import { parseInt64 } from './integer.ts';

const EMPTY = new Uint8Array(0);

export class Request {
  /** Arguments, the command's name included. */
  count = 0;
  /** An argument was longer than a value may be, or all together too long: the bytes were dropped as they came. */
  isOversize = false;
  source: Uint8Array = EMPTY;
  /** Where `starts` count from. */
  base = 0;
  starts: number[] = [];
  lengths: number[] = [];
  /** Arguments that arrived in pieces and were long have a buffer of their own, of exactly their size. */
  private bigs: (Uint8Array | undefined)[] = [];
  private bigCount = 0;

  begin(source: Uint8Array, base: number): void {
    this.source = source;
    this.base = base;
    this.count = 0;
    this.isOversize = false;
    if (this.bigCount !== 0) {
      this.bigs = [];
      this.bigCount = 0;
    }
    if (this.starts.length > 1024) {
      this.starts = [];
      this.lengths = [];
    }
  }

  push(start: number, length: number): void {
    this.starts[this.count] = start;
    this.lengths[this.count] = length;
    this.count++;
  }

  pushBig(bytes: Uint8Array): void {
    this.bigs[this.count] = bytes;
    this.bigCount++;
    this.push(0, bytes.length);
  }

  /** A view of argument `index`. */
  arg(index: number): Uint8Array {
    if (this.bigCount !== 0) {
      const big = this.bigs[index];
      if (big !== undefined) return big;
    }
    const source = this.source;
    return new Uint8Array(source.buffer, source.byteOffset + this.base + this.starts[index], this.lengths[index]);
  }

  length(index: number): number {
    return this.lengths[index];
  }

  /** The argument as text, one character a byte. */
  text(index: number): string {
    const bytes = this.arg(index);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  }

  upper(index: number): string {
    return this.text(index).toUpperCase();
  }

  lower(index: number): string {
    return this.text(index).toLowerCase();
  }

  /** Case-insensitive comparison with a word of upper-case ASCII letters. */
  is(index: number, word: string): boolean {
    if (this.lengths[index] !== word.length) return false;
    const bytes = this.arg(index);
    for (let i = 0; i < word.length; i++) {
      const byte = bytes[i];
      const folded = byte >= 97 && byte <= 122 ? byte - 32 : byte;
      if (folded !== word.charCodeAt(i)) return false;
    }
    return true;
  }

  /** The argument as a signed 64-bit integer: a number where it is safe, else a bigint; undefined when it is no integer. */
  int64(index: number): number | bigint | undefined {
    return parseInt64(this.arg(index));
  }

  /** The argument as an integer, saturated to the safe range; undefined when it is no signed 64-bit integer. */
  integer(index: number): number | undefined {
    const value = this.int64(index);
    if (typeof value !== 'bigint') return value;
    return value < 0n ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER;
  }

  /** Bytes of all arguments. */
  get byteLength(): number {
    let sum = 0;
    for (let i = 0; i < this.count; i++) sum += this.lengths[i];
    return sum;
  }

  /** A copy that owns its bytes. */
  clone(): Request {
    const copy = new Request();
    const bytes = new Uint8Array(this.byteLength);
    copy.begin(bytes, 0);
    let at = 0;
    for (let i = 0; i < this.count; i++) {
      bytes.set(this.arg(i), at);
      copy.push(at, this.lengths[i]);
      at += this.lengths[i];
    }
    copy.isOversize = this.isOversize;
    return copy;
  }

  /** The request without its first `skip` arguments (COMMAND GETKEYS looks at the command in its own arguments). */
  tail(skip: number): Request {
    const copy = this.clone();
    copy.starts = copy.starts.slice(skip);
    copy.lengths = copy.lengths.slice(skip);
    copy.count = this.count - skip;
    return copy;
  }

  static of(...words: (string | Uint8Array)[]): Request {
    const parts = words.map((word) => (typeof word === 'string' ? Buffer.from(word, 'latin1') : word));
    const request = new Request();
    request.begin(Buffer.concat(parts), 0);
    let at = 0;
    for (const part of parts) {
      request.push(at, part.length);
      at += part.length;
    }
    return request;
  }
}
