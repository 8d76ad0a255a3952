import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkPureCore } from './tidy/layers.ts';
import { CORE_EXCEPTIONS, WORLD_GLOBALS } from './tidy/policy.ts';
import { tidy } from './tidy/rules.ts';
import { readTree } from './tidy/tree.ts';

const tree = readTree(join(import.meta.dirname, '../..'));

test('the project is tidy', () => {
  assert.ok(tree.sources.size > 10, 'the tree was read');
  assert.deepEqual(tidy(tree), []);
});

test('each exception from the pure core is a file that still needs it', () => {
  const impure = new Set(checkPureCore(tree, WORLD_GLOBALS, []).map(({ path }) => path));
  assert.deepEqual(
    CORE_EXCEPTIONS.filter((path) => !impure.has(path)),
    [],
  );
});
