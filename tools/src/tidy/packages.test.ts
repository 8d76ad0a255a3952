import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkDeclared, checkExports, checkNoDependencies } from './packages.ts';
import { createTree } from './tree.ts';

const json = (value: object): string => JSON.stringify(value);

test('no-dependencies: every kind of them', () => {
  const check = (manifest: object) =>
    checkNoDependencies(createTree({ 'packages/quire/package.json': json(manifest) }));
  assert.deepEqual(check({ name: 'quire', devDependencies: { x: '1' }, dependencies: {} }), []);
  for (const field of ['dependencies', 'peerDependencies', 'optionalDependencies'])
    assert.equal(check({ [field]: { x: '1' } }).length, 1, field);
  assert.equal(check({ bundleDependencies: ['x'] }).length, 1);
});

describe('exports', () => {
  const check = (exports: object | undefined) =>
    checkExports(
      createTree({
        'packages/a/package.json': json({ name: 'a', exports }),
        'packages/a/src/index.ts': '',
        'packages/a/src/sub/b.ts': '',
      }),
    ).map(({ message }) => message);
  const index = { types: './dist/index.d.ts', default: './dist/index.js' };

  test('complete', () => {
    assert.deepEqual(check({ '.': index, './b': { types: './dist/sub/b.d.ts', default: './dist/sub/b.js' } }), []);
  });
  test('a private package may have none', () => {
    const manifest = json({ name: 'a', private: true });
    assert.deepEqual(checkExports(createTree({ 'packages/a/package.json': manifest })), []);
  });
  test('none, or a bare path', () => {
    assert.deepEqual(check(undefined), ['exports nothing']);
    assert.equal(check({ '.': './dist/index.js' }).length, 1);
  });
  test('a condition is missing or in the wrong place', () => {
    assert.deepEqual(check({ '.': { default: './dist/index.js' } }), [
      'export . does not have "types" first',
      'export . has no "types"',
    ]);
    assert.deepEqual(check({ '.': { types: './dist/index.d.ts' } }), ['export . has no "default"']);
    assert.deepEqual(check({ '.': { default: index.default, types: index.types } }), [
      'export . does not have "types" first',
    ]);
  });
  test('a target without a source', () => {
    assert.deepEqual(check({ './c': { types: './dist/index.d.ts', default: './dist/c.js' } }), [
      'export ./c has a "default" without a source, ./dist/c.js',
    ]);
  });
});

describe('declared', () => {
  const check = (path: string, text: string) =>
    checkDeclared(
      createTree({
        'package.json': json({ devDependencies: { 'fast-check': '4' } }),
        'packages/quire/package.json': json({ name: 'quire', devDependencies: { lz4: '1' } }),
        'packages/server/package.json': json({ name: '@quire/server', dependencies: { quire: '0', '@x/y': '1' } }),
        'packages/lab/package.json': json({ name: '@quire/lab', devDependencies: { lmdb: '3' } }),
        'tools/package.json': json({ name: '@quire/tools', devDependencies: { 'oxc-parser': '0' } }),
        [path]: text,
      }),
    ).map(({ message }) => message);

  test('shipped code: dependencies alone', () => {
    assert.deepEqual(
      check('packages/server/src/x.ts', "import 'quire'; import '@x/y/deep'; import 'node:fs'; import './z.ts';"),
      [],
    );
    assert.equal(check('packages/quire/src/vm/x.ts', "import 'lz4';").length, 1);
    assert.equal(check('packages/server/src/x.ts', "import 'fast-check';").length, 1);
  });
  test('tests: development dependencies of the package and of the root', () => {
    assert.deepEqual(check('packages/quire/src/vm/x.test.ts', "import 'lz4'; import 'fast-check';"), []);
    assert.deepEqual(check('packages/quire/src/vm/testing/x.ts', "import 'fast-check';"), []);
    assert.deepEqual(check('packages/server/src/x.test.ts', "import 'lmdb';"), [
      'imports lmdb, which its package does not declare',
    ]);
  });
  test('private packages: what they declare', () => {
    assert.deepEqual(check('packages/lab/src/x.ts', "import 'lmdb';"), []);
    assert.equal(check('packages/lab/src/x.ts', "import 'left-pad';").length, 1);
    assert.deepEqual(check('tools/src/x.ts', "import 'oxc-parser';"), []);
  });
});
