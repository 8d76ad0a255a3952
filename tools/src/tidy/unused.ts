import { posix } from 'node:path';
import { type Source, walk } from './source.ts';
import { type Finding, isTestOrBench, resolveFile, type Tree } from './tree.ts';

/**
 * Every file of a package is reached from an entry (package.json exports and bin, a script, a step of CI), a test, a benchmark or an
 * example. A file is reached by an import, or by a string that names it (`new URL('./worker.js', import.meta.url)`).
 */
export function checkUnused(tree: Tree): Finding[] {
  const reached = new Set<string>();
  const queue = rootsOf(tree);
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    const source = tree.sources.get(path);
    if (source !== undefined) queue.push(...namedFiles(tree, source));
  }
  return [...tree.files.keys()]
    .filter(
      (path) =>
        /^(packages\/[^/]+|tools)\/(src|assembly)\//.test(path) && !path.endsWith('.d.ts') && !reached.has(path),
    )
    .map((path) => ({ path, message: 'is used by no entry, test, benchmark or example' }));
}

function rootsOf(tree: Tree): string[] {
  const roots: string[] = [];
  for (const [path, text] of tree.files) {
    const isPackage = posix.basename(path) === 'package.json';
    if (isTestOrBench(path) || path.startsWith('examples/')) roots.push(path);
    if (isPackage || path.startsWith('.ci/'))
      roots.push(...mentions(tree, isPackage ? posix.dirname(path) : '.', text));
  }
  return roots;
}

/** The sources behind the paths in a package.json or a script: `dist/x.js` stands for `src/x.ts`. */
function mentions(tree: Tree, folder: string, text: string): string[] {
  const paths = text.match(/[\w@./-]+\.(?:[cm]?js|ts|json)\b/g) ?? [];
  return paths
    .map((path) => posix.join(folder, path))
    .map((path) =>
      /(^|\/)dist\//.test(path) ? path.replace(/(^|\/)dist\//, '$1src/').replace(/(\.d)?\.[jt]s$/, '.ts') : path,
    )
    .filter((path) => tree.files.has(path));
}

function namedFiles(tree: Tree, source: Source): string[] {
  const names = new Set(
    source.imports.map(({ specifier }) => specifier).filter((specifier) => specifier.startsWith('.')),
  );
  walk(source.program, (node) => {
    if (node.type === 'Literal' && typeof node.value === 'string' && /^[\w./-]+\.\w+$/.test(node.value))
      names.add(node.value);
  });
  return [...names].map((name) => resolveFile(tree, source.path, name)).filter((path) => path !== undefined);
}
