/** Numbered keys with values of real text: value i is the part of the corpus at a scattered offset. */
import { fmix32 } from './rng.ts';

const KEY_DIGITS = 12;

export class TextValues {
  readonly valueBytes: number;
  readonly #text: Uint8Array;

  /** @param text the corpus, longer than one value */
  constructor(text: Uint8Array, valueBytes: number) {
    this.#text = text;
    this.valueBytes = valueBytes;
  }

  /** A view of the corpus; do not change it. */
  value(index: number): Uint8Array {
    const offset = fmix32(index) % (this.#text.length - this.valueBytes);
    return this.#text.subarray(offset, offset + this.valueBytes);
  }
}

/** What redis-benchmark -r makes of `key:__rand_int__`. */
export function keyName(index: number): string {
  return `key:${`${index}`.padStart(KEY_DIGITS, '0')}`;
}
