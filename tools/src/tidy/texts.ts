import { posix } from 'node:path';
import { type Finding, lineOf, type Tree } from './tree.ts';

const MARKER = /\b(TODO|FIXME|XXX|HACK)\b/g;
/** A folder of somebody's machine, at the start of a word or after `file://`. */
const MACHINE_PATH = /(?<![\w.~)}\]*/:-]|[\w.:-]\/)\/(?:work|root|home)\/[\w.@-]+|file:\/\/\/(?:work|root|home)\//g;
const LINK = /!?\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?[^)\n]*\)|^\[[^\]\n]+\]:\s*(\S+)/gm;

/** Unfinished work is finished or filed, not marked: comments of sources, and every other text as a whole. */
export function checkMarkers(tree: Tree): Finding[] {
  return [...tree.files].flatMap(([path, text]) => {
    const source = tree.sources.get(path);
    const parts = source === undefined ? [{ start: 0, end: text.length }] : source.comments;
    return parts.flatMap(({ start, end }) =>
      [...text.slice(start, end).matchAll(MARKER)].map((match) => ({
        path,
        line: lineOf(text, start + match.index),
        message: `has the marker ${match[0]}`,
      })),
    );
  });
}

export function checkMachinePaths(tree: Tree): Finding[] {
  return [...tree.files].flatMap(([path, text]) =>
    [...text.matchAll(MACHINE_PATH)].map((match) => ({
      path,
      line: lineOf(text, match.index),
      message: `names a path of one machine, ${match[0]}`,
    })),
  );
}

/** Relative links of Markdown files lead to a file or folder that is there, and their anchors to a heading. */
export function checkLinks(tree: Tree): Finding[] {
  return [...tree.files]
    .filter(([path]) => path.endsWith('.md'))
    .flatMap(([path, text]) => {
      const prose = withoutCode(text);
      return [...prose.matchAll(LINK)].flatMap((match) => {
        const message = brokenLink(tree, path, match[1] ?? match[2] ?? '');
        return message === undefined ? [] : [{ path, line: lineOf(text, match.index), message }];
      });
    });
}

function brokenLink(tree: Tree, from: string, link: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:/i.test(link)) return undefined;
  const [file = '', anchor] = decodeURI(link).split('#');
  const path = file === '' ? from : posix.normalize(posix.join(posix.dirname(from), file)).replace(/\/$/, '');
  const text = tree.files.get(path);
  if (text === undefined) return isFolder(tree, path) ? undefined : `links to ${link}, which does not exist`;
  if (anchor === undefined || !path.endsWith('.md')) return undefined;
  return anchorsOf(text).has(anchor) ? undefined : `links to ${link}, a heading that does not exist`;
}

function isFolder(tree: Tree, path: string): boolean {
  return path === '.' || [...tree.files.keys()].some((file) => file.startsWith(`${path}/`));
}

/** Headings as GitHub names them: lower case, punctuation dropped, spaces to hyphens, repeats numbered. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of withoutFences(text).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const base = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    let anchor = base;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${base}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

function withoutCode(text: string): string {
  return withoutFences(text).replace(/`[^`\n]*`/g, blank);
}

function withoutFences(text: string): string {
  return text.replace(/^(```|~~~).*\n[\s\S]*?^\1/gm, blank);
}

function blank(part: string): string {
  return part.replace(/[^\n]/g, ' ');
}
