import type { Node } from 'oxc-parser';
import { dottedName, type Source, walk } from './source.ts';
import { type Finding, lineOf, type Tree } from './tree.ts';

/**
 * No test is skipped, focused or left for later: `test.skip`, `describe.only`, `{ todo: true }`, `t.skip()`, an imported `skip`,
 * `xit`. The runner refuses them too, but only when the condition happens to hold there.
 */
const MARKS: ReadonlySet<string> = new Set(['skip', 'only', 'todo']);
const RUNNERS: ReadonlySet<string> = new Set(['test', 'it', 'describe', 'suite', 'before', 'after']);
const CROSSED_OUT: ReadonlySet<string> = new Set(['xit', 'xtest', 'xdescribe', 'fit', 'fdescribe']);

export function checkTestMarks(tree: Tree): Finding[] {
  return [...tree.sources.values()].flatMap((source) => (usesNodeTest(source) ? marksOf(source) : []));
}

function usesNodeTest(source: Source): boolean {
  return source.imports.some(({ specifier }) => specifier === 'node:test' || specifier === 'test');
}

function marksOf(source: Source): Finding[] {
  const findings: Finding[] = [];
  const runners = new Set([...RUNNERS, ...contextNames(source)]);
  walk(source.program, (node) => {
    const mark = markOf(node, runners);
    if (mark === undefined) return;
    findings.push({ path: source.path, line: lineOf(source.text, node.start), message: `a test is marked ${mark}` });
  });
  return findings;
}

function markOf(node: Node, runners: ReadonlySet<string>): string | undefined {
  if (node.type === 'ImportDeclaration' && node.source.value === 'node:test') {
    const names = node.specifiers.map((item) => (item.type === 'ImportSpecifier' ? importedName(item.imported) : ''));
    return names.find((name) => MARKS.has(name));
  }
  if (node.type === 'MemberExpression') {
    const [root = '', ...rest] = (dottedName(node) ?? '').split('.');
    const last = rest.at(-1) ?? '';
    return runners.has(root) && MARKS.has(last) ? `${root}.${last}` : undefined;
  }
  if (node.type !== 'CallExpression') return undefined;
  const name = dottedName(node.callee) ?? '';
  if (CROSSED_OUT.has(name)) return name;
  return runners.has(name.split('.')[0] ?? '') ? optionMark(node.arguments) : undefined;
}

function importedName(node: Node): string {
  return node.type === 'Identifier' ? node.name : '';
}

function optionMark(args: readonly Node[]): string | undefined {
  for (const arg of args) {
    if (arg.type !== 'ObjectExpression') continue;
    for (const property of arg.properties) {
      if (property.type !== 'Property' || property.key.type !== 'Identifier' || !MARKS.has(property.key.name)) continue;
      const isOff = property.value.type === 'Literal' && property.value.value === false;
      if (!isOff) return `{ ${property.key.name} }`;
    }
  }
  return undefined;
}

/** Other names under which the file knows the runner: import aliases, and the context parameters of its tests. */
function contextNames(source: Source): string[] {
  const names: string[] = [];
  walk(source.program, (node) => {
    if (node.type === 'ImportDeclaration' && node.source.value === 'node:test') {
      names.push(...node.specifiers.map((item) => item.local.name));
    }
    if (
      node.type !== 'CallExpression' ||
      !/^(test|it|t|describe|suite|beforeEach|afterEach)\b/.test(dottedName(node.callee) ?? '')
    )
      return;
    for (const arg of node.arguments) {
      if (arg.type !== 'ArrowFunctionExpression' && arg.type !== 'FunctionExpression') continue;
      const [first] = arg.params;
      if (first?.type === 'Identifier') names.push(first.name);
    }
  });
  return names;
}
