/**
 * `npm run stress -- [--seconds N] [--seed S] [--budget BYTES] [--direct] [--sample SECONDS]`: real threads. Daemons and four attached workers on
 * one instance at a quarter of the memory that data in a region, a map and a file needs, while compaction moves pages
 * beneath them; every value checks itself. With --sample a row of gauges comes every so often (a soak run). Exit status 1 with the details when one is wrong.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { QuireStats } from '../api/stats.ts';
import { formatBytes, MIB, parseBytes } from '../base/units.ts';
import { readArguments } from '../simulator/read-arguments.ts';
import { compactionFor, runStress, type StressResult } from './stress.ts';

const USAGE = 'usage: npm run stress -- [--seconds N] [--seed S] [--budget BYTES] [--direct] [--sample SECONDS]';
const WORKERS = 4;
const SHOWN = [
  'pgfault',
  'pgmajfault',
  'pswpin',
  'pswpout',
  'zswpwb',
  'transient_reads',
  'swap_clean_copies',
  'swap_copies_ahead',
  'swap_rescued',
  'cow_faults',
  'clone_copies',
  'allocstall',
  'kcompressd_pages',
  'file_reads',
  'file_writes',
  'file_segments_cleaned',
  'file_segments_cut',
  'swap_full',
  'swap_alloc_failed',
  'pgsteal_file',
  'nr_written',
  'compact_stall',
  'compact_migrate_scanned',
  'compact_daemon_wake',
  'pgmigrate_success',
] as const;

function print(result: StressResult, budgetBytes: number): void {
  const { counts, stats, dataBytes, runSeconds } = result;
  const operations = Object.entries(counts).filter(([name]) => !name.includes('refused') && name !== 'swap_full');
  const total = operations.reduce((sum, [, count]) => sum + count, 0);
  console.log(
    `stress: ${formatBytes(dataBytes)} of data in ${formatBytes(budgetBytes)}, ${Math.round(total / runSeconds)} operations/s`,
  );
  console.log(
    Object.entries(counts)
      .map(([name, count]) => `  ${name} ${count}`)
      .join('\n'),
  );
  console.log(`  counters: ${SHOWN.map((name) => `${name} ${stats[name] ?? '?'}`).join(', ')}`);
}

/** What must not grow while the same data is worked on: memory, JS heap, tables, slots, file, and what is in flight. */
function printSample(elapsed: number, stats: QuireStats): void {
  const { rss, heapUsed } = process.memoryUsage();
  const mib = (bytes: number): string => (bytes / MIB).toFixed(1);
  console.log(
    `  ${Math.round(elapsed)} s: rss ${mib(rss)} MiB, heap ${mib(heapUsed)} MiB, used ${mib(stats.used_bytes)} MiB, tables ${stats.table_pages} pages, ` +
      `slots ${stats.swap_slots_used}, compressed ${mib(stats.compressed_bytes)} MiB, file ${mib(stats.file_bytes)} MiB, in flight ${stats.nr_inflight}, ` +
      `pgfault ${stats.pgfault}, allocstall ${stats.allocstall}, compact_stall ${stats.compact_stall}, swap_full ${stats.swap_full}, pressure some ${stats.pressure.some.avg60.toFixed(1)} %`,
  );
}

const { values, seconds, seed, budgetBytes } = readArguments(USAGE, () => {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string' },
      seed: { type: 'string' },
      budget: { type: 'string' },
      direct: { type: 'boolean', default: false },
      sample: { type: 'string' },
    },
  });
  const seconds = Number(values.seconds ?? 30);
  const seed = Number(values.seed ?? randomInt(2 ** 31));
  const budgetBytes = parseBytes(values.budget ?? '32MiB');
  if (!(seconds > 0) || !Number.isSafeInteger(seed) || budgetBytes === undefined)
    throw new TypeError('--seconds, --seed or --budget is not a number');
  return { values, seconds, seed, budgetBytes };
});
console.log(`stress: seed ${seed}, ${seconds} s, compaction ${compactionFor(seed)}`);
const result = await runStress({
  seconds,
  seed,
  budgetBytes,
  workers: WORKERS,
  virtual: !values.direct,
  ...(values.sample === undefined ? {} : { sampleSeconds: Number(values.sample), onSample: printSample }),
});
print(result, budgetBytes);
for (const failure of result.failures) console.error(`FAILED ${failure}`);
if (result.failures.length > 0) {
  console.error(`again: npm run -s stress -- --seconds ${seconds} --seed ${seed} --budget ${budgetBytes}`);
  process.exitCode = 1;
} else console.log('stress: every value was right');
