import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFileLength, checkFunctionLength, checkSyntax, countLines } from './sizes.ts';
import { createTree } from './tree.ts';

const longBody = '\n'.repeat(70);
const functionsIn = (text: string, path = 'tools/src/x.ts'): string[] =>
  checkFunctionLength(createTree({ [path]: text })).map(({ message }) => message);

test('a file of 500 lines passes, of 501 fails', () => {
  assert.deepEqual(checkFileLength(createTree({ 'a.ts': 'x;\n'.repeat(500) })), []);
  assert.match(checkFileLength(createTree({ 'a.ts': 'x;\n'.repeat(501) }))[0]?.message ?? '', /501 lines/);
  assert.equal(checkFileLength(createTree({ 'packages/quire/assembly/a.ts': '\n'.repeat(501) })).length, 1);
});

test('the last newline ends a line and starts none', () => {
  assert.equal(countLines('a\nb\n'), 2);
  assert.equal(countLines('a\nb'), 2);
});

for (const [name, text] of [
  ['grow', `function grow() {${longBody}}`],
  ['grow', `const grow = () => {${longBody}};`],
  ['grow', `class A { grow() {${longBody}} }`],
  ['grow', `const o = { grow() {${longBody}} };`],
  ['grow', `class A { static async *grow() {${longBody}} }`],
  ['the argument of test', `test('x', () => {${longBody}});`],
  ['a function', `export default (() => {${longBody}});`],
] as const) {
  test(`a function of 71 lines fails: ${text.slice(0, 24)}`, () => {
    assert.deepEqual(functionsIn(text), [`${name} has 71 lines, more than 70`]);
  });
}

test('70 lines pass', () => {
  assert.deepEqual(functionsIn(`function f() {${'\n'.repeat(69)}}`), []);
});

test('a suite is measured by its tests', () => {
  assert.deepEqual(functionsIn(`describe('x', () => {${longBody}});`), []);
  assert.equal(functionsIn(`describe('x', () => { test('y', () => {${longBody}}); });`).length, 1);
});

test('an overload without a body is no function', () => {
  assert.deepEqual(functionsIn(`function f(a: {${longBody}}): void;\nfunction f(a: unknown) {}`), []);
});

test('AssemblyScript is measured too, decorators and all', () => {
  const path = 'packages/quire/assembly/x.ts';
  assert.deepEqual(functionsIn(`@inline\nfunction f(): u32 {${longBody}}`, path), ['f has 71 lines, more than 70']);
  assert.deepEqual(checkSyntax(createTree({ [path]: '@inline\nfunction f(): u32 { return <u32>1; }' })), []);
});

test('a file that does not parse is named', () => {
  assert.equal(checkSyntax(createTree({ 'a.ts': 'const = ;' }))[0]?.path, 'a.ts');
});
