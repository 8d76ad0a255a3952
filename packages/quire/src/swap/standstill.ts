/**
 * Memory that was found full and has not changed since. A vain reclaim looks six times at every page, which takes a second
 * in a node of 4 GiB; who writes on into a full memory must not pay that for each call. So a thread notes, when its direct
 * reclaim was vain, the figures of the node. While they are the same no frame, slot or object has come free that is not
 * in use again, and a call is worth a short look.
 *
 * Not using a page any more, or writing bytes into it that compress, leaves no trace in these figures. The short looks go on
 * where the last ones stopped and find that, too: after as many as a vain reclaim takes, there is one again.
 */
import * as L from '../arena/layout.ts';

/** Of a short sweep: some 100 µs. What has up to 682 pages on its lists is always looked at whole. */
const SHORT_LOOKS = 2048;
/** Of a reclaim that was vain: two sweeps of three. */
const LOOKS_A_PAGE = 6;

const FIGURES = [
  L.H_FREE_FRAMES,
  L.H_SLOTS_USED,
  L.H_SLOTS_BAD,
  L.H_SLOTS_MAX,
  L.H_ZS_FRAMES,
  L.H_ZS_OBJECTS,
  L.H_ZS_BYTES,
  L.H_RAW_FRAMES,
  L.H_REGION_PAGES,
  L.H_CLEAN_COPIES,
  L.H_INFLIGHT,
  L.H_AGE,
  L.H_PC_PAGES,
  L.H_PC_DIRTY,
  L.H_PC_WRITEBACK,
  L.H_EASES,
] as const;

export class Standstill {
  private readonly seen = new Int32Array(FIGURES.length);
  /** Looks until the next call is a whole one. */
  private looksLeft = 0;

  /** How many looks each sweep of a call that begins now may take at most. */
  looksOfSweep(words: Int32Array): number {
    if (this.looksLeft <= 0 || !FIGURES.every((at, i) => this.seen[i] === words[at])) {
      this.looksLeft = 0;
      return Number.POSITIVE_INFINITY;
    }
    this.looksLeft -= 2 * SHORT_LOOKS;
    return SHORT_LOOKS;
  }

  /** A call was vain; `pages` are on the lists. */
  note(words: Int32Array, pages: number, wasWhole: boolean): void {
    for (const [i, at] of FIGURES.entries()) this.seen[i] = words[at];
    if (wasWhole) this.looksLeft = LOOKS_A_PAGE * pages;
  }
}
