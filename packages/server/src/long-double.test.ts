import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { addLong, formatLong, isFiniteLong, parseLong } from './long-double.ts';

function sum(a: string, b: string): string {
  return formatLong(addLong(parseLong(a)!, parseLong(b)!));
}

describe('long double', () => {
  const sums: [a: string, b: string, result: string][] = [
    ['10.5', '0.1', '10.6'],
    ['0.1', '0.2', '0.3'],
    ['5.0e3', '200', '5200'],
    ['3', '1.000000000000000001', '4'],
    ['1.1', '2.2', '3.3'],
    ['1e17', '0.5', '100000000000000000.5'],
    ['-1', '1', '0'],
    ['-0.0', '0', '0'],
    ['0x10', '0x1.8p1', '19'],
    ['1', '1e-17', '1.00000000000000001'],
    ['.5', '5.', '5.5'],
  ];
  for (const [a, b, result] of sums) it(`${a} + ${b} = ${result}`, () => assert.equal(sum(a, b), result));

  it('reads what strtold reads and nothing else', () => {
    for (const text of ['1', '+1', '-1', '1.', '.1', '1e5', '1E-5', 'inf', '-INF', 'Infinity', '0x1p3', '0X.8']) {
      assert.notEqual(parseLong(text), undefined, text);
    }
    const wrong = ['', ' 1', '1 ', '.', 'e5', '1e', '1e+', 'nan', '--1', '0x', '1,5', 'infin', '1_0', '9'.repeat(6000)];
    for (const text of wrong) assert.equal(parseLong(text), undefined, text.slice(0, 20));
  });

  it('knows its range', () => {
    for (const text of ['1e4933', '-1e4933', '1e-4970', '1e99999999', '1e-99999999']) {
      assert.equal(parseLong(text), undefined, text);
    }
    assert.ok(isFiniteLong(parseLong('1.1e4932')!));
    assert.ok(!isFiniteLong(addLong(parseLong('1.1e4932')!, parseLong('1.1e4932')!)));
    assert.ok(!isFiniteLong(addLong(parseLong('inf')!, parseLong('1')!)));
    assert.equal(formatLong(parseLong('1e-4940')!), '0');
  });

  it('adds integers below 2^63 exactly', () => {
    const integer = fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n });
    fc.assert(fc.property(integer, integer, (a, b) => assert.equal(sum(String(a), String(b)), String(a + b))));
  });

  it('gives back decimals below 64 of up to 17 places', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -63n * 10n ** 17n, max: 63n * 10n ** 17n }), fc.nat(17), (wide, places) => {
        const digits = wide / 10n ** BigInt(17 - places);
        const sign = digits < 0n ? '-' : '';
        const text = String(digits < 0n ? -digits : digits).padStart(places + 1, '0');
        const whole = text.slice(0, text.length - places);
        const fraction = text.slice(text.length - places).replace(/0+$/, '');
        const plain = fraction === '' ? whole : `${whole}.${fraction}`;
        assert.equal(formatLong(parseLong(sign + plain)!), plain === '0' ? '0' : sign + plain);
      }),
    );
  });

  it('never differs from double arithmetic by more than a double can', () => {
    const number = fc.double({ min: -1e6, max: 1e6, noNaN: true }).filter((value) => Math.abs(value) > 1e-6);
    fc.assert(
      fc.property(number, number, (a, b) => {
        const result = Number(sum(String(a), String(b)));
        assert.ok(Math.abs(result - (a + b)) <= Math.abs(a + b) * 1e-15 + 1e-9);
      }),
    );
  });
});
