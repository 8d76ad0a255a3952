/**
 * `lab swap`, second part: text in its own order, written and read in sequence, by a region with `access: 'sequential'`
 * (four pages are compressed together) beside one without. The corpus of the first part has no such order: its pages are
 * cut from everywhere.
 */
import { type Run, WrongAnswer } from '../benchmark.ts';
import { startNodeChild } from '../child.ts';
import { Corpus, PAGE_BYTES } from '../corpus.ts';
import { builtFile } from '../paths.ts';
import { QUIRE } from '../quire.ts';
import type { Results } from '../report.ts';
import { touchMemory } from '../touch-memory.ts';
import type { QuireChildArgs } from './quire-child.ts';
import { type PhaseResult, scanSum } from './workload.ts';

const REPETITIONS = 3;
/** The same region without the hint. */
const QUIRE_PAGES = 'quire_pages';
const COLUMNS = [
  { name: QUIRE, access: 'sequential' },
  { name: QUIRE_PAGES, access: 'random' },
] as const;

export interface PoolUse {
  readonly storedBytes: number;
  readonly compressedBytes: number;
  readonly poolBytes: number;
}

export async function measureSequential(
  file: string,
  pages: number,
  budgetBytes: number,
  run: Run,
  results: Results,
): Promise<void> {
  const expected = scanSum(Corpus.load(file), pages);
  const us = new Map<string, { readonly fill: number[]; readonly read: number[] }>();
  for (let repetition = 1; repetition <= REPETITIONS && (repetition === 1 || run.hasTime()); repetition += 1) {
    for (const { name, access } of COLUMNS) {
      const args: QuireChildArgs = { corpusFile: file, pages, seed: 1, budgetBytes, access };
      const child = startNodeChild(builtFile('swap/quire-child.js'), args);
      try {
        await child.ready(name);
        await touchMemory(budgetBytes);
        const fill = await child.phase<PhaseResult>('text');
        const use = await child.phase<PoolUse>('pool');
        const read = await child.phase<PhaseResult>('scan');
        if (read.sum !== expected) throw new WrongAnswer(`${name}, scan: checksum ${read.sum}, expected ${expected}`);
        await child.end();
        const samples = us.get(name) ?? { fill: [], read: [] };
        us.set(name, samples);
        samples.fill.push(fill.us / fill.ops);
        samples.read.push(read.us / read.ops);
        if (repetition === 1) results.facts(name, 'compression', ratios(use));
      } finally {
        await child.kill();
      }
    }
  }
  for (const [name, { fill, read }] of us) {
    results.measured(name, 'fill_sequential', 'µs/op', fill);
    results.measured(name, 'read_sequential', 'µs/op', read);
  }
}

/** Of the bytes alone, and of the frames they take. */
function ratios({ storedBytes, compressedBytes, poolBytes }: PoolUse): Record<string, string> {
  return {
    ratio: (storedBytes / compressedBytes).toFixed(2),
    ratioInFrames: (storedBytes / poolBytes).toFixed(2),
    pageBytes: `${PAGE_BYTES}`,
  };
}
