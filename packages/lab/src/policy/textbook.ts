/**
 * Replacements from the literature, over the same frames, each bringing every missed page in:
 *
 *     lru        one list by last use
 *     clock      one queue; a page that was used gets another round (Corbató 1968)
 *     sieve      one queue, a hand that passes used pages and leaves them where they are (Zhang et al., NSDI 2024)
 *     s3-fifo    a small queue that filters, a main queue, and a memory of what left the small one (Yang et al., SOSP 2023)
 */
import { Links, NO_PAGE, PageList } from './page-list.ts';
import type { Frames, Replacement } from './replay.ts';
import type { Trace } from './trace.ts';

/** Replacements that bring in whatever is missed: they only say what `admit`, `evict` and `forget` mean. */
abstract class DemandPaging implements Replacement {
  protected readonly frames: Frames;

  constructor(frames: Frames) {
    this.frames = frames;
  }

  abstract used(page: number): void;
  protected abstract admit(page: number): void;
  /** Takes one page off the lists and names it. */
  protected abstract victim(): number;
  protected abstract forget(page: number): void;

  readMiss(page: number): boolean {
    this.writeMiss(page);
    return true;
  }

  writeMiss(page: number): void {
    if (this.frames.isFull) this.frames.evict(this.victim());
    this.frames.take(page);
    this.admit(page);
  }

  freed(page: number, isResident: boolean): void {
    if (isResident) this.forget(page);
  }
}

class Lru extends DemandPaging {
  readonly #list: PageList;

  constructor(frames: Frames, trace: Trace) {
    super(frames);
    this.#list = new PageList(new Links(trace.pages), 1);
  }

  used(page: number): void {
    this.#list.remove(page);
    this.#list.addHead(page);
  }

  protected admit(page: number): void {
    this.#list.addHead(page);
  }

  protected victim(): number {
    const page = this.#list.tail;
    this.#list.remove(page);
    return page;
  }

  protected forget(page: number): void {
    this.#list.remove(page);
  }
}

/** One queue and a mark a page. */
abstract class Queue extends DemandPaging {
  protected readonly list: PageList;
  protected readonly isUsed: Uint8Array;

  constructor(frames: Frames, trace: Trace) {
    super(frames);
    this.list = new PageList(new Links(trace.pages), 1);
    this.isUsed = new Uint8Array(trace.pages);
  }

  used(page: number): void {
    this.isUsed[page] = 1;
  }

  protected admit(page: number): void {
    this.isUsed[page] = 0;
    this.list.addHead(page);
  }

  protected forget(page: number): void {
    this.list.remove(page);
  }
}

class Clock extends Queue {
  protected victim(): number {
    for (;;) {
      const page = this.list.tail;
      this.list.remove(page);
      if (this.isUsed[page] === 0) return page;
      this.isUsed[page] = 0;
      this.list.addHead(page);
    }
  }
}

class Sieve extends Queue {
  #hand = NO_PAGE;

  protected victim(): number {
    let page = this.#hand === NO_PAGE ? this.list.tail : this.#hand;
    while (this.isUsed[page] !== 0) {
      this.isUsed[page] = 0;
      const before = this.list.before(page);
      page = before === NO_PAGE ? this.list.tail : before;
    }
    this.#hand = this.list.before(page);
    this.list.remove(page);
    return page;
  }

  protected override forget(page: number): void {
    if (this.#hand === page) this.#hand = this.list.before(page);
    super.forget(page);
  }
}

const SMALL_SHARE = 0.1;
const USES_MAX = 3;
/** Uses in the small queue that take a page to the main one, beyond the one that brought it in. */
const USES_TO_STAY = 2;
const NEVER_LEFT = -1;

class S3Fifo extends DemandPaging {
  readonly #small: PageList;
  readonly #main: PageList;
  readonly #uses: Uint8Array;
  readonly #smallMax: number;
  /** How many pages had left the small queue when this one did; what is remembered of it. */
  readonly #leftAt: Float64Array;
  #left = 0;

  constructor(frames: Frames, trace: Trace) {
    super(frames);
    const links = new Links(trace.pages);
    this.#small = new PageList(links, 1);
    this.#main = new PageList(links, 2);
    this.#uses = new Uint8Array(trace.pages);
    this.#smallMax = Math.max(1, Math.floor(frames.capacity * SMALL_SHARE));
    this.#leftAt = new Float64Array(trace.pages).fill(NEVER_LEFT);
  }

  used(page: number): void {
    if (this.#uses[page] < USES_MAX) this.#uses[page] += 1;
  }

  protected admit(page: number): void {
    const leftAt = this.#leftAt[page];
    const isRemembered = leftAt !== NEVER_LEFT && this.#left - leftAt < this.frames.capacity - this.#smallMax;
    this.#uses[page] = 0;
    this.#leftAt[page] = NEVER_LEFT;
    (isRemembered ? this.#main : this.#small).addHead(page);
  }

  protected victim(): number {
    for (;;) {
      const fromSmall = this.#small.size >= this.#smallMax || this.#main.size === 0;
      const page = fromSmall ? this.#fromSmall() : this.#fromMain();
      if (page !== NO_PAGE) return page;
    }
  }

  #fromSmall(): number {
    const page = this.#small.tail;
    this.#small.remove(page);
    if (this.#uses[page] < USES_TO_STAY) {
      this.#leftAt[page] = this.#left++;
      return page;
    }
    this.#uses[page] = 0;
    this.#main.addHead(page);
    return NO_PAGE;
  }

  #fromMain(): number {
    const page = this.#main.tail;
    this.#main.remove(page);
    if (this.#uses[page] === 0) return page;
    this.#uses[page] -= 1;
    this.#main.addHead(page);
    return NO_PAGE;
  }

  protected forget(page: number): void {
    this.#leftAt[page] = NEVER_LEFT;
    (this.#small.has(page) ? this.#small : this.#main).remove(page);
  }
}

export function createLru(frames: Frames, trace: Trace): Replacement {
  return new Lru(frames, trace);
}

export function createClock(frames: Frames, trace: Trace): Replacement {
  return new Clock(frames, trace);
}

export function createSieve(frames: Frames, trace: Trace): Replacement {
  return new Sieve(frames, trace);
}

export function createS3Fifo(frames: Frames, trace: Trace): Replacement {
  return new S3Fifo(frames, trace);
}
