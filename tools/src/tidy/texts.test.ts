import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkLinks, checkMachinePaths, checkMarkers } from './texts.ts';
import { createTree } from './tree.ts';

describe('markers', () => {
  const marker = ['TO', 'DO'].join('');
  const lines = (path: string, text: string) => checkMarkers(createTree({ [path]: text })).map(({ line }) => line);

  test('in a comment, with its line', () => {
    assert.deepEqual(lines('a.ts', `const a = 1;\n\n// ${marker}: later\n/* x\n ${['FIX', 'ME'].join('')} */`), [3, 5]);
  });
  test('not in a string or a name', () => {
    assert.deepEqual(lines('a.ts', `const ${marker}S = '${marker}'; // todo lists`), []);
  });
  test('anywhere in other texts', () => {
    assert.deepEqual(lines('docs/a.md', `x\n${marker}\n`), [2]);
    assert.deepEqual(lines('.ci/run', `# ${'X'.repeat(3)}`), [1]);
  });
});

describe('machine-paths', () => {
  const found = (text: string, path = 'a.ts') => checkMachinePaths(createTree({ [path]: text })).length;
  const at = (...parts: string[]) => ['', ...parts].join('/');

  test('in code, comments and documents', () => {
    assert.equal(found(`const a = '${at('work', 'main')}';`), 1);
    assert.equal(found(`// see ${at('root', 'x.md')}`), 1);
    assert.equal(found(`(${at('home', 'me', 'x')})`, 'docs/a.md'), 1);
    assert.equal(found(`file://${at('home', 'x')}`, 'docs/a.md'), 1);
  });
  test('not in an address, a relative path or a longer name', () => {
    for (const text of [
      `https://x.org${at('home', 'x')}`,
      `./x${at('work', 'y')}`,
      `..${at('root', 'x')}`,
      at('workers', 'x'),
      'home/x',
    ]) {
      assert.equal(found(text, 'docs/a.md'), 0, text);
    }
  });
});

describe('links', () => {
  const broken = (text: string, files: Record<string, string> = {}) =>
    checkLinks(
      createTree({
        'docs/a.md': text,
        'docs/b.md': '# B\n\n## How it works: `x_y`\n\n## Again\n\n## Again\n',
        LICENSE: '',
        ...files,
      }),
    ).map(({ message }) => message);

  test('files, folders, addresses and headings that exist', () => {
    const text =
      '[b](b.md) [b](./b.md#how-it-works-x_y) [two](b.md#again-1) [l](../LICENSE) [f](../docs/) [top](..) [w](https://x.org/y) [t](#title)\n\n# Title\n';
    assert.deepEqual(broken(text), []);
  });
  test('a file that is not there', () => {
    assert.deepEqual(broken('[c](c.md)'), ['links to c.md, which does not exist']);
    assert.equal(broken('![pic](c.png "title")').length, 1);
    assert.equal(broken('[c]: ./c.md').length, 1);
    assert.equal(broken('[l](LICENSE)').length, 1);
  });
  test('a heading that is not there', () => {
    assert.equal(broken('[b](b.md#gone)').length, 1);
    assert.equal(broken('[b](#gone)').length, 1);
  });
  test('code is no link', () => {
    assert.deepEqual(broken('`[c](c.md)`\n\n```ts\na[0](c.md)\n# Gone\n```\n'), []);
    assert.equal(broken('```md\n# Gone\n```\n\n[x](#gone)\n').length, 1);
  });
});
