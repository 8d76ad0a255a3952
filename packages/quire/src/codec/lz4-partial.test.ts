import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GuardedMemory } from './testing/guarded-memory.ts';
import { makeRandom, runSeed } from './testing/random.ts';
import { sample } from './testing/samples.ts';

const SRC = 0;
const BLOCK = 16384;
const DST = 32768;
const TABLE = 49152;
const TABLE_BYTES = 16384;
const arena = new GuardedMemory(1);
const { kernel } = arena;

/** Leaves the block of `data` at BLOCK and returns its length. */
function makeBlock(data: Uint8Array): number {
  arena.write(SRC, data);
  const length = kernel.compress(SRC, data.length, BLOCK, 8192, TABLE);
  assert.ok(length > 0);
  arena.expectUntouchedExcept(
    [
      [BLOCK, 8192],
      [TABLE, TABLE_BYTES],
    ],
    'making the block',
  );
  return length;
}

function expectPrefix(data: Uint8Array, length: number, wanted: number, capacity: number, message: string): void {
  const written = kernel.decompressPartial(BLOCK, length, DST, wanted, capacity);
  assert.ok(
    written >= Math.min(wanted, data.length, capacity) && written <= capacity,
    `${written} written; ${message}`,
  );
  assert.ok(arena.read(DST, written).equals(data.subarray(0, written)), `content; ${message}`);
  arena.expectUntouchedExcept([[DST, capacity]], message);
}

describe('lz4 partial decode', () => {
  test('is a prefix of the content for every number of wanted bytes', () => {
    const seed = runSeed();
    for (let i = 0; i < 16; i++) {
      const random = makeRandom(seed + i);
      const data = sample(random, 1 + random.below(4096));
      const length = makeBlock(data);
      for (let wanted = 0; wanted <= data.length; wanted++) {
        expectPrefix(data, length, wanted, data.length, `QUIRE_SEED=${seed} case ${i} wanted ${wanted}`);
      }
    }
  });

  test('needs no more room than what is wanted, and wanting more than the room means the room', () => {
    const seed = runSeed();
    for (let i = 0; i < 300; i++) {
      const random = makeRandom(seed + i);
      const data = sample(random, 1 + random.below(2000));
      const length = makeBlock(data);
      const wanted = random.below(data.length + 1);
      expectPrefix(data, length, wanted, wanted, `QUIRE_SEED=${seed} case ${i} tight, wanted ${wanted}`);
      expectPrefix(data, length, wanted + 1000, wanted, `QUIRE_SEED=${seed} case ${i} beyond, wanted ${wanted}`);
    }
  });

  test('does not look at what follows the block in its slot', () => {
    const seed = runSeed();
    for (let i = 0; i < 300; i++) {
      const random = makeRandom(seed + i);
      const data = sample(random, 1 + random.below(2000));
      const length = makeBlock(data);
      arena.write(
        BLOCK + length,
        Uint8Array.from({ length: 64 }, () => random.below(256)),
      );
      const slotLength = length + 1 + random.below(64);
      const wanted = random.below(data.length + 1);
      expectPrefix(data, slotLength, wanted, data.length, `QUIRE_SEED=${seed} case ${i} wanted ${wanted}`);
      expectPrefix(data, slotLength, data.length, data.length, `QUIRE_SEED=${seed} case ${i} all`);
    }
  });

  test('a block that ends early gives what it has; one that is cut inside a sequence is malformed', () => {
    const data = new Uint8Array(Buffer.from('0123456789 0123456789 0123456789 the end is plain literals'));
    const length = makeBlock(data);
    assert.equal(kernel.decompressPartial(BLOCK, length, DST, 4096, 4096), data.length);
    assert.equal(kernel.decompressPartial(BLOCK, length - 1, DST, data.length, 4096), -1);
    assert.ok(kernel.decompressPartial(BLOCK, length - 1, DST, data.length - 1, 4096) >= data.length - 1);
    assert.equal(kernel.decompressPartial(BLOCK, 0, DST, 1, 4096), -1);
    assert.equal(kernel.decompressPartial(BLOCK, 0, DST, 0, 4096), 0);
    arena.expectUntouchedExcept([[DST, 4096]], 'early end');
  });
});
