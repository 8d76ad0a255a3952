/** The entries of `lab map`: numbered keys, values cut from the corpus. */
import { fmix32 } from '../rng.ts';

const KEY_DIGITS = 12;

export function keyOf(index: number): string {
  return `key:${`${index}`.padStart(KEY_DIGITS, '0')}`;
}

/** A view of `valueBytes` of the text at a scattered offset; do not change it. */
export function valueOf(text: Uint8Array, index: number, valueBytes: number): Uint8Array {
  const offset = fmix32(index) % (text.length - valueBytes);
  return text.subarray(offset, offset + valueBytes);
}

/** What a timed get adds to the checksum: one byte, another one each step. */
export function mixed(sum: number, value: Uint8Array, step: number): number {
  return (Math.imul(sum, 31) + value[step % value.length]) | 0;
}
