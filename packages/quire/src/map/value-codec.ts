import { invalidArg } from '../base/errors.ts';

/** How values become bytes. `decode` gets a copy it may keep; what it returns is what `get` returns. */
export interface ValueCodec<V> {
  encode(value: V): Uint8Array;
  decode(bytes: Uint8Array): V;
}

/** A codec by name, or one's own. */
export type ValueFormat<V> = 'bytes' | 'utf8' | 'json' | ValueCodec<V>;

/** The codec of a format. Throws ERR_QUIRE_INVALID_ARG. */
export function valueCodec<V>(format: ValueFormat<V>): ValueCodec<V> {
  if (format === 'bytes') return bytesCodec as unknown as ValueCodec<V>;
  if (format === 'utf8') return utf8Codec as unknown as ValueCodec<V>;
  if (format === 'json') return jsonCodec as ValueCodec<V>;
  if (typeof format === 'object' && format !== null && isFunction(format.encode) && isFunction(format.decode)) {
    return { encode: (value) => asBytes(format.encode(value)), decode: (bytes) => format.decode(bytes) };
  }
  throw invalidArg('value', "'bytes', 'utf8', 'json' or { encode, decode }", format);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

const bytesCodec: ValueCodec<Uint8Array> = {
  encode(value) {
    if (!(value instanceof Uint8Array)) throw invalidArg('value', 'a Uint8Array', value);
    return value;
  },
  decode: (bytes) => bytes,
};

/** Lone surrogates become U+FFFD, as everywhere in UTF-8. */
const utf8Codec: ValueCodec<string> = {
  encode(value) {
    if (typeof value !== 'string') throw invalidArg('value', 'a string', value);
    return encoder.encode(value);
  },
  decode: (bytes) => decoder.decode(bytes),
};

const jsonCodec: ValueCodec<unknown> = {
  encode(value) {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined) throw invalidArg('value', 'something JSON can hold', value);
    return encoder.encode(text);
  },
  decode: (bytes) => JSON.parse(decoder.decode(bytes)),
};

function asBytes(encoded: unknown): Uint8Array {
  if (!(encoded instanceof Uint8Array)) throw invalidArg('encode(value)', 'a Uint8Array', encoded);
  return encoded;
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}
