import { FILE_LINES_MAX, FUNCTION_LINES_MAX } from './policy.ts';
import type { FunctionSpan } from './source.ts';
import { type Finding, lineOf, type Tree } from './tree.ts';

/** A suite is a container of tests, not a function: its tests are measured one by one. */
const SUITES: ReadonlySet<string> = new Set(['describe', 'suite', 'test.suite', 'test.describe', 'it.describe']);

export function checkFileLength(tree: Tree): Finding[] {
  return [...tree.sources.values()]
    .map(({ path, text }) => ({ path, lines: countLines(text) }))
    .filter(({ lines }) => lines > FILE_LINES_MAX)
    .map(({ path, lines }) => ({ path, message: `has ${lines} lines, more than ${FILE_LINES_MAX}` }));
}

export function checkFunctionLength(tree: Tree): Finding[] {
  return [...tree.sources.values()].flatMap(({ path, text, functions }) =>
    functions.filter(isTooLong).map(({ name, lines, offset }) => ({
      path,
      line: lineOf(text, offset),
      message: `${name} has ${lines} lines, more than ${FUNCTION_LINES_MAX}`,
    })),
  );
}

/** A file that does not parse escapes every rule that looks at its syntax. */
export function checkSyntax(tree: Tree): Finding[] {
  return [...tree.sources.values()].flatMap(({ path, errors }) => errors.map((message) => ({ path, message })));
}

export function countLines(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

function isTooLong({ lines, takenBy }: FunctionSpan): boolean {
  return lines > FUNCTION_LINES_MAX && (takenBy === undefined || !SUITES.has(takenBy));
}
