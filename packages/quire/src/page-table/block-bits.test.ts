import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  BLOCK_WORDS,
  bitsBetween,
  clearBits,
  countOnes,
  firstClearBit,
  firstSetBit,
  hasAllBits,
  hasAnyBit,
  setBits,
} from './block-bits.ts';

/** Ranges of a leaf's 512 blocks, many of them at the borders of words. */
const edge = fc.oneof(fc.nat(511), fc.constantFrom(0, 31, 32, 33, 63, 64, 479, 480, 511));
const range = fc.tuple(edge, edge).map(([a, b]) => ({ first: Math.min(a, b), count: Math.abs(a - b) + 1 }));

describe('bits of blocks', () => {
  it('are an array of 512 booleans', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), range), { maxLength: 20 }), (steps) => {
        const words = new Int32Array(new SharedArrayBuffer((BLOCK_WORDS + 2) * 4));
        const model = new Array<boolean>(512).fill(false);
        for (const [sets, { first, count }] of steps) {
          const inside = model.slice(first, first + count);
          const changed = inside.filter((bit) => bit !== sets).length;
          assert.equal((sets ? setBits : clearBits)(words, 1, first, count), changed, 'how many really changed');
          model.fill(sets, first, first + count);
          assert.equal(hasAllBits(words, 1, first, count), sets);
          assert.equal(hasAnyBit(words, 1, first, count), sets);
        }
        for (const [, { first, count }] of steps) {
          const clear = model.findIndex((bit, at) => at >= first && at < first + count && !bit);
          assert.equal(firstClearBit(words, 1, first, first + count), clear < 0 ? first + count : clear);
          const set = model.findIndex((bit, at) => at >= first && at < first + count && bit);
          assert.equal(firstSetBit(words, 1, first, first + count), set < 0 ? first + count : set);
        }
        const ones = words.subarray(1, 1 + BLOCK_WORDS).reduce((sum, word) => sum + countOnes(word), 0);
        assert.equal(ones, model.filter(Boolean).length);
        assert.ok(words[0] === 0 && words[BLOCK_WORDS + 1] === 0, 'words beside them are left alone');
      }),
    );
  });

  it('masks and counts, every width', () => {
    for (let from = 0; from < 32; from++) {
      for (let to = from + 1; to <= 32; to++) {
        const mask = bitsBetween(from, to);
        assert.equal(countOnes(mask), to - from);
        assert.equal(Math.clz32(mask), 32 - to);
        assert.equal(31 - Math.clz32(mask & -mask), from);
      }
    }
    assert.equal(countOnes(0), 0);
    assert.equal(countOnes(-1), 32);
  });

  it('refuse what leaves the leaf', () => {
    const words = new Int32Array(BLOCK_WORDS);
    for (const [first, count] of [
      [-1, 1],
      [0, 0],
      [511, 2],
    ]) {
      assert.throws(() => setBits(words, 0, first, count), /blocks of one leaf/);
      assert.throws(() => clearBits(words, 0, first, count), /blocks of one leaf/);
    }
  });
});
