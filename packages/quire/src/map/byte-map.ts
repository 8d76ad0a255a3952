/** The byte-level contract of the shared hash map: what QuireMap and the server stand on. */
export interface ByteMap {
  /** Live entries, expired ones not yet reaped included. */
  readonly count: number;
  /** Entries with an expiry. */
  readonly expiringCount: number;
  /** Bytes of all records with their headers and class rounding: what `maxBytes` is compared with. */
  readonly bytes: number;

  /** Length of the value, -1 when absent or expired. */
  valueLength(key: Uint8Array): number;
  /** A fresh copy of the value, undefined when absent or expired. */
  get(key: Uint8Array): Uint8Array | undefined;
  /**
   * Copies the value to `target[targetOffset...]` if it fits. Returns its length whether or not it fitted, -1 when
   * absent.
   */
  getInto(key: Uint8Array, target: Uint8Array, targetOffset: number): number;
  /**
   * Copies up to `length` bytes of the value from `valueOffset`. Returns the bytes copied (0 beyond the end), -1 when
   * absent.
   */
  readRange(key: Uint8Array, valueOffset: number, target: Uint8Array, targetOffset: number, length: number): number;
  /**
   * Stores. `expiresAtMs`: absolute ms since 1970, 0 = never, KEEP_EXPIRY = what the entry had. `kind`: a byte kept
   * with the value. Throws ERR_QUIRE_SWAP_FULL with nothing changed. Returns true when the key was new.
   */
  set(key: Uint8Array, value: Uint8Array, expiresAtMs: number, kind?: number): boolean;
  /** Overwrites bytes inside or past the value (zeros between); creates it when absent. Returns the new length. */
  writeRange(key: Uint8Array, valueOffset: number, source: Uint8Array): number;
  has(key: Uint8Array): boolean;
  delete(key: Uint8Array): boolean;
  /** -1 absent, 0 no expiry, else absolute ms. */
  expiry(key: Uint8Array): number;
  /** Sets (ms) or removes (0) the expiry. False when absent. */
  setExpiry(key: Uint8Array, expiresAtMs: number): boolean;
  /** The kind byte, -1 when absent. */
  kind(key: Uint8Array): number;
  /** Visits some entries; returns the next cursor, 0 when done. Same guarantee as Redis SCAN. Start with 0. */
  scan(cursor: number, countHint: number, visit: (key: Uint8Array) => void): number;
  /** A random live key, undefined when empty. */
  randomKey(): Uint8Array | undefined;
  clear(): void;
  /** Removes up to `limit` expired entries; returns how many. Call it from a timer (active expiry). */
  reap(limit: number): number;
  /** Evicts about `bytesWanted` bytes of the least wanted entries; returns bytes freed. */
  evict(bytesWanted: number): number;
  /** Milliseconds since 1970; replaceable for tests. */
  now(): number;
}

/** Keep the expiry the entry has (redis SET ... KEEPTTL). */
export const KEEP_EXPIRY = -1;
