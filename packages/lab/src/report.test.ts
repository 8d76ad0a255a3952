import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, it } from 'node:test';
import { commitHere, machineHere } from './machine.ts';
import { mib, type Report, Results, reportJson, reportTable } from './report.ts';
import { medianInterval, spreadOf } from './stats.ts';

function sampleReport(): Report {
  const results = new Results();
  results.measured('host', 'fill', 'µs/op', [12.34567, 10, 14]);
  results.measured('quire', 'fill', 'µs/op', [5, 4, 6], { rssMib: 700 });
  results.facts('host', 'memory', { totalMib: 696.3, swap: 'zram lz4' });
  results.absent('redis', 'redis-server is not installed');
  results.ratio('fill', spreadOf([2.4, 2.5, 2.6]), { atLeast: 2 });
  results.ratio('heap_growth_mb', spreadOf([3]), { atMost: 20 });
  return { name: 'swap', machine: machineHere(), commit: 'abc', ...results.outcome() };
}

describe('a report as JSON', () => {
  const parsed = JSON.parse(reportJson(sampleReport()));

  it('is one line with exactly the five members', () => {
    assert.deepEqual(Object.keys(parsed), ['name', 'machine', 'commit', 'rows', 'ratios']);
    assert.ok(!reportJson(sampleReport()).includes('\n'));
  });

  it('gives ratios as plain numbers, and their spread as rows', () => {
    assert.deepEqual(parsed.ratios, { fill: 2.5, heap_growth_mb: 3 });
    const row = parsed.rows.find((each: { column: string }) => each.column === 'ratio');
    assert.deepEqual(row, {
      column: 'ratio',
      metric: 'fill',
      unit: '',
      median: 2.5,
      min: 2.4,
      max: 2.6,
      samples: 3,
      atLeast: 2,
    });
  });

  it('keeps the spread of every measured row, rounded', () => {
    assert.deepEqual(parsed.rows[0], {
      column: 'host',
      metric: 'fill',
      unit: 'µs/op',
      median: 12.35,
      min: 10,
      max: 14,
      samples: 3,
    });
  });

  it('says why a column is missing', () => {
    const absent = parsed.rows.find((each: { metric: string }) => each.metric === 'absent');
    assert.deepEqual(absent, { column: 'redis', metric: 'absent', reason: 'redis-server is not installed' });
  });
});

describe('a ratio with an interval', () => {
  const results = new Results();
  results.ratio('free', medianInterval([0.987654, 1, 1.01, 1.02, 1.03, 1.04]), { atMost: 1.01 });
  const report: Report = { name: 's4', machine: machineHere(), commit: 'abc', ...results.outcome() };

  it('keeps both ends, rounded, and shows them beside the median', () => {
    const [row] = JSON.parse(reportJson(report)).rows;
    assert.deepEqual([row.median, row.low95, row.high95, row.samples], [1.015, 0.9877, 1.04, 6]);
    assert.match(reportTable(report), /\| free +\| 1\.015 \(95 %: 0\.9877 – 1\.04\) \| 0\.9877 – 1\.04 \| 6/);
  });
});

describe('a report as a table', () => {
  const text = reportTable(sampleReport());

  it('shows medians with their spread, notes, ratios and what is wanted', () => {
    assert.match(text, /\| quire +\| fill +\| 5 +\| 4 – 6 +\| 3 +\| µs\/op \| rssMib 700 \|/);
    assert.match(text, /\| fill +\| 2\.5 +\| 2\.4 – 2\.6 +\| 3 +\| ≥ 2 +\|/);
    assert.match(text, /≤ 20/);
    assert.match(text, /- redis, absent: reason redis-server is not installed/);
    assert.match(text, /- host, memory: totalMib 696\.3, swap zram lz4/);
  });

  it('has columns of one width', () => {
    const lines = text.split('\n').filter((line) => line.startsWith('|'));
    assert.equal(new Set(lines.slice(0, 4).map((line) => line.length)).size, 1);
  });

  it('begins with the tables of their own, which the JSON does not have', () => {
    const table = { title: 'as in the mail', head: ['case', 'ours', 'mail'], body: [['write', '0.1', '4.659']] };
    const report = { ...sampleReport(), tables: [table] };
    assert.match(
      reportTable(report),
      /commit abc\n\nas in the mail\n\n\| case {2}\| ours \| mail {2}\|\n.+\n\| write \| 0\.1 {2}\| 4\.659 \|\n\n\| column/,
    );
    assert.equal(reportJson(report), reportJson(sampleReport()));
  });

  it('names the machine and the commit, never the host', () => {
    assert.match(text, /cores, \d+ GiB, Linux .+, Node .+; commit abc/);
    const machine = machineHere();
    assert.deepEqual(Object.keys(machine), ['cpu', 'cores', 'memoryGib', 'kernel', 'node']);
    assert.ok(!Object.values(machine).includes(hostname()));
    assert.match(commitHere(), /^(none|[0-9a-f]{12}\+?)$/);
  });
});

describe('mib', () => {
  it('keeps one decimal', () => {
    assert.equal(mib(2 ** 20), 1);
    assert.equal(mib(1.25 * 2 ** 20), 1.3);
    assert.equal(mib(0), 0);
  });
});
