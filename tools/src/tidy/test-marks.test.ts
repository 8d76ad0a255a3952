import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkTestMarks } from './test-marks.ts';
import { createTree } from './tree.ts';

const marks = (text: string, head = "import { test, describe, it } from 'node:test';"): string[] =>
  checkTestMarks(createTree({ 'x.test.ts': `${head}\n${text}` })).map(({ message }) => message);

describe('marked', () => {
  for (const text of [
    "test.skip('x', () => {});",
    "it.only('x', () => {});",
    "describe.todo('x');",
    "const later = test.todo; later('x');",
    "test('x', { skip: true }, () => {});",
    "test('x', { skip: process.platform === 'win32' }, () => {});",
    "describe('x', { only: true, timeout: 1 }, () => {});",
    "test('x', (t) => { t.skip(); });",
    "test('x', async (context) => { context.todo('later'); });",
    "test('x', (t) => { t.test('y', { skip: true }, () => {}); });",
    "test('x', (t) => { t.test('y', (inner) => inner.skip()); });",
    "xit('x', () => {});",
  ]) {
    test(text, () => assert.equal(marks(text).length, 1));
  }
  test('under another name', () => {
    assert.equal(marks("check.skip('x');", "import { test as check } from 'node:test';").length, 1);
    assert.equal(marks("later('x');", "import { skip as later } from 'node:test';").length, 1);
    assert.equal(marks("suite.test.skip('x');", "import * as suite from 'node:test';").length, 1);
  });
});

describe('not marked', () => {
  for (const text of [
    "test('skip, only and todo are words', () => {});",
    "test('x', { timeout: 1 }, () => { list.skip(1); options = { skip: 1 }; });",
    "test('x', { skip: false }, (t) => { t.diagnostic('y'); });",
  ]) {
    test(text, () => assert.deepEqual(marks(text), []));
  }
  test('a file that has nothing to do with node:test', () => {
    assert.deepEqual(marks('it.skip(3);', 'const it = [].values();'), []);
  });
});
