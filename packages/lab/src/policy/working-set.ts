/**
 * Quire's own replacement, as the core does it (quire/src/reclaim/lru.ts, policy.ts, working-set.ts, swap/swap-out.ts),
 * over numbers of pages instead of frames. All it learns of a use of a resident page is one touch mark. A page that is
 * missed is read in passing first; only the third of three touches soon after one another brings it in.
 *
 *     active-inactive    the tail of inactive is looked at, active's only to keep inactive the longer one
 *     s3-fifo            the tail of the small queue (inactive) is looked at while it is a tenth or more, else that of the
 *                        main one (active); no page goes back to the small queue
 *
 * In both, new pages come in on inactive, and what comes back within memory's worth of others on active.
 *
 * Reclaim starts after the event that took the last frame, as kswapd does below its watermark, and takes a batch. A replay of one trace
 * through this and through the core must come to the same decisions: working-set.core.test.ts.
 */
import { Links, NO_PAGE, PageList } from './page-list.ts';
import type { Frames, Replacement } from './replay.ts';
import { kindOf, REPLACE, type Trace } from './trace.ts';

/** Buckets that memory is long, in shadow bytes (reclaim/working-set.ts). */
const BUCKETS = 64;
/** Bits of a shadow byte: the touch that left it was close to the one before; its bucket. */
const CLOSE = 0x80;
const BUCKET_MASK = 0x7f;
/** Pages direct reclaim takes at a time (COMPRESS_BATCH), and looks at for each. */
const BATCH = 16;
const SCANNED_PER_PAGE = 4;
/** A group's turn is its pages shifted right by this, and one (reclaim/group-turn.ts). */
const TURN_SHIFT = 4;
const SMALL_DIVISOR = 10;
/** Every page is brought in when it is missed: a window that nothing lies outside of. */
export const ALWAYS = 256;

export type ListPolicy = 'active-inactive' | 's3-fifo';

export interface WorkingSetOptions {
  readonly policy: ListPolicy;
  /** Frames of memory, of which the resident pages have only a part: what an age bucket is a 64th of. */
  readonly memoryFrames: number;
  /** Buckets within which touches are close (PROMOTE_BUCKETS); ALWAYS: the first touch brings a page in. */
  readonly promoteBuckets: number;
}

export function createWorkingSet(frames: Frames, trace: Trace, options: WorkingSetOptions): Replacement {
  return new WorkingSet(frames, trace, options);
}

class WorkingSet implements Replacement {
  readonly #frames: Frames;
  readonly #events: Int32Array;
  readonly #options: WorkingSetOptions;
  readonly #inactive: PageList;
  readonly #active: PageList;
  readonly #touched: Uint8Array;
  readonly #shadows: Uint8Array;
  #age = 0;
  /** Looks left of the group's turn. */
  #turn = 0;

  constructor(frames: Frames, trace: Trace, options: WorkingSetOptions) {
    this.#frames = frames;
    this.#events = trace.events;
    this.#options = options;
    const links = new Links(trace.pages);
    this.#inactive = new PageList(links, 1);
    this.#active = new PageList(links, 2);
    this.#touched = new Uint8Array(trace.pages);
    this.#shadows = new Uint8Array(trace.pages);
  }

  used(page: number): void {
    this.#touched[page] = 1;
  }

  readMiss(page: number): boolean {
    const bucket = this.#bucket();
    const shadow = this.#shadows[page];
    this.#age += 1;
    const isClose = isWithin(bucket, shadow, this.#options.promoteBuckets);
    this.#shadows[page] = isClose ? bucket | CLOSE : bucket;
    if (this.#options.promoteBuckets !== ALWAYS && !(isClose && (shadow & CLOSE) !== 0)) return false;
    this.#bringIn(page, shadow, 1);
    return true;
  }

  writeMiss(page: number, isBorn: boolean, event: number): void {
    const shadow = this.#shadows[page];
    this.#shadows[page] = 0; // its slot is given up
    const isWhole = kindOf(this.#events[event]) === REPLACE;
    this.#bringIn(page, isBorn ? 0 : shadow, isBorn || isWhole ? 0 : 1);
  }

  freed(page: number, isResident: boolean): void {
    this.#shadows[page] = 0;
    if (isResident) (this.#inactive.has(page) ? this.#inactive : this.#active).remove(page);
  }

  #bringIn(page: number, shadow: number, touched: number): void {
    this.#frames.take(page);
    this.#touched[page] = touched;
    const isRefault = isWithin(this.#bucket(), shadow, BUCKETS);
    (isRefault ? this.#active : this.#inactive).addHead(page);
  }

  /** Each round takes touch marks back, so the third finds a page at the latest. */
  settle(): void {
    for (let round = 0; this.#frames.isFull; round++) {
      if (round > this.#frames.capacity) throw new Error('reclaim makes no progress');
      this.#reclaim();
    }
  }

  /** isolateLocked with the pages of one group: in turns of a sixteenth of them, each aging the lists before it looks. */
  #reclaim(): void {
    let scanned = 0;
    let gained = 0;
    while (scanned < BATCH * SCANNED_PER_PAGE && gained < BATCH) {
      if (this.#turn === 0) this.#turn = ((this.#inactive.size + this.#active.size) >>> TURN_SHIFT) + 1;
      const looksMax = Math.min(this.#turn, BATCH * SCANNED_PER_PAGE - scanned);
      if (this.#options.policy === 'active-inactive') this.#refill(Math.min(BATCH * 2, looksMax));
      let looks = 0;
      for (; looks < looksMax && gained < BATCH; looks++) {
        const list = this.#nextList();
        if (list.tail === NO_PAGE) {
          this.#turn = 0;
          return;
        }
        if (this.#look(list)) gained += 1;
      }
      scanned += looks;
      this.#turn -= looks;
    }
  }

  /** At the tail of a list. True when its page was given up. */
  #look(list: PageList): boolean {
    const page = list.tail;
    list.remove(page);
    if (this.#touched[page] === 0) {
      this.#evict(page);
      return true;
    }
    this.#touched[page] = 0;
    this.#active.addHead(page);
    return false;
  }

  #nextList(): PageList {
    if (this.#options.policy === 'active-inactive') return this.#inactive;
    const isSmallLong = this.#inactive.size * SMALL_DIVISOR >= this.#inactive.size + this.#active.size;
    return isSmallLong ? this.#inactive : this.#active;
  }

  #refill(limit: number): void {
    const movesMax = Math.min(limit, this.#active.size);
    for (let moved = 0; moved < movesMax && this.#inactive.size < this.#active.size; moved++) {
      const page = this.#active.tail;
      this.#active.remove(page);
      const wasTouched = this.#touched[page] !== 0;
      this.#touched[page] = 0;
      (wasTouched ? this.#active : this.#inactive).addHead(page);
    }
  }

  #evict(page: number): void {
    this.#frames.evict(page);
    this.#age += 1;
    this.#shadows[page] = this.#bucket();
  }

  #bucket(): number {
    const bucket = Math.floor(this.#age / (this.#options.memoryFrames / BUCKETS)) & BUCKET_MASK;
    return bucket === 0 ? 1 : bucket;
  }
}

function isWithin(bucketNow: number, shadow: number, buckets: number): boolean {
  return shadow !== 0 && ((bucketNow - shadow) & BUCKET_MASK) < buckets;
}
