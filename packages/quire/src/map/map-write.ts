import { KEEP_EXPIRY } from './byte-map.ts';
import { COUNT, EXPIRING } from './control.ts';
import { EXPIRING as EXPIRING_BIT, entryWord, USE_MASK } from './entry-word.ts';
import { SLOTS, writeLink } from './hash-index.ts';
import type { MapCore } from './map-core.ts';
import { PagePin } from './page-pin.ts';
import { valueStart } from './record.ts';
import { frameHeader, writeHeader, writeRecord } from './record-write.ts';
import { GRANULE_BYTES } from './run-meta.ts';
import { classOf, SLAB_CLASSES } from './size-class.ts';
import { isSwapFull } from './swap-full.ts';

/**
 * Storing whole values. Two ways, both with every page pinned before the first store that anybody can see:
 *
 *   same slab class as before → the record is overwritten where it is (readers of the stripe retry meanwhile);
 *   else                      → a new record is filled unseen, then one store of the entry links it, then the old one is freed.
 *
 * A full swap before the link undoes the allocation on pages that are pinned already, so undoing needs no room.
 */
export class MapWrite {
  readonly core: MapCore;
  private readonly recordPins: PagePin[] = [];
  /** The page of a record's header, when a range elsewhere in the record is pinned too. */
  readonly headerPin: PagePin;

  constructor(core: MapCore) {
    this.core = core;
    this.headerPin = new PagePin(core.heap.heap);
    for (let index = 0; index < PIN_PAGES_MAX; index++) this.recordPins.push(new PagePin(core.heap.heap));
  }

  /** Returns true when the key was new (or expired). The caller has checked the arguments and holds no lock. */
  set(key: Uint8Array, value: Uint8Array, expiresAtMs: number, kind: number): boolean {
    const core = this.core;
    const stripe = core.loadKey(key) & 63;
    const queued = core.disposalCount;
    core.locks.lockStripe(stripe);
    try {
      return this.setLocked(stripe, value, expiresAtMs, kind);
    } catch (error) {
      core.dropDisposals(queued);
      throw error;
    } finally {
      core.locks.unlockStripe(stripe);
    }
  }

  private setLocked(stripe: number, value: Uint8Array, expiresAtMs: number, kind: number): boolean {
    const core = this.core;
    const bytes = valueStart(core.frame.length) + value.length;
    const classId = classOf(bytes);
    const isHit = core.findLocked();
    const isLive = isHit && !core.isExpired(core.records.expiresAtMs);
    const expiry = expiresAtMs !== KEEP_EXPIRY ? expiresAtMs : isLive ? core.records.expiresAtMs : 0;
    frameHeader(core.frame, classId, kind, value.length, expiry);
    if (isHit) core.queueDisposal(isLive ? 'set' : 'expire');
    if (isHit && classId === core.records.classId && classId < SLAB_CLASSES)
      this.overwriteLocked(stripe, bytes, value, expiry);
    else this.replaceLocked(stripe, isHit, classId, bytes, 0, value, expiry);
    return !isLive;
  }

  /** Pins the pages of heap bytes [from, to); at most PIN_PAGES_MAX. Returns how many. */
  pinPages(from: number, to: number): number {
    let count = 0;
    for (let page = from - (from & 4095); page < to; page += 4096) this.recordPins[count++].hold(page);
    return count;
  }

  releasePages(): void {
    for (const pin of this.recordPins) pin.release();
  }

  private overwriteLocked(stripe: number, bytes: number, value: Uint8Array, expiry: number): void {
    const core = this.core;
    const offset = core.location * GRANULE_BYTES;
    const isFlip = (expiry !== 0) !== ((core.word1 & EXPIRING_BIT) !== 0);
    try {
      if (isFlip) core.entryPin.hold(core.bucket);
      const pages = this.pinPages(offset, offset + bytes);
      core.locks.openStripe(stripe);
      writeHeader(this.recordPins[0], core.location, core.frame);
      const start = offset + valueStart(core.frame.length);
      if (pages === 1) {
        const view = this.recordPins[0].view;
        view.bytes.set(value, view.byte + (start & 4095));
      } else if (value.length > 0) {
        // Cannot fail: the pages are pinned.
        core.heap.heap.write(start, value, 0, value.length);
      }
      if (isFlip) this.flipExpiringLocked();
      core.locks.closeStripe(stripe);
    } finally {
      core.entryPin.release();
      this.releasePages();
    }
  }

  /** The entry (page pinned in `entryPin`) now has an expiry, or has none any more. */
  flipExpiringLocked(): void {
    const core = this.core;
    const word = core.entryPin.wordAt(core.bucket) + core.slot * 2 + 1;
    core.entryPin.view.words[word] ^= EXPIRING_BIT;
    Atomics.add(core.control, EXPIRING, (core.word1 & EXPIRING_BIT) === 0 ? 1 : -1);
  }

  /**
   * A new record with `gap` zeros and `source` as its value takes the place of the found one, or becomes a new entry.
   * The frame's header is filled. `fill`, when given, writes the value's gap itself.
   */
  replaceLocked(
    stripe: number,
    isHit: boolean,
    classId: number,
    bytes: number,
    gap: number,
    source: Uint8Array,
    expiry: number,
    fill?: (location: number) => void,
  ): void {
    const core = this.core;
    const heap = core.heap;
    let overflow = -1;
    try {
      core.entryPin.hold(isHit ? core.bucket : this.bucketToFill());
      if (isHit) heap.hold(core.location, core.oldMetaPin);
      else if (core.index.freeBucket === -1) overflow = core.index.takeOverflow(core.chainPin);
      const location = heap.allocate(classId, bytes, core.newMetaPin);
      try {
        writeRecord(heap.heap, this.recordPins[0], location, core.frame, gap, source);
        fill?.(location);
      } catch (error) {
        heap.free(location, core.newMetaPin);
        throw error;
      }
      const word1 = entryWord(core.frame.hash, location, expiry !== 0);
      core.locks.openStripe(stripe);
      if (isHit) this.putEntry(core.bucket, core.slot, location, word1 | (core.word1 & USE_MASK));
      else if (overflow === -1) this.putEntry(core.index.freeBucket, core.index.freeSlot, location, word1);
      else this.extendChain(overflow, location, word1);
      core.locks.closeStripe(stripe);
      overflow = -1;
      this.countReplaced(isHit, expiry !== 0);
      if (isHit) heap.free(core.location, core.oldMetaPin);
    } finally {
      if (overflow !== -1) core.index.giveOverflow(overflow, core.chainPin);
      core.entryPin.release();
      core.chainPin.release();
      core.newMetaPin.release();
      core.oldMetaPin.release();
      this.recordPins[0].release();
    }
  }

  private bucketToFill(): number {
    const index = this.core.index;
    return index.freeBucket === -1 ? index.tailBucket : index.freeBucket;
  }

  private putEntry(bucket: number, slot: number, location: number, word1: number): void {
    const pin = this.core.entryPin;
    const word = pin.wordAt(bucket) + slot * 2;
    pin.view.words[word] = (location % 0x1_0000_0000) | 0;
    pin.view.words[word + 1] = word1;
  }

  /**
   * The chain is full: its last entry and the new one move to a new overflow bucket (pinned in `chainPin`), linked
   * from the tail.
   */
  private extendChain(overflow: number, location: number, word1: number): void {
    const { entryPin, chainPin, index } = this.core;
    const tail = entryPin.wordAt(index.tailBucket);
    const added = chainPin.wordAt(index.overflowOffset(overflow));
    const words = chainPin.view.words;
    words[added] = entryPin.view.words[tail + SLOTS * 2 - 2];
    words[added + 1] = entryPin.view.words[tail + SLOTS * 2 - 1];
    words[added + 2] = (location % 0x1_0000_0000) | 0;
    words[added + 3] = word1;
    writeLink(entryPin.view.words, tail, overflow);
  }

  private countReplaced(isHit: boolean, isExpiring: boolean): void {
    const core = this.core;
    const wasExpiring = isHit && (core.word1 & EXPIRING_BIT) !== 0;
    if (!isHit) Atomics.add(core.control, COUNT, 1);
    if (isExpiring !== wasExpiring) Atomics.add(core.control, EXPIRING, isExpiring ? 1 : -1);
  }

  /** False when absent. Throws ERR_QUIRE_SWAP_FULL with nothing changed. */
  setExpiry(key: Uint8Array, expiresAtMs: number): boolean {
    const core = this.core;
    const stripe = core.loadKey(key) & 63;
    core.locks.lockStripe(stripe);
    try {
      if (!core.findLocked() || core.isExpired(core.records.expiresAtMs)) return false;
      const record = core.records;
      frameHeader(core.frame, record.classId, record.kind, record.valueLength, expiresAtMs);
      core.entryPin.hold(core.bucket);
      this.recordPins[0].hold(core.location * GRANULE_BYTES);
      core.locks.openStripe(stripe);
      writeHeader(this.recordPins[0], core.location, core.frame);
      if ((expiresAtMs !== 0) !== ((core.word1 & EXPIRING_BIT) !== 0)) this.flipExpiringLocked();
      core.locks.closeStripe(stripe);
      return true;
    } finally {
      core.entryPin.release();
      this.recordPins[0].release();
      core.locks.unlockStripe(stripe);
    }
  }

  /** Whether a live entry was removed; an expired one goes too, and counts as absent. */
  delete(key: Uint8Array): boolean {
    const core = this.core;
    const stripe = core.loadKey(key) & 63;
    core.locks.lockStripe(stripe);
    try {
      if (!core.findLocked()) return false;
      const isExpired = core.isExpired(core.records.expiresAtMs);
      core.removeLocked(this.homeBucket(), isExpired ? 'expire' : 'delete');
      return !isExpired;
    } finally {
      core.locks.unlockStripe(stripe);
    }
  }

  /** Removes the entry if it is still expired: what a reader that met it leaves behind. Best effort. */
  expire(key: Uint8Array): void {
    const core = this.core;
    const stripe = core.loadKey(key) & 63;
    core.locks.lockStripe(stripe);
    try {
      if (core.findLocked() && core.isExpired(core.records.expiresAtMs)) core.removeLocked(this.homeBucket(), 'expire');
    } catch (error) {
      if (!isSwapFull(error)) throw error;
    } finally {
      core.locks.unlockStripe(stripe);
    }
  }

  homeBucket(): number {
    const index = this.core.index;
    return index.homeOf(this.core.frame.hash, index.buckets);
  }
}

/**
 * A record of the largest slab class, 16 KiB, not page-aligned, lies in 5 pages; with the entry's page that is 6 of 8
 * pins.
 */
export const PIN_PAGES_MAX = 5;
