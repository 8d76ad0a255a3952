import { invalidArg, outOfRange, QuireError } from '../base/errors.ts';
import { checkOptions, type OptionNames } from '../base/options.ts';
import { KeyCodec } from './key-codec.ts';
import type { DisposeBytes, DisposeReason } from './map-core.ts';
import type { PageMap } from './page-map.ts';
import type { PageMapOptions } from './page-map-options.ts';
import { type ValueCodec, type ValueFormat, valueCodec } from './value-codec.ts';

export type MapKey = string | number | Uint8Array;

export interface QuireMapOptions<K extends MapKey, V> {
  readonly name?: string;
  /** Default 'bytes'. */
  readonly value?: ValueFormat<V>;
  /** Life of an entry whose `set` names none. Default: for ever. */
  readonly ttlMs?: number;
  /** Bytes of records (headers and rounding included) above which the least used ones are evicted. */
  readonly maxBytes?: number;
  /** Called after an entry left, in the thread whose call removed it. */
  readonly dispose?: (value: V, key: K, reason: DisposeReason) => void;
  /** Brings the pages of an encoded key near before the sync call of an async twin. */
  readonly prefetch?: (key: Uint8Array) => Promise<void>;
  /** Milliseconds since 1970; replaceable for tests. */
  readonly now?: () => number;
}

export interface SetOptions {
  /** Life from now on, in ms; Infinity: for ever. */
  readonly ttlMs?: number;
}

const SET_OPTIONS: OptionNames<SetOptions> = { ttlMs: true };

/**
 * The Map of Quire: Map's methods over bytes in page spaces. Keys may be mixed. Values returned are fresh copies.
 * Iteration reads one bucket at a time and survives changes, also by other threads: an entry that is there all the
 * time is seen once; one that comes or goes may be seen. Order is by hash, not by insertion.
 *
 * Every method throws ERR_QUIRE_CLOSED after `close`, ERR_QUIRE_INVALID_ARG for a key or value of the wrong type,
 * ERR_QUIRE_RANGE for a key above 65,534 bytes or a value above 64 MiB; those that store throw ERR_QUIRE_SWAP_FULL
 * when no tier has room, with nothing changed.
 */
export class QuireMap<K extends MapKey = string, V = Uint8Array> implements Iterable<[K, V]> {
  readonly name: string;
  private readonly map: PageMap;
  private readonly keyCodec = new KeyCodec();
  private readonly codec: ValueCodec<V>;
  private readonly ttlMs: number;
  private readonly prefetch: ((key: Uint8Array) => Promise<void>) | undefined;
  private readonly onClose: (() => void) | undefined;
  private isClosed = false;

  private constructor(open: OpenPageMap, options: QuireMapOptions<K, V>, onClose: (() => void) | undefined) {
    checkMapOptions(options);
    this.name = options.name ?? 'map';
    this.codec = valueCodec<V>(options.value ?? 'bytes');
    this.ttlMs = options.ttlMs ?? Number.POSITIVE_INFINITY;
    this.prefetch = options.prefetch;
    this.onClose = onClose;
    this.map = open({
      ...(options.maxBytes === undefined ? { countsUses: false } : { maxBytes: options.maxBytes }),
      ...(options.now === undefined ? {} : { now: options.now }),
      ...(options.dispose === undefined ? {} : { dispose: this.disposeBytes(options.dispose) }),
    });
  }

  /**
   * `open` makes (or attaches) the PageMap with the options it is given, to which it may add its own. `onClose` gives
   * spaces and control block back.
   */
  static open<K extends MapKey, V>(
    open: OpenPageMap,
    options: QuireMapOptions<K, V> = {},
    onClose?: () => void,
  ): QuireMap<K, V> {
    if (typeof options !== 'object' || options === null) throw invalidArg('options', 'an object', options);
    return new QuireMap<K, V>(open, options, onClose);
  }

  /** Entries, expired ones that nobody met yet included. */
  get size(): number {
    return this.live().count;
  }

  /** Bytes of all records, headers and rounding included: what `maxBytes` limits. */
  get bytes(): number {
    return this.live().bytes;
  }

  get(key: K): V | undefined {
    const bytes = this.live().get(this.keyCodec.encode(key));
    return bytes === undefined ? undefined : this.codec.decode(bytes);
  }

  set(key: K, value: V, options?: SetOptions): this {
    const map = this.live();
    const ttlMs = checkTtl(options);
    const bytes = this.codec.encode(value);
    // A codec of the user's may have used this map: the key is encoded last.
    map.set(this.keyCodec.encode(key), bytes, expiryAt(map.now(), ttlMs ?? this.ttlMs));
    return this;
  }

  has(key: K): boolean {
    return this.live().has(this.keyCodec.encode(key));
  }

  delete(key: K): boolean {
    return this.live().delete(this.keyCodec.encode(key));
  }

  clear(): void {
    this.live().clear();
  }

  /** Milliseconds that the entry has left: Infinity without an expiry, undefined when absent. */
  ttl(key: K): number | undefined {
    const map = this.live();
    const expiresAtMs = map.expiry(this.keyCodec.encode(key));
    if (expiresAtMs === -1) return undefined;
    return expiresAtMs === 0 ? Number.POSITIVE_INFINITY : Math.max(0, expiresAtMs - map.now());
  }

  /** Gives the entry a new life, Infinity for ever. False when absent. */
  touch(key: K, ttlMs: number): boolean {
    const map = this.live();
    const checked = checkTtl({ ttlMs }) ?? this.ttlMs;
    return map.setExpiry(this.keyCodec.encode(key), expiryAt(map.now(), checked));
  }

  /** Deletes several; returns how many were there. */
  deleteMany(keys: Iterable<K>): number {
    let deleted = 0;
    for (const key of iterable(keys)) if (this.delete(key)) deleted++;
    return deleted;
  }

  /** For each key whether it is there. */
  hasMany(keys: Iterable<K>): boolean[] {
    return Array.from(iterable(keys), (key) => this.has(key));
  }

  async getAsync(key: K): Promise<V | undefined> {
    const map = this.live();
    if (this.prefetch === undefined || map.count === 0) return this.get(key);
    await this.prefetch(this.keyCodec.encode(key).slice());
    return this.get(key);
  }

  async setAsync(key: K, value: V, options?: SetOptions): Promise<this> {
    this.live();
    if (this.prefetch !== undefined) await this.prefetch(this.keyCodec.encode(key).slice());
    return this.set(key, value, options);
  }

  /** Removes up to `limit` expired entries now; returns how many. Reading one removes it too. */
  reap(limit = 1000): number {
    if (!Number.isSafeInteger(limit)) throw invalidArg('limit', 'a safe integer', limit);
    return this.live().reap(limit);
  }

  *keys(): Generator<K, void, undefined> {
    for (const bytes of this.keyBytes()) yield this.keyCodec.decode(bytes) as K;
  }

  *values(): Generator<V, void, undefined> {
    for (const [, value] of this.entries()) yield value;
  }

  *entries(): Generator<[K, V], void, undefined> {
    for (const bytes of this.keyBytes()) {
      const value = this.live().get(bytes);
      if (value !== undefined) yield [this.keyCodec.decode(bytes) as K, this.codec.decode(value)];
    }
  }

  [Symbol.iterator](): Generator<[K, V], void, undefined> {
    return this.entries();
  }

  forEach(callback: (value: V, key: K, map: QuireMap<K, V>) => void, thisArg?: unknown): void {
    this.live();
    if (typeof callback !== 'function') throw invalidArg('callback', 'a function', callback);
    for (const [key, value] of this.entries()) callback.call(thisArg, value, key, this);
  }

  /** Gives the memory back. Later calls throw ERR_QUIRE_CLOSED; closing again does nothing. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.onClose?.();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** O(n): whether index, records and counters agree. */
  isValid(): boolean {
    return this.live().isValid();
  }

  private *keyBytes(): Generator<Uint8Array, void, undefined> {
    let cursor = 0;
    do {
      const keys: Uint8Array[] = [];
      cursor = this.live().scan(cursor, 1, (key) => keys.push(key));
      yield* keys;
    } while (cursor !== 0);
  }

  private live(): PageMap {
    if (this.isClosed) throw new QuireError('ERR_QUIRE_CLOSED', `map '${this.name}' is closed`);
    return this.map;
  }

  private disposeBytes(dispose: (value: V, key: K, reason: DisposeReason) => void): DisposeBytes {
    return (key, value, reason) => dispose(this.codec.decode(value), this.keyCodec.decode(key) as K, reason);
  }
}

/** Makes the PageMap of a QuireMap. */
export type OpenPageMap = (options: Pick<PageMapOptions, 'maxBytes' | 'countsUses' | 'now' | 'dispose'>) => PageMap;

function checkMapOptions(options: {
  name?: unknown;
  ttlMs?: unknown;
  maxBytes?: unknown;
  dispose?: unknown;
  prefetch?: unknown;
}): void {
  const { name, ttlMs, maxBytes, dispose, prefetch } = options;
  if (name !== undefined && typeof name !== 'string') throw invalidArg('name', 'a string', name);
  if (ttlMs !== undefined) checkTtl({ ttlMs });
  if (maxBytes !== undefined && !(typeof maxBytes === 'number' && maxBytes > 0)) {
    throw invalidArg('maxBytes', 'a positive number of bytes', maxBytes);
  }
  if (dispose !== undefined && typeof dispose !== 'function') throw invalidArg('dispose', 'a function', dispose);
  if (prefetch !== undefined && typeof prefetch !== 'function') throw invalidArg('prefetch', 'a function', prefetch);
}

/** The ttl an options object names, undefined when it names none. */
function checkTtl(options: { ttlMs?: unknown } | undefined): number | undefined {
  if (options === undefined) return undefined;
  const { ttlMs }: { ttlMs?: unknown } = checkOptions<SetOptions>('options', options, SET_OPTIONS);
  if (ttlMs === undefined) return undefined;
  if (typeof ttlMs !== 'number' || Number.isNaN(ttlMs)) throw invalidArg('ttlMs', 'a number of milliseconds', ttlMs);
  if (ttlMs <= 0) throw outOfRange('ttlMs', 'above 0', ttlMs);
  if (ttlMs > TTL_MS_MAX && ttlMs !== Number.POSITIVE_INFINITY)
    throw outOfRange('ttlMs', `at most ${TTL_MS_MAX}, or Infinity`, ttlMs);
  return ttlMs;
}

function expiryAt(nowMs: number, ttlMs: number): number {
  return ttlMs === Number.POSITIVE_INFINITY ? 0 : Math.ceil(nowMs + ttlMs);
}

function iterable<T>(keys: Iterable<T>): Iterable<T> {
  if (typeof keys === 'object' && keys !== null && typeof keys[Symbol.iterator] === 'function') return keys;
  throw invalidArg('keys', 'an iterable of keys', keys);
}

/** 2^47 ms: 4,400 years. Later expiries would not fit a record's 48 bits. */
const TTL_MS_MAX = 2 ** 47;
