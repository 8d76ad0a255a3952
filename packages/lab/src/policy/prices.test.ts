import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { costOf, memoryFramesOf } from './prices.ts';
import type { Counts } from './replay.ts';

const NOTHING: Counts = {
  uses: 0,
  misses: 0,
  promotions: 0,
  passings: 0,
  writeMisses: 0,
  replaced: 0,
  births: 0,
  evictions: 0,
  cleanEvictions: 0,
};

describe('prices', () => {
  it('are µs per use', () => {
    assert.equal(costOf(NOTHING), 0);
    assert.equal(costOf({ ...NOTHING, uses: 10 }), 1, 'all resident');
    assert.equal(costOf({ ...NOTHING, uses: 2, misses: 1, passings: 1 }), (1 + 3) / 2);
    // The eviction of a page that a promotion left clean is in the promotion's price.
    const promoted = { ...NOTHING, uses: 2, misses: 1, promotions: 1, evictions: 1, cleanEvictions: 1 };
    assert.equal(costOf(promoted), (1 + 17) / 2);
    const written = { ...NOTHING, uses: 4, misses: 2, writeMisses: 2, replaced: 1, evictions: 2 };
    assert.equal(costOf(written), (2 + 5 + 2 + 12) / 4);
    // Births are no uses, and cost what they drive out.
    assert.equal(costOf({ ...NOTHING, uses: 1, births: 3, evictions: 3 }), 1 + 18);
  });

  it('memory holds the resident pages as they are and the others compressed', () => {
    assert.equal(memoryFramesOf(1000, 1000), 1000);
    assert.equal(memoryFramesOf(1000, 500), 500 + 200);
  });
});
