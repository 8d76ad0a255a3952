import assert from 'node:assert/strict';
import type { PageMap } from '../page-map.ts';

/** One entry of the model. */
export interface ModelEntry {
  value: Uint8Array;
  expiresAtMs: number;
  kind: number;
}

/** What a ByteMap must do, in plain JS: keys as latin-1 strings. */
export class ModelMap {
  readonly entries = new Map<string, ModelEntry>();
  nowMs = 1_000_000;

  live(key: Uint8Array): ModelEntry | undefined {
    const name = nameOf(key);
    const entry = this.entries.get(name);
    if (entry === undefined || entry.expiresAtMs === 0 || entry.expiresAtMs > this.nowMs) return entry;
    this.entries.delete(name);
    return undefined;
  }

  set(key: Uint8Array, value: Uint8Array, expiresAtMs: number, kind: number): boolean {
    const before = this.live(key);
    const expiry = expiresAtMs === -1 ? (before?.expiresAtMs ?? 0) : expiresAtMs;
    this.entries.set(nameOf(key), { value: value.slice(), expiresAtMs: expiry, kind });
    return before === undefined;
  }

  writeRange(key: Uint8Array, from: number, source: Uint8Array): number {
    const before = this.live(key) ?? { value: new Uint8Array(0), expiresAtMs: 0, kind: 0 };
    const end = source.length === 0 ? 0 : from + source.length;
    const value = new Uint8Array(Math.max(before.value.length, end));
    value.set(before.value);
    if (source.length > 0) value.set(source, from);
    this.entries.set(nameOf(key), { ...before, value });
    return value.length;
  }

  delete(key: Uint8Array): boolean {
    const isLive = this.live(key) !== undefined;
    this.entries.delete(nameOf(key));
    return isLive;
  }

  dropExpired(): void {
    for (const [name, entry] of this.entries) {
      if (entry.expiresAtMs !== 0 && entry.expiresAtMs <= this.nowMs) this.entries.delete(name);
    }
  }

  /** The whole map agrees with the model: every key, both ways, and the map is sound. */
  assertEqual(map: PageMap): void {
    this.dropExpired();
    for (const [name, entry] of this.entries) {
      const key = keyOf(name);
      const value = map.get(key);
      assert.ok(value !== undefined, `key ${JSON.stringify(name.slice(0, 40))} is there`);
      assert.equal(Buffer.compare(value, entry.value), 0, `value of ${JSON.stringify(name.slice(0, 40))}`);
      assert.equal(map.expiry(key), entry.expiresAtMs);
      assert.equal(map.kind(key), entry.kind);
    }
    assert.deepEqual(scanNames(map, 10).sort(), [...this.entries.keys()].sort());
    assert.equal(map.findFault(), undefined);
  }
}

/** All keys a full scan visits. */
export function scanNames(map: PageMap, countHint: number): string[] {
  const names: string[] = [];
  let cursor = 0;
  do {
    cursor = map.scan(cursor, countHint, (key) => names.push(nameOf(key)));
  } while (cursor !== 0);
  return names;
}

export function nameOf(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1');
}

export function keyOf(name: string): Uint8Array {
  return new Uint8Array(Buffer.from(name, 'latin1'));
}

/** Bytes that depend on seed, place and length: a torn or foreign value does not match. */
export function patternBytes(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = Math.imul(seed + 1, 0x9e3779b1) ^ length;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** A seeded source of 0..1 (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
