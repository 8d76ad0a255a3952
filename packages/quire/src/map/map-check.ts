import {
  CLASS_HEAD,
  COUNT,
  EMPTY_LISTED,
  EXPIRING as EXPIRING_COUNT,
  OVERFLOW_END,
  OVERFLOW_FREE,
  RUNS,
  readBytes,
} from './control.ts';
import { EXPIRING, hashOfEntry, isLink, locationOf } from './entry-word.ts';
import { BUCKET_BYTES, BUCKET_WORDS, SLOTS } from './hash-index.ts';
import type { MapCore } from './map-core.ts';
import { valueStart } from './record.ts';
import {
  BITMAP_WORD,
  EXTENT,
  FREE,
  GRANULE_BYTES,
  LISTED,
  META_BYTES,
  META_WORDS,
  runOf,
  SLAB,
  STATE_MASK,
} from './run-meta.ts';
import {
  CLASSES,
  chargedBytes,
  classCapacity,
  extentRuns,
  RUN_BYTES,
  SLAB_CLASSES,
  slotAt,
  slotsOf,
} from './size-class.ts';

/**
 * The whole truth about a map, in O(everything) and with JS memory per entry: for tests and the simulator. Index
 * against records, records against bitmaps, bitmaps against lists, all against the counters.
 */
export class MapCheck {
  private readonly core: MapCore;
  private readonly words = new Int32Array(BUCKET_WORDS);
  private readonly meta = new Int32Array(META_WORDS);
  private readonly metaBytes = new Uint8Array(this.meta.buffer);
  private reached = new Set<number>();
  private overflows = new Set<number>();
  private expiring = 0;
  private bytes = 0;
  private slots = 0;

  constructor(core: MapCore) {
    this.core = core;
  }

  /** The first thing that is wrong, undefined when nothing is. Stops all other users of the map meanwhile. */
  findFault(): string | undefined {
    const { core } = this;
    this.reached = new Set();
    this.overflows = new Set();
    this.expiring = 0;
    this.bytes = 0;
    this.slots = 0;
    core.locks.lockAll();
    try {
      return this.indexFault() ?? this.counterFault() ?? this.overflowFault() ?? this.runsFault() ?? this.listsFault();
    } finally {
      core.locks.unlockAll();
    }
  }

  private indexFault(): string | undefined {
    const buckets = this.core.index.buckets;
    for (let home = 0; home < buckets; home++) {
      const fault = this.chainFault(home, buckets);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  private chainFault(home: number, buckets: number): string | undefined {
    const { core, words } = this;
    let offset = home * BUCKET_BYTES;
    for (;;) {
      core.readBucketLocked(offset, words);
      const isTail = !isLink(words[15]);
      const overflow = words[14] >>> 0;
      for (let slot = 0; slot < (isTail ? SLOTS : SLOTS - 1); slot++) {
        const fault = this.entryFault(words[slot * 2], words[slot * 2 + 1], home, buckets);
        if (fault !== undefined) return `bucket ${home}, slot ${slot}: ${fault}`;
      }
      if (isTail) return undefined;
      if (overflow >= this.core.control[OVERFLOW_END] >>> 0) return `bucket ${home} links beyond the overflow buckets`;
      if (this.overflows.has(overflow)) return `overflow bucket ${overflow} is linked twice`;
      this.overflows.add(overflow);
      offset = core.index.overflowOffset(overflow);
    }
  }

  private entryFault(word0: number, word1: number, home: number, buckets: number): string | undefined {
    const { core } = this;
    if ((word0 | word1) === 0) return undefined;
    const hash = hashOfEntry(word1, home);
    if (core.index.homeOf(hash, buckets) !== home) return undefined;
    const location = locationOf(word0, word1);
    if (this.reached.has(location)) return `record ${location} is reached twice`;
    this.reached.add(location);
    core.loadHeaderLocked(location);
    const record = core.records;
    if (core.loadKey(record.copyKey()) !== hash) return `record ${location} has another hash`;
    if ((record.expiresAtMs !== 0) !== ((word1 & EXPIRING) !== 0))
      return `record ${location}: expiry and entry disagree`;
    if (record.expiresAtMs !== 0) this.expiring++;
    return this.placeFault(location, valueStart(record.keyLength) + record.valueLength, record.classId);
  }

  private placeFault(location: number, bytes: number, classId: number): string | undefined {
    const run = runOf(location);
    if (run === 0 || run >= this.core.control[RUNS]) return `record ${location} lies outside the used runs`;
    this.loadMeta(run);
    const meta = this.meta;
    if (meta[0] >>> 8 !== (classId | (meta[0] & LISTED ? LISTED >> 8 : 0)))
      return `record ${location} has another class than its run`;
    if (bytes > classCapacity(classId)) return `record ${location} is larger than its class`;
    this.bytes += chargedBytes(classId, bytes);
    const offset = (location * GRANULE_BYTES) % RUN_BYTES;
    if (classId >= SLAB_CLASSES) {
      const isGood = (meta[0] & STATE_MASK) === EXTENT && offset === 0 && meta[5] === Math.ceil(bytes / 4096);
      return isGood ? undefined : `record ${location}: its extent is wrong`;
    }
    this.slots++;
    const slot = slotAt(classId, offset);
    const isTaken = slot >= 0 && (meta[BITMAP_WORD + (slot >> 5)] & (1 << (slot & 31))) !== 0;
    return isTaken && (meta[0] & STATE_MASK) === SLAB ? undefined : `record ${location}: its slot is not taken`;
  }

  private counterFault(): string | undefined {
    const { control } = this.core;
    if (control[COUNT] >>> 0 !== this.reached.size)
      return `count is ${control[COUNT]}, ${this.reached.size} are reachable`;
    if (control[EXPIRING_COUNT] !== this.expiring)
      return `expiring is ${control[EXPIRING_COUNT]}, not ${this.expiring}`;
    return readBytes(control) === this.bytes ? undefined : `bytes is ${readBytes(control)}, not ${this.bytes}`;
  }

  private overflowFault(): string | undefined {
    const { core, words } = this;
    let head = core.control[OVERFLOW_FREE];
    while (head !== 0) {
      const overflow = (head - 1) >>> 0;
      if (this.overflows.has(overflow)) return `free overflow bucket ${overflow} is linked or listed twice`;
      this.overflows.add(overflow);
      core.readBucketLocked(core.index.overflowOffset(overflow), words);
      head = words[0];
    }
    const end = core.control[OVERFLOW_END] >>> 0;
    return this.overflows.size === end ? undefined : `${end} overflow buckets, ${this.overflows.size} accounted for`;
  }

  /** Every run is a slab, an extent or free; taken slots and extents are as many as reachable records. */
  private runsFault(): string | undefined {
    const { meta } = this;
    let slots = 0;
    let extents = 0;
    let emptyListed = 0;
    let run = 1;
    while (run < this.core.control[RUNS]) {
      this.loadMeta(run);
      const state = meta[0] & STATE_MASK;
      const classId = (meta[0] >>> 8) & 0xff;
      if (state === SLAB) {
        const taken = bitsOf(meta);
        if (taken + meta[1] !== slotsOf(classId)) return `run ${run}: ${taken} taken and ${meta[1]} free slots`;
        if (((meta[0] & LISTED) !== 0) !== meta[1] > 0) return `run ${run} is listed wrongly`;
        slots += taken;
        if (taken === 0) emptyListed++;
      } else if (state === EXTENT) extents++;
      else if (state !== FREE) return `run ${run} has state ${state}`;
      run += state === SLAB ? 1 : extentRuns(classId);
    }
    if (run !== this.core.control[RUNS]) return `the last extent ends at run ${run}`;
    if (slots !== this.slots) return `${slots} slots are taken, ${this.slots} reachable`;
    if (extents !== this.reached.size - this.slots)
      return `${extents} extents, ${this.reached.size - this.slots} reachable`;
    const counted = this.core.control[EMPTY_LISTED];
    return counted === emptyListed ? undefined : `${emptyListed} empty runs are listed, ${counted} counted`;
  }

  /** Every list holds what it should hold, nothing twice, and all runs with room or free are in one. */
  private listsFault(): string | undefined {
    const { control } = this.core;
    const seen = new Set<number>();
    for (let classId = 0; classId < CLASSES; classId++) {
      for (let run = control[CLASS_HEAD + classId]; run !== 0; run = this.meta[2]) {
        if (seen.has(run) || run >= control[RUNS]) return `list ${classId}: run ${run} twice or unused`;
        seen.add(run);
        this.loadMeta(run);
        const isRight = (this.meta[0] & STATE_MASK) === (classId < SLAB_CLASSES ? SLAB : FREE);
        if (!isRight || ((this.meta[0] >>> 8) & 0xff) !== classId) return `list ${classId} holds run ${run}`;
      }
    }
    for (let run = 1; run < control[RUNS]; ) {
      this.loadMeta(run);
      const isSlab = (this.meta[0] & STATE_MASK) === SLAB;
      const mustBeListed = isSlab ? this.meta[1] > 0 : (this.meta[0] & STATE_MASK) === FREE;
      if (mustBeListed !== seen.has(run)) return `run ${run}: listed ${seen.has(run)}, should be ${mustBeListed}`;
      run += isSlab ? 1 : extentRuns((this.meta[0] >>> 8) & 0xff);
    }
    return undefined;
  }

  private loadMeta(run: number): void {
    this.core.heap.meta.read(run * META_BYTES, this.metaBytes, 0, META_BYTES);
  }
}

function bitsOf(meta: Int32Array): number {
  let bits = 0;
  for (let word = BITMAP_WORD; word < META_WORDS; word++) {
    for (let rest = meta[word]; rest !== 0; rest &= rest - 1) bits++;
  }
  return bits;
}
