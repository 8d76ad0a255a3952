import type { FileResult } from './run-file.ts';
import { countTests } from './tally.ts';

export interface FileReport extends FileResult {
  readonly source: string;
}

const SLOWEST_MAX = 5;

/** One file's heading and its spec report, without the totals that node:test appends: the end of the run has its own. */
export function formatFile(report: FileReport): string {
  const verdict = report.failure === undefined ? 'ok' : 'FAILED';
  const lines = report.output.trimEnd().split('\n');
  const body = lines.filter((line) => !/^ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) /.test(line));
  const heading = `${verdict} ${report.source} (${countTests(report.tally)} tests, ${seconds(report.ms)} s)`;
  return [heading, ...body.map((line) => (line === '' ? '' : `  ${line}`)), ...reason(report)].join('\n').trimEnd();
}

export function formatSummary(reports: readonly FileReport[], ms: number): { text: string; isPassed: boolean } {
  const failed = reports.filter((report) => report.failure !== undefined);
  const count = reports.reduce((sum, report) => sum + countTests(report.tally), 0);
  const passed = reports.reduce((sum, report) => sum + report.tally.passed, 0);
  const slowest = [...reports].sort((a, b) => b.ms - a.ms).slice(0, SLOWEST_MAX);
  const lines = ['', `slowest: ${slowest.map((report) => `${report.source} ${seconds(report.ms)} s`).join(', ')}`];
  for (const report of failed) lines.push(`FAILED ${report.source}: ${report.failure}`);
  if (count === 0) lines.push('FAILED: no test ran');
  lines.push(
    `${passed} of ${count} tests passed in ${reports.length} files, ${failed.length} files failed, ${seconds(ms)} s`,
  );
  return { text: lines.join('\n'), isPassed: failed.length === 0 && count > 0 };
}

function reason(report: FileReport): string[] {
  return report.failure === undefined ? [] : [`  ${report.source}: ${report.failure}`];
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
