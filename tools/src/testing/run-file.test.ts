import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type FileResult, runTestFile } from './run-file.ts';

const NODE_TEST = "import { test, describe } from 'node:test';";
let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'quire-run-file-'));
});
after(() => rmSync(folder, { recursive: true }));

function run(source: string, timeoutMs = 30_000): Promise<FileResult> {
  const path = join(folder, 'sample.test.mjs');
  writeFileSync(path, source);
  return runTestFile(path, { cwd: folder, timeoutMs });
}

test('a file whose tests pass', async () => {
  const result = await run(`${NODE_TEST} describe('d', () => { test('one', () => {}); }); test('two', () => {});`);
  assert.equal(result.failure, undefined, result.output);
  assert.deepEqual(result.tally, { passed: 2, failed: 0, skipped: 0, todo: 0 });
  assert.match(result.output, /✔ one/);
});

describe('a file fails', () => {
  const cases: [string, string, RegExp][] = [
    ['when a test fails', `${NODE_TEST} test('one', () => { throw new Error('boom'); });`, /1 failed/],
    ['when a test is skipped', `${NODE_TEST} test('one', { ['sk' + 'ip']: true }, () => {});`, /1 skipped/],
    ['when a test is to do', `${NODE_TEST} test('one', { ['to' + 'do']: true }, () => {});`, /1 marked/],
    ['when it does not load', `throw new Error('boom');`, /exit status 1/],
    ['when it has no test', `console.log('nothing here');`, /has none/],
    ['when it has an empty suite only', `${NODE_TEST} describe('none', () => {});`, /no test/],
    [
      'when a test ends the process',
      `${NODE_TEST} test('one', () => process.exit(0)); test('two', () => {});`,
      /ended before/,
    ],
    [
      'when an error comes late',
      `${NODE_TEST} test('one', () => { setTimeout(() => { throw new Error('late'); }, 20); });`,
      /exit/,
    ],
  ];
  for (const [name, source, failure] of cases) {
    test(name, async () => {
      const result = await run(source);
      assert.match(result.failure ?? 'no failure', failure, result.output);
    });
  }
});

test('an open handle is killed and named', async () => {
  const result = await run(`${NODE_TEST} test('one', () => { setInterval(() => {}, 1000); });`, 1_500);
  assert.match(result.failure ?? '', /still running after 1.5 s/);
});

test('a process left behind is killed and named', async () => {
  const loop = 'setInterval(() => {}, 1000)';
  const result = await run(
    `${NODE_TEST} import { spawn } from 'node:child_process';
     test('one', () => { spawn(process.execPath, ['-e', '${loop}'], { stdio: 'inherit' }).unref(); });`,
  );
  assert.match(result.failure ?? '', /left a process behind/, result.output);
});
