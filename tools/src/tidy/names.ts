import { posix } from 'node:path';
import type { Finding, Tree } from './tree.ts';

const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;
const NAMED_FOLDERS = /^(packages\/[^/]+\/(src|assembly)|tools\/src|examples|docs)\//;
/** Names that say nothing of what is inside: a file called so collects whatever has no place. */
const EMPTY_NAMES: ReadonlySet<string> = new Set([
  'util',
  'utils',
  'utility',
  'utilities',
  'helper',
  'helpers',
  'common',
  'misc',
  'shared',
]);

export function checkKebabCase(tree: Tree): Finding[] {
  return namedPaths(tree)
    .filter((path) => !path.split('/').every((part) => KEBAB.test(part)))
    .map((path) => ({ path, message: 'is not in kebab-case' }));
}

/** `utils.ts`, `utils/x.ts`, `string-utils.ts` and `test-helpers.ts`; but `common-prefix.ts` names its concept. */
export function checkEmptyNames(tree: Tree): Finding[] {
  return namedPaths(tree).flatMap((path) => {
    const stems = path.split('/').map((part) => posix.basename(part).split('.')[0] ?? '');
    const empty = stems.find((stem) => EMPTY_NAMES.has(stem) || EMPTY_NAMES.has(stem.split('-').at(-1) ?? ''));
    return empty === undefined ? [] : [{ path, message: `is named ${empty}, which says nothing of its concept` }];
  });
}

function namedPaths(tree: Tree): string[] {
  return [...tree.files.keys()].filter((path) => NAMED_FOLDERS.test(path));
}
