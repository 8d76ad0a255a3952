import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkAssertMessages } from './asserts.ts';
import { createTree } from './tree.ts';

const found = (text: string, path = 'packages/quire/src/vm/x.ts') =>
  checkAssertMessages(createTree({ [path]: text })).length;

test('a built message is refused', () => {
  assert.equal(found('assert(a > 0, `bad ${a}`);'), 1);
  assert.equal(found('assert(a > 0, `plain`);'), 1);
  assert.equal(found("assert(a > 0, 'bad ' + a);"), 1);
  assert.equal(found("assert(a > 0, 'bad ' + a + b);"), 1);
});

test('a plain message with values is fine', () => {
  assert.equal(found("assert(a > 0, 'bad', a, a + b);"), 0);
  assert.equal(found('assert(names.has(`x${a}`)); fail(`x${a}`);'), 0);
});

test('tests build their messages', () => {
  assert.equal(found('assert(a > 0, `bad ${a}`);', 'packages/quire/src/vm/x.test.ts'), 0);
});
