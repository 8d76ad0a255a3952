/**
 * The corpus: real text, cut into pages none of which repeats.
 *
 * Source is what every development machine has: text of node_modules and /usr/share, files in sorted order, joined into
 * one cached file. Page i is a 16-byte header (i, its hash, and the complements of both) followed by the 4,080 bytes at
 * offset `fmix32(i) mod (size − 4080)` of the joined text. Offsets are unaligned and headers differ, so no two pages are
 * equal even when the text is passed through many times; within 4 KiB the text keeps its natural LZ4 ratio.
 *
 *     page i:  | i | h | ~i | ~h |  text[h mod span .. + 4080) |      h = fmix32(i)
 *
 * native/host-swap.c makes the same bytes by the same formula from the same file; a test compares the two.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, repositoryRoot } from './paths.ts';
import { fmix32 } from './rng.ts';

export const PAGE_BYTES = 4096;
export const HEADER_BYTES = 16;
const TEXT_BYTES = PAGE_BYTES - HEADER_BYTES;

const EXTENSIONS = new Set(
  'c cc cjs conf cpp css el h html js json jsx md mjs mts pl pm pod py rst sh svg ts tsx txt vim xml yaml yml'.split(
    ' ',
  ),
);
/** Bigger files are mostly generated tables or wrapped binaries, which are not what people write. */
const FILE_BYTES_MAX = 2 ** 20;
const FILE_BYTES_MIN = 64;
const CORPUS_BYTES_MAX = 256 * 2 ** 20;
/** Below this the pages of a benchmark would overlap too much to be called text of a real machine. */
const CORPUS_BYTES_MIN = 8 * 2 ** 20;
const STALE_MS = 3_600_000;

/** The text and the pages cut from it. */
export class Corpus {
  readonly text: Uint8Array;
  readonly #span: number;
  /** Header words of the target last written to: columns use one page over and over, and a view costs more than it. */
  #target: Uint8Array | undefined;
  #header: Uint32Array = new Uint32Array(0);

  /** @param text the joined text, longer than one page. Throws RangeError when it is not. */
  constructor(text: Uint8Array) {
    if (text.length <= PAGE_BYTES) throw new RangeError('Corpus: the text is shorter than a page');
    this.text = text;
    this.#span = text.length - TEXT_BYTES;
  }

  static load(file: string): Corpus {
    return new Corpus(readFileSync(file));
  }

  /** Writes page `index` into the first 4,096 bytes of `target`, which begins at a word of its buffer. */
  page(index: number, target: Uint8Array): void {
    const hash = fmix32(index);
    const offset = hash % this.#span;
    if (target !== this.#target) {
      this.#target = target;
      this.#header = new Uint32Array(target.buffer, target.byteOffset, HEADER_BYTES / 4);
    }
    this.#header[0] = index;
    this.#header[1] = hash;
    this.#header[2] = ~index;
    this.#header[3] = ~hash;
    target.set(this.text.subarray(offset, offset + TEXT_BYTES), HEADER_BYTES);
  }
}

/** Path of the joined text, made on first use and kept until its sources change. Throws when there is too little text. */
export function corpusFile(progress: (line: string) => void): string {
  const files = sourceFiles([join(repositoryRoot, 'node_modules'), '/usr/share']);
  const file = join(cacheFolder(), `corpus-${fingerprintOf(files)}.txt`);
  if (existsSync(file)) return file;
  progress(`joining ${files.length} text files into ${file}`);
  removeStale();
  const part = `${file}.${process.pid}`;
  const bytes = joinFiles(files, part);
  if (bytes < CORPUS_BYTES_MIN) {
    rmSync(part);
    throw new Error(`only ${bytes} bytes of text in node_modules and /usr/share; ${CORPUS_BYTES_MIN} are needed`);
  }
  renameSync(part, file);
  return file;
}

export interface SourceFile {
  readonly path: string;
  readonly bytes: number;
}

export function sourceFiles(roots: readonly string[]): SourceFile[] {
  const found: SourceFile[] = [];
  let total = 0;
  for (const root of roots) {
    if (!existsSync(root)) continue;
    for (const path of textPaths(root)) {
      const bytes = statSync(path).size;
      if (bytes < FILE_BYTES_MIN || bytes > FILE_BYTES_MAX) continue;
      if (total + bytes > CORPUS_BYTES_MAX) return found;
      total += bytes;
      found.push({ path, bytes });
    }
  }
  return found;
}

/** Depth first, names sorted by code unit; symbolic links are not followed, so the workspace itself is left out. */
function* textPaths(folder: string): Generator<string> {
  const entries = readdirSync(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* textPaths(path);
    else if (entry.isFile() && EXTENSIONS.has(entry.name.slice(entry.name.lastIndexOf('.') + 1))) yield path;
  }
}

export function fingerprintOf(files: readonly SourceFile[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file.path}\0${file.bytes}\n`);
  return hash.digest('hex').slice(0, 16);
}

export function joinFiles(files: readonly SourceFile[], target: string): number {
  const descriptor = openSync(target, 'w');
  let total = 0;
  try {
    for (const file of files) {
      const bytes = readFileSync(file.path);
      if (!bytes.includes(0)) total += writeSync(descriptor, bytes);
    }
  } finally {
    closeSync(descriptor);
  }
  return total;
}

/** A corpus of former sources, not used for an hour, would only fill the disk. */
function removeStale(): void {
  const folder = cacheFolder();
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (name.startsWith('corpus-') && Date.now() - statSync(path).mtimeMs > STALE_MS) rmSync(path, { force: true });
  }
}
