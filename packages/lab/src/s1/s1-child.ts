/** One policy of `lab s1`, once: an instance with that option, memory fragmented, the files warm, pgbench's file work. */
import { WrongAnswer } from '../benchmark.ts';
import { serveParent } from '../child.ts';
import { type CompactionPolicy, openQuire, openQuireFile, type QuireFile, type QuireInstance } from '../quire.ts';
import { QuireInternals } from '../quire-internals.ts';
import { Xorshift32 } from '../rng.ts';
import { percentile } from '../stats.ts';
import { between, threadTime } from '../thread-time.ts';
import { ACCOUNT_PAGE_BYTES } from './accounts.ts';
import { fragment } from './fragment.ts';
import { HISTORY_BYTES, Pgbench } from './pgbench.ts';

export interface S1ChildArgs {
  readonly policy: CompactionPolicy;
  readonly accountsPath: string;
  readonly walPath: string;
  readonly historyPath: string;
  readonly accountPages: number;
  readonly walBytes: number;
  readonly budgetBytes: number;
  readonly clients: number;
  readonly checkpointMs: number;
  readonly seed: number;
}

export interface S1Result {
  readonly transactions: number;
  readonly tps: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly checkpoints: number;
  readonly deltaSum: number;
  readonly historyBytes: number;
  /** Pages of the WAL by the order of their folio when they were just written; the last entry: not cached. */
  readonly walPagesByOrder: readonly number[];
  /** µs of processor time a transaction: of the thread the clients run in, and of all threads. */
  readonly clientCpuUs: number;
  readonly totalCpuUs: number;
  /** Share of the time in which the clients' thread could have run and another program had the processor. */
  readonly waitedShare: number;
  /** Counters that moved in the timed part. */
  readonly counters: Readonly<Record<string, number>>;
}

const UNMOVABLE_SEED = 77;
const COUNTERS = [
  'compact_stall',
  'compact_fail',
  'compact_success',
  'compact_migrate_scanned',
  'compact_free_scanned',
  'compact_daemon_wake',
  'compact_daemon_migrate_scanned',
  'compact_daemon_free_scanned',
  'pgmigrate_success',
  'pgmigrate_fail',
  'folio_alloc',
  'folio_alloc_fallback',
  'allocstall',
  'pgscan_file',
  'pgsteal_file',
  'nr_written',
] as const;

await serveParent<S1ChildArgs>(async (args) => {
  const { accountPages, clients, checkpointMs, walBytes, seed } = args;
  const quire = await openQuire({
    budget: args.budgetBytes,
    swap: [],
    threads: 'auto',
    compaction: args.policy,
  });
  const accounts = await openQuireFile(quire, args.accountsPath, 'r+');
  const wal = await openQuireFile(quire, args.walPath, 'r+');
  const history = await openQuireFile(quire, args.historyPath, 'w+');
  const internals = await QuireInternals.of(quire);
  const unmovable = fragment(internals, UNMOVABLE_SEED);
  const walPagesByOrder = new Array<number>(11).fill(0);
  const pgbench = new Pgbench(
    { accounts, wal, history },
    { clients, accountPages, walBytes, checkpointMs, seed, onGroup: (at, bytes) => lookAtFolios(at, bytes) },
  );

  function lookAtFolios(position: number, bytes: number): void {
    const pages = internals.pagesByOrder(wal, position, bytes);
    for (let order = 0; order < pages.length; order += 1) walPagesByOrder[order] += pages[order];
  }

  async function timed(ms: number): Promise<S1Result> {
    const before = countersOf(quire);
    const timeBefore = threadTime();
    const transactionsBefore = pgbench.latenciesMs.length;
    walPagesByOrder.fill(0);
    const took = await pgbench.run(ms);
    const time = between(timeBefore, threadTime());
    const latencies = pgbench.latenciesMs.slice(transactionsBefore);
    const after = countersOf(quire);
    return {
      transactions: pgbench.latenciesMs.length,
      tps: (latencies.length / took) * 1000,
      p99Ms: percentile(latencies, 0.99),
      maxMs: latencies.reduce((max, value) => Math.max(max, value), 0),
      clientCpuUs: (time.mainMs * 1000) / latencies.length,
      totalCpuUs: (time.processMs * 1000) / latencies.length,
      waitedShare: time.mainWaitedMs / took,
      checkpoints: pgbench.checkpoints,
      deltaSum: pgbench.deltaSum,
      historyBytes: pgbench.latenciesMs.length * HISTORY_BYTES,
      walPagesByOrder,
      counters: Object.fromEntries(COUNTERS.map((name) => [name, after[name] - before[name]])),
    };
  }

  return {
    run(line) {
      const [phase, ms] = line.split(' ');
      if (phase === 'warm') return warm(accounts, accountPages, seed);
      if (phase === 'run') return timed(Number(ms));
      throw new RangeError(`unknown phase ${line}`);
    },
    async finish() {
      for (const file of [accounts, wal, history]) {
        await file.sync();
        await file.close();
      }
      for (const pfn of unmovable) internals.giveFrame(pfn);
      await quire.close();
    },
  };
});

/** Reads as many random pages as the file has, so that what memory is left is full of its pages. */
function warm(accounts: QuireFile, pages: number, seed: number): { pages: number } {
  const rng = new Xorshift32(seed + 1);
  const words = new Int32Array(ACCOUNT_PAGE_BYTES / 4);
  const bytes = Buffer.from(words.buffer);
  for (let step = 0; step < pages; step += 1) {
    const page = rng.below(pages);
    const count = accounts.readSync(bytes, 0, ACCOUNT_PAGE_BYTES, page * ACCOUNT_PAGE_BYTES);
    if (count !== ACCOUNT_PAGE_BYTES || words[0] !== page) throw new WrongAnswer(`page ${page} has number ${words[0]}`);
  }
  return { pages };
}

/** Names of `stats()` that the build does not have count 0. */
function countersOf(quire: QuireInstance): Record<string, number> {
  const stats = quire.stats();
  return Object.fromEntries(COUNTERS.map((name) => [name, Number(stats[name] ?? 0)]));
}
