/** One budget of `lab budget`: a region of real text, filled step by step to four times the budget. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { WrongAnswer } from '../benchmark.ts';
import { serveParent } from '../child.ts';
import { Corpus, PAGE_BYTES } from '../corpus.ts';
import { openQuire } from '../quire.ts';
import { Xorshift32 } from '../rng.ts';

export interface BudgetChildArgs {
  readonly corpusFile: string;
  readonly budgetBytes: number;
  readonly fills: number;
}

export interface FillResult {
  readonly us: number;
  readonly pages: number;
  /** Largest resident size of the process so far, as the kernel counts it. */
  readonly rssPeakBytes: number;
}

/** Counts towards the resident size that is measured. */
const TEXT_BYTES = 8 * 2 ** 20;
const VERIFY_PAGES = 2_000;
const SEED = 20_240_604;

await serveParent<BudgetChildArgs>(async ({ corpusFile, budgetBytes, fills }) => {
  const corpus = new Corpus(firstText(corpusFile));
  const pagesPerFill = Math.floor(budgetBytes / PAGE_BYTES);
  const fileTier = { tier: 'file', size: budgetBytes * fills * 2 };
  const quire = await openQuire({
    budget: budgetBytes,
    swap: [{ tier: 'compressed', codec: 'lz4' }, fileTier],
    threads: 'auto',
  });
  const region = quire.region({ size: pagesPerFill * fills * PAGE_BYTES, name: 'budget' });
  const rng = new Xorshift32(SEED);
  const page = new Uint8Array(PAGE_BYTES);
  const target = new Uint8Array(PAGE_BYTES);
  let filled = 0;

  function fill(): FillResult {
    const start = performance.now();
    for (const end = filled + pagesPerFill; filled < end; filled += 1) {
      corpus.page(filled, page);
      region.write(filled * PAGE_BYTES, page);
    }
    const us = (performance.now() - start) * 1000;
    verify();
    return { us, pages: pagesPerFill, rssPeakBytes: rssPeakBytes() };
  }

  function verify(): void {
    for (let step = 0; step < VERIFY_PAGES; step += 1) {
      const index = rng.below(filled);
      region.read(index * PAGE_BYTES, target);
      corpus.page(index, page);
      if (Buffer.compare(page, target) !== 0) throw new WrongAnswer(`page ${index} came back wrong`);
    }
  }

  return { run: fill, finish: () => quire.close() };
});

/** The first part of the text, read alone: all of it in memory would be most of what is measured. */
function firstText(file: string): Uint8Array {
  const text = new Uint8Array(TEXT_BYTES);
  const descriptor = openSync(file, 'r');
  try {
    return text.subarray(0, readSync(descriptor, text, 0, TEXT_BYTES, 0));
  } finally {
    closeSync(descriptor);
  }
}

function rssPeakBytes(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}
