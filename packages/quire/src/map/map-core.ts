import { assert } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import type { PageSpace } from '../vm/page-space.ts';
import { COUNT, EXPIRING, OVERFLOW_END, SEED } from './control.ts';
import { EXPIRING as EXPIRING_BIT, isLink, locationOf } from './entry-word.ts';
import { BUCKET_BYTES, BUCKET_WORDS, HashIndex, SLOTS } from './hash-index.ts';
import { KeyFrame } from './key-frame.ts';
import { PagePin } from './page-pin.ts';
import { PageReader } from './page-reader.ts';
import { DIFFERENT, HEADER_BYTES, MATCH, RETRY, RecordReader } from './record.ts';
import { RecordHeap } from './record-heap.ts';
import { GRANULE_BYTES } from './run-meta.ts';
import { StripeLocks } from './stripe-locks.ts';
import { isSwapFull } from './swap-full.ts';

/** The three sparse spaces of one map. */
export interface MapSpaces {
  /** Buckets: homes in the lower half, overflow buckets in the upper. 2^38 bytes are enough for 10^10 entries. */
  readonly index: PageSpace;
  /** Records. Only the first 1.94 TiB are used. */
  readonly heap: PageSpace;
  /** 256 bytes for each 64 KiB of heap. */
  readonly meta: PageSpace;
}

export type DisposeReason = 'evict' | 'expire' | 'set' | 'delete' | 'clear';
export type DisposeBytes = (key: Uint8Array, value: Uint8Array, reason: DisposeReason) => void;

/** What one thread brings to a map. */
export interface CoreOptions {
  readonly threadId: number;
  readonly lockWaitMsMax: number;
  readonly isThreadDead: ((threadId: number) => boolean) | undefined;
  readonly now: () => number;
  readonly random: () => number;
  readonly dispose: DisposeBytes | undefined;
  readonly countsUses: boolean;
}

/**
 * What the parts of a map share in one thread: its views of the shared memory, the key of the running operation, the
 * pins, and the entry that was found. A mutation holds at most: one entry page, one chain page, two meta pages (6
 * with the 4 heap pages of an in-place change: 8 pins are the limit of a page space).
 */
export class MapCore {
  readonly control: Int32Array;
  readonly locks: StripeLocks;
  readonly index: HashIndex;
  readonly heap: RecordHeap;
  readonly records: RecordReader;
  readonly frame = new KeyFrame();
  readonly options: CoreOptions;
  readonly entryPin: PagePin;
  readonly chainPin: PagePin;
  readonly newMetaPin: PagePin;
  readonly oldMetaPin: PagePin;

  /** The entry that `locate` found: byte offset of its bucket, slot, words. */
  bucket = 0;
  slot = 0;
  word0 = 0;
  word1 = 0;
  private disposals: { key: Uint8Array; value: Uint8Array; reason: DisposeReason }[] = [];

  constructor(spaces: MapSpaces, control: Int32Array, options: CoreOptions) {
    this.control = control;
    this.options = options;
    this.locks = new StripeLocks(control, options.threadId, options.lockWaitMsMax, options.isThreadDead);
    this.index = new HashIndex(spaces.index, control, new PageReader(spaces.index), this.locks);
    this.heap = new RecordHeap(spaces.heap, spaces.meta, control, this.locks);
    this.records = new RecordReader(spaces.heap, new PageReader(spaces.heap));
    this.entryPin = new PagePin(spaces.index);
    this.chainPin = new PagePin(spaces.index);
    this.newMetaPin = new PagePin(spaces.meta);
    this.oldMetaPin = new PagePin(spaces.meta);
  }

  get location(): number {
    return locationOf(this.word0, this.word1);
  }

  loadKey(key: Uint8Array): number {
    return this.frame.load(key, this.control[SEED]);
  }

  /**
   * One try to find the frame's key. After MATCH the record's page is open in `records.reader`, its header in
   * `records`.
   */
  locate(linksMax: number, isWhole: boolean): number {
    const index = this.index;
    if (!index.collect(this.frame.hash, linksMax)) return RETRY;
    for (let candidate = 0; candidate < index.candidates; candidate++) {
      const word0 = index.candidateWord0[candidate];
      const word1 = index.candidateWord1[candidate];
      const outcome = this.records.match(locationOf(word0, word1), this.frame, isWhole);
      if (outcome === DIFFERENT) continue;
      this.bucket = index.candidateBucket[candidate];
      this.slot = index.candidateSlot[candidate];
      this.word0 = word0;
      this.word1 = word1;
      return outcome;
    }
    return DIFFERENT;
  }

  /**
   * Whether the frame's key is there (expired or not), its entry and header loaded and true. The caller holds the
   * stripe.
   */
  findLocked(): boolean {
    return this.tryFindLocked() ?? this.settle(() => this.tryFindLocked());
  }

  private tryFindLocked(): boolean | undefined {
    const outcome = this.locate(this.linksMaxLocked(), false);
    if (outcome === RETRY || (outcome === MATCH && !this.records.reader.close())) return undefined;
    return outcome === MATCH;
  }

  /** A chain cannot be longer than all overflow buckets. */
  linksMaxLocked(): number {
    return Atomics.load(this.control, OVERFLOW_END) >>> 0;
  }

  /** Loads the header of a record. The caller holds its stripe. */
  loadHeaderLocked(location: number): void {
    const end = ((location * GRANULE_BYTES) & 4095) + HEADER_BYTES;
    this.settle(() => {
      this.records.openHeader(location, end);
      return this.records.reader.close() || undefined;
    });
  }

  /** Copies the 16 words of a bucket. The caller holds its stripe. */
  readBucketLocked(offset: number, into: Int32Array): void {
    const reader = this.index.reader;
    this.settle(() => {
      const within = offset & 4095;
      const view = reader.open(offset, within + BUCKET_BYTES);
      const word = view.word + (within >> 2);
      for (let at = 0; at < BUCKET_WORDS; at++) into[at] = view.words[word + at];
      return reader.close() || undefined;
    });
  }

  /**
   * Runs a read of things that only the page space may move, until it is true. Pages that keep moving are copied in
   * the end, so this is bounded.
   */
  settle<T>(attempt: () => T | undefined): T {
    for (let tries = 0; tries < SETTLE_TRIES; tries++) {
      const result = attempt();
      if (result !== undefined) return result;
    }
    this.index.reader.isSteady = true;
    this.records.reader.isSteady = true;
    try {
      const result = attempt();
      assert(result !== undefined, 'a locked read of copied pages is true');
      return result;
    } finally {
      this.index.reader.isSteady = false;
      this.records.reader.isSteady = false;
    }
  }

  isExpired(expiresAtMs: number): boolean {
    return expiresAtMs !== 0 && expiresAtMs <= this.options.now();
  }

  /**
   * Takes the found entry out and frees its record. The caller holds the stripe, and for a dispose callback the
   * record's header is loaded. Throws ERR_QUIRE_SWAP_FULL with nothing changed. Returns the bytes freed.
   */
  removeLocked(home: number, reason: DisposeReason): number {
    const stripe = home & 63;
    let bytes = 0;
    let isBucketEmpty = false;
    try {
      this.entryPin.hold(this.bucket);
      this.heap.hold(this.location, this.oldMetaPin);
      this.queueDisposal(reason);
      const words = this.entryPin.view.words;
      const word = this.entryPin.wordAt(this.bucket);
      this.locks.openStripe(stripe);
      words[word + this.slot * 2] = 0;
      words[word + this.slot * 2 + 1] = 0;
      this.locks.closeStripe(stripe);
      isBucketEmpty = isEmptyBucket(words, word);
      Atomics.sub(this.control, COUNT, 1);
      if ((this.word1 & EXPIRING_BIT) !== 0) Atomics.sub(this.control, EXPIRING, 1);
      bytes = this.heap.free(this.location, this.oldMetaPin);
      if (isBucketEmpty && this.bucket !== home * BUCKET_BYTES) this.unlinkLocked(home);
    } finally {
      this.entryPin.release();
      this.oldMetaPin.release();
    }
    return bytes;
  }

  /**
   * Takes the empty overflow bucket `this.bucket`, pinned in `entryPin`, out of its chain; leaves it when there is no
   * page for that.
   */
  private unlinkLocked(home: number): void {
    const words = new Int32Array(BUCKET_WORDS);
    let before = home * BUCKET_BYTES;
    for (let links = this.linksMaxLocked(); links >= 0; links--) {
      this.readBucketLocked(before, words);
      assert(isLink(words[15]), 'the bucket is in its chain', home);
      if (this.index.overflowOffset(words[14] >>> 0) === this.bucket) break;
      before = this.index.overflowOffset(words[14] >>> 0);
    }
    try {
      this.chainPin.hold(before);
    } catch (error) {
      if (isSwapFull(error)) return;
      throw error;
    }
    const from = this.entryPin.wordAt(this.bucket);
    const to = this.chainPin.wordAt(before);
    this.locks.openStripe(home & 63);
    this.chainPin.view.words[to + 14] = this.entryPin.view.words[from + 14];
    this.chainPin.view.words[to + 15] = this.entryPin.view.words[from + 15];
    this.locks.closeStripe(home & 63);
    this.chainPin.release();
    this.index.giveOverflow(words[14] >>> 0, this.entryPin);
  }

  /**
   * Copies key and value of the loaded record for the callback, when there is one. A record that cannot be read any
   * more (a lost page) goes without a callback: it must not keep anybody from removing it.
   */
  queueDisposal(reason: DisposeReason): void {
    if (this.options.dispose === undefined) return;
    try {
      this.disposals.push({ key: this.records.copyKey(), value: this.records.copyValue(), reason });
    } catch (error) {
      if (!(error instanceof QuireError)) throw error;
    }
  }

  get disposalCount(): number {
    return this.disposals.length;
  }

  /** Drops what a mutation that failed had queued: all but the first `count`. */
  dropDisposals(count: number): void {
    this.disposals.length = count;
  }

  /**
   * Calls back for what was disposed of. The caller holds no lock: the callback may use the map. The first error is
   * thrown on.
   */
  flushDisposals(): void {
    const dispose = this.options.dispose;
    if (dispose === undefined || this.disposals.length === 0) return;
    const due = this.disposals;
    this.disposals = [];
    let failed = false;
    let failure: unknown;
    for (const { key, value, reason } of due) {
      try {
        dispose(key, value, reason);
      } catch (error) {
        if (!failed) failure = error;
        failed = true;
      }
    }
    if (failed) throw failure;
  }
}

/** No entry in the bucket; a link does not count. */
function isEmptyBucket(words: Int32Array, word: number): boolean {
  for (let slot = 0; slot < SLOTS - 1; slot++) {
    if ((words[word + slot * 2] | words[word + slot * 2 + 1]) !== 0) return false;
  }
  return isLink(words[word + 15]) || (words[word + 14] | words[word + 15]) === 0;
}

/** Garbage or movement this many times in a row: then the page is copied. */
const SETTLE_TRIES = 32;
