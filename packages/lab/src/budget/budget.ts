/**
 * `lab budget`: does the process stay within its budget plus a fixed runtime cost? A region of real text is filled to
 * four times the budget, behind it the compressed tier and a file; the peak of the resident size is read after each fill.
 * The budget is all that Quire holds; what is above it is Node, the code and 8 MiB of text to fill with.
 */
import { type Benchmark, ColumnAbsent, type Run } from '../benchmark.ts';
import { startNodeChild } from '../child.ts';
import { corpusFile } from '../corpus.ts';
import { builtFile } from '../paths.ts';
import { QUIRE } from '../quire.ts';
import { mib, type Outcome, Results } from '../report.ts';
import { spreadOf } from '../stats.ts';
import type { BudgetChildArgs, FillResult } from './budget-child.ts';

const BUDGETS_MIB = [128, 512, 2048];
const BUDGETS_QUICK_MIB = [64, 128];
const FILLS = 4;
const OVER_MIB_MAX = 120;

export const budget: Benchmark = {
  name: 'budget',
  summary: 'resident size above the budget while regions are filled to four times it',
  run: runBudget,
};

async function runBudget(run: Run): Promise<Outcome> {
  const results = new Results();
  const file = corpusFile(run.progress);
  const overs: number[] = [];
  try {
    for (const budgetMib of run.quick ? BUDGETS_QUICK_MIB : BUDGETS_MIB) {
      overs.push(...(await fillOne(budgetMib, file, run, results)));
    }
  } catch (error) {
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(error.column, error.message);
  }
  if (overs.length > 0) {
    results.ratio('rss_over_budget_mib_max', spreadOf([Math.max(...overs)]), { atMost: OVER_MIB_MAX });
  }
  return results.outcome();
}

/** MiB above the budget after each fill. The last row says how much of it grew with the data. */
async function fillOne(budgetMib: number, file: string, run: Run, results: Results): Promise<number[]> {
  const args: BudgetChildArgs = { corpusFile: file, budgetBytes: budgetMib * 2 ** 20, fills: FILLS };
  const child = startNodeChild(builtFile('budget/budget-child.js'), args);
  const overs: number[] = [];
  try {
    await child.ready(QUIRE);
    for (let fills = 1; fills <= FILLS; fills += 1) {
      const { us, pages, rssPeakBytes } = await child.phase<FillResult>('fill');
      const over = mib(rssPeakBytes) - budgetMib;
      overs.push(over);
      run.progress(
        `${budgetMib} MiB filled ${fills}×: peak ${over.toFixed(1)} MiB above, ${(us / pages).toFixed(1)} µs/page`,
      );
      results.measured(QUIRE, `rss_over_${budgetMib}_mib_at_${fills}x`, 'MiB', [over], {
        usPerPage: Math.round((us / pages) * 10) / 10,
      });
    }
    await child.end();
  } finally {
    await child.kill();
  }
  results.measured(QUIRE, `rss_growth_${budgetMib}_mib_1x_to_${FILLS}x`, 'MiB', [overs[FILLS - 1] - overs[0]]);
  return overs;
}
