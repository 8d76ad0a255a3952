/**
 * The Quire column of `lab swap`: one region, the phases of workload.ts.
 *
 * Results are verified before they are timed: the whole work is rehearsed first on an instance of 1/16 of a gigabyte, which
 * is closed again. That also has V8 compile the calling thread's code, which a C program has done before it starts; the
 * daemon's thread, which belongs to the instance, begins cold in the timed one.
 */
import { serveParent } from '../child.ts';
import { Corpus, PAGE_BYTES } from '../corpus.ts';
import { openQuire, type RegionAccess } from '../quire.ts';
import { Xorshift32 } from '../rng.ts';
import type { PoolUse } from './sequential.ts';
import { phaseLines, runPhase, type Store, workOf } from './workload.ts';

const REHEARSED_PAGES = 2 ** 14;

export interface QuireChildArgs {
  readonly corpusFile: string;
  readonly pages: number;
  readonly seed: number;
  readonly budgetBytes: number;
  readonly access?: RegionAccess;
}

await serveParent<QuireChildArgs>(async ({ corpusFile, pages, seed, budgetBytes, access = 'auto' }) => {
  const corpus = Corpus.load(corpusFile);
  const baseRss = process.memoryUsage.rss();
  const share = Math.min(1, REHEARSED_PAGES / pages);
  const rehearsal = await openSwap(pages * share, budgetBytes * share, access);
  for (const line of phaseLines(workOf(pages * share))) {
    runPhase(line, rehearsal.store, corpus, pages * share, new Xorshift32(seed));
  }
  await rehearsal.quire.close();
  const { quire, store } = await openSwap(pages, budgetBytes, access);
  const rng = new Xorshift32(seed);
  return {
    run: (line) => {
      if (line === 'usage') return { rssGrowthBytes: process.memoryUsage.rss() - baseRss };
      if (line === 'pool') return poolUse(quire.stats());
      return runPhase(line, store, corpus, pages, rng);
    },
    finish: () => quire.close(),
  };
});

async function openSwap(pages: number, budgetBytes: number, access: RegionAccess) {
  const budget = Math.floor(budgetBytes);
  const quire = await openQuire({ budget, swap: [{ tier: 'compressed', codec: 'lz4' }], threads: 'auto' });
  const region = quire.region({ size: pages * PAGE_BYTES, name: 'swap', access });
  const store: Store = {
    write: (offset, bytes) => region.write(offset, bytes),
    read: (offset, target) => region.read(offset, target),
  };
  return { quire, store };
}

function poolUse(stats: Readonly<Record<string, unknown>>): PoolUse {
  return {
    storedBytes: Number(stats['compressed_original_bytes']),
    compressedBytes: Number(stats['compressed_bytes']),
    poolBytes: Number(stats['nr_zspages']) * PAGE_BYTES,
  };
}
