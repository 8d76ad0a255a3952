import { type Comment, type Node, parseSync } from 'oxc-parser';

/** What the rules need to know of a source file, gathered in one walk of its syntax tree (oxc-parser, ESTree with TypeScript). */
export interface Source {
  readonly path: string;
  readonly text: string;
  readonly errors: readonly string[];
  readonly imports: readonly Import[];
  readonly functions: readonly FunctionSpan[];
  readonly comments: readonly Comment[];
  readonly program: Node;
}

export interface Import {
  readonly specifier: string;
  readonly offset: number;
}

export interface FunctionSpan {
  readonly name: string;
  readonly offset: number;
  readonly lines: number;
  /** The name of the call that takes the function as an argument, as `describe` or `test.suite`; undefined for others. */
  readonly takenBy: string | undefined;
}

export function parseSource(path: string, text: string): Source {
  const { program, comments, errors } = parseSync(path, blankDecorators(path, text), { sourceType: 'module' });
  const imports: Import[] = [];
  const functions: FunctionSpan[] = [];
  walk(program, (node, parents) => {
    const specifier = specifierOf(node);
    if (specifier !== undefined) imports.push({ specifier, offset: node.start });
    if (isFunction(node)) functions.push(spanOf(text, node, parents));
  });
  return { path, text, errors: errors.map((error) => error.message), imports, functions, comments, program };
}

/** Visits every node, parents first. `parents` is the way from the root, nearest last; it is reused between calls. */
export function walk(root: Node, visit: (node: Node, parents: readonly Node[]) => void): void {
  const parents: Node[] = [];
  const enter = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) enter(item);
    else if (isNode(value)) {
      visit(value, parents);
      parents.push(value);
      for (const child of Object.values(value)) enter(child);
      parents.pop();
    }
  };
  enter(root);
}

/** `a.b.c` for a chain of names, undefined for anything else. */
export function dottedName(node: Node): string | undefined {
  if (node.type === 'Identifier') return node.name;
  if (node.type !== 'MemberExpression' || node.computed || node.property.type !== 'Identifier') return undefined;
  const object = dottedName(node.object);
  return object === undefined ? undefined : `${object}.${node.property.name}`;
}

/** AssemblyScript marks top-level functions with decorators, which TypeScript has only for classes: blanked, offsets kept. */
function blankDecorators(path: string, text: string): string {
  return path.includes('/assembly/')
    ? text.replace(/^@\w+(?:\([^)\n]*\))?/gm, (mark) => ' '.repeat(mark.length))
    : text;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

function isFunction(node: Node): boolean {
  if (node.type === 'ArrowFunctionExpression') return true;
  return (node.type === 'FunctionDeclaration' || node.type === 'FunctionExpression') && node.body !== null;
}

function specifierOf(node: Node): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportAllDeclaration':
      return node.source.value;
    case 'ExportNamedDeclaration':
      return node.source?.value;
    case 'ImportExpression':
      return node.source.type === 'Literal' && typeof node.source.value === 'string' ? node.source.value : undefined;
    case 'TSImportType':
      return node.source.value;
    default:
      return undefined;
  }
}

function spanOf(text: string, node: Node, parents: readonly Node[]): FunctionSpan {
  const parent = parents.at(-1);
  const lines = text.slice(node.start, node.end).split('\n').length;
  const call = parent?.type === 'CallExpression' && parent.callee !== node ? dottedName(parent.callee) : undefined;
  return { name: functionName(node, parent), offset: node.start, lines, takenBy: call };
}

function functionName(node: Node, parent: Node | undefined): string {
  if ('id' in node && node.id !== null && node.id !== undefined && 'name' in node.id) return node.id.name as string;
  if (parent?.type === 'VariableDeclarator' && parent.id.type === 'Identifier') return parent.id.name;
  if (parent !== undefined && 'key' in parent && parent.key.type === 'Identifier') return parent.key.name;
  if (parent?.type === 'CallExpression') return `the argument of ${dottedName(parent.callee) ?? 'a call'}`;
  return 'a function';
}
