import { existsSync, readdirSync } from 'node:fs';
import { join, sep } from 'node:path';

/** A test as written (`source`) and as built (`built`), both relative to the root, with `/`. */
export interface TestFile {
  readonly source: string;
  readonly built: string;
}

/**
 * The tests that exist, found by their sources: a compiled test whose source is gone is never run. `filters` are substrings of the
 * source path; a file is taken when one of them matches, and all are when there is none. Throws when a test is not built.
 */
export function discoverTests(root: string, filters: readonly string[]): TestFile[] {
  const sources = workspaceFolders(root)
    .flatMap((folder) => walk(root, `${folder}/src`))
    .filter((path) => path.endsWith('.test.ts'))
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
    .sort();
  const files = sources.map((source) => ({ source, built: builtPath(source) }));
  const missing = files.filter((file) => !existsSync(join(root, file.built)));
  if (missing.length > 0) throw new Error(`not built: ${missing.map((file) => file.source).join(', ')}`);
  return files;
}

function workspaceFolders(root: string): string[] {
  const packages = existsSync(join(root, 'packages')) ? readdirSync(join(root, 'packages')) : [];
  return [...packages.map((name) => `packages/${name}`), 'tools'];
}

function walk(root: string, folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(
    (name) => `${folder}/${name.split(sep).join('/')}`,
  );
}

function builtPath(source: string): string {
  return source.replace('/src/', '/dist/').replace(/\.ts$/, '.js');
}
