import { posix } from 'node:path';
import { type Finding, isTestCode, lineOf, type Tree } from './tree.ts';

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly exports?: Record<string, unknown>;
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
  readonly bundleDependencies?: readonly string[];
  readonly bundledDependencies?: readonly string[];
}

const RUNTIME_FIELDS = [
  'dependencies',
  'peerDependencies',
  'optionalDependencies',
  'bundleDependencies',
  'bundledDependencies',
] as const;

/** `quire` runs on Node alone. */
export function checkNoDependencies(tree: Tree): Finding[] {
  const path = 'packages/quire/package.json';
  const manifest = manifestAt(tree, path);
  if (manifest === undefined) return [];
  const fields = RUNTIME_FIELDS.filter((field) => Object.keys(manifest[field] ?? {}).length > 0);
  return fields.map((field) => ({ path, message: `has ${field}: quire has no runtime dependency` }));
}

/** Each export of each package says where its types and its code are, and both come from a source. A private one may have none. */
export function checkExports(tree: Tree): Finding[] {
  return packagesOf(tree).flatMap(({ path, folder, manifest }) => {
    const entries = Object.entries(manifest.exports ?? {});
    if (entries.length === 0) return manifest.private === true ? [] : [{ path, message: 'exports nothing' }];
    return entries.flatMap(([name, entry]) =>
      exportProblems(tree, folder, entry).map((what) => ({ path, message: `export ${name} ${what}` })),
    );
  });
}

function exportProblems(tree: Tree, folder: string, entry: unknown): string[] {
  if (typeof entry !== 'object' || entry === null) return ['has no "types" and "default"'];
  const conditions = entry as Record<string, unknown>;
  const problems: string[] = [];
  if (Object.keys(conditions)[0] !== 'types') problems.push('does not have "types" first');
  for (const condition of ['types', 'default']) {
    const target = conditions[condition];
    if (typeof target !== 'string') problems.push(`has no "${condition}"`);
    else if (!hasSource(tree, folder, target)) problems.push(`has a "${condition}" without a source, ${target}`);
  }
  return problems;
}

function hasSource(tree: Tree, folder: string, target: string): boolean {
  const built = posix.join(folder, target);
  return tree.files.has(built.replace('/dist/', '/src/').replace(/(\.d\.ts|\.js)$/, '.ts'));
}

/** A package imported by name is declared: by the package itself for its code, there or at the root for tests and benchmarks. */
export function checkDeclared(tree: Tree): Finding[] {
  const root = manifestAt(tree, 'package.json');
  return [...packagesOf(tree), ...toolsOf(tree)].flatMap(({ folder, manifest }) => {
    const forCode = new Set([manifest.name, ...Object.keys(manifest.dependencies ?? {})]);
    const forTests = new Set([...forCode, ...Object.keys({ ...manifest.devDependencies, ...root?.devDependencies })]);
    // Private packages are never installed by others: their development dependencies are all they have.
    const isPublished = folder === 'packages/quire' || folder === 'packages/server';
    const sources = [...tree.sources.values()].filter(({ path }) => path.startsWith(`${folder}/src/`));
    return sources.flatMap(({ path, text, imports }) => {
      const declared = isPublished && !isTestCode(path) ? forCode : forTests;
      return imports
        .filter(({ specifier }) => isPackage(specifier) && !declared.has(packageName(specifier)))
        .map(({ specifier, offset }) => ({
          path,
          line: lineOf(text, offset),
          message: `imports ${specifier}, which its package does not declare`,
        }));
    });
  });
}

interface Package {
  readonly path: string;
  readonly folder: string;
  readonly manifest: Manifest;
}

function packagesOf(tree: Tree): Package[] {
  return [...tree.files.keys()]
    .filter((path) => /^packages\/[^/]+\/package\.json$/.test(path))
    .flatMap((path) => packageAt(tree, path));
}

function toolsOf(tree: Tree): Package[] {
  return packageAt(tree, 'tools/package.json');
}

function packageAt(tree: Tree, path: string): Package[] {
  const manifest = manifestAt(tree, path);
  return manifest === undefined ? [] : [{ path, folder: posix.dirname(path), manifest }];
}

function manifestAt(tree: Tree, path: string): Manifest | undefined {
  const text = tree.files.get(path);
  return text === undefined ? undefined : (JSON.parse(text) as Manifest);
}

function isPackage(specifier: string): boolean {
  return !specifier.startsWith('.') && !specifier.startsWith('node:');
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
