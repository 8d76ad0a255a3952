/**
 * Ranks by Zipf's law: rank r of n is drawn with a chance proportional to 1 / (r + 1)^theta. Method of Gray et al.,
 * "Quickly Generating Billion-Record Synthetic Databases", SIGMOD 1994, as YCSB has it.
 */
import type { Xorshift32 } from '../rng.ts';

export class Zipf {
  readonly #count: number;
  readonly #rng: Xorshift32;
  readonly #theta: number;
  readonly #alpha: number;
  readonly #zeta: number;
  readonly #eta: number;

  /** @param theta of (0, 1) */
  constructor(count: number, theta: number, rng: Xorshift32) {
    this.#count = count;
    this.#rng = rng;
    this.#theta = theta;
    this.#alpha = 1 / (1 - theta);
    this.#zeta = zeta(count, theta);
    this.#eta = (1 - (2 / count) ** (1 - theta)) / (1 - zeta(2, theta) / this.#zeta);
  }

  /** A whole number of [0, count); 0 is drawn most often. */
  next(): number {
    const u = this.#rng.next() / 2 ** 32;
    const uz = u * this.#zeta;
    if (uz < 1) return 0;
    if (uz < 1 + 0.5 ** this.#theta) return 1;
    return Math.min(this.#count - 1, Math.floor(this.#count * (this.#eta * u - this.#eta + 1) ** this.#alpha));
  }
}

function zeta(count: number, theta: number): number {
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) sum += 1 / rank ** theta;
  return sum;
}
