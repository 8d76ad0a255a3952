import { assert } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import type { PageSpace } from '../vm/page-space.ts';
import { addBytesLocked, CLASS_HEAD, EMPTY_LISTED, RUNS } from './control.ts';
import type { PagePin } from './page-pin.ts';
import {
  BITMAP_WORD,
  EXTENT,
  FREE,
  GRANULE_BYTES,
  LISTED,
  LOCATION_RUNS_MAX,
  META_BYTES,
  META_WORDS,
  runOf,
  SLAB,
  STATE_MASK,
} from './run-meta.ts';
import { trimLocked } from './run-trim.ts';
import {
  chargedBytes,
  extentRuns,
  isExtentClass,
  RUN_BYTES,
  SINGLE_RUN_CLASS,
  slotAt,
  slotOffset,
  slotsOf,
} from './size-class.ts';
import type { StripeLocks } from './stripe-locks.ts';

/**
 * Places for records. The heap space is a row of 64 KiB runs; what a run is stands in 256 bytes of the dense meta
 * space, so that allocating, freeing and evicting never touch the (maybe swapped out) page of a neighbour record.
 *
 * ```
 *             takeRuns                    allocate … free
 *   unused ──────────────→ SLAB(class) ──────────────────────┐ empty and first of its list
 *      └─────────────────→ EXTENT(class) ──── free ──────────┴──→ FREE (stack of its extent class) ──→ SLAB | EXTENT
 * ```
 * A class list is singly linked through w2 and holds every run of the class that has room (LISTED). A run that
 * empties in the middle of the list is discarded at once but stays listed; when such runs are many, `trimLocked`
 * gathers them before fresh address space is used. Free extents are neither split nor merged: that wastes address
 * space (bounded by classes × peak), never memory.
 *
 * A location is the record's byte offset / 16. Everything runs under the allocator lock. Pages are pinned before the
 * first store, so a full swap leaves all as it was; `allocate` and `hold` leave the run's meta page pinned in `pin`,
 * so that `free` cannot fail.
 */
export class RecordHeap {
  readonly heap: PageSpace;
  readonly meta: PageSpace;
  readonly control: Int32Array;
  private readonly locks: StripeLocks;
  private readonly runsMax: number;

  constructor(heap: PageSpace, meta: PageSpace, control: Int32Array, locks: StripeLocks) {
    this.heap = heap;
    this.meta = meta;
    this.control = control;
    this.locks = locks;
    this.runsMax = Math.min(heap.size / RUN_BYTES, meta.size / META_BYTES, LOCATION_RUNS_MAX);
  }

  /**
   * A place for a record of `bytes` bytes. Throws ERR_QUIRE_SWAP_FULL (no page for the meta, or no address space
   * left).
   */
  allocate(classId: number, bytes: number, pin: PagePin): number {
    this.locks.lockAllocator();
    try {
      const location = isExtentClass(classId) ? this.takeExtent(classId, bytes, pin) : this.takeSlot(classId, pin);
      addBytesLocked(this.control, chargedBytes(classId, bytes));
      return location;
    } catch (error) {
      pin.release();
      throw error;
    } finally {
      this.locks.unlockAllocator();
    }
  }

  /** Pins the meta page of a record, so that `free` and `resizeExtent` cannot fail. */
  hold(location: number, pin: PagePin): void {
    pin.hold(runOf(location) * META_BYTES);
  }

  /** Gives a place back; `pin` holds its meta page. Never fails. Returns the bytes it was charged. */
  free(location: number, pin: PagePin): number {
    assert(pin.isHeld, 'meta page is held');
    this.locks.lockAllocator();
    try {
      const run = runOf(location);
      const word = this.wordOf(run, pin);
      const state = pin.view.words[word] & STATE_MASK;
      const bytes = state === EXTENT ? this.freeExtent(run, word, pin) : this.freeSlot(run, word, location, pin);
      addBytesLocked(this.control, -bytes);
      return bytes;
    } finally {
      this.locks.unlockAllocator();
    }
  }

  /** The record in an extent now touches another number of pages; `pin` holds its meta page. */
  resizeExtent(location: number, bytes: number, pin: PagePin): void {
    this.locks.lockAllocator();
    try {
      const word = this.wordOf(runOf(location), pin);
      const words = pin.view.words;
      assert((words[word] & STATE_MASK) === EXTENT, 'an extent', words[word]);
      const pages = Math.ceil(bytes / 4096);
      addBytesLocked(this.control, (pages - words[word + 5]) * 4096);
      words[word + 5] = pages;
    } finally {
      this.locks.unlockAllocator();
    }
  }

  private wordOf(run: number, pin: PagePin): number {
    return pin.wordAt(run * META_BYTES);
  }

  private takeExtent(classId: number, bytes: number, pin: PagePin): number {
    const run = this.takeRuns(classId, pin);
    const word = this.wordOf(run, pin);
    const words = pin.view.words;
    words[word] = EXTENT | (classId << 8);
    words[word + 4] = extentRuns(classId);
    words[word + 5] = Math.ceil(bytes / 4096);
    return (run * RUN_BYTES) / GRANULE_BYTES;
  }

  private freeExtent(run: number, word: number, pin: PagePin): number {
    const words = pin.view.words;
    const classId = (words[word] >>> 8) & 0xff;
    const pages = words[word + 5];
    this.heap.discard(run * RUN_BYTES, extentRuns(classId) * RUN_BYTES);
    this.pushFree(run, classId, word, pin);
    return pages * 4096;
  }

  private takeSlot(classId: number, pin: PagePin): number {
    const head = CLASS_HEAD + classId;
    let run = this.control[head];
    if (run === 0) run = this.startSlab(classId, pin);
    else pin.hold(run * META_BYTES);
    const word = this.wordOf(run, pin);
    const words = pin.view.words;
    const free = words[word + 1];
    assert((words[word] & (STATE_MASK | LISTED)) === (SLAB | LISTED) && free > 0, 'a listed slab with room', run, free);
    if (free === slotsOf(classId) && this.control[head] === run) this.control[EMPTY_LISTED]--;
    const slot = takeBit(words, word, slotsOf(classId));
    words[word + 1] = free - 1;
    this.control[head] = run;
    if (free === 1) {
      this.control[head] = words[word + 2];
      words[word] &= ~LISTED;
    }
    return (run * RUN_BYTES + slotOffset(classId, slot)) / GRANULE_BYTES;
  }

  /** Makes a slab of a free run. The caller puts it at the head of its (empty) list. */
  private startSlab(classId: number, pin: PagePin): number {
    const run = this.takeRuns(SINGLE_RUN_CLASS, pin);
    const word = this.wordOf(run, pin);
    const words = pin.view.words;
    words.fill(0, word, word + META_WORDS);
    words[word] = SLAB | LISTED | (classId << 8);
    words[word + 1] = slotsOf(classId);
    words[word + 4] = 1;
    return run;
  }

  private freeSlot(run: number, word: number, location: number, pin: PagePin): number {
    const words = pin.view.words;
    assert((words[word] & STATE_MASK) === SLAB, 'a slab', words[word]);
    const classId = (words[word] >>> 8) & 0xff;
    const slot = slotAt(classId, (location * GRANULE_BYTES) % RUN_BYTES);
    assert(slot >= 0, 'the start of a slot', location);
    const bitWord = word + BITMAP_WORD + (slot >> 5);
    assert((words[bitWord] & (1 << (slot & 31))) !== 0, 'a taken slot', location);
    words[bitWord] &= ~(1 << (slot & 31));
    words[word + 1]++;
    if (slot >> 5 < words[word + 3]) words[word + 3] = slot >> 5;
    const head = CLASS_HEAD + classId;
    if ((words[word] & LISTED) === 0) {
      words[word] |= LISTED;
      words[word + 2] = this.control[head];
      this.control[head] = run;
    }
    if (words[word + 1] === slotsOf(classId)) this.emptied(run, word, head, pin);
    return chargedBytes(classId, 0);
  }

  private emptied(run: number, word: number, head: number, pin: PagePin): void {
    this.heap.discard(run * RUN_BYTES, RUN_BYTES);
    if (this.control[head] !== run) {
      this.control[EMPTY_LISTED]++;
      return;
    }
    this.control[head] = pin.view.words[word + 2];
    this.pushFree(run, SINGLE_RUN_CLASS, word, pin);
  }

  private pushFree(run: number, extentClass: number, word: number, pin: PagePin): void {
    const words = pin.view.words;
    words[word] = FREE | (extentClass << 8);
    words[word + 2] = this.control[CLASS_HEAD + extentClass];
    words[word + 4] = extentRuns(extentClass);
    this.control[CLASS_HEAD + extentClass] = run;
  }

  /**
   * A free extent, from its stack or from unused address space; its meta page pinned, its state to be set by the
   * caller.
   */
  private takeRuns(extentClass: number, pin: PagePin): number {
    const control = this.control;
    const head = CLASS_HEAD + extentClass;
    if (control[head] === 0 && extentClass === SINGLE_RUN_CLASS && control[EMPTY_LISTED] > 32 + control[RUNS] / 8) {
      trimLocked(this);
    }
    const run = control[head];
    if (run !== 0) {
      pin.hold(run * META_BYTES);
      const word = this.wordOf(run, pin);
      assert((pin.view.words[word] & STATE_MASK) === FREE, 'a free extent', run);
      control[head] = pin.view.words[word + 2];
      return run;
    }
    const fresh = control[RUNS];
    if (fresh + extentRuns(extentClass) > this.runsMax) {
      throw new QuireError(
        'ERR_QUIRE_SWAP_FULL',
        `the map's heap of ${this.heap.size} bytes of address space is used up`,
      );
    }
    pin.hold(fresh * META_BYTES);
    control[RUNS] = fresh + extentRuns(extentClass);
    return fresh;
  }
}

/** Takes the lowest free bit; the caller knows that there is one. */
function takeBit(words: Int32Array, word: number, slots: number): number {
  const end = (slots + 31) >> 5;
  for (let index = words[word + 3]; index < end; index++) {
    const bits = words[word + BITMAP_WORD + index];
    if (bits === -1) continue;
    const bit = 31 - Math.clz32(~bits & -~bits);
    const slot = (index << 5) + bit;
    assert(slot < slots, 'a slot of the run', slot, slots);
    words[word + BITMAP_WORD + index] = bits | (1 << bit);
    words[word + 3] = index;
    return slot;
  }
  assert(false, 'a free bit in a run with free slots');
}
