import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RULES, tidy } from './rules.ts';
import { createTree } from './tree.ts';

/** A small project that obeys every rule. */
const CLEAN: Record<string, string> = {
  'package.json':
    '{ "name": "w", "scripts": { "x": "node packages/quire/dist/stress/main.js" }, "devDependencies": { "fast-check": "4" } }',
  'README.md': '# Quire\n\nSee [the design](docs/design.md#why-so).\n',
  'docs/design.md': '# Design\n\n## Why so?\n',
  'packages/quire/package.json':
    '{ "name": "quire", "exports": { ".": { "types": "./dist/index.d.ts", "default": "./dist/index.js" } } }',
  'packages/quire/src/index.ts': "export { open } from './api/open.ts';\n",
  'packages/quire/src/api/open.ts': "import { size } from '../arena/size.ts';\nexport const open = () => size;\n",
  'packages/quire/src/arena/size.ts':
    "import { assert } from '../base/assert.ts';\nassert(true, 'x', 1);\nexport const size = 1;\n",
  'packages/quire/src/base/assert.ts': 'export function assert(..._: unknown[]) {}\n',
  'packages/quire/src/arena/size.test.ts':
    "import { test } from 'node:test';\nimport 'fast-check';\ntest('x', () => {});\n",
  'packages/quire/src/stress/main.ts': "import '../index.ts';\n",
  'packages/server/package.json':
    '{ "name": "@quire/server", "dependencies": { "quire": "0" }, "exports": { ".": { "types": "./dist/index.d.ts", "default": "./dist/index.js" } } }',
  'packages/server/src/index.ts': "import 'quire';\n",
};

/** For each rule, what to add to the clean project (or to change in it) so that this rule complains. */
const SPOILT: Record<string, Record<string, string>> = {
  syntax: { 'packages/quire/src/index.ts': 'export const = 1;\n' },
  layers: { 'packages/quire/src/base/assert.ts': "import '../arena/size.ts';\n" },
  'package-order': { 'packages/quire/src/arena/size.test.ts': "import '@quire/server';\n" },
  'pure-core': { 'packages/quire/src/base/assert.ts': "import 'node:fs';\n" },
  'file-length': { 'packages/quire/src/base/assert.ts': '// x\n'.repeat(501) },
  'function-length': { 'packages/quire/src/base/assert.ts': `export function f() {${'\n'.repeat(70)}}\n` },
  'test-marks': {
    'packages/quire/src/arena/size.test.ts': `import { test } from 'node:test';\ntest.${'skip'}('x');\n`,
  },
  unused: { 'packages/quire/src/base/orphan.ts': '' },
  'kebab-case': { 'docs/Design_2.md': '' },
  'empty-names': { 'packages/quire/src/base/utils.test.ts': '' },
  markers: { 'README.md': `${'TO'}${'DO'}\n` },
  'machine-paths': { 'README.md': `cd ${['', 'work', 'main'].join('/')}\n` },
  links: { 'README.md': '[x](docs/gone.md)\n' },
  'assert-messages': { 'packages/quire/src/base/assert.ts': 'declare const assert: any; assert(true, `$' + '{1}`);\n' },
  'no-dependencies': {
    'packages/quire/package.json': CLEAN['packages/quire/package.json']!.replace(
      '{',
      '{ "dependencies": { "x": "1" },',
    ),
  },
  exports: { 'packages/server/package.json': '{ "name": "@quire/server", "dependencies": { "quire": "0" } }' },
  'lock-file': {
    'package-lock.json': '{ "packages": { "node_modules/a": { "optionalDependencies": { "b": "1" } } } }',
  },
  declared: { 'packages/server/src/index.ts': "import 'lru-cache';\n" },
};

test('the clean project is tidy', () => {
  assert.deepEqual(tidy(createTree(CLEAN)), []);
});

test('every rule has a project that breaks it', () => {
  assert.deepEqual(Object.keys(SPOILT).sort(), RULES.map((rule) => rule.name).sort());
});

for (const { name, check } of RULES) {
  test(`${name} can fail`, () => {
    const tree = createTree({ ...CLEAN, ...SPOILT[name] });
    assert.notDeepEqual(check(tree), []);
    assert.ok(tidy(tree).every((line) => /^[^:]+(:\d+)?: .+ \([a-z-]+\)$/.test(line)));
    assert.ok(tidy(tree).some((line) => line.endsWith(`(${name})`)));
  });
}
