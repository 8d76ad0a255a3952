import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTree } from './tree.ts';
import { checkUnused } from './unused.ts';

const unused = (files: Record<string, string>): string[] => checkUnused(createTree(files)).map(({ path }) => path);

test('a file that nobody imports', () => {
  assert.deepEqual(unused({ 'packages/a/src/x.ts': '' }), ['packages/a/src/x.ts']);
  assert.deepEqual(unused({ 'tools/src/x.ts': '', 'packages/a/assembly/y.ts': '' }), [
    'tools/src/x.ts',
    'packages/a/assembly/y.ts',
  ]);
});

test('a ring of files that only import each other', () => {
  assert.deepEqual(
    unused({ 'packages/a/src/x.ts': "import './y.ts';", 'packages/a/src/y.ts': "import './x.ts';" }).length,
    2,
  );
});

test('entries: exports, bin, scripts of a package and of the root, steps of CI', () => {
  const manifest =
    '{ "exports": { ".": { "default": "./dist/index.js" } }, "bin": "./dist/cli.js", "scripts": { "w": "asc assembly/w.ts" } }';
  const files = {
    'packages/a/package.json': manifest,
    'packages/a/src/index.ts': "export * from './deep/x.ts';",
    'packages/a/src/deep/x.ts': "import type { Y } from '../y.ts';",
    'packages/a/src/y.ts': '',
    'packages/a/src/cli.ts': '',
    'packages/a/assembly/w.ts': "import { v } from './v';",
    'packages/a/assembly/v.ts': '',
    'package.json': '{ "scripts": { "t": "node tools/dist/t.js --flag" } }',
    'tools/src/t.ts': '',
    '.ci/run': 'node tools/dist/smoke.js',
    'tools/src/smoke.ts': '',
  };
  assert.deepEqual(unused(files), []);
  assert.deepEqual(unused({ ...files, '.ci/run': '' }), ['tools/src/smoke.ts']);
});

test('tests, benchmarks and examples are roots', () => {
  assert.deepEqual(
    unused({
      'packages/a/src/x.test.ts': "import './x.ts';",
      'packages/a/src/x.ts': '',
      'packages/a/src/y.bench.ts': "import './y.ts';",
      'packages/a/src/y.ts': '',
    }),
    [],
  );
});

test('files named by a string: workers, child processes, a program in C', () => {
  const files = {
    'packages/a/src/x.test.ts':
      "new URL('./w.js', import.meta.url); join(import.meta.dirname, 'child.js'); cc('host/m.c');",
    'packages/a/src/w.ts': '',
    'packages/a/src/child.ts': '',
    'packages/a/src/host/m.c': '',
  };
  assert.deepEqual(unused(files), []);
  assert.deepEqual(unused({ ...files, 'packages/a/src/host/n.c': '' }), ['packages/a/src/host/n.c']);
});

test('a mention in a comment is no use', () => {
  assert.deepEqual(unused({ 'packages/a/src/x.test.ts': "// see './y.ts'", 'packages/a/src/y.ts': '' }), [
    'packages/a/src/y.ts',
  ]);
});
