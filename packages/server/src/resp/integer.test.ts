import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { INT64_MAX, INT64_MIN, parseInt64 } from './integer.ts';

const read = (text: string) => parseInt64(Buffer.from(text, 'latin1'));

describe('parseInt64', () => {
  it('reads every signed 64-bit integer, as a number where that is exact', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: INT64_MIN, max: INT64_MAX }), (value) => {
        const parsed = read(String(value));
        assert.equal(BigInt(parsed!), value);
        assert.equal(typeof parsed, Number.isSafeInteger(Number(value)) ? 'number' : 'bigint');
      }),
    );
  });

  it('reads the edges', () => {
    for (const value of [0n, 1n, -1n, INT64_MAX, INT64_MIN, 2n ** 53n, -(2n ** 53n), 999999999999999n, 10n ** 15n]) {
      assert.equal(BigInt(read(String(value))!), value);
    }
  });

  it('refuses everything else', () => {
    const wrong = [
      '',
      '-',
      '+1',
      ' 1',
      '1 ',
      '01',
      '-01',
      '-0',
      '1.0',
      '1e3',
      '0x1',
      'abc',
      '12a',
      '--1',
      '9'.repeat(21),
    ];
    for (const text of [
      ...wrong,
      '9223372036854775808',
      '-9223372036854775809',
      '18446744073709551616',
      '1234567890123456x',
    ]) {
      assert.equal(read(text), undefined, text);
    }
  });

  it('agrees with a pattern on any short text', () => {
    const pattern = /^(0|-?[1-9]\d*)$/;
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789-+ x'), maxLength: 6 }), (text) => {
        assert.equal(read(text) !== undefined, pattern.test(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('reads a part of a buffer', () => {
    assert.equal(parseInt64(Buffer.from('xx-42yy'), 2, 5), -42);
    assert.equal(parseInt64(Buffer.from('xx-42yy'), 2, 6), undefined);
    assert.equal(parseInt64(Buffer.from('1'), 1, 1), undefined);
  });
});
