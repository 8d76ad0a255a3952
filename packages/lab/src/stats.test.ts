import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Xorshift32 } from './rng.ts';
import { medianInterval, medianWithoutOutliers, pairedRatio, percentile, rounded, spreadOf } from './stats.ts';

const sample = fc.double({ min: 0.001, max: 1e9, noNaN: true });

describe('spreadOf', () => {
  it('gives the middle sample, or the mean of the two middle ones', () => {
    assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, min: 1, max: 3, samples: 3 });
    assert.deepEqual(spreadOf([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4, samples: 4 });
    assert.deepEqual(spreadOf([7]), { median: 7, min: 7, max: 7, samples: 1 });
  });

  it('sorts by value, not by text, and leaves its argument alone', () => {
    const values = [10, 9, 100];
    assert.equal(spreadOf(values).median, 10);
    assert.deepEqual(values, [10, 9, 100]);
  });

  it('refuses a missing or impossible sample', () => {
    assert.throws(() => spreadOf([]), RangeError);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) assert.throws(() => spreadOf([1, bad]), RangeError);
  });

  it('has its median between its ends, in any order of samples', () => {
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 20 }), (values) => {
        const spread = spreadOf(values);
        assert.ok(spread.min <= spread.median && spread.median <= spread.max);
        assert.deepEqual(spreadOf([...values].reverse()), spread);
        const below = values.filter((value) => value <= spread.median).length;
        assert.ok(below * 2 >= values.length);
      }),
    );
  });
});

describe('pairedRatio', () => {
  it('divides each repetition by its own partner', () => {
    assert.deepEqual(pairedRatio([10, 40, 30], [5, 10, 10]), { median: 3, min: 2, max: 4, samples: 3 });
  });

  it('is blind to a stretch that slows both sides', () => {
    const slow = (values: number[]) => values.map((value, index) => (index === 1 ? value * 7 : value));
    assert.deepEqual(pairedRatio(slow([6, 6, 6]), slow([2, 2, 2])), pairedRatio([6, 6, 6], [2, 2, 2]));
  });

  it('uses complete pairs alone and refuses to have none', () => {
    assert.equal(pairedRatio([10, 20, 30], [5, 5]).samples, 2);
    assert.throws(() => pairedRatio([], [1]), RangeError);
    assert.throws(() => pairedRatio([1], [0]), RangeError);
  });
});

describe('rounded', () => {
  it('keeps four significant digits', () => {
    assert.equal(rounded(1234567), 1235000);
    assert.equal(rounded(0.00123456), 0.001235);
    assert.equal(rounded(0), 0);
  });
});

describe('medianWithoutOutliers', () => {
  it('leaves out what is more than three deviations from the mean', () => {
    const calm = Array.from({ length: 99 }, (_, index) => 100 + (index % 3));
    assert.equal(medianWithoutOutliers([...calm, 1e6]), 101);
    // With 20 samples one of them can lie more than three deviations off, with 9 none can.
    assert.equal(medianWithoutOutliers([...Array<number>(19).fill(1), 50]), 1);
    assert.equal(medianWithoutOutliers([1, 1, 2, 2]), 1.5);
    assert.equal(medianWithoutOutliers([7]), 7);
    assert.throws(() => medianWithoutOutliers([]), RangeError);
  });

  it('lies between the ends', () => {
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 50 }), (values) => {
        const median = medianWithoutOutliers(values);
        assert.ok(median >= Math.min(...values) && median <= Math.max(...values));
      }),
    );
  });
});

describe('percentile', () => {
  it('is the nearest rank', () => {
    const values = [5, 1, 4, 2, 3];
    assert.equal(percentile(values, 0.5), 3);
    assert.equal(percentile(values, 0.2), 1);
    assert.equal(percentile(values, 0.99), 5);
    assert.equal(percentile(values, 1), 5);
    assert.deepEqual(values, [5, 1, 4, 2, 3]);
    assert.equal(percentile(Float64Array.of(9, 10, 100), 0.4), 10);
    assert.throws(() => percentile([], 0.5), RangeError);
  });
});

describe('medianInterval', () => {
  const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

  it('has the ranks that tables of the binomial distribution give', () => {
    for (const [count, low] of [
      [6, 1],
      [9, 2],
      [10, 2],
      [20, 6],
      [25, 8],
      [40, 14],
      [100, 40],
    ]) {
      const { low95, high95 } = medianInterval(upTo(count).reverse());
      assert.deepEqual([low95, high95], [low, count + 1 - low], `${count} samples`);
    }
  });

  it('is all there is where the samples are too few', () => {
    for (const count of [1, 2, 5]) {
      const { low95, high95 } = medianInterval(upTo(count));
      assert.deepEqual([low95, high95], [1, count]);
    }
  });

  it('covers the true median about as often as it says', () => {
    const rng = new Xorshift32(7);
    let covered = 0;
    for (let run = 0; run < 2000; run += 1) {
      const { low95, high95 } = medianInterval(Array.from({ length: 15 }, () => rng.below(1_000_001)));
      if (low95 <= 500_000 && high95 >= 500_000) covered += 1;
    }
    assert.ok(covered >= 1900 && covered <= 1980, `${covered} of 2000`);
  });
});
