/**
 * `npm test [-- FILTER ...]`: runs the built tests of every package, or those whose path contains one of the filters, two files at a
 * time, each in a process of its own. Fails on a failed, skipped or unfinished test, on a leaked handle, and when nothing ran.
 */
import { join } from 'node:path';
import { discoverTests, type TestFile } from './testing/discover.ts';
import { killAll, runTestFile } from './testing/run-file.ts';
import { type FileReport, formatFile, formatSummary } from './testing/summary.ts';

const ROOT = join(import.meta.dirname, '../..');
const CONCURRENCY = 2;
/** Per file; the whole suite is to end in eight minutes on two cores. */
const TIMEOUT_MS = 240_000;

async function main(filters: readonly string[]): Promise<number> {
  const flag = filters.find((filter) => filter.startsWith('-'));
  if (flag !== undefined) {
    console.error(`unknown flag ${flag}. Usage: npm test [-- PART-OF-A-PATH ...]`);
    return 2;
  }
  const files = discoverTests(ROOT, filters);
  const startMs = performance.now();
  const reports: FileReport[] = [];
  const queue = files.values();
  await Promise.all(Array.from({ length: CONCURRENCY }, () => drain(queue, reports)));
  const { text, isPassed } = formatSummary(reports, performance.now() - startMs);
  console.log(text);
  return isPassed ? 0 : 1;
}

async function drain(queue: Iterable<TestFile>, reports: FileReport[]): Promise<void> {
  for (const file of queue) {
    const result = await runTestFile(join(ROOT, file.built), { cwd: ROOT, timeoutMs: TIMEOUT_MS });
    const report = { source: file.source, ...result };
    reports.push(report);
    console.log(formatFile(report));
  }
}

process.on('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));
process.exitCode = await main(process.argv.slice(2));
