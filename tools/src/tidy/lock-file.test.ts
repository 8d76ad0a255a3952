import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLock } from './lock-file.ts';
import { createTree } from './tree.ts';

const check = (packages: object): string[] =>
  checkLock(createTree({ 'package-lock.json': JSON.stringify({ packages }) })).map(({ message }) => message);
const tool = { optionalDependencies: { '@t/linux': '1', '@t/darwin': '1' } };

test('complete, at the top or nested', () => {
  assert.deepEqual(
    check({ '': {}, 'node_modules/t': tool, 'node_modules/@t/linux': {}, 'node_modules/t/node_modules/@t/darwin': {} }),
    [],
  );
});

test('a platform is missing', () => {
  assert.deepEqual(check({ 'node_modules/t': tool, 'node_modules/@t/linux': {} }), [
    'lacks @t/darwin, which node_modules/t may need',
  ]);
});

test('a host is named, a workspace is not one', () => {
  assert.equal(check({ 'node_modules/t': { resolved: 'https://registry.example.org/t.tgz' } }).length, 1);
  assert.deepEqual(check({ 'node_modules/quire': { resolved: 'packages/quire' } }), []);
});

test('no lock file, no findings', () => {
  assert.deepEqual(checkLock(createTree({})), []);
});
