import { checkAssertMessages } from './asserts.ts';
import { checkLayers, checkPackageOrder, checkPureCore } from './layers.ts';
import { checkLock } from './lock-file.ts';
import { checkEmptyNames, checkKebabCase } from './names.ts';
import { checkDeclared, checkExports, checkNoDependencies } from './packages.ts';
import { WORLD_GLOBALS } from './policy.ts';
import { checkFileLength, checkFunctionLength, checkSyntax } from './sizes.ts';
import { checkTestMarks } from './test-marks.ts';
import { checkLinks, checkMachinePaths, checkMarkers } from './texts.ts';
import type { Finding, Tree } from './tree.ts';
import { checkUnused } from './unused.ts';

export interface Rule {
  readonly name: string;
  readonly check: (tree: Tree) => Finding[];
}

export const RULES: readonly Rule[] = [
  { name: 'syntax', check: checkSyntax },
  { name: 'layers', check: checkLayers },
  { name: 'package-order', check: checkPackageOrder },
  { name: 'pure-core', check: (tree) => checkPureCore(tree, WORLD_GLOBALS) },
  { name: 'file-length', check: checkFileLength },
  { name: 'function-length', check: checkFunctionLength },
  { name: 'test-marks', check: checkTestMarks },
  { name: 'unused', check: checkUnused },
  { name: 'kebab-case', check: checkKebabCase },
  { name: 'empty-names', check: checkEmptyNames },
  { name: 'markers', check: checkMarkers },
  { name: 'machine-paths', check: checkMachinePaths },
  { name: 'links', check: checkLinks },
  { name: 'assert-messages', check: checkAssertMessages },
  { name: 'no-dependencies', check: checkNoDependencies },
  { name: 'exports', check: checkExports },
  { name: 'declared', check: checkDeclared },
  { name: 'lock-file', check: checkLock },
];

/** All findings, as `path:line: message (rule)`, in order of path. */
export function tidy(tree: Tree): string[] {
  return RULES.flatMap((rule) => rule.check(tree).map((finding) => format(rule, finding))).sort();
}

function format(rule: Rule, { path, line, message }: Finding): string {
  return `${path}${line === undefined ? '' : `:${line}`}: ${message} (${rule.name})`;
}
