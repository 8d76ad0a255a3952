import { BUCKETS, COUNT } from './control.ts';
import { hashOfEntry, isLink, locationOf } from './entry-word.ts';
import { BUCKET_BYTES, BUCKET_WORDS, SLOTS } from './hash-index.ts';
import type { MapCore } from './map-core.ts';

/**
 * Walking the keys while others change the map. The cursor counts in reverse binary (Pieter Noordhuis, Redis dict.c)
 * over the buckets of the completed level: its high bits move first, so all descendants of a bucket that later splits
 * follow each other, and a cursor taken at one level stays right at every higher one. With linear hashing a step
 * visits bucket i < 2^level and, if it has split already, i + 2^level too; both share a stripe, so a step is one
 * consistent look. The table never shrinks (but for `clear`), hence: whatever is there during the whole scan is
 * visited, and once; keys that come and go may or may not be.
 */
export class MapScan {
  private readonly core: MapCore;
  private readonly words = new Int32Array(BUCKET_WORDS);

  constructor(core: MapCore) {
    this.core = core;
  }

  /** Visits at least `countHint` keys unless many buckets are empty. Returns the next cursor, 0 at the end. */
  scan(cursor: number, countHint: number, visit: (key: Uint8Array) => void): number {
    let at = cursor;
    let steps = Math.max(16, countHint * BUCKETS_PER_KEY);
    const keys: Uint8Array[] = [];
    do {
      at = this.step(at, keys);
      steps--;
    } while (at !== 0 && keys.length < countHint && steps > 0);
    for (const key of keys) visit(key);
    return at;
  }

  /** The keys of one cursor position go to `keys`; returns the next position. */
  step(cursor: number, keys: Uint8Array[]): number {
    const { core } = this;
    const stripe = cursor & 63;
    core.locks.lockStripe(stripe);
    try {
      const buckets = core.index.buckets;
      const level = 31 - Math.clz32(buckets);
      const home = level === 31 ? cursor : cursor & ((1 << level) - 1);
      this.collectLocked(home, buckets, keys);
      if (home + 2 ** level < buckets) this.collectLocked(home + 2 ** level, buckets, keys);
      return nextCursor(home, level);
    } finally {
      core.locks.unlockStripe(stripe);
    }
  }

  /** A live key from a random bucket, or the first one behind it. */
  randomKey(): Uint8Array | undefined {
    const { core } = this;
    const random = core.options.random;
    const buckets = core.index.buckets;
    const start = Math.floor(random() * buckets);
    const keys: Uint8Array[] = [];
    for (let step = 0; step < buckets + RANDOM_TRIES && Atomics.load(core.control, COUNT) !== 0; step++) {
      // A few independent tries spread the choice; then neighbours, so that it ends.
      const home = step < RANDOM_TRIES ? Math.floor(random() * buckets) : (start + step) % buckets;
      this.bucketKeys(home, keys);
      if (keys.length > 0) return keys[Math.floor(random() * keys.length)];
    }
    return undefined;
  }

  private bucketKeys(home: number, keys: Uint8Array[]): void {
    const { core } = this;
    core.locks.lockStripe(home & 63);
    try {
      this.collectLocked(home, Atomics.load(core.control, BUCKETS) >>> 0, keys);
    } finally {
      core.locks.unlockStripe(home & 63);
    }
  }

  private collectLocked(home: number, buckets: number, keys: Uint8Array[]): void {
    const { core, words } = this;
    if (home >= buckets) return;
    let offset = home * BUCKET_BYTES;
    for (let links = core.linksMaxLocked(); links >= 0; links--) {
      core.readBucketLocked(offset, words);
      const isTail = !isLink(words[15]);
      const next = words[14] >>> 0;
      for (let slot = 0; slot < (isTail ? SLOTS : SLOTS - 1); slot++) {
        const location = locationOf(words[slot * 2], words[slot * 2 + 1]);
        if (location === 0 || core.index.homeOf(hashOfEntry(words[slot * 2 + 1], home), buckets) !== home) continue;
        core.loadHeaderLocked(location);
        if (!core.isExpired(core.records.expiresAtMs)) keys.push(core.records.copyKey());
      }
      if (isTail) return;
      offset = core.index.overflowOffset(next);
    }
  }
}

/** Adds one to the `level` low bits of the cursor, read from high to low. 0 when it wraps round. */
export function nextCursor(home: number, level: number): number {
  let bit = 2 ** (level - 1);
  let cursor = home;
  while (bit >= 1 && Math.floor(cursor / bit) % 2 === 1) {
    cursor -= bit;
    bit /= 2;
  }
  return bit >= 1 ? cursor + bit : 0;
}

/** Empty buckets are passed quickly, but not without end in one call. */
const BUCKETS_PER_KEY = 10;
const RANDOM_TRIES = 32;
