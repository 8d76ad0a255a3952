import { invalidArg, outOfRange } from '../base/errors.ts';
import { KEY_BYTES_MAX } from './key-frame.ts';

/**
 * Keys of a QuireMap as bytes: a type byte, then the payload, so that '1', 1 and the byte 0x31 are three keys.
 *
 *   1 string, UTF-8 · 2 number, 8 bytes little-endian · 3 bytes · 4 string with lone surrogates, UTF-16 little-endian
 *
 * Numbers compare as in Map: NaN equals NaN, -0 equals 0. One codec per map and thread; the bytes it returns are
 * valid until the next call.
 */
export class KeyCodec {
  private readonly buffer = new ArrayBuffer(KEY_BYTES_MAX + 1 + ENCODE_SLACK);
  private readonly bytes = new Uint8Array(this.buffer);
  private readonly view = new DataView(this.buffer);
  /** Views of the first n bytes, made once: short keys then allocate nothing. */
  private readonly prefixes: (Uint8Array | undefined)[] = new Array(PREFIXES).fill(undefined);

  /** The bytes of a key. Throws ERR_QUIRE_INVALID_ARG (not a key), ERR_QUIRE_RANGE (more than 65,535 bytes encoded). */
  encode(key: unknown): Uint8Array {
    if (typeof key === 'string') return this.prefix(this.putString(key));
    if (typeof key === 'number') {
      this.bytes[0] = NUMBER;
      this.view.setFloat64(1, key === 0 ? 0 : Number.isNaN(key) ? Number.NaN : key, true);
      return this.prefix(9);
    }
    if (!(key instanceof Uint8Array)) throw invalidArg('key', 'a string, a number or a Uint8Array', key);
    checkLength(key.length + 1);
    this.bytes[0] = BYTES;
    this.bytes.set(key, 1);
    return this.prefix(key.length + 1);
  }

  /** The key that `encode` made these bytes of. */
  decode(bytes: Uint8Array): string | number | Uint8Array {
    const payload = bytes.subarray(1);
    if (bytes[0] === STRING) return utf8.decode(payload);
    if (bytes[0] === STRING_16) return utf16FromBytes(payload);
    if (bytes[0] === NUMBER) return new DataView(bytes.buffer, bytes.byteOffset + 1, 8).getFloat64(0, true);
    return payload.slice();
  }

  private prefix(length: number): Uint8Array {
    if (length >= PREFIXES) return this.bytes.subarray(0, length);
    let prefix = this.prefixes[length];
    if (prefix === undefined) {
      prefix = this.bytes.subarray(0, length);
      this.prefixes[length] = prefix;
    }
    return prefix;
  }

  private putString(key: string): number {
    const { bytes } = this;
    const length = key.length;
    checkLength(length + 1);
    bytes[0] = STRING;
    for (let at = 0; at < length; at++) {
      const code = key.charCodeAt(at);
      if (code >= 0x80) return this.putUnicode(key);
      bytes[at + 1] = code;
    }
    return length + 1;
  }

  private putUnicode(key: string): number {
    if (!key.isWellFormed()) return this.putUtf16(key);
    const { read, written } = encoder.encodeInto(key, this.bytes.subarray(1));
    checkLength(read < key.length ? KEY_BYTES_MAX + 1 : written + 1);
    return written + 1;
  }

  /** UTF-8 has no lone surrogates: TextEncoder would turn two such keys into one. */
  private putUtf16(key: string): number {
    checkLength(key.length * 2 + 1);
    this.bytes[0] = STRING_16;
    for (let at = 0; at < key.length; at++) this.view.setUint16(1 + at * 2, key.charCodeAt(at), true);
    return key.length * 2 + 1;
  }
}

function checkLength(bytes: number): void {
  if (bytes > KEY_BYTES_MAX) throw outOfRange('key length', `at most ${KEY_BYTES_MAX} bytes with its type`, bytes);
}

function utf16FromBytes(payload: Uint8Array): string {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  let text = '';
  for (let at = 0; at < payload.length; at += 2) text += String.fromCharCode(view.getUint16(at, true));
  return text;
}

const STRING = 1;
const NUMBER = 2;
const BYTES = 3;
const STRING_16 = 4;
const PREFIXES = 257;
/** Lets `encodeInto` write a character that ends behind the limit, so that "too long" is seen. */
const ENCODE_SLACK = 8;
const encoder = new TextEncoder();
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
