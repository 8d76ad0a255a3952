import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Glob } from './glob.ts';

const matches = (pattern: string, text: string, isFolded = false) => new Glob(pattern, isFolded).matches(text);

describe('Glob', () => {
  const yes: [pattern: string, text: string][] = [
    ['*', ''],
    ['*', 'abc'],
    ['a*c', 'abbbc'],
    ['a**c', 'ac'],
    ['h?llo', 'hello'],
    ['h[ae]llo', 'hallo'],
    ['h[^e]llo', 'hallo'],
    ['h[a-c]llo', 'hbllo'],
    ['h[c-a]llo', 'hbllo'],
    ['\\*', '*'],
    ['[\\]]', ']'],
    ['[a', 'a'],
    ['a\\', 'a\\'],
    ['*a*a*a', 'aaa'],
    ['*.txt', 'a.b.txt'],
    ['', ''],
  ];
  for (const [pattern, text] of yes) it(`'${pattern}' takes '${text}'`, () => assert.ok(matches(pattern, text)));

  const no: [pattern: string, text: string][] = [
    ['', 'a'],
    ['a', ''],
    ['a*c', 'abd'],
    ['h?llo', 'hllo'],
    ['h[ae]llo', 'hillo'],
    ['h[^e]llo', 'hello'],
    ['\\*', 'a'],
    ['abc', 'ABC'],
    ['[]', 'a'],
    ['?', ''],
    ['*a*a*a', 'aa'],
  ];
  for (const [pattern, text] of no)
    it(`'${pattern}' does not take '${text}'`, () => assert.ok(!matches(pattern, text)));

  it('folds case where asked to', () => {
    assert.ok(matches('MAX*', 'maxmemory', true));
    assert.ok(matches('max[A-C]', 'MAXb', true));
  });

  it('agrees with a regular expression on stars and question marks', () => {
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 10 });
    fc.assert(
      fc.property(pattern, text, (glob, subject) => {
        const regex = new RegExp(`^${glob.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's');
        assert.equal(matches(glob, subject), regex.test(subject));
      }),
      { numRuns: 3000 },
    );
  });

  it('does not take exponential time', () => {
    assert.ok(!matches(`${'a*'.repeat(60)}b`, 'a'.repeat(2000)));
  });

  it('ends on any pattern', () => {
    const pattern = fc.string({ unit: fc.constantFrom('a', '-', '[', ']', '^', '\\', '*', '?'), maxLength: 12 });
    fc.assert(
      fc.property(
        pattern,
        fc.string({ unit: fc.constantFrom('a', '-', ']', '\\', '['), maxLength: 8 }),
        (glob, subject) => {
          assert.equal(typeof matches(glob, subject), 'boolean');
        },
      ),
      { numRuns: 2000 },
    );
  });
});
