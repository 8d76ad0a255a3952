import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { COMPACTION_POLICIES } from '../quire.ts';
import { Results } from '../report.ts';
import type { S1Result } from './s1-child.ts';
import { report, type Samples, tableOf } from './s1-report.ts';

function resultOf(tps: number, largePages: number, stalls: number): S1Result {
  const walPagesByOrder = [100 - largePages, 0, 0, 0, largePages, 0, 0, 0, 0, 0, 0];
  return {
    transactions: tps,
    tps,
    p99Ms: 2,
    maxMs: 3,
    clientCpuUs: 4,
    totalCpuUs: 5,
    waitedShare: 0.1,
    checkpoints: 1,
    deltaSum: 0,
    historyBytes: 0,
    walPagesByOrder,
    counters: { compact_stall: stalls, allocstall: 1 },
  };
}

/** TPS of three rounds by policy. The machine was half as fast in the second. */
const TPS = { direct: 100, caller: 110, split: 120, light: 140, background: 130, stocked: 154 };
const samples: Samples = new Map(
  COMPACTION_POLICIES.map((policy) => [
    policy,
    [1, 0.5, 1].map((speed) =>
      resultOf(TPS[policy] * speed, policy === 'stocked' ? 90 : 60, policy === 'direct' ? 7 : 0),
    ),
  ]),
);

describe('the report of lab s1', () => {
  it('has the ratios of the issue, of the rounds as pairs', () => {
    const results = new Results();
    report(samples, results);
    const { ratios, rows } = results.outcome();
    assert.deepEqual(ratios, {
      light_vs_direct: 1.4,
      background_vs_direct: 1.3,
      stocked_vs_best: 1.1,
      stocked_large_share_vs_light: 1.5,
    });
    const best = rows.find(({ metric }) => metric === 'best_of_the_others');
    assert.equal(best?.['policy'], 'light');
    const spread = rows.find(({ column, metric }) => column === 'ratio' && metric === 'light_vs_direct');
    assert.deepEqual([spread?.['min'], spread?.['max'], spread?.['atLeast']], [1.4, 1.4, 1.25]);
  });

  it('has a line for each policy, with the mail beside it', () => {
    const { head, body } = tableOf(samples);
    assert.deepEqual(
      body.map(([policy]) => policy),
      [...COMPACTION_POLICIES],
    );
    for (const line of body) assert.equal(line.length, head.length);
    const cell = (policy: string, name: string) => body.find((line) => line[0] === policy)?.[head.indexOf(name)];
    assert.equal(cell('light', 'vs direct'), '+40 %');
    assert.equal(cell('light', 'mail: vs direct'), '+41.07 %');
    assert.equal(cell('direct', 'mail: TPS'), '101979.75');
    assert.equal(cell('direct', 'compact_stall'), '7');
    assert.equal(cell('stocked', 'large folios'), '90.0 %');
    assert.equal(cell('stocked', 'mail: TPS'), '');
  });
});
