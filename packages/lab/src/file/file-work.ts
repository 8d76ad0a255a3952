/**
 * The work of `lab file`: calls of 4 KiB on a cached file, at every page in order or at random pages. Each page begins with
 * its number and the round in which it was last written; a read adds one word of it to a checksum, so that every timed
 * read is checked without a comparison inside the timed loop, and after a phase of writes every page is looked at.
 */
import { WrongAnswer } from '../benchmark.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { Xorshift32 } from '../rng.ts';

export const PHASES = ['read_random', 'read_seq', 'write_random', 'write_seq'] as const;
export type FilePhase = (typeof PHASES)[number];

export interface PagedFile {
  readSync(buffer: Uint8Array, offset: number, length: number, position: number): number;
  writeSync(buffer: Uint8Array, offset: number, length: number, position: number): number;
}

/** Words of a page that carry something. */
const NUMBER_WORD = 0;
const ROUND_WORD = 1;

export class FileWork {
  readonly #file: PagedFile;
  readonly #pages: number;
  /** Round in which each page was last written, as a plain model of the file. */
  readonly #rounds: Uint32Array;
  readonly #words = new Uint32Array(PAGE_BYTES / 4);
  readonly #buffer: Uint8Array;
  #round = 0;

  /** @param file empty, or `pages` pages that `fill` will write over */
  constructor(file: PagedFile, pages: number) {
    this.#file = file;
    this.#pages = pages;
    this.#rounds = new Uint32Array(pages);
    this.#buffer = Buffer.from(this.#words.buffer);
  }

  /** Writes the file in chunks of `chunkBytes`, a multiple of a page. */
  fill(chunkBytes: number): void {
    const words = new Uint32Array(chunkBytes / 4);
    const bytes = Buffer.from(words.buffer);
    for (let page = 0; page < this.#pages; page += chunkBytes / PAGE_BYTES) {
      for (let inside = 0; inside < chunkBytes / PAGE_BYTES; inside += 1) {
        words[(inside * PAGE_BYTES) / 4 + NUMBER_WORD] = page + inside;
      }
      const written = this.#file.writeSync(bytes, 0, chunkBytes, page * PAGE_BYTES);
      if (written !== chunkBytes) throw new WrongAnswer(`${written} of ${chunkBytes} bytes written`);
    }
    this.verify();
  }

  /** ns per call. Throws WrongAnswer when a page does not hold what was last written to it. */
  run(phase: FilePhase, calls: number): number {
    const at = new Xorshift32(this.#round + 1);
    const isRandom = phase === 'read_random' || phase === 'write_random';
    const pages = new Uint32Array(calls);
    for (let i = 0; i < calls; i += 1) pages[i] = isRandom ? at.below(this.#pages) : i % this.#pages;
    return phase === 'read_random' || phase === 'read_seq' ? this.#reads(pages) : this.#writes(pages);
  }

  #reads(pages: Uint32Array): number {
    const file = this.#file;
    const words = this.#words;
    const buffer = this.#buffer;
    let sum = 0;
    const start = performance.now();
    for (let i = 0; i < pages.length; i += 1) {
      file.readSync(buffer, 0, PAGE_BYTES, pages[i] * PAGE_BYTES);
      sum = (Math.imul(sum, 31) + words[i & 1]) | 0;
    }
    const ns = ((performance.now() - start) * 1e6) / pages.length;
    let expected = 0;
    for (let i = 0; i < pages.length; i += 1) {
      const word = (i & 1) === NUMBER_WORD ? pages[i] : this.#rounds[pages[i]];
      expected = (Math.imul(expected, 31) + word) | 0;
    }
    if (sum !== expected) throw new WrongAnswer(`checksum ${sum} over ${pages.length} reads, expected ${expected}`);
    return ns;
  }

  #writes(pages: Uint32Array): number {
    const file = this.#file;
    const words = this.#words;
    const buffer = this.#buffer;
    this.#round += 1;
    words[ROUND_WORD] = this.#round;
    let written = 0;
    const start = performance.now();
    for (let i = 0; i < pages.length; i += 1) {
      words[NUMBER_WORD] = pages[i];
      written += file.writeSync(buffer, 0, PAGE_BYTES, pages[i] * PAGE_BYTES);
    }
    const ns = ((performance.now() - start) * 1e6) / pages.length;
    if (written !== pages.length * PAGE_BYTES) throw new WrongAnswer(`${written} bytes written`);
    for (const page of pages) this.#rounds[page] = this.#round;
    this.verify();
    return ns;
  }

  /** Looks at every page. */
  verify(): void {
    const words = this.#words;
    for (let page = 0; page < this.#pages; page += 1) {
      const count = this.#file.readSync(this.#buffer, 0, PAGE_BYTES, page * PAGE_BYTES);
      const isRight = words[NUMBER_WORD] === page && words[ROUND_WORD] === this.#rounds[page];
      if (count !== PAGE_BYTES || !isRight) throw new WrongAnswer(`page ${page} does not hold what was written to it`);
    }
  }
}
