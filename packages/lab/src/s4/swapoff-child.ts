/**
 * Quire's column of swapoff: as much compressed data as is wanted, a file that takes it, and the time of
 * `swapoff('compressed')`. Every page is verified afterwards.
 */
import { WrongAnswer } from '../benchmark.ts';
import { serveParent } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { openQuire } from '../quire.ts';
import { shareOf, verifyShare, writeShare } from '../usemem/share.ts';

export interface SwapoffChildArgs {
  /** Of compressed pages, before compression. */
  readonly bytes: number;
}

export interface SwapoffResult {
  readonly ms: number;
  readonly swappedBytes: number;
  readonly pages: number;
  readonly pagesLost: number;
}

/** Half of the data: a third of it is resident then, the pool has its quarter, and nothing goes to the file by itself. */
const BUDGET_SHARE = 0.5;
const RESIDENT_SHARE = 1.25;

await serveParent<SwapoffChildArgs>(async ({ bytes }) => {
  const budget = Math.floor(bytes * BUDGET_SHARE);
  const swap = [
    { tier: 'compressed', codec: 'lz4' },
    { tier: 'file', size: bytes * 2 },
  ];
  const quire = await openQuire({ budget, swap, threads: 'auto' });
  const pages = Math.floor((bytes * RESIDENT_SHARE) / PAGE_BYTES);
  const region = quire.region({ size: pages * PAGE_BYTES, name: 'swapoff', access: 'random' });
  const share = shareOf(pages, 1, 0);
  return {
    run: async (): Promise<SwapoffResult> => {
      writeShare(region, share);
      const swappedBytes = Number(quire.stats()['compressed_original_bytes']);
      const started = performance.now();
      const done = await quire.swapoff('compressed');
      const ms = performance.now() - started;
      if (verifyShare(region, share) >= 0 || done.pagesLost > 0) throw new WrongAnswer('swapoff lost a page');
      return { ms, swappedBytes, pages: done.pages, pagesLost: done.pagesLost };
    },
    finish: async () => {
      region.close();
      await quire.close();
    },
  };
});
