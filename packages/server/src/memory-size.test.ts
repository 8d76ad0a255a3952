import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { humanBytes, parseMemory } from './memory-size.ts';

describe('memory sizes', () => {
  it('reads the units of redis.conf and the binary ones', () => {
    const sizes: [string, number][] = [
      ['0', 0],
      ['1024', 1024],
      ['1k', 1000],
      ['1kb', 1024],
      ['2M', 2_000_000],
      ['2mb', 2 * 1024 ** 2],
      ['1g', 1e9],
      ['1GB', 1024 ** 3],
      ['1.5GiB', 1.5 * 1024 ** 3],
      ['256MiB', 256 * 1024 ** 2],
      ['1tb', 1024 ** 4],
    ];
    for (const [text, bytes] of sizes) assert.equal(parseMemory(text), bytes, text);
  });

  it('refuses the rest', () => {
    for (const text of ['', 'abc', '1x', '-1', '1 2', '1e3', '99999999999tb', 'mb'])
      assert.equal(parseMemory(text), undefined, text);
  });

  it('writes them for people', () => {
    assert.deepEqual([0, 1023, 1024, 1536 * 1024, 5 * 1024 ** 3].map(humanBytes), [
      '0B',
      '1023B',
      '1.00K',
      '1.50M',
      '5.00G',
    ]);
  });
});
