import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkLayers, checkPackageOrder, checkPureCore } from './layers.ts';
import { WORLD_GLOBALS } from './policy.ts';
import { createTree } from './tree.ts';

const Q = 'packages/quire/src';
const messages = (findings: { message: string }[]): string[] => findings.map(({ message }) => message);

describe('layers', () => {
  const check = (files: Record<string, string>) => messages(checkLayers(createTree(files)));
  const files = { [`${Q}/arena/a.ts`]: '', [`${Q}/vm/v.ts`]: '', [`${Q}/index.ts`]: '', [`${Q}/simulator/s.ts`]: '' };

  test('down and sideways is free', () => {
    assert.deepEqual(check({ ...files, [`${Q}/vm/x.ts`]: "import '../arena/a.ts'; import './v.ts';" }), []);
  });
  for (const text of [
    "import '../vm/v.ts';",
    "import type { V } from '../vm/v.ts';",
    "export * from '../vm/v.ts';",
    "export { v } from '../vm/v.ts';",
    "const v = await import('../vm/v.ts');",
    "let v: import('../vm/v.ts').V;",
    "import '../vm/v.js';",
  ]) {
    test(`up is refused: ${text}`, () => {
      assert.deepEqual(check({ ...files, [`${Q}/arena/x.ts`]: text }), [`imports up, ${Q}/vm/v.ts`]);
    });
  }
  test('the line is given', () => {
    const tree = createTree({ ...files, [`${Q}/arena/x.ts`]: "\n\nimport '../vm/v.ts';" });
    assert.equal(checkLayers(tree)[0]?.line, 3);
  });
  test('no layer imports index.ts or a driver, and index.ts no driver', () => {
    assert.equal(check({ ...files, [`${Q}/api/x.ts`]: "import '../index.ts'; import '../simulator/s.ts';" }).length, 2);
    assert.equal(check({ ...files, [`${Q}/index.ts`]: "import './simulator/s.ts';" }).length, 1);
  });
  test('index.ts and drivers import everything below', () => {
    assert.deepEqual(check({ ...files, [`${Q}/index.ts`]: "export * from './vm/v.ts';" }), []);
    assert.deepEqual(check({ ...files, [`${Q}/simulator/x.ts`]: "import '../index.ts'; import '../vm/v.ts';" }), []);
  });
  test('tests and test folders import up, shipped code imports neither', () => {
    const free = {
      [`${Q}/arena/a.test.ts`]: "import '../vm/v.ts';",
      [`${Q}/arena/testing/m.ts`]: "import '../../vm/v.ts';",
    };
    assert.deepEqual(check({ ...files, ...free }), []);
    const found = check({
      ...files,
      ...free,
      [`${Q}/vm/x.ts`]: "import '../arena/a.test.ts'; import '../arena/testing/m.ts';",
    });
    assert.deepEqual(found, [`imports a test, ${Q}/arena/a.test.ts`, `imports a test, ${Q}/arena/testing/m.ts`]);
  });
  test('an unknown folder or a second file at the top is refused', () => {
    assert.match(check({ [`${Q}/stuff/x.ts`]: '' })[0] ?? '', /no known layer/);
    assert.match(check({ [`${Q}/top.ts`]: '' })[0] ?? '', /no known layer/);
  });
});

describe('package-order', () => {
  const check = (path: string, text: string) =>
    messages(
      checkPackageOrder(createTree({ 'packages/quire/src/index.ts': '', 'packages/lab/src/a.ts': '', [path]: text })),
    );

  test('down is free', () => {
    assert.deepEqual(
      check('packages/lab/src/x.ts', "import 'quire'; import '@quire/server'; import './a.ts'; import 'node:fs';"),
      [],
    );
  });
  test('up, also in a test, is refused', () => {
    assert.match(check('packages/server/src/x.test.ts', "import '@quire/lab';")[0] ?? '', /not below/);
    assert.match(check('packages/quire/src/api/x.ts', "import '@quire/server/deep';")[0] ?? '', /not below/);
    assert.match(check('packages/quire/src/api/x.ts', "import 'quire';")[0] ?? '', /not below/);
  });
  test('a relative import stays at home and exists', () => {
    assert.match(check('packages/lab/src/x.ts', "import '../../quire/src/index.ts';")[0] ?? '', /reaches out/);
    assert.match(check('packages/lab/src/x.ts', "import './gone.ts';")[0] ?? '', /does not exist/);
  });
  test('tools stand apart', () => {
    assert.match(check('tools/src/x.ts', "import 'quire';")[0] ?? '', /stand apart/);
    assert.match(check('packages/lab/src/x.ts', "import '@quire/tools';")[0] ?? '', /nothing may import/);
  });
});

describe('pure-core', () => {
  const check = (path: string, text: string) => messages(checkPureCore(createTree({ [path]: text }), WORLD_GLOBALS));

  test('no module of Node, with or without its prefix', () => {
    assert.deepEqual(check(`${Q}/swap/x.ts`, "import 'node:fs'; import { join } from 'path';"), [
      'the core imports node:fs',
      'the core imports path',
    ]);
    assert.equal(check(`${Q}/map/x.ts`, "const fs = await import('fs/promises');").length, 1);
  });
  for (const text of [
    'Date.now()',
    'new Date()',
    'performance.now()',
    'setTimeout(f, 1)',
    'Math.random()',
    "process.env['X']",
    'Buffer.alloc(1)',
  ]) {
    test(`no world: ${text}`, () => assert.equal(check(`${Q}/vm/x.ts`, `${text};`).length, 1));
  }
  test('a property or method of such a name is something else', () => {
    assert.deepEqual(
      check(`${Q}/vm/x.ts`, 'this.process(); port.fetch(1); const a = { Date: 1 }; Math.floor(a.Date);'),
      [],
    );
  });
  test('api, tests and the listed exceptions are free', () => {
    for (const file of [
      'api/x.ts',
      'vm/x.test.ts',
      'vm/testing/x.ts',
      'codec/wasm-kernel.ts',
      'daemons/worker-pool.ts',
      'simulator/x.ts',
    ]) {
      assert.deepEqual(check(`${Q}/${file}`, "import 'node:fs';"), [], file);
    }
    assert.equal(check(`${Q}/daemons/kswapd.ts`, "import 'node:fs';").length, 1);
    assert.deepEqual(check('packages/server/src/x.ts', "import 'node:fs';"), []);
  });
});
