/** The tables and ratios of `lab s5`, from made-up samples. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Results } from '../report.ts';
import type { S5Reclaimed } from './s5-child.ts';
import { describeRates, describeSplits, describeWrites, type Samples, variantName } from './s5-report.ts';

const RECLAIMED: S5Reclaimed = {
  pages: 1000,
  ms: 10,
  pgstealAnon: 990,
  kswapdMs: 10,
  kcompressdMs: 0,
  fallbackShare: 0,
  wakeups: 0,
  inflightPeak: 32,
  ringEntries: 128,
  compressedPerPage: 1888,
};

function samplesOf(...variants: [string, Partial<S5Reclaimed>[]][]): Samples {
  const reclaimed = new Map(
    variants.map(([name, all]) => [name, all.map((each) => ({ ...RECLAIMED, ...each }))] as const),
  );
  return { reclaimed, written: new Map(), splits: new Map(), limits: [] };
}

const ALONE = variantName({ codec: 'lz4', data: 'text', kcompressd: 0 });
const ONE = variantName({ codec: 'lz4', data: 'text', kcompressd: 1 });
const TWO = variantName({ codec: 'lz4', data: 'text', kcompressd: 2 });

describe('the report of s5', () => {
  it('pairs each round with kswapd alone, and names the headline by the cores', () => {
    const samples = samplesOf(
      [ONE, [{ ms: 5 }, { ms: 8 }]],
      [ALONE, [{ ms: 10 }, { ms: 24 }]],
      [TWO, [{ ms: 5 }, { ms: 6 }]],
    );
    const results = new Results();
    const table = describeRates(results, samples, 2);
    assert.deepEqual(results.outcome().ratios, { kcompressd_gain_lz4: 2.5, gain_lz4_text_2: 3 });
    assert.deepEqual(
      table.body.map((cells) => cells.slice(2, 6)),
      [
        ['kswapd alone', '70833', '1.00', '1×'],
        ['kswapd + 1', '162500', '2.50', '2×'],
        ['kswapd + 2', '183333', '3.00', '2×'],
      ],
    );
    for (const cells of table.body) assert.equal(cells.length, table.head.length);
  });

  it('the gain beside what the machine gives to processes that share nothing', () => {
    const samples = samplesOf([ALONE, [{ ms: 10 }, { ms: 12 }]], [ONE, [{ ms: 5 }, { ms: 8 }]]);
    samples.limits.push(2, 1.5);
    const results = new Results();
    describeRates(results, samples, 2);
    assert.deepEqual(results.outcome().ratios, {
      limit_of_this_machine: 1.75,
      kcompressd_gain_lz4: 1.75,
      kcompressd_gain_lz4_of_the_limit: 1,
    });
  });

  it('the gain by processor time is that of the busiest thread', () => {
    const samples = samplesOf([ALONE, [{ kswapdMs: 10 }]], [TWO, [{ kswapdMs: 4, kcompressdMs: 10 }]]);
    const table = describeRates(new Results(), samples, 4);
    const column = table.head.indexOf('gain by processor time');
    assert.deepEqual(
      table.body.map((cells) => cells[column]),
      ['1.00', '2.00'],
    );
  });

  it('a machine that does not tell threads apart leaves that gain out', () => {
    const samples = samplesOf([ALONE, [{ kswapdMs: 0 }]]);
    const table = describeRates(new Results(), samples, 2);
    assert.equal(table.body[0][table.head.indexOf('gain by processor time')], '');
  });

  it('the split adds up', () => {
    const samples = samplesOf();
    const split = { pages: 100, totalNs: 1_000_000, compressNs: 700_000, sameFilledNs: 50_000, storeNs: 50_000 };
    samples.splits.set('lz4 text', split);
    const table = describeSplits(new Results(), samples);
    assert.deepEqual(table.body, [['lz4 text', '10', '7', '0.5', '0.5', '2', '70 %']]);
  });

  it('what a writer waited for', () => {
    const samples = samplesOf([ALONE, [{}]]);
    samples.written.set(ALONE, [{ pages: 1000, ms: 20, allocstall: 5, stallMs: 4, maxMs: 3, p99Us: 40 }]);
    const table = describeWrites(new Results(), samples);
    assert.deepEqual(table.body, [['lz4', 'kswapd alone', '50000', '5', '20', '40', '3']]);
  });
});
