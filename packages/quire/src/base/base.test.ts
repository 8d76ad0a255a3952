import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AssertionError, assert as check } from './assert.ts';
import { C, COUNTER_NAMES } from './counters.ts';
import { invalidArg, outOfRange, QuireError } from './errors.ts';
import { CHUNK_BYTES, formatBytes, ORDER_MAX, PAGE_BYTES } from './units.ts';

describe('errors', () => {
  it('carry a stable code, a name and their cause', () => {
    const cause = new Error('EIO');
    const error = new QuireError('ERR_QUIRE_IO', 'a page could not be read', { cause });
    assert.equal(error.code, 'ERR_QUIRE_IO');
    assert.equal(error.name, 'QuireError');
    assert.equal(error.cause, cause);
    assert.ok(error instanceof Error);
  });

  it('say what was received, briefly, whatever it is', () => {
    const shown: [unknown, string][] = [
      [undefined, 'undefined'],
      [null, 'null'],
      [Number.NaN, 'NaN'],
      [true, 'true'],
      ['x'.repeat(1000), `'${'x'.repeat(40)}'`],
      [{}, 'an instance of Object'],
      [Object.create(null), 'an instance of Object'],
      [[], 'an instance of Array'],
      [() => 1, 'function'],
      [Symbol('s'), 'symbol'],
      [1n, 'bigint'],
    ];
    for (const [value, text] of shown) {
      const error = invalidArg('size', 'an integer', value);
      assert.equal(error.code, 'ERR_QUIRE_INVALID_ARG');
      assert.equal(error.message, `size must be an integer, received ${text}`);
    }
    assert.equal(outOfRange('offset', 'at most 5', 6).message, 'offset must be at most 5, received 6');
  });
});

describe('assertions', () => {
  it('show their values and nothing when they hold', () => {
    check(true, 'fine', 1, 2);
    assert.throws(() => check(false, 'frames match'), {
      name: 'AssertionError',
      message: 'broken invariant: frames match',
    });
    assert.throws(() => check(false, 'frames match', 1), /frames match \(1\)/);
    assert.throws(
      () => check(false, 'frames match', 1, 2),
      (error) => error instanceof AssertionError && /\(1, 2\)/.test(error.message),
    );
  });
});

describe('counters', () => {
  it('have one index each and fit the array of a thread', () => {
    assert.equal(new Set(COUNTER_NAMES).size, COUNTER_NAMES.length);
    assert.deepEqual(
      Object.values(C),
      COUNTER_NAMES.map((_, index) => index),
    );
    assert.ok(COUNTER_NAMES.length <= 128);
  });
});

describe('units', () => {
  it('formatBytes picks the unit', () => {
    const shown: [number, string][] = [
      [0, '0 B'],
      [1023, '1023 B'],
      [1024, '1 KiB'],
      [1536, '1.5 KiB'],
      [256 * 2 ** 20, '256 MiB'],
      [5 * 2 ** 30, '5 GiB'],
      [2 ** 50, '1024 TiB'],
    ];
    for (const [bytes, text] of shown) assert.equal(formatBytes(bytes), text);
  });

  it('a chunk is the largest block', () => {
    assert.equal(CHUNK_BYTES, PAGE_BYTES << ORDER_MAX);
  });
});
