/**
 * The control block of one map: 256 words of shared memory that are always resident. Everything here is reached with
 * Atomics or under the lock named beside it. Words that every reader loads (`BUCKETS`, `SEED`) lie in another cache
 * line than words that writers change.
 *
 * ```
 * 0    64 stripe locks          owner thread + 1, sign bit = somebody waits       (stripe-locks.ts)
 * 64   64 stripe sequences      odd while a bucket or record of the stripe changes
 * 128  86 class heads           63 slab classes: first run with room; 23 extent classes: first free extent  (allocator lock)
 * 214  counters and hands
 * 240  read-mostly: magic, seed, bucket count
 * ```
 */
export const CONTROL_WORDS = 256;

/**
 * Stripes are chosen by the low hash bits. There are fewer than FIRST_BUCKETS, so a bucket and its split half share a
 * stripe.
 */
export const STRIPES = 64;

export const STRIPE_LOCK = 0;
export const STRIPE_SEQUENCE = 64;
export const CLASS_HEAD = 128;

/** Held while runs, bitmaps, free lists, overflow buckets or the byte counter change. Last in the lock order. */
export const ALLOCATOR_LOCK = 214;
/** Held by the one thread that splits a bucket or clears the map. First in the lock order. */
export const GROWTH_LOCK = 215;
export const COUNT = 216;
export const EXPIRING = 217;
export const BYTES_LOW = 218;
export const BYTES_HIGH = 219;
/** Odd while both byte words change (a carry); changes of the low word alone leave it as it is. */
export const BYTES_SEQUENCE = 220;
/** First run never used. Run 0 is never used, so location 0 means "no record". */
export const RUNS = 221;
/** Runs that are empty and discarded, but still in a class list. */
export const EMPTY_LISTED = 222;
/** First overflow bucket never used. */
export const OVERFLOW_END = 223;
/** First free overflow bucket, plus 1. */
export const OVERFLOW_FREE = 224;
export const EVICT_HAND = 225;
export const REAP_HAND = 226;

export const MAGIC = 240;
export const SEED = 241;
/** Home buckets, unsigned: 2^level + split pointer in one word, so that one load gives both. */
export const BUCKETS = 242;

/** 'QMP' and the version of the layout of control block, index, heap and meta. */
export const MAGIC_VALUE = 0x514d5001;
/** The map is being made. */
export const MAGIC_BUSY = 1;

/** The first 256 buckets exist from the start: the low 8 hash bits of an entry are then known from where it stands. */
export const FIRST_BUCKETS = 256;

/** Sets the words of an empty map. The caller excludes everybody else. Locks, sequences, seed and magic stay. */
export function resetControl(control: Int32Array): void {
  for (let word = CLASS_HEAD; word < ALLOCATOR_LOCK; word++) Atomics.store(control, word, 0);
  Atomics.store(control, COUNT, 0);
  Atomics.store(control, EXPIRING, 0);
  setBytes(control, 0);
  Atomics.store(control, RUNS, 1);
  Atomics.store(control, EMPTY_LISTED, 0);
  Atomics.store(control, OVERFLOW_END, 0);
  Atomics.store(control, OVERFLOW_FREE, 0);
  Atomics.store(control, EVICT_HAND, 0);
  Atomics.store(control, REAP_HAND, 0);
  Atomics.store(control, BUCKETS, FIRST_BUCKETS);
}

const WORD = 0x1_0000_0000;

/** The byte counter, from any thread without a lock. */
export function readBytes(control: Int32Array): number {
  for (;;) {
    const sequence = Atomics.load(control, BYTES_SEQUENCE);
    const high = Atomics.load(control, BYTES_HIGH);
    const low = Atomics.load(control, BYTES_LOW) >>> 0;
    // A writer is inside for four stores; it cannot wait there, so this loop ends as soon as that thread runs.
    if ((sequence & 1) === 0 && Atomics.load(control, BYTES_SEQUENCE) === sequence) return high * WORD + low;
  }
}

/** Adds to the byte counter. The caller holds the allocator lock. */
export function addBytesLocked(control: Int32Array, delta: number): void {
  const sum = (control[BYTES_LOW] >>> 0) + delta;
  if (sum >= 0 && sum < WORD) Atomics.store(control, BYTES_LOW, sum | 0);
  else setBytes(control, control[BYTES_HIGH] * WORD + sum);
}

function setBytes(control: Int32Array, bytes: number): void {
  Atomics.add(control, BYTES_SEQUENCE, 1);
  Atomics.store(control, BYTES_HIGH, Math.floor(bytes / WORD));
  Atomics.store(control, BYTES_LOW, (bytes % WORD) | 0);
  Atomics.add(control, BYTES_SEQUENCE, 1);
}
