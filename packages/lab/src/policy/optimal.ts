/**
 * OPT (Belady 1966): evicts the page whose next use is farthest away. No replacement that brings every missed page in
 * misses less. `createPassingOptimal` may also read a page where it lies: it does so when none of the resident pages is
 * used later than the page itself, and no replacement at all misses less.
 *
 * Next uses are found in one walk from the end of the trace. Resident pages are in a heap by next use, farthest first.
 */
import { strict as assert } from 'node:assert/strict';
import type { Frames, Replacement } from './replay.ts';
import { FREED, kindOf, pageOf, type Trace } from './trace.ts';

const NEVER = 0x7fffffff;

/** For each event the number of the event that uses its page next, NEVER when it is freed first or not used again. */
export function nextUses(trace: Trace): Int32Array {
  const { events } = trace;
  const next = new Int32Array(events.length);
  const upcoming = new Int32Array(trace.pages).fill(NEVER);
  for (let i = events.length - 1; i >= 0; i--) {
    const page = pageOf(events[i]);
    next[i] = upcoming[page];
    upcoming[page] = kindOf(events[i]) === FREED ? NEVER : i;
  }
  return next;
}

export function createOptimal(frames: Frames, trace: Trace): Replacement {
  return new Optimal(frames, trace, false);
}

export function createPassingOptimal(frames: Frames, trace: Trace): Replacement {
  return new Optimal(frames, trace, true);
}

class Optimal implements Replacement {
  readonly #frames: Frames;
  readonly #next: Int32Array;
  readonly #heap: FarthestHeap;
  readonly #mayPass: boolean;

  constructor(frames: Frames, trace: Trace, mayPass: boolean) {
    this.#frames = frames;
    this.#next = nextUses(trace);
    this.#heap = new FarthestHeap(trace.pages);
    this.#mayPass = mayPass;
  }

  used(page: number, event: number): void {
    this.#heap.move(page, this.#next[event]);
  }

  readMiss(page: number, event: number): boolean {
    if (this.#mayPass && this.#frames.isFull && this.#next[event] >= this.#heap.farthestKey) return false;
    this.#bringIn(page, event);
    return true;
  }

  writeMiss(page: number, _isBorn: boolean, event: number): void {
    this.#bringIn(page, event);
  }

  freed(page: number, isResident: boolean): void {
    if (isResident) this.#heap.remove(page);
  }

  #bringIn(page: number, event: number): void {
    if (this.#frames.isFull) {
      const victim = this.#heap.farthest;
      this.#heap.remove(victim);
      this.#frames.evict(victim);
    }
    this.#frames.take(page);
    this.#heap.add(page, this.#next[event]);
  }
}

/** A binary heap of pages, largest key first, that knows where each page is. */
class FarthestHeap {
  readonly #pages: Int32Array;
  readonly #keys: Int32Array;
  /** Place in the heap, by page; −1 when it is not in it. */
  readonly #places: Int32Array;
  #size = 0;

  constructor(pages: number) {
    this.#pages = new Int32Array(pages);
    this.#keys = new Int32Array(pages);
    this.#places = new Int32Array(pages).fill(-1);
  }

  get farthest(): number {
    assert.ok(this.#size > 0, 'a page in the heap');
    return this.#pages[0];
  }

  get farthestKey(): number {
    return this.#keys[this.farthest];
  }

  add(page: number, key: number): void {
    this.#keys[page] = key;
    this.#put(page, this.#size++);
    this.#up(this.#places[page]);
  }

  move(page: number, key: number): void {
    this.#keys[page] = key;
    this.#up(this.#places[page]);
    this.#down(this.#places[page]);
  }

  remove(page: number): void {
    const place = this.#places[page];
    assert.ok(place >= 0, 'page in the heap');
    const last = this.#pages[--this.#size];
    this.#places[page] = -1;
    if (last === page) return;
    this.#put(last, place);
    this.#up(place);
    this.#down(this.#places[last]);
  }

  #put(page: number, place: number): void {
    this.#pages[place] = page;
    this.#places[page] = place;
  }

  #up(from: number): void {
    const page = this.#pages[from];
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.#keys[this.#pages[parent]] >= this.#keys[page]) break;
      this.#put(this.#pages[parent], place);
      place = parent;
    }
    this.#put(page, place);
  }

  #down(from: number): void {
    const page = this.#pages[from];
    let place = from;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#keys[this.#pages[child + 1]] > this.#keys[this.#pages[child]]) child += 1;
      if (this.#keys[this.#pages[child]] <= this.#keys[page]) break;
      this.#put(this.#pages[child], place);
      place = child;
    }
    this.#put(page, place);
  }
}
