import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { GuardedMemory } from './testing/guarded-memory.ts';

const TABLE = 8192;
const TABLE_BYTES = 8192;
const SCRATCH = 16_384;
const SCRATCH_BYTES = 16_384;
const SRC = 36_864;
const arena = new GuardedMemory(1);
const { kernel } = arena;
kernel.crc32cInit(TABLE);
arena.expectUntouchedExcept([[TABLE, TABLE_BYTES]], 'crc32cInit');

/** One bit at a time, from the definition. */
function crcModel(seed: number, bytes: Uint8Array): number {
  let crc = ~seed;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

function crcOf(bytes: Uint8Array, seed = 0, at = SRC): number {
  arena.write(at, bytes);
  return kernel.crc32c(seed, at, bytes.length, TABLE, SCRATCH);
}

describe('crc32c', () => {
  test('vectors of RFC 3720 B.4 and the check value', () => {
    assert.equal(crcOf(Buffer.from('123456789')), 0xe3069283);
    assert.equal(crcOf(new Uint8Array(32)), 0x8a9136aa);
    assert.equal(crcOf(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.equal(crcOf(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
    assert.equal(crcOf(Uint8Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c);
    assert.equal(crcOf(new Uint8Array(0)), 0);
  });

  test('equals the bitwise model, from any seed', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300, size: 'max' }),
        fc.integer({ min: 0, max: 0xffffffff }),
        (bytes, seed) => {
          assert.equal(crcOf(bytes, seed), crcModel(seed, bytes));
        },
      ),
    );
  });

  test('every length up to 130 at every alignment, and a page', () => {
    const bytes = Uint8Array.from({ length: 4096 }, (_, i) => (i * i + 7 * i) & 255);
    for (let length = 0; length <= 130; length++) {
      const expected = crcModel(0, bytes.subarray(0, length));
      for (let shift = 0; shift < 16; shift++) assert.equal(crcOf(bytes.subarray(0, length), 0, SRC + shift), expected);
    }
    assert.equal(crcOf(bytes), crcModel(0, bytes));
    arena.expectUntouchedExcept([[SCRATCH, SCRATCH_BYTES]], 'crc32c writes to its scratch memory alone');
  });

  test('long runs, at every length around the cuts, at all alignments and from any seed', () => {
    const bytes = Uint8Array.from({ length: 17_000 }, (_, i) => (i * i * 31 + 7 * i + (i >> 5)) & 255);
    for (const cut of [256, 512, 528, 640, 1024, 1040, 4096, 4160, 8192, 8192 + 512, 2 * 8192]) {
      for (let length = cut - 17; length <= cut + 17; length++) {
        const run = bytes.subarray(length % 13, (length % 13) + length);
        const seed = Math.imul(length, 0x9e3779b1) >>> 0;
        assert.equal(crcOf(run, seed, SRC + (length % 16)), crcModel(seed, run), `${length} bytes`);
        arena.expectUntouchedExcept([[SCRATCH, SCRATCH_BYTES]], 'crc32c writes to its scratch memory alone');
      }
    }
  });

  test('every length up to 1,200, whatever is in the scratch memory', () => {
    const bytes = Uint8Array.from({ length: 1200 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 17);
    for (let length = 0; length <= bytes.length; length++) {
      arena.write(SCRATCH, new Uint8Array(SCRATCH_BYTES).fill(length));
      assert.equal(crcOf(bytes.subarray(0, length)), crcModel(0, bytes.subarray(0, length)), `${length} bytes`);
    }
  });

  test('each bit of a long run counts, as it does a bit at a time', () => {
    // The remainder is linear: with those of all single bits right, those of all messages are.
    for (const length of [512, 1024, 1040]) {
      const bytes = new Uint8Array(length);
      const none = crcModel(0, bytes);
      // What one more zero bit behind it makes of a remainder; the last bit of all leaves the polynomial.
      let expected = 0x82f63b78;
      for (let bit = length * 8 - 1; bit >= 0; bit--) {
        bytes[bit >> 3] = 1 << (bit & 7);
        assert.equal((crcOf(bytes) ^ none) >>> 0, expected, `bit ${bit} of ${length} bytes`);
        bytes[bit >> 3] = 0;
        expected = (expected & 1) === 1 ? (expected >>> 1) ^ 0x82f63b78 : expected >>> 1;
        expected >>>= 0;
      }
    }
  });

  test('random runs of a few kibibytes equal the bitwise model', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 500, maxLength: 4500, size: 'max' }),
        fc.integer({ min: 0, max: 0xffffffff }),
        (bytes, seed) => assert.equal(crcOf(bytes, seed), crcModel(seed, bytes)),
      ),
    );
  });

  test('continues: the crc of a whole from the crc of its first part', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (first, second) => {
        assert.equal(crcOf(second, crcOf(first)), crcModel(0, Uint8Array.from([...first, ...second])));
      }),
    );
  });

  test('the end of the memory', () => {
    const bytes = Uint8Array.from({ length: 77 }, (_, i) => i);
    assert.equal(crcOf(bytes, 0, arena.size - 77), crcModel(0, bytes));
  });
});
