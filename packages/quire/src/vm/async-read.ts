/**
 * Async twins of the reads of a region (vm/no-wait.ts is how). Page by page, so that a page that was copied is not read again
 * because a later one had to be fetched.
 */
import * as L from '../arena/layout.ts';
import { isSwapped } from '../arena/pte.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { findLeaf, regionAt } from '../page-table/page-table.ts';
import { slotOfEntry } from '../swap/direct-entry.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot } from '../swap/swap-table.ts';
import { faultRead } from './fault.ts';
import type { Memory } from './memory.ts';
import { withoutWaiting } from './no-wait.ts';
import type { RegionSpace } from './region-space.ts';

/** Fills `target`. `stillOpen` throws when the region was closed while a read was under way. */
export async function readAsync(
  memory: Memory,
  space: RegionSpace,
  offset: number,
  target: Uint8Array,
  stillOpen: () => void,
): Promise<void> {
  let at = 0;
  while (at < target.length) {
    const from = offset + at;
    const to = at;
    const step = Math.min(PAGE_BYTES - (from % PAGE_BYTES), target.length - at);
    await withoutWaiting(memory, stillOpen, () => space.read(from, target, to, step));
    at += step;
  }
}

/**
 * Brings the pages of a range that are on file into memory. Best effort: without memory to spare they stay where they
 * are.
 */
export async function prefetchAsync(
  memory: Memory,
  space: RegionSpace,
  offset: number,
  length: number,
  stillOpen: () => void,
): Promise<void> {
  const last = offset + length;
  for (let at = offset - (offset % PAGE_BYTES); at < last; at += PAGE_BYTES) {
    const { n, chunk, page } = space.placeOf(at);
    const node = memory.nodes[n];
    const isInOrder = at + PAGE_BYTES < last;
    await withoutWaiting(memory, stillOpen, () => {
      const entry = entryOnFile(memory, space, n, chunk, page);
      if (entry === 0) return;
      node.ahead.entry = isInOrder ? entry : 0;
      faultRead(memory, n, space.region, chunk, page);
    });
  }
}

/** Word index of the page's entry, 0 when the page is not on file. A guess, as nothing is locked. */
function entryOnFile(memory: Memory, space: RegionSpace, n: number, chunk: number, page: number): number {
  const node = memory.nodes[n];
  const generationAt = regionAt(space.region) + L.R_GENERATION;
  const generation = Atomics.load(memory.nodes[0].words, generationAt);
  const leaf = findLeaf(node, space.region, chunk);
  const pte = leaf === 0 ? 0 : Atomics.load(node.words, leaf + page);
  if (!isSwapped(pte) || Atomics.load(memory.nodes[0].words, generationAt) !== generation) return 0;
  return W.tagOf(peekSlot(node, slotOfEntry(node, leaf + page, pte))) === W.SLOT_FILE ? leaf + page : 0;
}
