/** Quire's column of the memory rows of `lab s3`: what the swap table takes, idle and used (s3/metadata-rows.ts). */
import { serveParent } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { openQuire, type QuireInstance } from '../quire.ts';
import { QuireInternals, type SwapMetadata } from '../quire-internals.ts';
import { shareOf, writeShare } from '../usemem/share.ts';

export interface MetadataChildArgs {
  readonly budgetBytes: number;
  readonly pages: number;
}

export interface MetadataResult extends SwapMetadata {
  /** Bytes of the budget taken beyond those of an instance without swap. */
  readonly takenBytes: number;
}

const TIERS = [{ tier: 'compressed', codec: 'lz4' }] as const;

await serveParent<MetadataChildArgs>(async ({ budgetBytes, pages }) => {
  const bare = await openQuire({ budget: budgetBytes, swap: [], threads: 0 });
  const bareBytes = usedBytes(bare);
  await bare.close();
  const quire = await openQuire({ budget: budgetBytes, swap: TIERS, threads: 0 });
  const internals = await QuireInternals.of(quire);
  const result = (): MetadataResult => ({ ...internals.swapMetadata(), takenBytes: usedBytes(quire) - bareBytes });
  return {
    run: (line) => {
      if (line === 'use') {
        const region = quire.region({ size: pages * PAGE_BYTES, name: 'metadata' });
        writeShare(region, shareOf(pages, 1, 0));
      }
      return result();
    },
    finish: () => quire.close(),
  };
});

function usedBytes(quire: QuireInstance): number {
  return Number(quire.stats()['used_bytes']);
}
