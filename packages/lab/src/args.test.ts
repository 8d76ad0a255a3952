import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseArgs } from './args.ts';

const NAMES = ['swap', 'map'];

describe('parseArgs', () => {
  it('takes a name and the flags in any order', () => {
    const args = { name: 'swap', quick: true, json: true, out: 'x.json', record: null, trace: null };
    for (const line of ['swap --quick --json --out x.json', '--out x.json --json swap --quick']) {
      assert.deepEqual(parseArgs(line.split(' '), NAMES), { kind: 'run', args });
    }
    const plain = { name: 'map', quick: false, json: false, out: null, record: null, trace: null };
    assert.deepEqual(parseArgs(['map'], NAMES), { kind: 'run', args: plain });
  });

  it('takes traces to record or replay for the benchmark that does', () => {
    const args = { name: 'policy', quick: false, json: false, out: null, record: null, trace: null };
    const policy = ['policy'];
    assert.deepEqual(parseArgs(['policy', '--trace', 'x'], policy), { kind: 'run', args: { ...args, trace: 'x' } });
    assert.deepEqual(parseArgs(['--record', 'd', 'policy'], policy), { kind: 'run', args: { ...args, record: 'd' } });
    for (const [line, pattern] of [
      ['policy --trace', /--trace needs a file name/],
      ['policy --trace x --record d', /not with --record/],
      ['swap --trace x', /are for policy, not swap/],
    ] as const) {
      const parsed = parseArgs(line.split(' '), [...NAMES, 'policy']);
      assert.ok(parsed.kind === 'wrong' && pattern.test(parsed.line), line);
    }
  });

  it('asks for help before it looks at anything else', () => {
    assert.deepEqual(parseArgs(['--help'], NAMES), { kind: 'help' });
    assert.deepEqual(parseArgs(['nothing', '-h'], NAMES), { kind: 'help' });
  });

  it('lists the names when asked to', () => {
    assert.deepEqual(parseArgs(['--list'], NAMES), { kind: 'list' });
  });

  it('answers a wrong line with one clear line', () => {
    const cases: [string[], RegExp][] = [
      [[], /name a benchmark: swap, map/],
      [['sw'], /unknown benchmark sw \(known: swap, map\)/],
      [['swap', 'map'], /one benchmark at a time, not swap and map/],
      [['swap', '--fast'], /unknown flag --fast/],
      [['swap', '--out'], /--out needs a file name/],
      [['swap', '--out', '--json'], /--out needs a file name/],
    ];
    for (const [argv, pattern] of cases) {
      const parsed = parseArgs(argv, NAMES);
      assert.equal(parsed.kind, 'wrong');
      if (parsed.kind === 'wrong') {
        assert.match(parsed.line, pattern);
        assert.match(parsed.line, /^lab: /);
        assert.ok(!parsed.line.includes('\n'));
      }
    }
  });

  it('runs nothing but a known name, whatever the words', () => {
    const word = fc.oneof(fc.constantFrom('swap', 'map', '--quick', '--json', '--out', '-x', ''), fc.string());
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
        const parsed = parseArgs(argv, NAMES);
        if (parsed.kind === 'run') assert.ok(NAMES.includes(parsed.args.name));
      }),
    );
  });
});
