import { assert } from '../../base/assert.ts';
import { QuireError } from '../../base/errors.ts';
import type { PageSpace, PageView } from '../../vm/page-space.ts';

/**
 * A page space for tests: one shared pool of frames, a flat page table per space, nothing ever swapped. It can be told to be as nasty
 * as the contract allows: views of garbage that `closeRead` rejects, and ERR_QUIRE_SWAP_FULL at a chosen allocation of a page.
 */
export interface PlainMemory {
  /** Frames of 4 KiB; frame 0 stays zero and stands for every untouched page. */
  readonly frames: SharedArrayBuffer;
  /** Lock, first never-used frame, first free frame, frames in use; then a next-free word per frame. */
  readonly pool: SharedArrayBuffer;
}

export interface PlainHandle {
  readonly memory: PlainMemory;
  readonly table: SharedArrayBuffer;
}

export function createPlainMemory(frameCount: number): PlainMemory {
  const memory = {
    frames: new SharedArrayBuffer(frameCount * 4096),
    pool: new SharedArrayBuffer((POOL_WORDS + frameCount) * 4),
  };
  new Int32Array(memory.pool)[FRESH] = 1;
  return memory;
}

/** What goes wrong, shared by the spaces of one test. */
export class PlainFaults {
  /** Allocations of a page until ERR_QUIRE_SWAP_FULL is thrown; from then on every one throws. */
  allocationsLeft = Number.POSITIVE_INFINITY;
  /** Also pages that exist may fail to be pinned (as when they were swapped out). */
  hitsExistingPages = false;
  /** Chance that an `openRead` shows garbage and its `closeRead` fails. */
  invalidReads = 0;
  random: () => number = Math.random;
  /** Pages pinned now, and the most there were. */
  pinned = 0;
  pinnedMax = 0;
  /** Times a page was asked for. */
  allocations = 0;

  /** Called before a page is allocated. */
  onAllocation(): void {
    this.allocations++;
    if (this.allocationsLeft <= 0) throw new QuireError('ERR_QUIRE_SWAP_FULL', 'no room (test)');
    this.allocationsLeft--;
  }
}

const LOCK = 0;
const FRESH = 1;
const FREE = 2;
const USED = 3;
const POOL_WORDS = 4;
const GARBAGE = -2;

export class PlainPageSpace implements PageSpace {
  readonly size: number;
  readonly handle: PlainHandle;
  readonly faults: PlainFaults;
  private readonly table: Int32Array;
  private readonly pool: Int32Array;
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;
  private readonly garbage: Int32Array;
  private readonly garbageBytes: Uint8Array;
  private readonly scratch: PageView;
  /** Pins of this thread per page: a pinned page cannot fail to be pinned again. */
  private readonly pins = new Map<number, number>();

  constructor(handle: PlainHandle, faults: PlainFaults = new PlainFaults()) {
    this.handle = handle;
    this.faults = faults;
    this.table = new Int32Array(handle.table);
    this.size = this.table.length * 4096;
    this.pool = new Int32Array(handle.memory.pool);
    this.words = new Int32Array(handle.memory.frames);
    this.bytes = new Uint8Array(handle.memory.frames);
    this.garbage = new Int32Array(2048);
    this.garbageBytes = new Uint8Array(this.garbage.buffer);
    this.scratch = { words: this.words, bytes: this.bytes, word: 0, byte: 0, pfn: 0, version: 0, node: 0, place: -1 };
  }

  static create(memory: PlainMemory, size: number, faults?: PlainFaults): PlainPageSpace {
    return new PlainPageSpace({ memory, table: new SharedArrayBuffer((size / 4096) * 4) }, faults);
  }

  get framesUsed(): number {
    return Atomics.load(this.pool, USED);
  }

  read(offset: number, target: Uint8Array, targetOffset: number, length: number): void {
    this.check(offset, length);
    assert(targetOffset >= 0 && targetOffset + length <= target.length, 'read fits its target', targetOffset, length);
    for (let done = 0; done < length; ) {
      const within = (offset + done) % 4096;
      const part = Math.min(4096 - within, length - done);
      const frame = Atomics.load(this.table, Math.floor((offset + done) / 4096));
      const from = frame * 4096 + within;
      target.set(this.bytes.subarray(from, from + part), targetOffset + done);
      done += part;
    }
  }

  write(offset: number, source: Uint8Array, sourceOffset: number, length: number): void {
    this.check(offset, length);
    assert(sourceOffset >= 0 && sourceOffset + length <= source.length, 'write fits its source', sourceOffset, length);
    for (let done = 0; done < length; ) {
      const within = (offset + done) % 4096;
      const part = Math.min(4096 - within, length - done);
      this.openWrite(offset + done, this.scratch);
      this.bytes.set(source.subarray(sourceOffset + done, sourceOffset + done + part), this.scratch.byte + within);
      this.closeWrite(this.scratch);
      done += part;
    }
  }

  discard(offset: number, length: number): void {
    this.check(offset, length);
    const end = offset + length;
    for (let page = Math.floor(offset / 4096); page * 4096 < end; page++) {
      const frame = Atomics.load(this.table, page);
      if (frame === 0) continue;
      const from = Math.max(offset, page * 4096);
      const to = Math.min(end, page * 4096 + 4096);
      if (to - from === 4096) this.freeFrame(page, frame);
      else this.bytes.fill(0, frame * 4096 + (from % 4096), frame * 4096 + (from % 4096) + (to - from));
    }
  }

  openRead(offset: number, neededEnd: number, view: PageView): void {
    this.check(offset, 1);
    assert(neededEnd > offset % 4096 && neededEnd <= 4096, 'neededEnd lies in the page', offset % 4096, neededEnd);
    view.node = Math.floor(offset / 4096);
    if (this.faults.invalidReads > 0 && this.faults.random() < this.faults.invalidReads) {
      this.showGarbage(view);
      return;
    }
    view.pfn = Atomics.load(this.table, view.node);
    view.words = this.words;
    view.bytes = this.bytes;
    view.word = view.pfn * 1024;
    view.byte = view.pfn * 4096;
  }

  copyOut(view: PageView, from: number, target: Uint8Array, targetOffset: number, length: number): void {
    target.set(view.bytes.subarray(view.byte + from, view.byte + from + length), targetOffset);
  }

  closeRead(view: PageView): boolean {
    assert(view.pfn !== -1, 'an open read');
    const isTrue = view.pfn !== GARBAGE && Atomics.load(this.table, view.node) === view.pfn;
    view.pfn = -1;
    return isTrue;
  }

  openWrite(offset: number, view: PageView): void {
    this.check(offset, 1);
    const page = Math.floor(offset / 4096);
    let frame = Atomics.load(this.table, page);
    const pins = this.pins.get(page) ?? 0;
    if (pins === 0 && (frame === 0 || this.faults.hitsExistingPages)) this.faults.onAllocation();
    if (frame === 0) frame = this.allocateFrame(page);
    view.pfn = frame;
    view.node = page;
    view.words = this.words;
    view.bytes = this.bytes;
    view.word = frame * 1024;
    view.byte = frame * 4096;
    this.pins.set(page, pins + 1);
    this.faults.pinned++;
    this.faults.pinnedMax = Math.max(this.faults.pinnedMax, this.faults.pinned);
    assert(this.faults.pinned <= 8, 'at most 8 pages are pinned');
  }

  closeWrite(view: PageView): void {
    assert(view.pfn > 0, 'an open write');
    view.pfn = -1;
    const pins = this.pins.get(view.node) ?? 0;
    assert(pins > 0, 'a pinned page', view.node);
    if (pins === 1) this.pins.delete(view.node);
    else this.pins.set(view.node, pins - 1);
    this.faults.pinned--;
  }

  private showGarbage(view: PageView): void {
    for (let word = 0; word < 64; word++)
      this.garbage[Math.floor(this.faults.random() * 2048)] = this.faults.random() * 2 ** 32;
    view.pfn = GARBAGE;
    view.words = this.garbage;
    view.bytes = this.garbageBytes;
    view.word = 1024;
    view.byte = 4096;
  }

  private allocateFrame(page: number): number {
    this.lock();
    try {
      const there = Atomics.load(this.table, page);
      if (there !== 0) return there;
      let frame = this.pool[FREE];
      if (frame !== 0) this.pool[FREE] = this.pool[POOL_WORDS + frame];
      else if ((this.pool[FRESH] + 1) * 4096 <= this.bytes.length) frame = this.pool[FRESH]++;
      else throw new QuireError('ERR_QUIRE_SWAP_FULL', 'all frames are used (test)');
      this.pool[USED]++;
      this.words.fill(0, frame * 1024, frame * 1024 + 1024);
      Atomics.store(this.table, page, frame);
      return frame;
    } finally {
      this.unlock();
    }
  }

  private freeFrame(page: number, frame: number): void {
    this.lock();
    Atomics.store(this.table, page, 0);
    this.pool[POOL_WORDS + frame] = this.pool[FREE];
    this.pool[FREE] = frame;
    this.pool[USED]--;
    this.unlock();
  }

  private lock(): void {
    while (Atomics.compareExchange(this.pool, LOCK, 0, 1) !== 0) Atomics.wait(this.pool, LOCK, 1, 1);
  }

  private unlock(): void {
    Atomics.store(this.pool, LOCK, 0);
    Atomics.notify(this.pool, LOCK, 1);
  }

  private check(offset: number, length: number): void {
    assert(
      Number.isSafeInteger(offset) && offset >= 0 && offset + length <= this.size,
      'inside the space',
      offset,
      length,
    );
  }
}
