/**
 * Demotion: compressed objects and raw pages move to the file tier. No page table is touched: the slot's word is
 * rewritten.
 *
 * A clock hand sweeps the frame table. A zspage that was used since the last turn (touch) is passed once; the next idle one
 * gives all its objects to the batch, so that whole frames come free and the file is written in runs. For each raw page that
 * the hand finds, the oldest one goes (swap/raw-list.ts).
 *
 *   1. lock    pick victims, copy their objects into staging, note each slot's word and sequence
 *   2. –       checksum, write (swap/file-writer.ts: lock, reserve room in the log; write)
 *   3. lock    a slot whose word and sequence are unchanged now points at the file, and its old storage goes;
 *              others were freed or moved: skip
 *
 * Units (swap/unit.ts) are taken apart between 1 and 2: their pages, decoded once, are compressed one by one. What then finds no room in the batch stays where it is. Objects may be made smaller there, too (recompress.ts).
 *
 * One demoter a node at a time (H_DEMOTE_BUSY). A failed write changes nothing: the batch stays where it was.
 */

import { KIND_MASK, KIND_RAW, KIND_ZS } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import type { Device } from '../base/port.ts';
import { NO_PFN, PAGE_BYTES, PAGE_SHIFT, type Pfn, type SlotIndex, UNIT_BYTES, UNIT_PAGES } from '../base/units.ts';
import { decodeBlock, isPoolZstd } from './block-codec.ts';
import { FILE_OBJECT_BYTES_MAX, granulesFor, LZ4_OBJECT, sealObject, ZSTD_OBJECT } from './file-object.ts';
import {
  commitLocked,
  FILE_GRANULE_BYTES,
  FILE_HEADER_BYTES,
  RAW_OBJECT,
  roomInOpenLocked,
  SPARE_SEGMENTS,
} from './file-segments.ts';
import { WRITE_FULL, writeBatch } from './file-writer.ts';
import { nextRaw, oldestRaw, rawAddLocked, rawRemoveLocked } from './raw-list.ts';
import { recompressBatch, wantsRecompression } from './recompress.ts';
import * as W from './slot-word.ts';
import { attachStorageLocked, releaseStorageLocked } from './storage.ts';
import { compressBytes } from './swap-out.ts';
import { NO_SLOT, sequenceAt, setSlotWordLocked, slotWordLocked } from './swap-table.ts';
import { pageInUnit } from './unit.ts';
import { forEachObjectLocked, gathered, zsGather } from './zs-pool.ts';

/** Frames the hand may pass in one hold of the lock (about 2 ns each). */
export const SWEEP_FRAMES_MAX = 1024;
/** Copied in one hold of the lock: some 3 µs. Twice as much writes no faster. */
const BATCH_BYTES_MAX = 32 * 1024;
const BATCH_OBJECTS_MAX = BATCH_BYTES_MAX / FILE_GRANULE_BYTES;
/** Raw pages that fit one batch. */
export const RAW_BATCH = Math.floor(BATCH_BYTES_MAX / (granulesFor(PAGE_BYTES) * FILE_GRANULE_BYTES));
/** Units lie, as they are, in the rest of the staging buffer. */
const UNITS_BYTES_MAX = L.AREA_STAGING_BYTES - BATCH_BYTES_MAX;
const UNITS_MAX = 8;
const NO_UNIT = -1;
export const DEMOTED_NONE = 0;
export const DEMOTED_SOME = 1;
/** The log has no free segment: cleaning may help. */
export const DEMOTED_FILE_FULL = 2;
export const DEMOTED_IO_ERROR = 3;
/** Another thread is at it. */
export const DEMOTED_BUSY = 4;

export class Demoter {
  private readonly node: Node;
  private readonly device: Device;
  /* The batch: parallel arrays, allocated once. */
  private readonly slots = new Int32Array(BATCH_OBJECTS_MAX);
  private readonly wordsSeen = new Int32Array(BATCH_OBJECTS_MAX);
  private readonly sequences = new Int32Array(BATCH_OBJECTS_MAX);
  private readonly lengths = new Int32Array(BATCH_OBJECTS_MAX);
  private readonly granules = new Int32Array(BATCH_OBJECTS_MAX);
  /** Pages of units, before they are taken apart: which of them. */
  private readonly unitOf = new Int32Array(BATCH_OBJECTS_MAX);
  /** LZ4_, ZSTD_ or RAW_OBJECT. */
  private readonly forms = new Int32Array(BATCH_OBJECTS_MAX);
  private readonly unitPlaces = new Int32Array(UNITS_MAX);
  private readonly unitLengths = new Int32Array(UNITS_MAX);
  private readonly unitForms = new Int32Array(UNITS_MAX);
  private unitCount = 0;
  private unitBytes = 0;
  /** What the pages of units will take, as a guess. */
  private granulesPending = 0;
  private count = 0;
  private granulesUsed = 0;
  private dropped = 0;
  private full = false;
  /** Most that this batch may take: what the segment has room for, so that few segments end in a gap. */
  private bytesMax = BATCH_BYTES_MAX;
  /** The raw page to look at next. */
  private rawNext = NO_PFN;

  constructor(node: Node, device: Device) {
    this.node = node;
    this.device = device;
  }

  /** Moves one batch. Returns a DEMOTED_ code. */
  demote(raw?: Int32Array): number {
    const { node } = this;
    node.lock();
    if (node.words[L.H_DEMOTE_BUSY] !== 0) {
      node.unlock();
      return DEMOTED_BUSY;
    }
    node.words[L.H_DEMOTE_BUSY] = node.thread;
    this.beginLocked();
    if (raw === undefined) {
      const room = roomInOpenLocked(node) * FILE_GRANULE_BYTES;
      if (room >= FILE_OBJECT_BYTES_MAX) this.bytesMax = Math.min(room, BATCH_BYTES_MAX);
      this.collectLocked();
    } else this.collectRawLocked(raw);
    node.unlock();
    if (this.unitCount > 0) this.takeUnitsApart();
    if (wantsRecompression(node)) this.recompress();
    const outcome = this.count === 0 ? this.idleOutcome() : this.writeOut();
    Atomics.store(node.words, L.H_DEMOTE_BUSY, 0);
    return outcome;
  }

  private recompress(): void {
    const { node, count, lengths, granules, forms } = this;
    this.granulesUsed = recompressBatch(node, count, lengths, granules, forms);
  }

  private idleOutcome(): number {
    return this.dropped > 0 ? DEMOTED_SOME : DEMOTED_NONE;
  }

  private writeOut(): number {
    const { node } = this;
    this.seal();
    const first = writeBatch(node, this.device, this.granulesUsed, SPARE_SEGMENTS);
    if (first < 0) return first === WRITE_FULL ? DEMOTED_FILE_FULL : DEMOTED_IO_ERROR;
    node.lock();
    const live = this.publishLocked(first);
    commitLocked(node, first, live, this.count);
    node.unlock();
    return DEMOTED_SOME;
  }

  private beginLocked(): void {
    this.count = 0;
    this.granulesUsed = 0;
    this.unitCount = 0;
    this.unitBytes = 0;
    this.granulesPending = 0;
    this.dropped = 0;
    this.full = false;
    this.bytesMax = BATCH_BYTES_MAX;
    this.rawNext = oldestRaw(this.node);
    this.node.takeStaging();
  }

  /** No more than RAW_BATCH fit. */
  private collectRawLocked(raw: Int32Array): void {
    const { words, kindAt } = this.node;
    for (const pfn of raw) {
      if ((words[kindAt + pfn] & KIND_MASK) === KIND_RAW) this.addRawLocked(pfn as Pfn);
    }
  }

  /** Sweeps until the staging buffer is full or the hand has gone far enough. */
  private collectLocked(): void {
    const { words, frames, firstFree, kindAt } = this.node;
    let hand = words[L.H_DEMOTE_HAND];
    for (let passed = 0; passed < SWEEP_FRAMES_MAX && !this.full; passed++) {
      if (hand < firstFree || hand >= frames) hand = firstFree;
      const kind = words[kindAt + hand] & KIND_MASK;
      if (kind === KIND_RAW) this.takeOldestRawLocked();
      else if (kind === KIND_ZS && !this.wasTouchedLocked(hand)) this.takeZspageLocked(hand as Pfn);
      if (this.full) break; // the rest of this zspage, and this raw page, next time
      hand++;
    }
    words[L.H_DEMOTE_HAND] = hand;
  }

  /**
   * Takes the touch marks back from the frame, or all frames of the zspage: readers mark the frame an object starts
   * in.
   */
  private wasTouchedLocked(first: number): boolean {
    const { words, touchAt, slotAt } = this.node;
    const chained = (words[this.node.kindAt + first] & KIND_MASK) === KIND_ZS;
    let touched = false;
    for (let pfn = first; pfn !== 0; pfn = chained ? words[slotAt + pfn] : 0) {
      if (words[touchAt + pfn] !== 0) touched = true;
      words[touchAt + pfn] = 0;
    }
    return touched;
  }

  private takeZspageLocked(pfn: Pfn): void {
    const { node } = this;
    if (this.dropCleanCopiesLocked(pfn)) return;
    let unit = NO_UNIT;
    forEachObjectLocked(node, pfn, (slot, location) => {
      if (this.full) return;
      if (unit === location) return this.addUnitPageLocked(slot);
      const source = zsGather(node, location);
      const form = gathered.isZstd ? ZSTD_OBJECT : LZ4_OBJECT;
      if (!gathered.isUnit) return this.addLocked(slot, source, gathered.length, form);
      unit = location;
      if (this.copyUnitLocked(source, gathered.length, form)) this.addUnitPageLocked(slot);
    });
  }

  /**
   * The oldest raw page for one that the hand found: as many go as are met, so that neither kind waits for the other. One that
   * was read since it left memory becomes the youngest.
   */
  private takeOldestRawLocked(): void {
    const { node, rawNext } = this;
    if (rawNext === NO_PFN) return;
    this.rawNext = nextRaw(node, rawNext);
    if (!this.wasTouchedLocked(rawNext)) {
      this.addRawLocked(rawNext);
      return;
    }
    rawRemoveLocked(node, rawNext);
    rawAddLocked(node, rawNext);
  }

  private addRawLocked(pfn: Pfn): void {
    this.addLocked(this.node.words[this.node.ownerAt + pfn] as SlotIndex, pfn << PAGE_SHIFT, PAGE_BYTES, RAW_OBJECT);
  }

  /**
   * Copies of pages that are resident need no file: their data is in memory. True when the zspage went away with
   * them.
   */
  private dropCleanCopiesLocked(pfn: Pfn): boolean {
    const { node } = this;
    const drop: SlotIndex[] = [];
    forEachObjectLocked(node, pfn, (slot) => {
      if (W.isCached(slotWordLocked(node, slot))) drop.push(slot);
    });
    for (const slot of drop) {
      const word = slotWordLocked(node, slot);
      setSlotWordLocked(node, slot, W.slotWord(W.SLOT_EMPTY, 0) | W.SLOT_CACHED);
      releaseStorageLocked(node, slot, word);
      this.dropped++;
    }
    return (node.words[node.kindAt + pfn] & KIND_MASK) !== KIND_ZS;
  }

  private addLocked(slot: SlotIndex, source: number, length: number, form: number): void {
    const { node } = this;
    const granules = granulesFor(length);
    const at = this.granulesUsed * FILE_GRANULE_BYTES;
    if (this.count === BATCH_OBJECTS_MAX || at + FILE_OBJECT_BYTES_MAX > this.bytesMax) {
      this.full = true;
      return;
    }
    node.kernel.copy((node.stagingByte + at + FILE_HEADER_BYTES) | 0, source, length);
    this.noteLocked(slot, NO_UNIT);
    this.forms[this.count] = form;
    this.lengths[this.count] = length;
    this.granules[this.count] = this.granulesUsed;
    this.count++;
    this.granulesUsed += granules;
  }

  private noteLocked(slot: SlotIndex, unit: number): void {
    this.slots[this.count] = slot;
    this.wordsSeen[this.count] = slotWordLocked(this.node, slot);
    this.sequences[this.count] = this.node.words[sequenceAt(slot)];
    this.unitOf[this.count] = unit;
  }

  /** False, and full, when there is no room for one more. */
  private copyUnitLocked(source: number, length: number, form: number): boolean {
    if (this.unitCount === UNITS_MAX || this.unitBytes + length > UNITS_BYTES_MAX) {
      this.full = true;
      return false;
    }
    const { node } = this;
    const at = (node.stagingByte + BATCH_BYTES_MAX + this.unitBytes) | 0;
    node.kernel.copy(at, source, length);
    this.unitPlaces[this.unitCount] = at;
    this.unitForms[this.unitCount] = form;
    this.unitLengths[this.unitCount++] = length;
    this.unitBytes += (length + 15) & ~15;
    return true;
  }

  /** A page of the unit that was copied last. */
  private addUnitPageLocked(slot: SlotIndex): void {
    // A page alone takes some quarter more than its share of the unit.
    const granules = granulesFor(
      Math.min(PAGE_BYTES, Math.ceil((this.unitLengths[this.unitCount - 1] / UNIT_PAGES) * 1.25)),
    );
    const used = (this.granulesUsed + this.granulesPending + granules) * FILE_GRANULE_BYTES;
    if (this.count === BATCH_OBJECTS_MAX || used > this.bytesMax) {
      this.full = true;
      return;
    }
    this.noteLocked(slot, this.unitCount - 1);
    this.count++;
    this.granulesPending += granules;
  }

  /** Pages of units are decoded and compressed one by one, to where the batch goes on. */
  private takeUnitsApart(): void {
    const { node } = this;
    const decoded = node.gatherByte | 0;
    const count = this.count;
    let current = NO_UNIT;
    this.count = 0;
    for (let i = 0; i < count; i++) {
      const unit = this.unitOf[i];
      if (unit !== NO_UNIT && unit !== current) {
        const got = this.decodeUnit(unit, decoded);
        assert(got === UNIT_BYTES, 'unit decodes', got, this.slots[i]);
        current = unit;
      }
      if (unit === NO_UNIT || this.storePage(i, decoded + pageInUnit(this.slots[i]) * PAGE_BYTES)) this.keep(i);
    }
  }

  private decodeUnit(unit: number, target: number): number {
    const isZstd = this.unitForms[unit] === ZSTD_OBJECT;
    const { [unit]: length } = this.unitLengths;
    return decodeBlock(this.node, this.unitPlaces[unit], length, isZstd, target, UNIT_BYTES, UNIT_BYTES);
  }

  /** False when the page might not fit the batch. */
  private storePage(i: number, source: number): boolean {
    const { node } = this;
    const at = this.granulesUsed * FILE_GRANULE_BYTES;
    if (at + FILE_OBJECT_BYTES_MAX > this.bytesMax) return false;
    const target = (node.stagingByte + at + FILE_HEADER_BYTES) | 0;
    const length = compressBytes(node, source | 0, target);
    if (length === 0) node.kernel.copy(target, source | 0, PAGE_BYTES);
    this.forms[i] = length === 0 ? RAW_OBJECT : isPoolZstd(node) ? ZSTD_OBJECT : LZ4_OBJECT;
    this.lengths[i] = length === 0 ? PAGE_BYTES : length;
    this.granules[i] = this.granulesUsed;
    this.granulesUsed += granulesFor(this.lengths[i]);
    return true;
  }

  /** Entry i is the next of the batch. */
  private keep(i: number): void {
    const to = this.count++;
    for (const array of [this.slots, this.wordsSeen, this.sequences, this.lengths, this.granules, this.forms]) {
      array[to] = array[i];
    }
  }

  private seal(): void {
    const { node } = this;
    for (let i = 0; i < this.count; i++) {
      const byte = node.stagingByte + this.granules[i] * FILE_GRANULE_BYTES;
      sealObject(node, byte, this.slots[i] as SlotIndex, this.lengths[i], this.forms[i]);
    }
  }

  /** Returns how many objects of the batch now live in the file. */
  private publishLocked(first: number): number {
    const { node } = this;
    // All are checked before any is moved: moving one moves its sequence word, which others of the batch may share. A
    // word that moved for a slot outside the batch looks the same as a change: without proof, leave it where it is.
    for (let i = 0; i < this.count; i++) {
      if (node.words[sequenceAt(this.slots[i])] !== this.sequences[i]) this.slots[i] = NO_SLOT;
    }
    let live = 0;
    for (let i = 0; i < this.count; i++) {
      if (this.slots[i] !== NO_SLOT && this.moveLocked(i, this.slots[i] as SlotIndex, first)) live++;
    }
    return live;
  }

  private moveLocked(i: number, slot: SlotIndex, first: number): boolean {
    const { node } = this;
    const word = slotWordLocked(node, slot);
    if ((word & ~W.SLOT_CACHED) !== (this.wordsSeen[i] & ~W.SLOT_CACHED)) return false;
    attachStorageLocked(node, slot, W.slotWord(W.SLOT_FILE, first + this.granules[i]) | (word & W.SLOT_CACHED));
    releaseStorageLocked(node, slot, word);
    node.counters[C.zswpwb]++;
    return true;
  }
}
