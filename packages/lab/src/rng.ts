/**
 * Xorshift32 (Marsaglia, "Xorshift RNGs", 2003), the same in native/host-swap.c, so that every column walks the same
 * sequence of pages.
 */
export class Xorshift32 {
  #state: number;

  /** @param seed any integer; 0 is replaced, as the generator would stay there. */
  constructor(seed: number) {
    this.#state = seed >>> 0 === 0 ? 0x9e3779b9 : seed >>> 0;
  }

  /** A whole number of [0, 2^32), never 0. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  /** A whole number of [0, bound). */
  below(bound: number): number {
    return this.next() % bound;
  }
}

/** Finaliser of MurmurHash3 (32 bits): a bijection that scatters neighbouring numbers. */
export function fmix32(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
