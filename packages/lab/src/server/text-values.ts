/** The keys redis-benchmark asks for, with values of real text: value i is the 1 KiB of the corpus at a scattered offset. */
import { fmix32 } from '../rng.ts';

export const VALUE_BYTES = 1024;
const KEY_DIGITS = 12;

export class TextValues {
  readonly #text: Uint8Array;

  constructor(text: Uint8Array) {
    this.#text = text;
  }

  /** A view of the corpus; do not change it. */
  value(index: number): Uint8Array {
    const offset = fmix32(index) % (this.#text.length - VALUE_BYTES);
    return this.#text.subarray(offset, offset + VALUE_BYTES);
  }
}

/** What redis-benchmark -r makes of `key:__rand_int__`. */
export function keyName(index: number): string {
  return `key:${`${index}`.padStart(KEY_DIGITS, '0')}`;
}
