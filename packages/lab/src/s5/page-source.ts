/** What `lab s5` fills memory with: text, or bytes that no codec makes smaller. */
import { Corpus, PAGE_BYTES } from '../corpus.ts';
import { fmix32, Xorshift32 } from '../rng.ts';

export type S5Data = 'text' | 'random';

/** Page by page, by number, so that any of them can be made again and compared. */
export class PageSource {
  readonly #corpus: Corpus;
  readonly #data: S5Data;
  readonly #seed: number;
  readonly #words = new Int32Array(PAGE_BYTES / 4);
  readonly #bytes = new Uint8Array(this.#words.buffer);

  constructor(corpusFile: string, data: S5Data, seed: number) {
    this.#corpus = Corpus.load(corpusFile);
    this.#data = data;
    this.#seed = seed;
  }

  /** Good until the next call. */
  page(index: number): Uint8Array {
    if (this.#data === 'text') this.#corpus.page(index, this.#bytes);
    else {
      const rng = new Xorshift32(fmix32(index + this.#seed) | 1);
      for (let word = 0; word < this.#words.length; word += 1) this.#words[word] = rng.next();
    }
    return this.#bytes;
  }
}
