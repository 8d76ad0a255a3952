/**
 * What a workload did to its pages, one word an event: the number of the page times eight, and what happened to it.
 *
 *     READ      some of its bytes were read
 *     WRITE     some of its bytes were written; the rest must be there
 *     REPLACE   all of it was written: its old bytes are not needed
 *     BORN      written for the first time, or for the first time after FREED: it had no bytes before
 *     FREED     given back; it has no bytes any more
 *
 * Pages are numbered densely in the order in which they are met. A read of a page without bytes gives zeros wherever it
 * runs and is not recorded.
 */
export const READ = 0;
export const WRITE = 1;
export const REPLACE = 2;
export const BORN = 3;
export const FREED = 4;
export type EventKind = typeof READ | typeof WRITE | typeof REPLACE | typeof BORN | typeof FREED;

const KIND_BITS = 3;
const KIND_MASK = 7;
/** Numbers of pages that an event has room for: 2^28 pages are a tebibyte. */
const PAGES_MAX = 2 ** (31 - KIND_BITS);
const EVENTS_FIRST = 2 ** 16;

export interface Trace {
  readonly name: string;
  /** Pages are numbered 0 … pages − 1. */
  readonly pages: number;
  readonly events: Int32Array;
}

export function eventOf(page: number, kind: EventKind): number {
  return (page << KIND_BITS) | kind;
}

export function pageOf(event: number): number {
  return event >>> KIND_BITS;
}

export function kindOf(event: number): EventKind {
  return (event & KIND_MASK) as EventKind;
}

/** Collects the events of one run. Keys name pages: any whole number, one a page of the workload. */
export class TraceRecorder {
  readonly #numbers = new Map<number, number>();
  #hasBytes = new Uint8Array(EVENTS_FIRST);
  #events = new Int32Array(EVENTS_FIRST);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  read(key: number): void {
    const page = this.#numbers.get(key);
    if (page !== undefined && this.#hasBytes[page] !== 0) this.#add(page, READ);
  }

  /** @param isWhole all bytes of the page were written */
  write(key: number, isWhole: boolean): void {
    const page = this.#numberOf(key);
    this.#add(page, this.#hasBytes[page] === 0 ? BORN : isWhole ? REPLACE : WRITE);
    this.#hasBytes[page] = 1;
  }

  /** Zeroes part of the page: nothing to do where it has no bytes. */
  zeroPart(key: number): void {
    const page = this.#numbers.get(key);
    if (page !== undefined && this.#hasBytes[page] !== 0) this.#add(page, WRITE);
  }

  free(key: number): void {
    const page = this.#numbers.get(key);
    if (page === undefined || this.#hasBytes[page] === 0) return;
    this.#hasBytes[page] = 0;
    this.#add(page, FREED);
  }

  trace(name: string): Trace {
    return { name, pages: this.#numbers.size, events: this.#events.slice(0, this.#length) };
  }

  #numberOf(key: number): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const page = this.#numbers.size;
    if (page === PAGES_MAX) throw new RangeError('TraceRecorder: more pages than an event can name');
    this.#numbers.set(key, page);
    if (page === this.#hasBytes.length) this.#hasBytes = grown(this.#hasBytes, new Uint8Array(page * 2));
    return page;
  }

  #add(page: number, kind: EventKind): void {
    if (this.#length === this.#events.length) this.#events = grown(this.#events, new Int32Array(this.#length * 2));
    this.#events[this.#length++] = eventOf(page, kind);
  }
}

function grown<T extends Uint8Array | Int32Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

/** Most pages that have bytes at one moment: what a cache would have to hold to miss nothing. */
export function footprintOf(trace: Trace): number {
  let now = 0;
  let most = 0;
  for (const event of trace.events) {
    const kind = kindOf(event);
    if (kind === BORN) most = Math.max(most, ++now);
    else if (kind === FREED) now -= 1;
  }
  return most;
}
