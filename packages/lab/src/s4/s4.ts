/**
 * `lab s4`: the virtual layer (seed 003). usemem with it and without it in turns, the loads of tables it adds, who
 * reclaims, and how long it takes to empty a swap device.
 */
import { availableParallelism } from 'node:os';
import type { Benchmark, Run } from '../benchmark.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { mib, type Outcome, Results } from '../report.ts';
import { measureTableLoads } from './load-rows.ts';
import { measurePairs, type PairSizes } from './pairs.ts';
import { measureSwapoff } from './swapoff-rows.ts';

const BUDGET = 64 * 2 ** 20;
const BUDGET_QUICK = 32 * 2 ** 20;
/** Pairs of processes: the interval of 12 of them is from the 3rd to the 10th. */
const CREWS = 12;
const CREWS_QUICK = 4;
const PAIRS = 4;
const SWAPOFF = 2 ** 30;
const SWAPOFF_QUICK = 2 ** 26;

export const s4: Benchmark = {
  name: 's4',
  summary: 'virtual swap: usemem with the layer and without it, table loads, who reclaims, swapoff; Quire and the host',
  run: runS4,
};

async function runS4(run: Run): Promise<Outcome> {
  const results = new Results();
  const budgetBytes = run.quick ? BUDGET_QUICK : BUDGET;
  const threads = Math.max(2, availableParallelism());
  const crews = run.quick ? CREWS_QUICK : CREWS;
  results.facts('all', 'usemem', { dataMib: mib(2 * budgetBytes), budgetMib: mib(budgetBytes), threads });
  await measureTableLoads(results);
  const pages = (2 * budgetBytes) / PAGE_BYTES;
  const sizes: PairSizes = { budgetBytes, pages, threads, crews, pairs: PAIRS, suffix: '' };
  await measurePairs(sizes, run, results);
  // One thread waits for nobody's lock: its ratios spread less.
  await measurePairs({ ...sizes, threads: 1, suffix: '_1_thread' }, run, results);
  await measureSwapoff(run.quick ? SWAPOFF_QUICK : SWAPOFF, run, results);
  return results.outcome();
}
