/**
 * The numbered databases. A database is a byte map of the store plus what only a server needs: who watches which key, and a second
 * try for writes that found no room.
 */
import type { ByteMap } from 'quire';
import { KEEP_EXPIRY } from 'quire';
import { Evictor } from './evict.ts';
import type { Store } from './store.ts';

/** A client with keys watched: a change to one of them makes its EXEC fail. */
export interface Watcher {
  isDirty: boolean;
}

/** How a value is to be described by OBJECT ENCODING; kept as the map's kind byte. */
export const KIND_PLAIN = 0;
/** Changed in place: `raw`, however short. */
export const KIND_RAW = 1;
/** Text that happens to be an integer but was not stored as one. */
export const KIND_TEXT = 2;

export class Database {
  readonly index: number;
  readonly map: ByteMap;
  private readonly evictor: Evictor;
  private readonly watchers = new Map<string, Set<Watcher>>();
  /** Changes since the start (rdb_changes_since_last_save). */
  changes = 0;
  /** Reads that found their key, and that did not. */
  hits = 0;
  misses = 0;

  constructor(index: number, map: ByteMap, evictor: Evictor) {
    this.index = index;
    this.map = map;
    this.evictor = evictor;
  }

  /** Stores; `expiresAtMs` as in ByteMap, KEEP_EXPIRY included. A moment that has passed stores nothing and removes the key. */
  set(key: Uint8Array, value: Uint8Array, expiresAtMs = 0, kind = KIND_PLAIN): void {
    if (expiresAtMs > 0 && expiresAtMs <= this.map.now()) {
      this.map.delete(key);
    } else {
      for (let attempt = 0; ; attempt++) {
        try {
          this.map.set(key, value, expiresAtMs, kind);
          break;
        } catch (error) {
          this.evictor.makeRoom(error, key.length + value.length, attempt);
        }
      }
    }
    this.touched(key);
  }

  /** Replaces the value and keeps the expiry. */
  replace(key: Uint8Array, value: Uint8Array, kind = KIND_PLAIN): void {
    this.set(key, value, KEEP_EXPIRY, kind);
  }

  /** Overwrites bytes inside or past the value; returns the new length. */
  writeRange(key: Uint8Array, valueOffset: number, source: Uint8Array): number {
    for (let attempt = 0; ; attempt++) {
      try {
        const length = this.map.writeRange(key, valueOffset, source);
        this.touched(key);
        return length;
      } catch (error) {
        this.evictor.makeRoom(error, key.length + valueOffset + source.length, attempt);
      }
    }
  }

  delete(key: Uint8Array): boolean {
    if (!this.map.delete(key)) return false;
    this.touched(key);
    return true;
  }

  setExpiry(key: Uint8Array, expiresAtMs: number): boolean {
    if (!this.map.setExpiry(key, expiresAtMs)) return false;
    this.touched(key);
    return true;
  }

  clear(): void {
    if (this.watchers.size > 0) {
      for (const [text, watchers] of this.watchers) {
        if (this.map.has(Buffer.from(text, 'latin1'))) markDirty(watchers);
      }
    }
    this.changes += this.map.count;
    this.map.clear();
  }

  watch(key: string, watcher: Watcher): void {
    const watchers = this.watchers.get(key);
    if (watchers === undefined) this.watchers.set(key, new Set([watcher]));
    else watchers.add(watcher);
  }

  unwatch(key: string, watcher: Watcher): void {
    const watchers = this.watchers.get(key);
    if (watchers === undefined) return;
    watchers.delete(watcher);
    if (watchers.size === 0) this.watchers.delete(key);
  }

  private touched(key: Uint8Array): void {
    this.changes++;
    if (this.watchers.size === 0) return;
    const watchers = this.watchers.get(Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1'));
    if (watchers !== undefined) markDirty(watchers);
  }
}

export class Keyspace {
  readonly evictor = new Evictor(this);
  readonly count: number;
  private readonly store: Store;
  private readonly databases: (Database | undefined)[];

  constructor(store: Store, count: number) {
    this.store = store;
    this.count = count;
    this.databases = new Array(count).fill(undefined);
  }

  /** Database `index`, which must exist. */
  database(index: number): Database {
    const known = this.databases[index];
    if (known !== undefined) return known;
    if (!(index >= 0 && index < this.count)) throw new RangeError(`no database ${index}`);
    const made = new Database(index, this.store.database(index), this.evictor);
    this.databases[index] = made;
    return made;
  }

  /** The databases used so far. */
  open(): Database[] {
    return this.databases.filter((db) => db !== undefined);
  }

  /** CONFIG RESETSTAT. */
  resetStats(): void {
    this.evictor.evictedKeys = 0;
    for (const db of this.open()) {
      db.hits = 0;
      db.misses = 0;
    }
  }

  /** Bytes of all records. */
  get bytes(): number {
    let sum = 0;
    for (const db of this.databases) if (db !== undefined) sum += db.map.bytes;
    return sum;
  }
}

function markDirty(watchers: Set<Watcher>): void {
  for (const watcher of watchers) watcher.isDirty = true;
}
