import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { GuardedMemory } from './testing/guarded-memory.ts';
import { hostileBlock } from './testing/hostile-blocks.ts';
import { decodeModel } from './testing/lz4-model.ts';
import { makeRandom, type Random, runSeed } from './testing/random.ts';
import { sample } from './testing/samples.ts';

const CASES = 20_000;
const VALID_BLOCKS = 64;
const TABLE_BYTES = 16384;
const arena = new GuardedMemory(1);
const { kernel } = arena;

function validBlocks(random: Random): Uint8Array[] {
  return Array.from({ length: VALID_BLOCKS }, () => {
    const data = sample(random, 1 + random.below(1500));
    arena.write(0, data);
    const length = kernel.compress(0, data.length, 8192, 4096, 32768);
    arena.expectUntouchedExcept(
      [
        [8192, 4096],
        [32768, TABLE_BYTES],
      ],
      'making a valid block',
    );
    return Uint8Array.from(arena.read(8192, length));
  });
}

/** Source and destination anywhere, also with no byte of the memory behind or before them; never over one another. */
function place(random: Random, length: number, capacity: number): { src: number; dst: number } {
  const low = random.below(3) === 0 ? random.below(64) : 0;
  const gap = random.below(64);
  switch (random.below(4)) {
    case 0:
      return { src: low, dst: arena.size - capacity };
    case 1:
      return { src: arena.size - length, dst: low };
    case 2:
      return { src: low, dst: low + length + gap };
    default:
      return { src: low + capacity + gap, dst: low };
  }
}

function drawCapacity(random: Random): number {
  return random.below(2) === 0 ? random.below(80) : random.below(4097);
}

describe('lz4 decoder, hostile input', () => {
  test(`${CASES} blocks: the result is the model's, and nothing else changes`, () => {
    const seed = runSeed();
    const valid = validBlocks(makeRandom(seed));
    let accepted = 0;
    for (let i = 0; i < CASES; i++) {
      const random = makeRandom(seed + i);
      const block = hostileBlock(random, valid[random.below(VALID_BLOCKS)]);
      const capacity = drawCapacity(random);
      const { src, dst } = place(random, block.length, capacity);
      const message = `QUIRE_SEED=${seed} case ${i}`;
      arena.write(src, block);
      const written = kernel.decompress(src, block.length, dst, capacity);
      const model = decodeModel(block, capacity);
      assert.equal(written, model.ok ? model.bytes.length : -1, message);
      if (model.ok) {
        accepted++;
        assert.ok(arena.read(dst, written).equals(Uint8Array.from(model.bytes)), `content; ${message}`);
      }
      arena.expectUntouchedExcept([[dst, capacity]], message);
    }
    assert.ok(
      accepted > CASES / 100 && accepted < CASES,
      `${accepted} accepted: the samples are one-sided; seed ${seed}`,
    );
  });

  test(`${CASES} blocks, decoded in part`, () => {
    const seed = runSeed();
    const valid = validBlocks(makeRandom(seed));
    for (let i = 0; i < CASES; i++) {
      const random = makeRandom(seed + i);
      const block = hostileBlock(random, valid[random.below(VALID_BLOCKS)]);
      const capacity = drawCapacity(random);
      const wanted = random.below(capacity + 20);
      const { src, dst } = place(random, block.length, capacity);
      const message = `QUIRE_SEED=${seed} case ${i} wanted ${wanted}`;
      arena.write(src, block);
      const written = kernel.decompressPartial(src, block.length, dst, wanted, capacity);
      const model = decodeModel(block, capacity, wanted);
      assert.equal(written >= 0, model.ok, message);
      if (model.ok) {
        assert.ok(written >= model.bytes.length && written <= capacity, `${written} written; ${message}`);
        assert.ok(arena.read(dst, model.bytes.length).equals(Uint8Array.from(model.bytes)), `content; ${message}`);
      }
      arena.expectUntouchedExcept([[dst, capacity]], message);
    }
  });

  test('each prefix of a valid block, and each single byte changed to 0, 15, 240 and 255', () => {
    const text = Buffer.from('a page is a page is a page, and a folio is many pages; '.repeat(5));
    arena.write(0, text);
    const length = kernel.compress(0, text.length, 4096, 1024, 32768);
    arena.expectUntouchedExcept(
      [
        [4096, 1024],
        [32768, TABLE_BYTES],
      ],
      'making the block',
    );
    const block = Uint8Array.from(arena.read(4096, length));
    const variants = Array.from(block, (_, cut) => block.slice(0, cut));
    for (let at = 0; at < block.length; at++) {
      for (const value of [0, 15, 240, 255]) variants.push(block.with(at, value));
    }
    for (const variant of variants) {
      for (const capacity of [text.length, text.length - 1, 64, 10, 0]) {
        const src = arena.size - variant.length;
        arena.write(src, variant);
        const written = kernel.decompress(src, variant.length, 100, capacity);
        const model = decodeModel(variant, capacity);
        assert.equal(written, model.ok ? model.bytes.length : -1);
        arena.expectUntouchedExcept([[100, capacity]], `capacity ${capacity}`);
      }
    }
  });

  test('length bytes that overflow 32 bits end in a refusal', () => {
    const huge = new GuardedMemory(300);
    const length = 17_000_000;
    const block = new Uint8Array(length).fill(255);
    huge.write(4096, block);
    assert.equal(huge.kernel.decompress(4096, length, 0, 4096), -1);
    huge.expectUntouchedExcept([[0, 4096]], 'a run of 17 million 0xff');
  });
});

describe('lz4 decoder, source that changes while it is read', () => {
  test('stays inside its bounds', async () => {
    const seed = runSeed();
    const shared = new GuardedMemory(1);
    const [valid] = validBlocks(makeRandom(seed));
    const src = shared.size - valid.length;
    const capacity = 1500;
    shared.write(src, valid);
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const scribbler = new Worker(
      `const { workerData: { buffer, src, stop } } = require('node:worker_threads');
       const bytes = new Uint8Array(buffer, src);
       let state = 1;
       require('node:worker_threads').parentPort.postMessage('started');
       while (Atomics.load(stop, 0) === 0) {
         state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
         bytes[(state >>> 8) % bytes.length] = state >>> 24;
       }`,
      { eval: true, workerData: { buffer: shared.memory.buffer, src, stop } },
    );
    await once(scribbler, 'message');
    try {
      for (let i = 0; i < 20_000; i++) {
        const written = shared.kernel.decompress(src, valid.length, 4096, capacity);
        assert.ok(written >= -1 && written <= capacity, `${written} written; seed ${seed}`);
        shared.expectUntouchedExcept(
          [
            [4096, capacity],
            [src, valid.length],
          ],
          `QUIRE_SEED=${seed} round ${i}`,
        );
      }
    } finally {
      Atomics.store(stop, 0, 1);
      await once(scribbler, 'exit');
    }
  });
});
