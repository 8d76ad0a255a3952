import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { tidy } from './tidy/rules.ts';
import { readTree } from './tidy/tree.ts';

test('the project is tidy', () => {
  const tree = readTree(join(import.meta.dirname, '../..'));
  assert.ok(tree.sources.size > 10, 'the tree was read');
  assert.deepEqual(tidy(tree), []);
});
