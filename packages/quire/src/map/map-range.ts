import type { MapCore } from './map-core.ts';
import { type MapWrite, PIN_PAGES_MAX } from './map-write.ts';
import { VALUE_BYTES_MAX, valueStart } from './record.ts';
import { frameHeader, writeHeader, writeZeros } from './record-write.ts';
import { GRANULE_BYTES } from './run-meta.ts';
import { classCapacity, classOf, isExtentClass, RUN_BYTES } from './size-class.ts';

/**
 * Writing a part of a value. Four ways, the cheapest that keeps "all or nothing" when no tier has room:
 *
 *   in place    it fits the record's capacity and touches few pages: pin them all, then write;
 *   tail first  the range begins at or behind the value's end and fits the capacity: bytes there belong to nobody yet, so they are
 *               written page by page, and the header's new length makes them part of the value;
 *   move        it does not fit the capacity, or overwrites many pages: a new record, some room to grow in it, old bytes copied;
 *   create      the key is absent (or expired).
 */
export class MapRange {
  private readonly core: MapCore;
  private readonly writes: MapWrite;
  private chunk = NO_BYTES;

  constructor(core: MapCore, writes: MapWrite) {
    this.core = core;
    this.writes = writes;
  }

  /**
   * Returns the value's new length. The caller has checked that the end is within VALUE_BYTES_MAX and holds no lock.
   */
  write(key: Uint8Array, valueOffset: number, source: Uint8Array): number {
    const core = this.core;
    const stripe = core.loadKey(key) & 63;
    const queued = core.disposalCount;
    core.locks.lockStripe(stripe);
    try {
      return this.writeLocked(stripe, valueOffset, source);
    } catch (error) {
      core.dropDisposals(queued);
      throw error;
    } finally {
      this.chunk = NO_BYTES;
      core.locks.unlockStripe(stripe);
    }
  }

  private writeLocked(stripe: number, from: number, source: Uint8Array): number {
    const core = this.core;
    const record = core.records;
    const isHit = core.findLocked();
    const isLive = isHit && !core.isExpired(record.expiresAtMs);
    if (!isLive) {
      if (isHit) core.queueDisposal('expire');
      return this.create(stripe, isHit, from, source);
    }
    const before = record.valueLength;
    if (source.length === 0) return before;
    const length = Math.max(before, from + source.length);
    const head = valueStart(core.frame.length);
    if (head + length > classCapacity(record.classId)) return this.move(stripe, from, source, length);
    frameHeader(core.frame, record.classId, record.kind, length, record.expiresAtMs);
    if (this.touchedPages(Math.min(from, before), from + source.length) <= PIN_PAGES_MAX)
      this.writeInPlace(stripe, from, source);
    else if (from >= before) this.writeTail(stripe, from, source);
    else return this.move(stripe, from, source, length);
    return length;
  }

  /** Pages from value byte `from` to `to`, and the header's page. */
  private touchedPages(from: number, to: number): number {
    const start = this.core.records.valueOffset();
    return Math.floor((start + to - 1) / 4096) - Math.floor((start + from) / 4096) + 2;
  }

  private create(stripe: number, isHit: boolean, from: number, source: Uint8Array): number {
    const core = this.core;
    const gap = source.length === 0 ? 0 : from;
    const length = gap + source.length;
    const bytes = valueStart(core.frame.length) + length;
    const classId = classOf(bytes);
    frameHeader(core.frame, classId, 0, length, 0);
    this.writes.replaceLocked(stripe, isHit, classId, bytes, gap, source, 0);
    return length;
  }

  private writeInPlace(stripe: number, from: number, source: Uint8Array): void {
    const core = this.core;
    const before = core.records.valueLength;
    const offset = core.location * GRANULE_BYTES;
    const start = core.records.valueOffset();
    const touched = Math.min(from, before);
    const length = core.frame.words[1];
    try {
      this.holdForGrowth(length);
      const headerPin = this.writes.headerPin;
      headerPin.hold(offset);
      this.writes.pinPages(start + touched, start + from + source.length);
      core.locks.openStripe(stripe);
      // None of these can fail: the pages are pinned.
      if (from > before) writeZeros(core.heap.heap, start + before, from - before);
      if (source.length > 0) core.heap.heap.write(start + from, source, 0, source.length);
      if (length !== before) writeHeader(headerPin, core.location, core.frame);
      core.locks.closeStripe(stripe);
      this.chargeGrowth(length);
    } finally {
      this.writes.headerPin.release();
      this.writes.releasePages();
      core.oldMetaPin.release();
    }
  }

  private writeTail(stripe: number, from: number, source: Uint8Array): void {
    const core = this.core;
    const before = core.records.valueLength;
    const start = core.records.valueOffset();
    const headerPin = this.writes.headerPin;
    const length = core.frame.words[1];
    try {
      this.holdForGrowth(length);
      headerPin.hold(core.location * GRANULE_BYTES);
      if (from > before) writeZeros(core.heap.heap, start + before, from - before);
      core.heap.heap.write(start + from, source, 0, source.length);
    } catch (error) {
      this.dropTail(start + before, start + length);
      headerPin.release();
      core.oldMetaPin.release();
      throw error;
    }
    core.locks.openStripe(stripe);
    writeHeader(headerPin, core.location, core.frame);
    core.locks.closeStripe(stripe);
    this.chargeGrowth(length);
    headerPin.release();
    core.oldMetaPin.release();
  }

  /**
   * Whole pages behind the value's end go back; of a slab they hold neighbours, and what lies in the slack there is
   * undefined anyway.
   */
  private dropTail(from: number, to: number): void {
    if (!isExtentClass(this.core.records.classId)) return;
    const first = Math.ceil(from / 4096) * 4096;
    const end = Math.ceil(to / 4096) * 4096;
    if (end > first) this.core.heap.heap.discard(first, end - first);
  }

  /** An extent that grows is charged for more pages: its meta page has to be at hand. */
  private holdForGrowth(length: number): void {
    const core = this.core;
    if (length !== core.records.valueLength && isExtentClass(core.records.classId))
      core.heap.hold(core.location, core.oldMetaPin);
  }

  private chargeGrowth(length: number): void {
    const core = this.core;
    if (!core.oldMetaPin.isHeld) return;
    core.heap.resizeExtent(core.location, valueStart(core.frame.length) + length, core.oldMetaPin);
  }

  /** A new record with the old value's bytes, `source` laid over them. */
  private move(stripe: number, from: number, source: Uint8Array, length: number): number {
    const core = this.core;
    const record = core.records;
    const before = record.valueLength;
    const oldStart = record.valueOffset();
    const head = valueStart(core.frame.length);
    const classId = classOf(roomFor(head + length, head + VALUE_BYTES_MAX));
    frameHeader(core.frame, classId, record.kind, length, record.expiresAtMs);
    this.writes.replaceLocked(stripe, true, classId, head + length, 0, NO_BYTES, record.expiresAtMs, (location) => {
      const start = location * GRANULE_BYTES + head;
      this.copy(oldStart, start, Math.min(before, from));
      if (from > before && !isExtentClass(classId)) writeZeros(core.heap.heap, start + before, from - before);
      if (source.length > 0) core.heap.heap.write(start + from, source, 0, source.length);
      const end = from + source.length;
      if (end < before) this.copy(oldStart + end, start + end, before - end);
    });
    return length;
  }

  private copy(from: number, to: number, length: number): void {
    if (length > 0 && this.chunk.length === 0) this.chunk = new Uint8Array(Math.min(length, RUN_BYTES));
    const heap = this.core.heap.heap;
    for (let done = 0; done < length; done += this.chunk.length) {
      const part = Math.min(this.chunk.length, length - done);
      heap.read(from + done, this.chunk, 0, part);
      heap.write(to + done, this.chunk, 0, part);
    }
  }
}

/**
 * Bytes to allocate for a value that grows: an eighth more in a slab, so that appends move it seldom; twice as much
 * in an extent, where room costs address space only.
 */
function roomFor(bytes: number, bytesMax: number): number {
  const wanted = bytes + (bytes > 16_384 ? bytes : bytes >> 3);
  return Math.max(bytes, Math.min(wanted, bytesMax));
}

const NO_BYTES = new Uint8Array(0);
