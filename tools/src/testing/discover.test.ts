import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { discoverTests } from './discover.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'quire-discover-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function create(...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), '');
  }
}

const sources = (filters: string[] = []): string[] => discoverTests(root, filters).map((file) => file.source);

test('finds the tests of every package and of tools, in order', () => {
  create('packages/b/src/x.test.ts', 'packages/b/dist/x.test.js', 'packages/a/src/deep/er/y.test.ts');
  create('packages/a/dist/deep/er/y.test.js', 'tools/src/z.test.ts', 'tools/dist/z.test.js', 'packages/a/src/plain.ts');
  assert.deepEqual(sources(), ['packages/a/src/deep/er/y.test.ts', 'packages/b/src/x.test.ts', 'tools/src/z.test.ts']);
  assert.equal(discoverTests(root, [])[0]?.built, 'packages/a/dist/deep/er/y.test.js');
});

test('leaves out a compiled test whose source is gone', () => {
  create('packages/a/src/kept.test.ts', 'packages/a/dist/kept.test.js', 'packages/a/dist/gone.test.js');
  assert.deepEqual(sources(), ['packages/a/src/kept.test.ts']);
});

test('takes the files that match one of the filters', () => {
  for (const name of ['map', 'region', 'swap'])
    create(`packages/a/src/${name}.test.ts`, `packages/a/dist/${name}.test.js`);
  assert.deepEqual(sources(['map', 'swap']), ['packages/a/src/map.test.ts', 'packages/a/src/swap.test.ts']);
  assert.deepEqual(sources(['nothing like it']), []);
});

test('refuses to run when a test is not built', () => {
  create('packages/a/src/x.test.ts');
  assert.throws(() => sources(), /not built: packages\/a\/src\/x\.test\.ts/);
});

test('is empty where there is nothing', () => {
  assert.deepEqual(sources(), []);
});
