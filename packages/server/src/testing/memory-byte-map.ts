/** A byte map in the JS heap, for tests and for profiling the server alone: a plain Map keyed by the key's bytes as characters. */
import { type ByteMap, KEEP_EXPIRY, QuireError } from 'quire';

interface Entry {
  value: Uint8Array;
  expiresAtMs: number;
  kind: number;
}

/** What an entry counts besides its key and value. */
const ENTRY_BYTES = 32;

export class MemoryByteMap implements ByteMap {
  bytes = 0;
  /** Bytes above which writes throw ERR_QUIRE_SWAP_FULL. */
  limitBytes = Number.POSITIVE_INFINITY;
  /** Thrown by the next reads of these keys, in place of a value. */
  readonly broken = new Map<string, QuireError>();
  private readonly entries = new Map<string, Entry>();
  private expiring = 0;
  private readonly clock: () => number;

  constructor(clock: () => number = Date.now) {
    this.clock = clock;
  }

  get count(): number {
    return this.entries.size;
  }

  get expiringCount(): number {
    return this.expiring;
  }

  valueLength(key: Uint8Array): number {
    return this.live(key)?.value.length ?? -1;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const entry = this.live(key);
    return entry === undefined ? undefined : new Uint8Array(entry.value);
  }

  getInto(key: Uint8Array, target: Uint8Array, targetOffset: number): number {
    const entry = this.live(key);
    if (entry === undefined) return -1;
    if (targetOffset + entry.value.length <= target.length) target.set(entry.value, targetOffset);
    return entry.value.length;
  }

  readRange(key: Uint8Array, valueOffset: number, target: Uint8Array, targetOffset: number, length: number): number {
    const entry = this.live(key);
    if (entry === undefined) return -1;
    const part = entry.value.subarray(valueOffset, valueOffset + length);
    target.set(part, targetOffset);
    return part.length;
  }

  set(key: Uint8Array, value: Uint8Array, expiresAtMs: number, kind = 0): boolean {
    const name = nameOf(key);
    const before = this.entries.get(name);
    const isLive = before !== undefined && !this.isExpired(before);
    const grown = value.length + key.length + ENTRY_BYTES - (before === undefined ? 0 : this.sizeOf(name, before));
    this.checkRoom(grown);
    if (before !== undefined) this.remove(name, before);
    const expiry = expiresAtMs !== KEEP_EXPIRY ? expiresAtMs : isLive ? before.expiresAtMs : 0;
    this.put(name, { value: new Uint8Array(value), expiresAtMs: expiry, kind });
    return !isLive;
  }

  writeRange(key: Uint8Array, valueOffset: number, source: Uint8Array): number {
    const entry = this.live(key);
    const value = new Uint8Array(Math.max(entry?.value.length ?? 0, valueOffset + source.length));
    if (entry !== undefined) value.set(entry.value);
    value.set(source, valueOffset);
    this.set(key, value, KEEP_EXPIRY, entry?.kind ?? 0);
    return value.length;
  }

  has(key: Uint8Array): boolean {
    return this.live(key) !== undefined;
  }

  delete(key: Uint8Array): boolean {
    const entry = this.live(key);
    if (entry !== undefined) this.remove(nameOf(key), entry);
    return entry !== undefined;
  }

  expiry(key: Uint8Array): number {
    return this.live(key)?.expiresAtMs ?? -1;
  }

  setExpiry(key: Uint8Array, expiresAtMs: number): boolean {
    const entry = this.live(key);
    if (entry === undefined) return false;
    this.expiring += (expiresAtMs > 0 ? 1 : 0) - (entry.expiresAtMs > 0 ? 1 : 0);
    entry.expiresAtMs = expiresAtMs;
    return true;
  }

  kind(key: Uint8Array): number {
    return this.live(key)?.kind ?? -1;
  }

  /** The cursor is a position in the order of insertion: enough for tests that do not delete in between. */
  scan(cursor: number, countHint: number, visit: (key: Uint8Array) => void): number {
    const names = [...this.entries.keys()];
    const end = Math.min(cursor + countHint, names.length);
    for (let i = cursor; i < end; i++) visit(Buffer.from(names[i], 'latin1'));
    return end >= names.length ? 0 : end;
  }

  randomKey(): Uint8Array | undefined {
    const names = [...this.entries].filter(([, entry]) => !this.isExpired(entry)).map(([name]) => name);
    if (names.length === 0) return undefined;
    return Buffer.from(names[Math.floor(Math.random() * names.length)], 'latin1');
  }

  clear(): void {
    this.entries.clear();
    this.expiring = 0;
    this.bytes = 0;
  }

  reap(limit: number): number {
    let reaped = 0;
    for (const [name, entry] of this.entries) {
      if (reaped === limit) break;
      if (!this.isExpired(entry)) continue;
      this.remove(name, entry);
      reaped++;
    }
    return reaped;
  }

  /** The oldest first. */
  evict(bytesWanted: number): number {
    const before = this.bytes;
    for (const [name, entry] of this.entries) {
      if (before - this.bytes >= bytesWanted) break;
      this.remove(name, entry);
    }
    return before - this.bytes;
  }

  now(): number {
    return this.clock();
  }

  private live(key: Uint8Array): Entry | undefined {
    const name = nameOf(key);
    const entry = this.entries.get(name);
    if (entry === undefined) return undefined;
    if (this.broken.size > 0) {
      const error = this.broken.get(name);
      if (error !== undefined) throw error;
    }
    if (!this.isExpired(entry)) return entry;
    this.remove(name, entry);
    return undefined;
  }

  private isExpired(entry: Entry): boolean {
    return entry.expiresAtMs > 0 && entry.expiresAtMs <= this.clock();
  }

  private checkRoom(grownBytes: number): void {
    if (this.bytes + grownBytes > this.limitBytes) {
      throw new QuireError('ERR_QUIRE_SWAP_FULL', 'every tier is full');
    }
  }

  private put(name: string, entry: Entry): void {
    this.entries.set(name, entry);
    this.bytes += this.sizeOf(name, entry);
    if (entry.expiresAtMs > 0) this.expiring++;
  }

  private remove(name: string, entry: Entry): void {
    this.entries.delete(name);
    this.bytes -= this.sizeOf(name, entry);
    if (entry.expiresAtMs > 0) this.expiring--;
  }

  private sizeOf(name: string, entry: Entry): number {
    return name.length + entry.value.length + ENTRY_BYTES;
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}
