import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { parseSource, type Source } from './source.ts';

/** The files of the project by path from the root, with `/`. Tests build small ones in memory; `readTree` reads the real one. */
export interface Tree {
  readonly files: ReadonlyMap<string, string>;
  readonly sources: ReadonlyMap<string, Source>;
  /** package-lock.json, which is not read as a text like the others: its hashes are words by chance. */
  readonly lock: string | undefined;
}

/** A broken rule: where and what, ready to print. */
export interface Finding {
  readonly path: string;
  readonly line?: number;
  readonly message: string;
}

const IGNORED_FOLDERS: ReadonlySet<string> = new Set(['node_modules', 'dist', '.git', 'fixtures', 'tmp']);
const BINARY = /\.(wasm|png|jpg|gz|bin|ico|woff2)$/;

export function createTree(files: Record<string, string>): Tree {
  const { 'package-lock.json': lock, ...texts } = files;
  const entries = Object.entries(texts);
  const sources = entries.filter(([path]) => /\.[cm]?[jt]s$/.test(path)).map(([path, text]) => parseSource(path, text));
  return { files: new Map(entries), sources: new Map(sources.map((source) => [source.path, source])), lock };
}

export function readTree(root: string): Tree {
  const files: Record<string, string> = {};
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory() && !IGNORED_FOLDERS.has(entry.name)) visit(path);
      else if (isText(entry)) files[path] = readFileSync(join(root, path), 'utf8');
    }
  };
  visit('.');
  return createTree(files);
}

function isText(entry: Dirent): boolean {
  return entry.isFile() && !BINARY.test(entry.name);
}

/** A file that a runner starts by itself. */
export function isTestOrBench(path: string): boolean {
  return /\.(test|bench)\.ts$/.test(path);
}

/** Not shipped: tests, benchmarks and what they share in `testing/` folders. Free of the rules that keep the shipped code pure. */
export function isTestCode(path: string): boolean {
  return isTestOrBench(path) || path.includes('/testing/');
}

export function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

/** The path that a relative specifier of `from` names, with the source's own suffix: './x.js' finds x.ts, './x' finds x.ts. */
export function resolveFile(tree: Tree, from: string, specifier: string): string | undefined {
  const path = posix.join(posix.dirname(from), specifier);
  const candidates = [path, path.replace(/\.js$/, '.ts'), `${path}.ts`, `${path}/index.ts`];
  return candidates.find((candidate) => tree.files.has(candidate));
}
