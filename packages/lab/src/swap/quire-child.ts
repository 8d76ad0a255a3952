/** The Quire column of `lab swap`: one region, the phases of workload.ts. */
import { serveParent } from '../child.ts';
import { Corpus, PAGE_BYTES } from '../corpus.ts';
import { openQuire, type RegionAccess } from '../quire.ts';
import { Xorshift32 } from '../rng.ts';
import type { PoolUse } from './sequential.ts';
import { runPhase, type Store } from './workload.ts';

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
  const quire = await openQuire({ budget: budgetBytes, swap: [{ tier: 'compressed', codec: 'lz4' }], threads: 'auto' });
  const region = quire.region({ size: pages * PAGE_BYTES, name: 'swap', access });
  const store: Store = {
    write: (offset, bytes) => region.write(offset, bytes),
    read: (offset, target) => region.read(offset, target),
  };
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

function poolUse(stats: Readonly<Record<string, unknown>>): PoolUse {
  return {
    storedBytes: Number(stats['compressed_original_bytes']),
    compressedBytes: Number(stats['compressed_bytes']),
    poolBytes: Number(stats['nr_zspages']) * PAGE_BYTES,
  };
}
