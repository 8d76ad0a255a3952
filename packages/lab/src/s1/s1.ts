/**
 * `lab s1`: who makes room for large folios on the write path? The mail (seed 000): pgbench's simple-update with 1,024
 * clients on fragmented memory, where each large write compacts memory before it goes on, against four ways of not doing
 * that. Here the same file work (pgbench.ts) goes through Quire, once per policy and round, each in a process of its own
 * and with nothing different but the option `compaction`.
 *
 * The files lie in memory (tmpfs) where there is one, so that no device's speed is measured: the mail's machine had
 * storage that was fast beside its 96 processors.
 */
import { writeFileSync } from 'node:fs';
import { type Benchmark, ColumnAbsent, type Run, WrongAnswer } from '../benchmark.ts';
import { startNodeChild } from '../child.ts';
import { makeFileFolder } from '../file-folder.ts';
import { builtFile } from '../paths.ts';
import { COMPACTION_POLICIES, type CompactionPolicy } from '../quire.ts';
import { mib, type Outcome, Results } from '../report.ts';
import { ACCOUNT_PAGE_BYTES, makeAccounts, sumOfBalances } from './accounts.ts';
import { historyOf } from './history.ts';
import type { S1ChildArgs, S1Result } from './s1-child.ts';
import { lineOf, report, type Samples, tableOf } from './s1-report.ts';

interface Sizes {
  readonly accountPages: number;
  readonly walBytes: number;
  readonly budgetBytes: number;
  readonly checkpointMs: number;
  readonly warmMs: number;
  readonly runMs: number;
  readonly rounds: number;
}

const MIB = 2 ** 20;
/** The mail's number. */
const CLIENTS = 1024;
const SIZES: Sizes = {
  accountPages: (1024 * MIB) / ACCOUNT_PAGE_BYTES,
  walBytes: 1024 * MIB,
  budgetBytes: 1536 * MIB,
  checkpointMs: 2000,
  warmMs: 500,
  runMs: 4000,
  rounds: 7,
};
const SIZES_QUICK: Sizes = {
  accountPages: (128 * MIB) / ACCOUNT_PAGE_BYTES,
  walBytes: 256 * MIB,
  budgetBytes: 192 * MIB,
  checkpointMs: 500,
  warmMs: 200,
  runMs: 1000,
  rounds: 2,
};

const SEED = 1024;

export const s1: Benchmark = {
  name: 's1',
  summary: 'pgbench simple-update on fragmented memory: six ways to get large folios on the write path',
  run: runS1,
};

async function runS1(run: Run): Promise<Outcome> {
  const sizes = run.quick ? SIZES_QUICK : SIZES;
  const results = new Results();
  const samples: Samples = new Map();
  const bench = new Bench(sizes);
  results.facts('all', 'work', { ...factsOf(sizes), files: bench.fileSystem });
  try {
    for (let round = 0; round < sizes.rounds; round += 1) {
      for (let index = 0; index < COMPACTION_POLICIES.length; index += 1) {
        if (round > 0 && !run.hasTime()) break;
        const policy = COMPACTION_POLICIES[(index + round) % COMPACTION_POLICIES.length];
        const result = await bench.runOnce(policy, SEED + round);
        samples.set(policy, [...(samples.get(policy) ?? []), result]);
        run.progress(`round ${round + 1}, ${policy}: ${lineOf(result)}`);
      }
    }
  } catch (error) {
    if (!(error instanceof ColumnAbsent)) throw error;
    results.absent(error.column, error.message);
    samples.clear();
  } finally {
    bench.close();
  }
  if (samples.size === 0) return results.outcome();
  report(samples, results);
  return { ...results.outcome(), tables: [tableOf(samples)] };
}

/** The files of all runs. The accounts are carried over from run to run, so that only their sum has to be known. */
class Bench {
  readonly #sizes: Sizes;
  readonly #folder = makeFileFolder('tmpfs');
  readonly #accountsPath = `${this.#folder.path}/accounts`;
  readonly #walPath = `${this.#folder.path}/wal`;
  readonly #historyPath = `${this.#folder.path}/history`;
  #balanceSum = 0;

  constructor(sizes: Sizes) {
    this.#sizes = sizes;
    makeAccounts(this.#accountsPath, sizes.accountPages);
    writeFileSync(this.#walPath, '');
  }

  get fileSystem(): string {
    return this.#folder.fileSystem;
  }

  async runOnce(policy: CompactionPolicy, seed: number): Promise<S1Result> {
    const { accountPages, walBytes, budgetBytes, checkpointMs, warmMs, runMs } = this.#sizes;
    const args: S1ChildArgs = {
      policy,
      accountsPath: this.#accountsPath,
      walPath: this.#walPath,
      historyPath: this.#historyPath,
      accountPages,
      walBytes,
      budgetBytes,
      clients: CLIENTS,
      checkpointMs,
      seed,
    };
    const child = startNodeChild(builtFile('s1/s1-child.js'), args);
    try {
      await child.ready(policy);
      await child.phase('warm');
      await child.phase(`run ${warmMs}`);
      const result = await child.phase<S1Result>(`run ${runMs}`);
      await child.end();
      this.#check(policy, result);
      return result;
    } finally {
      await child.kill();
    }
  }

  /** What the clients committed is in the files that the host now reads. */
  #check(policy: CompactionPolicy, result: S1Result): void {
    this.#balanceSum += result.deltaSum;
    const sum = sumOfBalances(this.#accountsPath);
    if (sum !== this.#balanceSum) throw new WrongAnswer(`${policy}: balances sum to ${sum}, not ${this.#balanceSum}`);
    const history = historyOf(this.#historyPath);
    if (history.bytes !== result.historyBytes || history.deltaSum !== result.deltaSum) {
      throw new WrongAnswer(`${policy}: history of ${history.bytes} bytes, deltas ${history.deltaSum}`);
    }
  }

  close(): void {
    this.#folder.remove();
  }
}

function factsOf(sizes: Sizes): Record<string, number> {
  const { accountPages, walBytes, budgetBytes, checkpointMs, runMs } = sizes;
  return {
    clients: CLIENTS,
    accountsMib: mib(accountPages * ACCOUNT_PAGE_BYTES),
    walMib: mib(walBytes),
    budgetMib: mib(budgetBytes),
    unmovablePerCent: 40,
    checkpointMs,
    runMs,
  };
}
