import { invalidArg, outOfRange } from '../base/errors.ts';
import { BucketSplit } from './bucket-split.ts';
import { BucketSweep } from './bucket-sweep.ts';
import { type ByteMap, KEEP_EXPIRY } from './byte-map.ts';
import {
  COUNT,
  EXPIRING,
  MAGIC,
  MAGIC_BUSY,
  MAGIC_VALUE,
  OVERFLOW_END,
  RUNS,
  readBytes,
  resetControl,
  SEED,
  STRIPES,
} from './control.ts';
import { BUCKET_BYTES } from './hash-index.ts';
import { MapCheck } from './map-check.ts';
import { MapCore, type MapSpaces } from './map-core.ts';
import { MapRange } from './map-range.ts';
import { ABSENT, EXPIRED, MapRead, OP_EXPIRY, OP_GET, OP_INTO, OP_KIND, OP_LENGTH, OP_RANGE } from './map-read.ts';
import { MapScan } from './map-scan.ts';
import { systemNow, systemRandom } from './map-world.ts';
import { MapWrite } from './map-write.ts';
import {
  checkCount,
  checkExpiry,
  checkKey,
  checkShape,
  checkValueLength,
  type PageMapOptions,
} from './page-map-options.ts';
import { valueStart } from './record.ts';
import { META_BYTES } from './run-meta.ts';
import { chargedBytes, classOf, RUN_BYTES } from './size-class.ts';

/**
 * The shared hash map: keys, index and values in page spaces, 1 KiB of resident control words, nothing per entry in
 * the JS heap. Each thread makes its own PageMap over the same spaces and control block. Operations on one key are
 * linearizable: a change happens while the key's stripe is locked, and is seen at the moment its sequence turns even.
 *
 * ```
 *  key ──hash──→ stripe (low 6 bits)      control.ts, stripe-locks.ts
 *        └─────→ bucket chain             hash-index.ts, entry-word.ts, bucket-split.ts
 *                  └─ location ─→ record  record.ts, record-heap.ts (runs, bitmaps), size-class.ts
 *  map-read.ts   optimistic, store-free         map-scan.ts      cursor that survives growth
 *  map-write.ts  set, delete, expiry            bucket-sweep.ts  eviction (GCLOCK), expiry, clear
 *  map-range.ts  parts of values                map-check.ts     isValid
 * ```
 * Lock order: growth → stripe → allocator → the page space's own. Callbacks run with no lock held.
 */
export class PageMap implements ByteMap {
  readonly core: MapCore;
  private readonly reads: MapRead;
  private readonly writes: MapWrite;
  private readonly ranges: MapRange;
  private readonly splits: BucketSplit;
  private readonly sweeps: BucketSweep;
  private readonly scans: MapScan;
  private readonly bytesMax: number;
  private readonly checkAlive: () => void;

  private constructor(spaces: MapSpaces, control: Int32Array, options: PageMapOptions) {
    this.core = new MapCore(spaces, control, {
      threadId: options.threadId ?? 0,
      lockWaitMsMax: options.lockWaitMsMax ?? LOCK_WAIT_MS_MAX,
      isThreadDead: options.isThreadDead,
      now: options.now ?? systemNow,
      random: options.random ?? systemRandom,
      dispose: options.dispose,
      countsUses: options.countsUses ?? true,
    });
    this.checkAlive = options.checkAlive ?? (() => {});
    this.bytesMax = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.reads = new MapRead(this.core);
    this.writes = new MapWrite(this.core);
    this.ranges = new MapRange(this.core, this.writes);
    this.splits = new BucketSplit(this.core);
    this.sweeps = new BucketSweep(this.core);
    this.scans = new MapScan(this.core);
  }

  /**
   * A new, empty map. `control`: CONTROL_WORDS words of shared memory, zeros. The spaces are untouched (zeros). Throws
   * ERR_QUIRE_INVALID_ARG.
   */
  static create(spaces: MapSpaces, control: Int32Array, options: PageMapOptions = {}): PageMap {
    checkShape(spaces, control, options);
    if (Atomics.compareExchange(control, MAGIC, 0, MAGIC_BUSY) !== 0) {
      throw invalidArg('control', 'zeros for a new map', control[MAGIC]);
    }
    resetControl(control);
    Atomics.store(control, SEED, options.seed ?? Math.floor((options.random ?? systemRandom)() * 2 ** 32) | 0);
    Atomics.store(control, MAGIC, MAGIC_VALUE);
    Atomics.notify(control, MAGIC);
    return new PageMap(spaces, control, options);
  }

  /**
   * Creates the map if the control block is zeros, else attaches; of several threads at once one creates, the others
   * wait for it. Throws ERR_QUIRE_INVALID_ARG.
   */
  static open(spaces: MapSpaces, control: Int32Array, options: PageMapOptions = {}): PageMap {
    checkShape(spaces, control, options);
    if (Atomics.load(control, MAGIC) === 0) {
      try {
        return PageMap.create(spaces, control, options);
      } catch (error) {
        if (Atomics.load(control, MAGIC) === 0) throw error;
      }
    }
    Atomics.wait(control, MAGIC, MAGIC_BUSY, LOCK_WAIT_MS_MAX);
    return PageMap.attach(spaces, control, options);
  }

  /**
   * The same map in another thread. `options.maxBytes` and `dispose` are the thread's own. Throws
   * ERR_QUIRE_INVALID_ARG.
   */
  static attach(spaces: MapSpaces, control: Int32Array, options: PageMapOptions = {}): PageMap {
    checkShape(spaces, control, options);
    if (Atomics.load(control, MAGIC) !== MAGIC_VALUE)
      throw invalidArg('control', 'the control block of a map', control[MAGIC]);
    return new PageMap(spaces, control, options);
  }

  get count(): number {
    this.checkAlive();
    return Atomics.load(this.core.control, COUNT) >>> 0;
  }

  get expiringCount(): number {
    this.checkAlive();
    return Atomics.load(this.core.control, EXPIRING) >>> 0;
  }

  get bytes(): number {
    this.checkAlive();
    return readBytes(this.core.control);
  }

  /** Home buckets of the index. */
  get buckets(): number {
    return this.core.index.buckets;
  }

  now(): number {
    return this.core.options.now();
  }

  valueLength(key: Uint8Array): number {
    return this.readField(key, OP_LENGTH);
  }

  has(key: Uint8Array): boolean {
    return this.readField(key, OP_LENGTH) !== ABSENT;
  }

  expiry(key: Uint8Array): number {
    return this.readField(key, OP_EXPIRY);
  }

  kind(key: Uint8Array): number {
    return this.readField(key, OP_KIND);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (this.readField(key, OP_GET) === ABSENT) return undefined;
    const value = this.reads.fresh;
    this.reads.fresh = NO_BYTES;
    return value;
  }

  getInto(key: Uint8Array, target: Uint8Array, targetOffset: number): number {
    checkKey(key);
    const room = target.length - targetOffset;
    if (!(room >= 0) || targetOffset < 0) throw outOfRange('targetOffset', `0..${target.length}`, targetOffset);
    return this.settled(key, this.reads.read(key, OP_INTO, target, targetOffset, 0, room));
  }

  readRange(key: Uint8Array, valueOffset: number, target: Uint8Array, targetOffset: number, length: number): number {
    checkKey(key);
    checkCount('valueOffset', valueOffset);
    checkCount('targetOffset', targetOffset);
    checkCount('length', length);
    if (targetOffset + length > target.length) throw outOfRange('length', `0..${target.length - targetOffset}`, length);
    return this.settled(key, this.reads.read(key, OP_RANGE, target, targetOffset, valueOffset, length));
  }

  set(key: Uint8Array, value: Uint8Array, expiresAtMs: number, kind = 0): boolean {
    checkKey(key);
    checkExpiry(expiresAtMs);
    checkValueLength(value.length);
    if (!(kind >= 0 && kind <= 255)) throw outOfRange('kind', '0..255', kind);
    try {
      if (this.bytesMax !== Number.POSITIVE_INFINITY) this.makeRoom(chargeOf(valueStart(key.length) + value.length), 0);
      const isNew = this.writes.set(key, value, expiresAtMs, kind);
      this.splits.grow();
      return isNew;
    } finally {
      this.core.flushDisposals();
    }
  }

  writeRange(key: Uint8Array, valueOffset: number, source: Uint8Array): number {
    checkKey(key);
    checkCount('valueOffset', valueOffset);
    const end = valueOffset + source.length;
    checkValueLength(end);
    try {
      if (this.bytesMax !== Number.POSITIVE_INFINITY) this.makeRoomToGrow(key, end);
      const length = this.ranges.write(key, valueOffset, source);
      this.splits.grow();
      return length;
    } finally {
      this.core.flushDisposals();
    }
  }

  delete(key: Uint8Array): boolean {
    checkKey(key);
    const isDeleted = this.writes.delete(key);
    this.core.flushDisposals();
    return isDeleted;
  }

  setExpiry(key: Uint8Array, expiresAtMs: number): boolean {
    checkKey(key);
    checkExpiry(expiresAtMs);
    if (expiresAtMs === KEEP_EXPIRY) return this.has(key);
    return this.writes.setExpiry(key, expiresAtMs);
  }

  scan(cursor: number, countHint: number, visit: (key: Uint8Array) => void): number {
    checkCount('cursor', cursor);
    return this.scans.scan(cursor, countHint, visit);
  }

  randomKey(): Uint8Array | undefined {
    return this.scans.randomKey();
  }

  reap(limit: number): number {
    return this.sweeps.reap(limit);
  }

  evict(bytesWanted: number): number {
    return this.sweeps.evict(bytesWanted, false);
  }

  /**
   * Removes everything and gives all pages back; never fails for want of room. Without a dispose callback it is a
   * single step. With one the entries go bucket by bucket, and what other threads set meanwhile may stay; when a page
   * cannot be pinned for that, the rest goes in a single step too, its callbacks' copies all in memory at once.
   */
  clear(): void {
    const isStepwise = this.core.options.dispose !== undefined && this.clearStepwise();
    this.core.locks.lockAll();
    try {
      if (!isStepwise && this.core.options.dispose !== undefined) {
        for (let home = 0; home < this.buckets; home++) this.sweeps.queueBucketLocked(home);
      }
      if (!isStepwise || this.count === 0) this.resetLocked();
    } finally {
      this.core.locks.unlockAll();
    }
    this.core.flushDisposals();
  }

  private clearStepwise(): boolean {
    for (let home = 0; home < this.buckets; home++) {
      if (!this.sweeps.clearBucket(home)) return false;
    }
    return true;
  }

  /** The first broken invariant, undefined when the map is sound. O(n), stops other threads meanwhile. */
  findFault(): string | undefined {
    return new MapCheck(this.core).findFault();
  }

  isValid(): boolean {
    return this.findFault() === undefined;
  }

  /** Whether a thread holds a lock of this map; if that thread is dead, the map is lost. */
  isHeldBy(threadId: number): boolean {
    return this.core.locks.heldBy(threadId);
  }

  private resetLocked(): void {
    const { control, index, heap, locks } = this.core;
    for (let stripe = 0; stripe < STRIPES; stripe++) locks.openStripe(stripe);
    index.space.discard(0, toPages(index.buckets * BUCKET_BYTES));
    index.space.discard(index.space.size / 2, toPages((control[OVERFLOW_END] >>> 0) * BUCKET_BYTES));
    heap.heap.discard(RUN_BYTES, (control[RUNS] - 1) * RUN_BYTES);
    heap.meta.discard(0, toPages(control[RUNS] * META_BYTES));
    resetControl(control);
    for (let stripe = 0; stripe < STRIPES; stripe++) locks.closeStripe(stripe);
  }

  private readField(key: Uint8Array, op: number): number {
    checkKey(key);
    return this.settled(key, this.reads.read(key, op, NO_BYTES, 0, 0, 0));
  }

  /** Lazy expiry: whoever meets an expired entry removes it. */
  private settled(key: Uint8Array, result: number): number {
    if (result !== EXPIRED) return result;
    this.writes.expire(key);
    this.core.flushDisposals();
    return ABSENT;
  }

  /**
   * Room for the growth of one value alone: a value that stays as long as it is must not be evicted by its own
   * writer.
   */
  private makeRoomToGrow(key: Uint8Array, end: number): void {
    const before = this.reads.read(key, OP_LENGTH, NO_BYTES, 0, 0, 0);
    if (end <= before) return;
    const head = valueStart(key.length);
    this.makeRoom(chargeOf(head + end), before < 0 ? 0 : chargeOf(head + before));
  }

  /**
   * Evicts until a record of `charge` bytes, `present` of which are there, fits under maxBytes; and a little more, so
   * that not every set has to.
   */
  private makeRoom(charge: number, present: number): void {
    if (charge > this.bytesMax) throw outOfRange('record size', `at most maxBytes (${this.bytesMax})`, charge);
    const excess = this.bytes + charge - present - this.bytesMax;
    if (excess > 0) this.sweeps.evict(excess + Math.min(EVICT_AHEAD_BYTES, Math.floor(this.bytesMax / 128)), true);
  }
}

function chargeOf(bytes: number): number {
  return chargedBytes(classOf(bytes), bytes);
}

function toPages(bytes: number): number {
  return Math.ceil(bytes / 4096) * 4096;
}

const NO_BYTES = new Uint8Array(0);
const LOCK_WAIT_MS_MAX = 10_000;
/** Evicting ahead makes one eviction serve many sets; 256 KiB at most, so that small maps stay full. */
const EVICT_AHEAD_BYTES = 262_144;
