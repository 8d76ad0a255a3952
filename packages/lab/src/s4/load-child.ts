/**
 * Counts the words of tables that are loaded when a swapped page is read where it lies, faulted in by a write to a part of
 * it, and freed, all in one discard. One thread, no daemons, memory to spare: every load is the operation's own. A proxy stands in front of the node's words, and
 * Atomics sees through it; both note which table the word is of. Nothing is timed.
 */
import { serveParent } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { openQuire } from '../quire.ts';
import { QuireInternals } from '../quire-internals.ts';
import { pageWords } from '../usemem/share.ts';

export interface LoadChildArgs {
  readonly virtual: boolean;
}

/** Loads by table, and the pages they were for. */
export interface LoadCounts {
  readonly pages: number;
  /** Page-table entries. */
  readonly entry: number;
  /** The layer's: cluster roots, descriptors, slot words. */
  readonly root: number;
  readonly descriptor: number;
  readonly slotWord: number;
  readonly sequence: number;
}

const BUDGET = 16 * 2 ** 20;
const PAGES = 6_144;
/** Of the pages first written, which are swapped out when the last is; each phase takes its own. */
const PHASE_PAGES = 512;
const PHASES = ['read', 'fault', 'free'];
/** Given back first, so that no fault has to reclaim: the pages written last, which are resident. */
const SPARE_PAGES = 1_024;

await serveParent<LoadChildArgs>(async ({ virtual }) => {
  const quire = await openQuire({ budget: BUDGET, swap: [{ tier: 'compressed', codec: 'lz4' }], threads: 0, virtual });
  const region = quire.region({ size: PAGES * PAGE_BYTES, name: 'loads', access: 'random' });
  const halves = new Uint32Array(PAGE_BYTES / 4);
  const bytes = new Uint8Array(halves.buffer);
  for (let page = 0; page < PAGES; page += 1) {
    pageWords(page, halves);
    region.write(page * PAGE_BYTES, bytes);
  }
  region.discard((PAGES - SPARE_PAGES) * PAGE_BYTES, SPARE_PAGES * PAGE_BYTES);
  const internals = await QuireInternals.of(quire);
  return {
    run: (phase) => {
      const first = PHASES.indexOf(phase) * PHASE_PAGES;
      const counts = internals.countLoads(() => {
        if (phase === 'free') {
          region.discard(first * PAGE_BYTES, PHASE_PAGES * PAGE_BYTES);
          return;
        }
        for (let page = first; page < first + PHASE_PAGES; page += 1) {
          if (phase === 'read') region.read(page * PAGE_BYTES, bytes.subarray(0, 64));
          else region.write(page * PAGE_BYTES, bytes.subarray(0, 64));
        }
      });
      return { pages: PHASE_PAGES, ...counts } satisfies LoadCounts;
    },
    finish: () => quire.close(),
  };
});
