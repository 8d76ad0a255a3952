/**
 * Readahead: which pages to read when a file's page is missing (Linux' ondemand readahead, mm/readahead.c).
 *
 *        start                    marker                     start + pages
 *   ──────┼──────────────────────────┼─────────────────────────────┼──────
 *         │ what was asked for …     │ asyncPages: read ahead      │
 *
 * A stream reads window after window. Touching the marker page says that the reader has come that far: the next window
 * is read behind its back, larger than the last (doubling, at first fourfold) up to the most, and in folios four times
 * the size. So a long stream soon reads whole windows in large folios and never waits, and a random read costs no page
 * more than it asked for.
 *
 * A reader that cannot read behind its back (the synchronous calls) meets the end of the window instead of the marker; it
 * goes on in the same way.
 *
 * State of one handle, changed by pure functions. Pages are numbers of 4 KiB pages of the file; `endPage` is one past the
 * last page that holds a byte.
 */
import { assert } from '../base/assert.ts';
import { ORDER_MAX, PAGE_BYTES } from '../base/units.ts';

export interface ReadaheadState {
  /** The last window: `pages` of them from `start`; the last `asyncPages` lie beyond the marker. pages 0 = no stream. */
  readonly start: number;
  readonly pages: number;
  readonly asyncPages: number;
  /** Folio order of the window, before alignment and end of file. */
  readonly order: number;
}

export interface ReadaheadPlan {
  /** Pages to read, at least one. */
  readonly start: number;
  readonly pages: number;
  readonly order: number;
  readonly next: ReadaheadState;
}

export const NO_STREAM: ReadaheadState = { start: 0, pages: 0, asyncPages: 0, order: 0 };

/** Linux' VM_READAHEAD_PAGES. */
export const READAHEAD_BYTES_DEFAULT = 128 * 1024;
/** Each window's folios are four times as large as the last one's. */
const ORDER_STEP = 2;
/** One request may read this much at once, however small the window: what one chunk of the file holds. */
const REQUEST_PAGES_MAX = 1 << ORDER_MAX;

/** Size of a stream's first window for a request of `wanted` pages (get_init_ra_size). */
export function firstWindow(wanted: number, windowMax: number): number {
  assert(wanted > 0 && windowMax > 0, 'a request of some pages', wanted, windowMax);
  const pages = 2 ** Math.ceil(Math.log2(wanted));
  if (pages <= windowMax / 32) return pages * 4;
  if (pages <= windowMax / 4) return pages * 2;
  return windowMax;
}

/** Size of the window after one of `pages` (get_next_ra_size). */
export function nextWindow(pages: number, windowMax: number): number {
  assert(pages > 0 && windowMax > 0, 'a window of some pages', pages, windowMax);
  if (pages < windowMax / 16) return pages * 4;
  if (pages <= windowMax / 2) return pages * 2;
  return windowMax;
}

/** Page whose touch starts the next window, −1 without a stream. */
export function markerOf(state: ReadaheadState): number {
  return state.pages === 0 ? -1 : state.start + state.pages - state.asyncPages;
}

/**
 * `page` is missing, the first of `wanted` pages of a read. `previous` is the page this handle read last, −1 at first: a
 * read that follows on it is sequential, as is one of the file's first page.
 */
export function planForMiss(
  state: ReadaheadState,
  page: number,
  wanted: number,
  previous: number,
  endPage: number,
  windowMax: number,
): ReadaheadPlan {
  assert(page >= 0 && page < endPage && wanted > 0, 'a miss inside the file', page, endPage);
  const most = Math.max(windowMax, Math.min(wanted, REQUEST_PAGES_MAX));
  if (state.pages > 0 && (page === markerOf(state) || page === state.start + state.pages)) {
    return grown(state, page, Math.max(wanted, nextWindow(state.pages, most)), endPage, most);
  }
  const isStream = page === 0 || page === previous || page === previous + 1 || wanted > windowMax;
  // Windows of nothing (readaheadBytes: 0) leave each read by itself.
  if (!isStream || windowMax <= 1) return planned(page, Math.min(wanted, most), 0, endPage, state);
  const pages = Math.max(Math.min(wanted, most), firstWindow(Math.min(wanted, most), most));
  const asyncPages = pages > wanted ? pages - wanted : Math.max(1, pages >> 1);
  return planned(page, pages, 0, endPage, { start: page, pages, asyncPages, order: 0 });
}

/** A read of `wanted` pages from `page` on touches the marker: the window after this one. Undefined when it does not, or at the end of the file. */
export function planForMarker(
  state: ReadaheadState,
  page: number,
  wanted: number,
  endPage: number,
  windowMax: number,
): ReadaheadPlan | undefined {
  const marker = markerOf(state);
  const start = state.start + state.pages;
  if (marker < page || marker >= page + wanted || start >= endPage) return undefined;
  return grown(state, start, nextWindow(state.pages, Math.max(windowMax, state.pages)), endPage, windowMax);
}

function grown(state: ReadaheadState, start: number, pages: number, endPage: number, windowMax: number): ReadaheadPlan {
  const size = Math.min(pages, windowMax);
  const order = Math.min(state.order + ORDER_STEP, ORDER_MAX, Math.floor(Math.log2(size)));
  return planned(start, size, order, endPage, { start, pages: size, asyncPages: size, order });
}

/** Cuts a window off at the end of the file; the marker keeps its place, or falls beyond the end, where nobody touches it. */
function planned(start: number, pages: number, order: number, endPage: number, next: ReadaheadState): ReadaheadPlan {
  const inside = Math.min(pages, endPage - start);
  assert(inside > 0, 'a window inside the file', start, endPage);
  return { start, pages: inside, order: Math.min(order, Math.floor(Math.log2(inside))), next };
}

/** The readahead of one handle: state and settings together. */
export class Readahead {
  readonly windowMax: number;
  private state: ReadaheadState = NO_STREAM;
  /** Byte after the last one read. */
  private previousEnd = 0;

  constructor(bytesMax: number) {
    this.windowMax = Math.max(1, Math.floor(bytesMax / PAGE_BYTES));
  }

  /** Pages to read for a miss at byte `position`, when `length` bytes from there on are wanted of a file of `size` bytes. */
  onMiss(position: number, length: number, size: number): ReadaheadPlan {
    const page = Math.floor(position / PAGE_BYTES);
    const wanted = Math.ceil((position + Math.max(1, length)) / PAGE_BYTES) - page;
    const previous = Math.floor((this.previousEnd - 1) / PAGE_BYTES);
    const plan = planForMiss(this.state, page, wanted, previous, Math.ceil(size / PAGE_BYTES), this.windowMax);
    this.state = plan.next;
    return plan;
  }

  /** What to read ahead, without waiting for it, when `length` bytes at `position` are read. */
  onMarker(position: number, length: number, size: number): ReadaheadPlan | undefined {
    if (this.state.pages === 0 || length === 0) return undefined;
    const page = Math.floor(position / PAGE_BYTES);
    const wanted = Math.ceil((position + length) / PAGE_BYTES) - page;
    const plan = planForMarker(this.state, page, wanted, Math.ceil(size / PAGE_BYTES), this.windowMax);
    if (plan !== undefined) this.state = plan.next;
    return plan;
  }

  /** A read ended before byte `end`. */
  onRead(end: number): void {
    this.previousEnd = end;
  }
}
