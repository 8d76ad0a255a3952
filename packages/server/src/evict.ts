/**
 * What happens when a write finds no room. The tiers say so with ERR_QUIRE_SWAP_FULL and have changed nothing; `maxmemory`, when set,
 * is a lower ceiling for the bytes of all records together.
 *
 *   noeviction     the command fails with Redis' OOM error
 *   allkeys-lru    the fullest database evicts its least wanted entries, and the write is tried again, a bounded number of times
 */
import { QuireError } from 'quire';
import type { Keyspace } from './keyspace.ts';

export type EvictionPolicy = 'noeviction' | 'allkeys-lru';
export const EVICTION_POLICIES: readonly EvictionPolicy[] = ['noeviction', 'allkeys-lru'];

/** Evicting less than this at a time would come back for more at once. */
const EVICT_BYTES_MIN = 256 * 1024;
/** Each attempt asks for twice as much as the one before: 2^10 times the first is enough or hopeless. */
const ATTEMPTS_MAX = 10;

/** A command that may grow the data came while `maxmemory` was exceeded and nothing could be evicted. */
export class OutOfMemory extends Error {
  override readonly name = 'OutOfMemory';
}

export class Evictor {
  policy: EvictionPolicy = 'noeviction';
  /** Bytes of records, 0 for no ceiling but the tiers. */
  maxmemory = 0;
  /** Entries evicted. */
  evictedKeys = 0;
  private readonly keyspace: Keyspace;

  constructor(keyspace: Keyspace) {
    this.keyspace = keyspace;
  }

  /** Called with what a write threw: returns when the write may be tried again, throws when not. */
  makeRoom(error: unknown, bytesWanted: number, attempt: number): void {
    const isFull =
      error instanceof QuireError && (error.code === 'ERR_QUIRE_SWAP_FULL' || error.code === 'ERR_QUIRE_OUT_OF_MEMORY');
    if (!isFull) throw error;
    if (this.policy === 'noeviction' || attempt >= ATTEMPTS_MAX) throw new OutOfMemory('no room', { cause: error });
    if (this.evict(Math.max(bytesWanted, EVICT_BYTES_MIN) * 2 ** attempt) === 0) {
      throw new OutOfMemory('nothing to evict', { cause: error });
    }
  }

  /** Brings the records below `maxmemory` before a command that may grow them. Throws OutOfMemory when it cannot. */
  enforceCeiling(): void {
    for (let attempt = 0; ; attempt++) {
      const excess = this.keyspace.bytes - this.maxmemory;
      if (this.maxmemory === 0 || excess <= 0) return;
      if (this.policy === 'noeviction' || attempt >= ATTEMPTS_MAX || this.evict(excess) === 0) {
        throw new OutOfMemory('above maxmemory');
      }
    }
  }

  /** Evicts about `bytesWanted` from the fullest databases; returns the bytes freed. */
  private evict(bytesWanted: number): number {
    const maps = this.keyspace.open().map((db) => db.map);
    maps.sort((a, b) => b.bytes - a.bytes);
    let freed = 0;
    for (const map of maps) {
      if (freed >= bytesWanted) break;
      const before = map.count;
      freed += map.evict(bytesWanted - freed);
      this.evictedKeys += before - map.count;
    }
    return freed;
  }
}
