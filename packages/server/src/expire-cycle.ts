/**
 * Active expiry: ten times a second each database gives back expired entries, in small steps, for at most a fixed slice of time. Reads
 * never see an expired entry in any case; the cycle is there to free their memory.
 */
import type { Keyspace } from './keyspace.ts';

/** Entries for one call of `reap`: some tens of microseconds. */
const REAP_BATCH = 64;
/** A quarter of the interval between two cycles at 10 Hz, as in Redis. */
const SLICE_MS = 25;

/** Runs one cycle; returns how many entries it removed. `nowMs` is a monotonic clock. */
export function expireCycle(keyspace: Keyspace, nowMs: () => number = () => performance.now()): number {
  const endMs = nowMs() + SLICE_MS;
  let removed = 0;
  for (const db of keyspace.open()) {
    for (;;) {
      if (db.map.expiringCount === 0) break;
      const reaped = db.map.reap(REAP_BATCH);
      removed += reaped;
      if (reaped < REAP_BATCH || nowMs() >= endMs) break;
    }
    if (nowMs() >= endMs) break;
  }
  return removed;
}
