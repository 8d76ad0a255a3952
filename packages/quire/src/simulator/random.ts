/**
 * The one source of chance of a simulation: sfc32 (Doty-Humphrey, PractRand), seeded by a number, the same on every
 * machine.
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(seed: number) {
    this.a = seed | 0;
    this.b = (seed / 2 ** 32) | 0;
    this.c = 0x9e37_79b9 | 0;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** 0 … 2^32 − 1. */
  next(): number {
    const sum = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** 0 … limit − 1. */
  below(limit: number): number {
    return Math.floor((this.next() / 2 ** 32) * limit);
  }

  /** low … high, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.next() < probability * 2 ** 32;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  /** How many things happen before the next of a kind that comes every `mean` on average; at least 1. */
  gap(mean: number): number {
    return 1 + Math.floor(-Math.log(1 - this.next() / 2 ** 32) * mean);
  }
}
