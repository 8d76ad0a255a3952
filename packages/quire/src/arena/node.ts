/**
 * One node seen by one thread: the views of its memory, its kernels, and where things are. All state lives in the
 * memory; this object holds nothing that another thread would need. Hot code reads the public fields directly.
 */
import { assert } from '../base/assert.ts';
import { PAGE_SHIFT, PAGE_WORDS, type Pfn, UNIT_PAGES, type WordIndex } from '../base/units.ts';
import type { Kernel } from '../codec/kernel.ts';
import type { WasmMemory } from '../codec/wasm-types.ts';
import * as L from './layout.ts';
import { acquire, ownerOf, type Reap, release } from './node-lock.ts';
import { NO_NOTES } from './pin-note.ts';

/** Decoded pages of a unit; `valid` has a bit for each page whose slot named `location` when its sequence was noted. */
export interface DecodedUnit {
  base: number;
  location: number;
  /** Bytes decoded, from the unit's first page on. */
  bytes: number;
  valid: number;
  readonly sequences: Int32Array;
}

/** Told when this thread cannot go on for want of memory (reclaim/pressure.ts). */
export interface Stalls {
  begin(): void;
  end(): void;
  /** For waits that may be short and come often. */
  beginWait(): void;
  endWait(): void;
}

/**
 * Objects of the file tier that this thread has read and may want (vm/file-ahead.ts). Parallel arrays of the pages noted before
 * the read; the first is the one that was wanted.
 */
export interface FileAhead {
  /** Pages noted, 0: nothing is kept. */
  count: number;
  /** Granule and bytes of the file that were read. */
  granule: number;
  bytes: number;
  readonly slots: Int32Array;
  readonly granules: Int32Array;
  readonly sequences: Int32Array;
  /** A bit for each page that was used. */
  used: number;
  /** Pages to look at, doubled and halved. */
  window: number;
  /** Word index of the page-table entry being read, when those behind it are likely to be next; else 0. */
  entry: number;
  /** How many of the last objects were raw, less those that were not: 0 … 3. */
  rawScore: number;
  /** Slot whose page was just taken for a raw one, and was not; −1 none. */
  guessed: number;
  /** The next object is wanted whole: it may be promoted. */
  wantsWhole: boolean;
  /** Node byte of the object that was read last, and bytes there from it on; −1: it was not read whole. */
  object: number;
  objectBytes: number;
  /** No read may wait for the device: an async call is at work. */
  noWait: boolean;
  /** Segment that the cleaner would have had to read meanwhile; one that it may read now, as it was fetched. −1: none. */
  cleanWanted: number;
  cleanReady: number;
  /** Outcome of the last touch (vm/refault.ts); of the touch of `touchSlot` that is being tried again, −1 none. */
  touch: number;
  touchSlot: number;
  touchSequence: number;
  readonly fetched: FetchedObject;
}

/** An object that an async call of this thread has fetched (vm/no-wait.ts). */
export interface FetchedObject {
  /** −1: nothing is there. */
  slot: number;
  granule: number;
  sequence: number;
  /** Bytes read, in `buffer`; −1: the device failed, with `cause`. */
  bytes: number;
  buffer: Uint8Array;
  cause: unknown;
}

/** Most pages one read brings, the kernel's 2^page-cluster at its greatest. */
export const FILE_AHEAD_PAGES_MAX = 32;

/** A power of two. */
const READ_VIEWS = 16;

const NO_BYTES = new Uint8Array(0);

function createFileAhead(): FileAhead {
  return {
    count: 0,
    granule: 0,
    bytes: 0,
    slots: new Int32Array(FILE_AHEAD_PAGES_MAX),
    granules: new Int32Array(FILE_AHEAD_PAGES_MAX),
    sequences: new Int32Array(FILE_AHEAD_PAGES_MAX),
    used: 0,
    window: 2,
    entry: 0,
    rawScore: 0,
    guessed: -1,
    wantsWhole: false,
    object: -1,
    objectBytes: 0,
    noWait: false,
    cleanWanted: -1,
    cleanReady: -1,
    touch: 0,
    touchSlot: -1,
    touchSequence: 0,
    fetched: { slot: -1, granule: 0, sequence: 0, bytes: 0, buffer: NO_BYTES, cause: undefined },
  };
}

/** Slots of one cluster that are being handed out under one hold of the lock: counted and charged already (swap/slot-row.ts). */
export interface SlotRow {
  /** Those still to be handed out, 0: none. The first is `next`. */
  left: number;
  next: number;
  group: number;
  descriptor: number;
  /** Word index of the word of `next`. */
  wordAt: number;
}

export class Node {
  readonly memory: WasmMemory;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly kernel: Kernel;
  readonly frames: number;
  readonly firstFree: number;
  readonly index: number;
  readonly nodes: number;
  /** Page tables hold slots. False in direct mode (swap/direct-entry.ts). */
  readonly isVirtual: boolean;

  /* Frame table, one array per field (see arena/frame.ts for their meaning). */
  readonly kindAt: number;
  readonly pinAt: number;
  readonly versionAt: number;
  readonly nextAt: number;
  readonly prevAt: number;
  readonly ownerAt: number;
  readonly slotAt: number;
  readonly touchAt: number;
  readonly blocksAt: number;
  readonly shadowsByte: number;
  readonly shadowMask: number;

  /** This thread's id (1…64), slot number, slot base and area, set by `attachThread`. */
  thread = 0;
  threadIndex = 0;
  threadAt = 0;
  areaByte = 0;
  private scratchTurn = 0;
  gatherByte = 0;
  ioByte = 0;
  stagingByte = 0;
  readBlock = 0;
  counters: Float64Array = new Float64Array(0);
  /** The unit that this thread decoded last, in its staging buffer (vm/unit-read.ts). */
  readonly decoded: DecodedUnit = { base: -1, location: 0, bytes: 0, valid: 0, sequences: new Int32Array(UNIT_PAGES) };
  /** Set for threads of the program, not for daemons. */
  stalls: Stalls | undefined;
  /** What this thread, with the lock, has set apart and not handed out yet. */
  readonly slotRow: SlotRow = { left: 0, next: 0, group: 0, descriptor: 0, wordAt: 0 };
  /** Views of what was read last, by place and length (vm/page-read.ts). */
  readonly readKeys = new Int32Array(READ_VIEWS).fill(-1);
  readonly readViews: Uint8Array[] = new Array(READ_VIEWS).fill(NO_BYTES);
  /** In the staging buffer too, behind the unit. */
  readonly ahead: FileAhead = createFileAhead();
  /** Where this thread notes what it has pinned. */
  pinsAt = NO_NOTES;
  /** What to ask about the holder of a lock that is not let go; undefined where nobody can tell. */
  reap: Reap | undefined;
  /** Words of node 0, where the daemons of all nodes wait. */
  home: Int32Array;

  constructor(memory: WasmMemory, kernel: Kernel) {
    this.memory = memory;
    this.words = new Int32Array(memory.buffer);
    this.home = this.words;
    this.bytes = new Uint8Array(memory.buffer);
    this.kernel = kernel;
    assert(this.words[L.H_MAGIC] === L.MAGIC, 'not a Quire node', this.words[L.H_MAGIC]);
    assert(this.words[L.H_VERSION] === L.LAYOUT_VERSION, 'layout version', this.words[L.H_VERSION]);
    const geometry = L.nodeGeometry(this.bytes.length);
    assert(this.words[L.H_FRAMES] === geometry.frames, 'geometry', this.words[L.H_FRAMES], geometry.frames);
    this.frames = geometry.frames;
    this.firstFree = geometry.firstFree;
    this.index = this.words[L.H_NODE];
    this.nodes = this.words[L.H_NODES];
    this.isVirtual = this.words[L.H_DIRECT] === 0;
    const at = (array: number): number => geometry.frameTableAt + array * geometry.frames;
    this.kindAt = at(0);
    this.pinAt = at(1);
    this.versionAt = at(2);
    this.nextAt = at(3);
    this.prevAt = at(4);
    this.ownerAt = at(5);
    this.slotAt = at(6);
    this.touchAt = at(7);
    this.blocksAt = geometry.blocksAt;
    this.shadowsByte = geometry.shadowsByte;
    this.shadowMask = geometry.shadows - 1;
  }

  lock(): void {
    acquire(this.words, L.H_LOCK, this.thread, this.reap);
  }

  unlock(): void {
    release(this.words, L.H_LOCK, this.thread);
  }

  /** Sleeps until nobody holds the lock: its holder may be off the processor half way through what is waited for. */
  waitForLock(): void {
    this.lock();
    this.unlock();
  }

  /**
   * One event for kswapd, of all nodes. It reads the word before it looks for work, so an event in between is not slept
   * through.
   */
  wakeDaemons(): void {
    Atomics.add(this.home, L.H_EVENTS, 1);
    if (Atomics.load(this.home, L.H_SLEEPERS) > 0) Atomics.notify(this.home, L.H_EVENTS);
  }

  /**
   * As `wakeDaemons`, for the threads that compress: as many are woken as there are batches beyond those that are awake,
   * and will look for work before they sleep. True when somebody was, which takes a system call. The sleepers are counted
   * after the event: one that is not counted yet finds that the word has moved.
   */
  wakeCompressors(batches: number): boolean {
    Atomics.add(this.home, L.H_KCOMPRESSD_EVENTS, 1);
    const sleepers = Atomics.load(this.home, L.H_KCOMPRESSD_SLEEPERS);
    const wanted = Math.min(sleepers, batches - (this.words[L.H_KCOMPRESSD] - sleepers));
    if (wanted <= 0) return false;
    Atomics.notify(this.home, L.H_KCOMPRESSD_EVENTS, wanted);
    return true;
  }

  /** For assertions of functions named `...Locked`. */
  isLockedByMe(): boolean {
    return ownerOf(this.words, L.H_LOCK) === this.thread;
  }

  /** The staging buffer, for other use: what was decoded there is given up. */
  takeStaging(): number {
    this.decoded.base = -1;
    this.ahead.count = 0;
    return this.stagingByte;
  }

  /** Index in `words` of a frame's first word. */
  wordOf(pfn: Pfn): WordIndex {
    return (pfn * PAGE_WORDS) as WordIndex;
  }

  /** Kernel address (int32 bit pattern) of a frame. */
  addressOf(pfn: Pfn): number {
    return pfn << PAGE_SHIFT;
  }

  /**
   * Byte of the next scratch page, in turn: what an open read holds stays good while SCRATCH_PAGES − 1 others are
   * opened.
   */
  nextScratch(): number {
    this.scratchTurn = (this.scratchTurn + 1) & (L.SCRATCH_PAGES - 1);
    return this.areaByte + L.AREA_SCRATCH + this.scratchTurn * 4096;
  }

  /** Binds this view to a thread slot: the scratch memory the thread may use without any lock. */
  bindThread(thread: number, index: number): void {
    this.thread = thread;
    this.decoded.base = -1;
    this.ahead.count = 0;
    this.ahead.fetched.slot = -1;
    this.threadIndex = index;
    this.threadAt = L.THREADS_AT + index * L.THREAD_WORDS;
    const area = this.words[this.threadAt + L.T_AREA];
    assert(area !== 0, 'thread area', index);
    this.areaByte = area * 4096;
    this.gatherByte = this.areaByte + L.AREA_GATHER;
    this.ioByte = this.areaByte + L.AREA_IO;
    this.stagingByte = this.areaByte + L.AREA_STAGING;
    this.readBlock = this.areaByte + L.AREA_READ_BLOCK;
    this.readKeys.fill(-1);
    this.counters = new Float64Array(this.memory.buffer, this.areaByte + L.AREA_COUNTERS, 128);
    this.pinsAt = (this.areaByte + L.AREA_PINS) / 4;
  }
}

/** Formats a fresh memory: header, empty lists. The page allocator adds the frames afterwards. */
export function formatNode(memory: WasmMemory, node: number, nodes: number, isVirtual = true): void {
  const words = new Int32Array(memory.buffer);
  const geometry = L.nodeGeometry(memory.buffer.byteLength);
  words[L.H_VERSION] = L.LAYOUT_VERSION;
  words[L.H_FRAMES] = geometry.frames;
  words[L.H_NODE] = node;
  words[L.H_NODES] = nodes;
  words[L.H_FIRST_FREE] = geometry.firstFree;
  words[L.H_SLOTS_MAX] = L.SLOTS_MAX;
  words[L.H_DIRECT] = isVirtual ? 0 : 1;
  // Last: a thread that sees the magic sees the header (pairs with the check in the constructor).
  Atomics.store(words, L.H_MAGIC, L.MAGIC);
}
