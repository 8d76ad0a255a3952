/**
 * `npm run stress -- [--seconds N] [--seed S] [--budget BYTES] [--direct]`: real threads. Daemons and four attached workers on
 * one instance at a quarter of the memory that data in a region, a map and a file needs, while compaction moves pages
 * beneath them; every value checks itself. Exit status 1 with the details when one is wrong.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { formatBytes, parseBytes } from '../base/units.ts';
import { compactionFor, runStress, type StressResult } from './stress.ts';

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

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    seed: { type: 'string' },
    budget: { type: 'string' },
    direct: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds ?? 30);
const seed = Number(values.seed ?? randomInt(2 ** 31));
const budgetBytes = parseBytes(values.budget ?? '32MiB');
if (!(seconds > 0) || !Number.isSafeInteger(seed) || budgetBytes === undefined)
  throw new TypeError('--seconds, --seed or --budget is not a number');
console.log(`stress: seed ${seed}, ${seconds} s, compaction ${compactionFor(seed)}`);
const result = await runStress({ seconds, seed, budgetBytes, workers: WORKERS, virtual: !values.direct });
print(result, budgetBytes);
for (const failure of result.failures) console.error(`FAILED ${failure}`);
if (result.failures.length > 0) {
  console.error(`again: npm run -s stress -- --seconds ${seconds} --seed ${seed} --budget ${budgetBytes}`);
  process.exitCode = 1;
} else console.log('stress: every value was right');
