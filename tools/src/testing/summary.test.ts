import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FileReport, formatFile, formatSummary } from './summary.ts';

function report(changes: Partial<FileReport>): FileReport {
  const tally = { passed: 2, failed: 0, skipped: 0, todo: 0 };
  return {
    source: 'a.test.ts',
    failure: undefined,
    tally,
    output: '✔ one\nℹ tests 1\nℹ pass 1\n',
    ms: 1500,
    ...changes,
  };
}

test('a file: heading, its report, no totals', () => {
  assert.equal(formatFile(report({})), 'ok a.test.ts (2 tests, 1.5 s)\n  ✔ one');
});

test('a failed file says why', () => {
  assert.match(
    formatFile(report({ failure: '1 failed' })),
    /^FAILED a\.test\.ts .*\n {2}✔ one\n {2}a\.test\.ts: 1 failed$/,
  );
});

test('the summary counts and passes', () => {
  const { text, isPassed } = formatSummary([report({}), report({ source: 'b.test.ts' })], 2_000);
  assert.ok(isPassed);
  assert.match(text, /4 of 4 tests passed in 2 files, 0 files failed, 2\.0 s$/);
});

test('one failed file fails the run and is named', () => {
  const { text, isPassed } = formatSummary([report({}), report({ source: 'b.test.ts', failure: 'exit status 1' })], 0);
  assert.equal(isPassed, false);
  assert.match(text, /FAILED b\.test\.ts: exit status 1/);
});

test('a run without a test fails', () => {
  assert.equal(formatSummary([], 0).isPassed, false);
  assert.match(formatSummary([], 0).text, /no test ran/);
});
