/** The Quire column of `lab swap`: one region, the phases of workload.ts. */
import { serveParent } from '../child.ts';
import { Corpus, PAGE_BYTES } from '../corpus.ts';
import { openQuire } from '../quire.ts';
import { Xorshift32 } from '../rng.ts';
import { runPhase, type Store } from './workload.ts';

export interface QuireChildArgs {
  readonly corpusFile: string;
  readonly pages: number;
  readonly seed: number;
  readonly budgetBytes: number;
}

await serveParent<QuireChildArgs>(async ({ corpusFile, pages, seed, budgetBytes }) => {
  const corpus = Corpus.load(corpusFile);
  const baseRss = process.memoryUsage.rss();
  const quire = await openQuire({ budget: budgetBytes, swap: [{ tier: 'compressed', codec: 'lz4' }], threads: 'auto' });
  const region = quire.region({ size: pages * PAGE_BYTES, name: 'swap' });
  const store: Store = {
    write: (offset, bytes) => region.write(offset, bytes),
    read: (offset, target) => region.read(offset, target),
  };
  const rng = new Xorshift32(seed);
  return {
    run: (line) =>
      line === 'usage'
        ? { rssGrowthBytes: process.memoryUsage.rss() - baseRss }
        : runPhase(line, store, corpus, pages, rng),
    finish: () => quire.close(),
  };
});
