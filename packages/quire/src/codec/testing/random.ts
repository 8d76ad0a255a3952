/**
 * Seeded randomness for the fuzz loops: mulberry32 (Tommy Ettinger, public domain). Every failure message carries the
 * seed; set QUIRE_SEED to it to replay the run.
 */
export interface Random {
  readonly seed: number;
  /** Uniform in [0, limit), an integer. */
  below(limit: number): number;
}

export function makeRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    seed,
    below(limit: number): number {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
    },
  };
}

/** The seed of this run: QUIRE_SEED, or a fresh one. */
export function runSeed(): number {
  const given = process.env['QUIRE_SEED'];
  return given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
}
