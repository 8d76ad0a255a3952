/**
 * `lab s3`: the swap table (seed 002). What an idle swap space of 1 TB takes, what a used slot takes, usemem, and the
 * mail's redis-benchmark, each beside the host kernel doing the same.
 */
import { availableParallelism } from 'node:os';
import type { Benchmark, Run } from '../benchmark.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { QUIRE } from '../quire.ts';
import { type Outcome, Results } from '../report.ts';
import { spreadOf } from '../stats.ts';
import type { Stats } from '../usemem/quire-usemem.ts';
import { measureMetadata } from './metadata-rows.ts';
import { measureRedis, type RedisSizes } from './redis-rows.ts';
import { measureUsemem, type UsememSizes } from './usemem-rows.ts';

const BUDGET = 256 * 2 ** 20;
const BUDGET_QUICK = 48 * 2 ** 20;
const ROUNDS = 5;
const ROUNDS_QUICK = 2;
/** 250 MB of values, some 320 MB in redis: as the mail's 2,560 MB in 2 GiB. */
const REDIS_SIZES: RedisSizes = { keys: 250_000, requests: 150_000, repetitions: 5, budgetMib: 256 };
const REDIS_QUICK: RedisSizes = { keys: 50_000, requests: 50_000, repetitions: 2, budgetMib: 48 };

export const s3: Benchmark = {
  name: 's3',
  summary:
    'the swap table: memory of an idle 1 TB swap space and of a slot, usemem, redis-benchmark; Quire and the host',
  run: runS3,
};

async function runS3(run: Run): Promise<Outcome> {
  const results = new Results();
  const sizes = usememSizes(run);
  await measureMetadata({ budgetBytes: sizes.budgetBytes, pages: sizes.pages }, results);
  reportFailures(await measureUsemem(sizes, threadCounts(), run, results), results);
  await measureRedis(run.quick ? REDIS_QUICK : REDIS_SIZES, run, results);
  return results.outcome();
}

/** Allocations that failed although a slot was free: the mail's "VM_FAULT_OOM leaked out" went from 18 to 0. */
function reportFailures(stats: readonly Stats[], results: Results): void {
  const failures = Math.max(0, ...stats.map(failedAllocations));
  results.measured(QUIRE, 'alloc_failures', 'slots', [failures], { mailBefore: 18, mailAfter: 0 });
  results.ratio('alloc_failures', spreadOf([failures]), { atMost: 0 });
}

/** A space of 2^28 slots was never used up, so every error that said so was one too many. */
function failedAllocations(stats: Stats): number {
  return (stats['swap_alloc_failed'] ?? 0) + stats['swap_full'];
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
