import { CORE_EXCEPTIONS, CORE_LAYERS, DRIVERS, LAYERS, PACKAGES } from './policy.ts';
import { type Source, walk } from './source.ts';
import { type Finding, isTestCode, lineOf, resolveFile, type Tree } from './tree.ts';

/**
 * Imports point down. Inside packages/quire/src the folders are layers (`LAYERS`), `index.ts` is the top and the drivers stand above
 * it; between packages, quire < server < lab. Tests and benchmarks may import anything of their own package.
 */
const CORE = 'packages/quire/src/';
const BUILTIN_WITHOUT_PREFIX =
  /^(fs|path|os|net|tls|http|https|zlib|crypto|events|stream|util|url|worker_threads|child_process)(\/|$)/;

export function checkLayers(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const source of tree.sources.values()) {
    if (!source.path.startsWith(CORE) || isTestCode(source.path)) continue;
    const rank = rankOf(source.path);
    if (rank === undefined) {
      findings.push({ path: source.path, message: `is in no known layer (${LAYERS.join(', ')})` });
      continue;
    }
    for (const { specifier, offset } of source.imports) {
      const target = specifier.startsWith('.') ? resolveFile(tree, source.path, specifier) : undefined;
      if (target === undefined) continue;
      const line = lineOf(source.text, offset);
      if (isTestCode(target)) findings.push({ path: source.path, line, message: `imports a test, ${target}` });
      else if ((rankOf(target) ?? 0) > rank)
        findings.push({ path: source.path, line, message: `imports up, ${target}` });
    }
  }
  return findings;
}

/** Layers by their place in the list, then index.ts, then the drivers. */
function rankOf(path: string): number | undefined {
  const [folder = '', ...rest] = path.slice(CORE.length).split('/');
  if (rest.length === 0) return folder === 'index.ts' ? LAYERS.length : undefined;
  if (DRIVERS.includes(folder)) return LAYERS.length + 1;
  const rank = (LAYERS as readonly string[]).indexOf(folder);
  return rank === -1 ? undefined : rank;
}

/** Relative imports stay in their package; imports by name go to lower packages only. */
export function checkPackageOrder(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const source of tree.sources.values()) {
    const home = homeOf(source.path);
    if (home === undefined) continue;
    for (const { specifier, offset } of source.imports) {
      const message = orderBroken(tree, source, home, specifier);
      if (message !== undefined) findings.push({ path: source.path, line: lineOf(source.text, offset), message });
    }
  }
  return findings;
}

function orderBroken(tree: Tree, source: Source, home: Home, specifier: string): string | undefined {
  if (specifier.startsWith('.')) {
    const target = resolveFile(tree, source.path, specifier);
    if (target === undefined) return `imports ${specifier}, which does not exist`;
    return target.startsWith(`${home.folder}/`) ? undefined : `reaches out of its package, to ${target}`;
  }
  const target = PACKAGES.findIndex((name) => specifier === name || specifier.startsWith(`${name}/`));
  if (target === -1)
    return specifier.startsWith('@quire/') ? `imports ${specifier}, which nothing may import` : undefined;
  if (home.rank === undefined) return `imports ${specifier}: tools stand apart`;
  return target >= home.rank ? `imports ${specifier}, which is not below ${PACKAGES[home.rank]}` : undefined;
}

interface Home {
  readonly folder: string;
  readonly rank: number | undefined;
}

function homeOf(path: string): Home | undefined {
  const match = /^(packages\/([a-z-]+)|tools)\/src\//.exec(path);
  if (match === null) return undefined;
  const rank = PACKAGES.findIndex((name) => name === match[2] || name === `@quire/${match[2]}`);
  return { folder: `${match[1]}/src`, rank: rank === -1 ? undefined : rank };
}

/** The core knows no Node and no world: it reaches clock, device and wake-up through its port. */
export function checkPureCore(tree: Tree, world: readonly string[], exceptions = CORE_EXCEPTIONS): Finding[] {
  const findings: Finding[] = [];
  for (const source of tree.sources.values()) {
    if (!isCore(source.path) || exceptions.includes(source.path)) continue;
    for (const { specifier, offset } of source.imports) {
      if (!specifier.startsWith('node:') && !BUILTIN_WITHOUT_PREFIX.test(specifier)) continue;
      findings.push({ path: source.path, line: lineOf(source.text, offset), message: `the core imports ${specifier}` });
    }
    findings.push(...worldUses(source, world));
  }
  return findings;
}

function isCore(path: string): boolean {
  const layer = path.startsWith(CORE) ? path.slice(CORE.length).split('/')[0] : undefined;
  return layer !== undefined && CORE_LAYERS.includes(layer) && !isTestCode(path);
}

function worldUses(source: Source, world: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const report = (name: string, offset: number): void => {
    findings.push({ path: source.path, line: lineOf(source.text, offset), message: `the core uses ${name}` });
  };
  walk(source.program, (node, parents) => {
    const parent = parents.at(-1);
    if (node.type !== 'Identifier') return;
    const isObject = parent?.type === 'MemberExpression' && parent.object === node;
    if (
      isObject &&
      node.name === 'Math' &&
      parent.property.type === 'Identifier' &&
      parent.property.name === 'random'
    ) {
      report('Math.random', node.start);
    }
    const isCall = (parent?.type === 'CallExpression' || parent?.type === 'NewExpression') && parent.callee === node;
    if (world.includes(node.name) && (isObject || isCall)) report(node.name, node.start);
  });
  return findings;
}
