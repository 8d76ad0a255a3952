import type { Node } from 'oxc-parser';
import { walk } from './source.ts';
import { type Finding, isTestCode, lineOf, type Tree } from './tree.ts';

/**
 * An assertion's message is a plain string and its values are arguments: a message built for each call costs about ten times the
 * check itself. Tests are free to build theirs.
 */
export function checkAssertMessages(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const { path, text, program } of tree.sources.values()) {
    if (isTestCode(path)) continue;
    walk(program, (node) => {
      if (node.type !== 'CallExpression' || node.callee.type !== 'Identifier' || node.callee.name !== 'assert') return;
      if (!node.arguments.slice(1).some(isBuilt)) return;
      findings.push({ path, line: lineOf(text, node.start), message: 'builds the message of an assertion' });
    });
  }
  return findings;
}

function isBuilt(node: Node): boolean {
  if (node.type === 'TemplateLiteral') return true;
  return node.type === 'BinaryExpression' && node.operator === '+' && (isString(node.left) || isString(node.right));
}

function isString(node: Node): boolean {
  return isBuilt(node) || (node.type === 'Literal' && typeof node.value === 'string');
}
