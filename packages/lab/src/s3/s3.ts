/**
 * `lab s3`: the swap table (seed 002). What an idle swap space of 1 TB takes, what a used slot takes, usemem, and the
 * mail's redis-benchmark, each beside the host kernel doing the same.
 */
import { availableParallelism } from 'node:os';
import type { Benchmark, Run } from '../benchmark.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { type Outcome, Results } from '../report.ts';
import { measureUsemem, type UsememSizes } from './usemem-rows.ts';

const BUDGET = 256 * 2 ** 20;
const BUDGET_QUICK = 48 * 2 ** 20;
const ROUNDS = 5;
const ROUNDS_QUICK = 2;

export const s3: Benchmark = {
  name: 's3',
  summary:
    'the swap table: memory of an idle 1 TB swap space and of a slot, usemem, redis-benchmark; Quire and the host',
  run: runS3,
};

async function runS3(run: Run): Promise<Outcome> {
  const results = new Results();
  await measureUsemem(usememSizes(run), threadCounts(), run, results);
  return results.outcome();
}

function usememSizes(run: Run): UsememSizes {
  const budgetBytes = run.quick ? BUDGET_QUICK : BUDGET;
  return {
    budgetBytes,
    pages: (2 * budgetBytes) / PAGE_BYTES,
    rounds: run.quick ? ROUNDS_QUICK : ROUNDS,
    tolerance: run.quick ? 0.02 : 0.01,
  };
}

/** 1, 2 and one for each core, the last of which the ratios are of. */
function threadCounts(): number[] {
  return [...new Set([1, 2, Math.max(2, availableParallelism())])];
}
