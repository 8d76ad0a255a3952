/**
 * Replays a trace over a number of frames. The replay counts; what leaves and what comes in is the replacement's to say.
 *
 *     page has a frame                      hit
 *     it has none, and is read              miss; the replacement brings it in or has it read where it lies (in passing)
 *     it has none, and is written           miss; it must be brought in
 *     it had no bytes before                birth: a frame for it is needed, but no policy could have had it there: no miss
 *
 * A page that was brought in by a read and not written since is clean: its swapped form is still there and its eviction
 * costs nothing but what its promotion is priced at.
 */
import { BORN, FREED, kindOf, pageOf, READ, REPLACE, type Trace } from './trace.ts';

/** What decides. `event` is the number of the event that is being replayed. */
export interface Replacement {
  /** A resident page is read or written. */
  used(page: number, event: number): void;
  /** A page without a frame is read. True when it was brought in, false when it is read where it lies. */
  readMiss(page: number, event: number): boolean;
  /** A page without a frame is written (`isBorn`: for the first time). It must be resident afterwards. */
  writeMiss(page: number, isBorn: boolean, event: number): void;
  /** The page has gone; `isResident`: its frame is free. */
  freed(page: number, isResident: boolean): void;
  /** Before each event: what was done in the background since the last. */
  settle?(): void;
}

export type ReplacementFactory = (frames: Frames, trace: Trace) => Replacement;

/** The frames of a replay: which pages are in them. Replacements take and give them. */
export class Frames {
  readonly capacity: number;
  evictions = 0;
  cleanEvictions = 0;
  readonly #resident: Uint8Array;
  readonly #clean: Uint8Array;
  #count = 0;

  constructor(capacity: number, pages: number) {
    if (!(capacity >= 1)) throw new RangeError('Frames: at least one frame');
    this.capacity = capacity;
    this.#resident = new Uint8Array(pages);
    this.#clean = new Uint8Array(pages);
  }

  get isFull(): boolean {
    return this.#count === this.capacity;
  }

  get count(): number {
    return this.#count;
  }

  has(page: number): boolean {
    return this.#resident[page] !== 0;
  }

  take(page: number): void {
    if (this.isFull || this.has(page)) throw new Error(`page ${page}: no free frame, or it has one`);
    this.#resident[page] = 1;
    this.#count += 1;
  }

  evict(page: number): void {
    this.evictions += 1;
    this.cleanEvictions += this.#clean[page];
    this.give(page);
  }

  give(page: number): void {
    if (!this.has(page)) throw new Error(`page ${page} has no frame`);
    this.#resident[page] = 0;
    this.#count -= 1;
  }

  setClean(page: number, isClean: boolean): void {
    this.#clean[page] = isClean ? 1 : 0;
  }
}

export interface Counts {
  /** Reads and writes of pages that had bytes. */
  readonly uses: number;
  readonly misses: number;
  /** Misses by reads: brought in, and read in passing. */
  readonly promotions: number;
  readonly passings: number;
  /** Misses by writes; of these, of whole pages. */
  readonly writeMisses: number;
  readonly replaced: number;
  readonly births: number;
  readonly evictions: number;
  readonly cleanEvictions: number;
}

export function replay(trace: Trace, capacity: number, factory: ReplacementFactory): Counts {
  const frames = new Frames(capacity, trace.pages);
  const replacement = factory(frames, trace);
  const { events } = trace;
  let uses = 0;
  let promotions = 0;
  let passings = 0;
  let writeMisses = 0;
  let replaced = 0;
  let births = 0;
  for (let i = 0; i < events.length; i++) {
    replacement.settle?.();
    const page = pageOf(events[i]);
    const kind = kindOf(events[i]);
    const isResident = frames.has(page);
    if (kind === FREED) {
      replacement.freed(page, isResident);
      if (isResident) frames.give(page);
      continue;
    }
    if (kind === BORN) births += 1;
    else uses += 1;
    if (isResident) replacement.used(page, i);
    else if (kind === READ) {
      const isIn = replacement.readMiss(page, i);
      if (isIn !== frames.has(page)) throw new Error(`page ${page}: not where the replacement says`);
      if (isIn) promotions += 1;
      else passings += 1;
      if (isIn) frames.setClean(page, true);
      continue;
    } else {
      replacement.writeMiss(page, kind === BORN, i);
      if (!frames.has(page)) throw new Error(`page ${page} was written and has no frame`);
      if (kind !== BORN) writeMisses += 1;
      if (kind === REPLACE) replaced += 1;
    }
    if (kind !== READ) frames.setClean(page, false);
  }
  return {
    uses,
    misses: promotions + passings + writeMisses,
    promotions,
    passings,
    writeMisses,
    replaced,
    births,
    evictions: frames.evictions,
    cleanEvictions: frames.cleanEvictions,
  };
}
