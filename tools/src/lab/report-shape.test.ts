import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeReport, shapeProblems } from './report-shape.ts';

const REPORT = {
  name: 'swap',
  machine: { cores: 2 },
  commit: 'abc',
  rows: [{ column: 'quire' }],
  ratios: { fill: 2.5 },
};
const problems = (changes: object): string[] => shapeProblems('swap', JSON.stringify({ ...REPORT, ...changes }));

test('a report as promised', () => {
  assert.deepEqual(problems({}), []);
  assert.deepEqual(problems({ machine: 'a machine', ratios: {} }), []);
  assert.deepEqual(shapeProblems('swap', `${JSON.stringify(REPORT)}\n`), []);
});

test('anything else on standard output', () => {
  for (const text of ['', 'warming up\n{}', `${JSON.stringify(REPORT)}\n{}`, '[]', 'null', '1']) {
    assert.match(shapeProblems('swap', text)[0] ?? '', /other than one JSON object/, text);
  }
});

for (const [changes, problem] of [
  [{ name: 'map' }, /named "map"/],
  [{ machine: {} }, /machine/],
  [{ commit: '' }, /commit/],
  [{ commit: undefined }, /has the fields/],
  [{ extra: 1 }, /has the fields/],
  [{ rows: [] }, /no rows/],
  [{ rows: [1] }, /not an object/],
  [{ ratios: undefined }, /no ratios/],
  [{ ratios: { fill: '2' } }, /ratio fill = "2"/],
  [{ ratios: { fill: Number.NaN } }, /ratio fill = null/],
] as const) {
  test(`a report with ${JSON.stringify(changes)}`, () => assert.match(problems(changes).join('; '), problem));
}

test('the description has ratios and absent columns', () => {
  const rows = [{ column: 'host', metric: 'absent', reason: 'not root' }];
  assert.equal(
    describeReport(JSON.stringify({ ...REPORT, rows })),
    'swap: fill = 2.5\ncolumn host is absent: not root',
  );
});
