import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import * as lz4Flex from 'lz4-wasm-nodejs';
import { GuardedMemory } from './testing/guarded-memory.ts';
import { breaksEndRules, decodeModel } from './testing/lz4-model.ts';
import { makeRandom, runSeed } from './testing/random.ts';
import { sample, sampleLength } from './testing/samples.ts';

const TABLE_BYTES = 16384;
const LENGTH_MAX = 65536;
const TABLE = 64;
const SRC = 20480;
const DST = 90112;
const CAPACITY = 70000;
const arena = new GuardedMemory(4);
const { kernel } = arena;

/** Compresses with guards and returns a copy of the block; empty when it did not fit. */
function compressed(data: Uint8Array, capacity: number, message: string): Uint8Array {
  arena.write(SRC, data);
  const length = kernel.compress(SRC, data.length, DST, capacity, TABLE);
  assert.ok(length >= 0 && length <= capacity, `length ${length} of ${capacity}; ${message}`);
  const block = Uint8Array.from(arena.read(DST, length));
  arena.expectUntouchedExcept(
    [
      [TABLE, TABLE_BYTES],
      [DST, capacity],
    ],
    message,
  );
  return block;
}

function decompressed(block: Uint8Array, capacity: number, message: string): Uint8Array {
  arena.write(SRC, block);
  const length = kernel.decompress(SRC, block.length, DST, capacity);
  assert.ok(length >= 0 && length <= capacity, `length ${length} of ${capacity}; ${message}`);
  const data = Uint8Array.from(arena.read(DST, length));
  arena.expectUntouchedExcept([[DST, capacity]], message);
  return data;
}

/** lz4_flex puts the length of the content before the block. */
function withLengthPrefix(block: Uint8Array, contentLength: number): Uint8Array {
  const prefixed = new Uint8Array(4 + block.length);
  new DataView(prefixed.buffer).setUint32(0, contentLength, true);
  prefixed.set(block, 4);
  return prefixed;
}

function same(actual: Uint8Array, expected: Uint8Array, message: string): void {
  assert.ok(Buffer.compare(actual, expected) === 0, message);
}

function checkBlock(data: Uint8Array, message: string): void {
  const block = compressed(data, CAPACITY, message);
  assert.ok(block.length > 0, `no room in ${CAPACITY}; ${message}`);
  same(decompressed(block, data.length, message), data, `own round trip; ${message}`);
  same(lz4Flex.decompress(withLengthPrefix(block, data.length)), data, `read by lz4_flex; ${message}`);
  const theirs = lz4Flex.compress(data).subarray(4);
  same(decompressed(theirs, data.length, message), data, `written by lz4_flex; ${message}`);
}

describe('lz4 round trip', () => {
  test('samples of all kinds and lengths, both ways with lz4_flex', () => {
    const seed = runSeed();
    for (let i = 0; i < 1500; i++) {
      const random = makeRandom(seed + i);
      checkBlock(
        sample(random, sampleLength(random, i % 20 === 0 ? LENGTH_MAX : 8192)),
        `QUIRE_SEED=${seed} case ${i}`,
      );
    }
  });

  test('any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (data) => checkBlock(data, 'any bytes')));
  });

  test('any short alphabet, which is all matches', () => {
    const data = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 400, size: 'max' });
    fc.assert(fc.property(data, (symbols) => checkBlock(Uint8Array.from(symbols), 'short alphabet')));
  });

  test('every length up to 600 of a constant, of words and of noise', () => {
    const random = makeRandom(7);
    const words = new Uint8Array(Buffer.from('one page, two pages, three pages; '.repeat(20)));
    const noise = Uint8Array.from({ length: 600 }, () => random.below(256));
    for (let length = 0; length <= 600; length++) {
      checkBlock(new Uint8Array(length).fill(42), `constant ${length}`);
      checkBlock(words.subarray(0, length), `words ${length}`);
      checkBlock(noise.subarray(0, length), `noise ${length}`);
    }
  });

  test('every period from 1 to 64', () => {
    for (let period = 1; period <= 64; period++) {
      const data = Uint8Array.from({ length: 1000 }, (_, i) => ((i % period) * 37) & 255);
      checkBlock(data, `period ${period}`);
    }
  });

  test('a match may lie 65,535 bytes back', () => {
    const random = makeRandom(11);
    const data = Uint8Array.from({ length: LENGTH_MAX }, () => random.below(256));
    data.copyWithin(LENGTH_MAX - 40, 0, 40);
    checkBlock(data, 'far match');
  });
});

describe('lz4 encoder', () => {
  test('obeys the end-of-block rules', () => {
    const seed = runSeed();
    for (let i = 0; i < 600; i++) {
      const random = makeRandom(seed + i);
      const message = `QUIRE_SEED=${seed} case ${i}`;
      const data = sample(random, sampleLength(random, 5000));
      const result = decodeModel(compressed(data, CAPACITY, message), data.length);
      assert.ok(result.ok, `malformed; ${message}`);
      same(Uint8Array.from(result.bytes), data, message);
      assert.ok(!breaksEndRules(result), `end of block; ${message}`);
    }
  });

  test('refuses one byte less than it needs, and nearly always succeeds in exactly what it needs', () => {
    const seed = runSeed();
    const cases = 1500;
    let exact = 0;
    for (let i = 0; i < cases; i++) {
      const random = makeRandom(seed + i);
      const message = `QUIRE_SEED=${seed} case ${i}`;
      const data = sample(random, sampleLength(random, 6000));
      const block = compressed(data, CAPACITY, message);
      const again = compressed(data, block.length, message);
      if (again.length > 0) {
        same(again, block, `exact room; ${message}`);
        exact++;
      }
      assert.equal(compressed(data, block.length - 1, message).length, 0, `one byte less; ${message}`);
      assert.equal(compressed(data, random.below(block.length), message).length, 0, `less room; ${message}`);
    }
    assert.ok(exact > cases * 0.95, `${exact} of ${cases} fit exactly; seed ${seed}`);
  });

  test('the contents of the table do not matter', () => {
    const data = new Uint8Array(Buffer.from('for (let i = 0; i < data.length; i++) sum += data[i];\n'.repeat(70)));
    arena.write(TABLE, new Uint8Array(TABLE_BYTES));
    const clean = compressed(data, CAPACITY, 'clean table');
    const random = makeRandom(3);
    arena.write(
      TABLE,
      Uint8Array.from({ length: TABLE_BYTES }, () => random.below(256)),
    );
    same(compressed(data, CAPACITY, 'dirty table'), clean, 'same block from a dirty table');
  });

  test('noise never fits its own length', () => {
    const random = makeRandom(5);
    const data = Uint8Array.from({ length: 4096 }, () => random.below(256));
    assert.equal(compressed(data, 4096, 'noise').length, 0);
  });

  test('works at both ends of the memory', () => {
    const data = new Uint8Array(Buffer.from('abcdefgh12345678'.repeat(256)));
    const block = compressed(data, CAPACITY, 'middle');
    for (const [src, dst, table] of [
      [0, DST, SRC],
      [arena.size - data.length, 0, SRC],
      [SRC, arena.size - block.length, 0],
      [SRC, 0, arena.size - TABLE_BYTES],
    ]) {
      arena.write(src, data);
      assert.equal(kernel.compress(src, data.length, dst, block.length, table), block.length);
      same(arena.read(dst, block.length), block, `at ${src} to ${dst}`);
      const ranges = [[dst, block.length] as const, [table, TABLE_BYTES] as const];
      arena.expectUntouchedExcept(
        ranges.sort((a, b) => a[0] - b[0]),
        `at ${src} to ${dst}`,
      );
    }
  });
});
