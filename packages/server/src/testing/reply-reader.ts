/** Cuts a stream of replies (RESP2 or RESP3) into single ones, raw and as values; what tests and tools compare. */

/** A reply as a value. Errors are objects, so that they are not taken for text; maps keep their order. */
export type Reply =
  | null
  | number
  | boolean
  | string
  | Reply[]
  | { error: string }
  | { map: [Reply, Reply][] }
  | { set: Reply[] };

const CR = 13;

export class ReplyReader {
  private held = Buffer.alloc(4096);
  private start = 0;
  private end = 0;

  push(chunk: Uint8Array): void {
    if (this.end + chunk.length > this.held.length) {
      const grown = Buffer.allocUnsafe((this.end - this.start + chunk.length) * 2);
      this.held.copy(grown, 0, this.start, this.end);
      this.held = grown;
      this.end -= this.start;
      this.start = 0;
    }
    this.held.set(chunk, this.end);
    this.end += chunk.length;
  }

  /** The next reply's bytes, undefined when it has not arrived whole. */
  next(): Buffer | undefined {
    const rest = this.rest;
    const end = replyEnd(rest, 0);
    if (end < 0) return undefined;
    this.start += end;
    return rest.subarray(0, end);
  }

  /** Bytes that are no whole reply yet. */
  get rest(): Buffer {
    return this.held.subarray(this.start, this.end);
  }
}

function lineEnd(bytes: Buffer, at: number): number {
  const end = bytes.indexOf(CR, at);
  return end < 0 || end + 1 >= bytes.length ? -1 : end;
}

/** Offset behind the reply at `at`, -1 when it is not complete. */
function replyEnd(bytes: Buffer, at: number): number {
  const end = lineEnd(bytes, at);
  if (end < 0) return -1;
  const type = String.fromCharCode(bytes[at]);
  const count = Number(bytes.toString('latin1', at + 1, end));
  if (type === '$' || type === '=') {
    if (count < 0) return end + 2;
    return end + 2 + count + 2 <= bytes.length ? end + 2 + count + 2 : -1;
  }
  if (!'*%~>'.includes(type)) return end + 2;
  let next = end + 2;
  for (let i = type === '%' ? count * 2 : count; i > 0 && next >= 0; i--) next = replyEnd(bytes, next);
  return next;
}

/** The reply's value; the bytes must be one whole reply. */
export function decodeReply(bytes: Buffer): Reply {
  return decodeAt(bytes, { at: 0 });
}

function decodeAt(bytes: Buffer, cursor: { at: number }): Reply {
  const end = lineEnd(bytes, cursor.at);
  const type = String.fromCharCode(bytes[cursor.at]);
  const text = bytes.toString('latin1', cursor.at + 1, end);
  cursor.at = end + 2;
  const many = (count: number) => Array.from({ length: count }, () => decodeAt(bytes, cursor));
  switch (type) {
    case '-':
      return { error: text };
    case ':':
    case ',':
      return Number(text);
    case '#':
      return text === 't';
    case '_':
      return null;
    case '$':
    case '=': {
      if (text === '-1') return null;
      const value = bytes.toString('latin1', cursor.at, cursor.at + Number(text));
      cursor.at += Number(text) + 2;
      return type === '=' ? value.slice(4) : value;
    }
    case '*':
      return text === '-1' ? null : many(Number(text));
    case '~':
      return { set: many(Number(text)) };
    case '%':
      return { map: Array.from({ length: Number(text) }, () => [decodeAt(bytes, cursor), decodeAt(bytes, cursor)]) };
    default:
      return text;
  }
}

/** A command as clients send it. */
export function encodeCommand(words: readonly (string | Uint8Array)[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${words.length}\r\n`)];
  for (const word of words) {
    const bytes = typeof word === 'string' ? Buffer.from(word, 'latin1') : word;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}
