import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { fmix32, Xorshift32 } from './rng.ts';

describe('Xorshift32', () => {
  it('follows the published sequence', () => {
    const rng = new Xorshift32(2463534242);
    assert.deepEqual([rng.next(), rng.next(), rng.next()], [723471715, 2497366906, 2064144800]);
  });

  it('stays in [1, 2^32) and below its bound, and repeats for a seed', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 2 ** 31 }), (seed, bound) => {
        const [one, other] = [new Xorshift32(seed), new Xorshift32(seed)];
        for (let step = 0; step < 20; step += 1) {
          const value = one.next();
          assert.ok(Number.isInteger(value) && value > 0 && value < 2 ** 32);
          assert.equal(other.next(), value);
          const less = one.below(bound);
          assert.ok(less >= 0 && less < bound);
          assert.equal(other.below(bound), less);
        }
      }),
    );
  });

  it('does not stay at a seed of zero', () => {
    assert.notEqual(new Xorshift32(0).next(), 0);
    assert.notEqual(new Xorshift32(2 ** 32).next(), 0);
  });
});

describe('fmix32', () => {
  it('follows MurmurHash3', () => {
    assert.equal(fmix32(0), 0);
    assert.equal(fmix32(1), 0x514e28b7);
    assert.equal(fmix32(0xffffffff), 0x81f16f39);
  });

  it('gives different hashes to different numbers', () => {
    const seen = new Set<number>();
    for (let value = 0; value < 100_000; value += 1) seen.add(fmix32(value));
    assert.equal(seen.size, 100_000);
  });
});
