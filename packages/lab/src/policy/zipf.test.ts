import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Xorshift32 } from '../rng.ts';
import { Zipf } from './zipf.ts';

const DRAWS = 200_000;

function drawn(count: number, theta: number): Float64Array {
  const zipf = new Zipf(count, theta, new Xorshift32(7));
  const shares = new Float64Array(count);
  for (let i = 0; i < DRAWS; i++) shares[zipf.next()] += 1 / DRAWS;
  return shares;
}

describe('Zipf', () => {
  it('draws the first ranks as often as the law says', () => {
    for (const theta of [0.5, 0.9]) {
      const shares = drawn(1000, theta);
      let zeta = 0;
      for (let rank = 1; rank <= 1000; rank++) zeta += 1 / rank ** theta;
      // Exact for the first two ranks, a close approximation from there on (Gray et al., section 3).
      for (const rank of [0, 1]) {
        const expected = 1 / (rank + 1) ** theta / zeta;
        assert.ok(Math.abs(shares[rank] - expected) < expected * 0.1, `theta ${theta}, rank ${rank}: ${shares[rank]}`);
      }
      const head = shares.subarray(0, 100).reduce((sum, share) => sum + share, 0);
      let expectedHead = 0;
      for (let rank = 1; rank <= 100; rank++) expectedHead += 1 / rank ** theta / zeta;
      assert.ok(Math.abs(head - expectedHead) < 0.05, `theta ${theta}: ${head} of the draws in the first tenth`);
    }
  });

  it('stays within its ranks, and is the same for the same seed', () => {
    for (const count of [3, 10, 4000]) {
      const one = new Zipf(count, 0.9, new Xorshift32(3));
      const other = new Zipf(count, 0.9, new Xorshift32(3));
      for (let i = 0; i < 10_000; i++) {
        const rank = one.next();
        assert.ok(Number.isInteger(rank) && rank >= 0 && rank < count, `${rank} of ${count}`);
        assert.equal(other.next(), rank);
      }
    }
  });
});
