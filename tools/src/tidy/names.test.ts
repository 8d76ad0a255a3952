import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEmptyNames, checkKebabCase } from './names.ts';
import { createTree, type Finding, type Tree } from './tree.ts';

const paths = (check: (tree: Tree) => Finding[], ...files: string[]): string[] =>
  check(createTree(Object.fromEntries(files.map((file) => [file, ''])))).map(({ path }) => path);

test('kebab-case', () => {
  const good = [
    'packages/a/src/lz4-x.fault.test.ts',
    'docs/memory-layout.md',
    'README.md',
    'packages/a/README.md',
    'tools/src/x.ts',
  ];
  assert.deepEqual(paths(checkKebabCase, ...good), []);
  const bad = [
    'packages/a/src/camelCase.ts',
    'packages/a/src/Folder/x.ts',
    'tools/src/snake_case.ts',
    'docs/Big.md',
    'tools/src/x-.ts',
  ];
  assert.deepEqual(paths(checkKebabCase, ...bad), bad);
});

test('empty names', () => {
  const bad = ['utils.ts', 'helpers.test.ts', 'common.ts', 'string-utils.ts', 'utils/x.ts', 'test-helper.ts'].map(
    (name) => `packages/a/src/${name}`,
  );
  assert.deepEqual(paths(checkEmptyNames, ...bad), bad);
  const good = ['packages/a/src/common-prefix.ts', 'packages/a/src/utilisation.ts', 'packages/a/src/testing/x.ts'];
  assert.deepEqual(paths(checkEmptyNames, ...good), []);
});
