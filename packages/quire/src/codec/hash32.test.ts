import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { GuardedMemory } from './testing/guarded-memory.ts';

const SRC = 1024;
const arena = new GuardedMemory(1);
const { kernel } = arena;

function hashOf(bytes: Uint8Array, seed = 0, at = SRC): number {
  arena.write(at, bytes);
  return kernel.hash32(at, bytes.length, seed) >>> 0;
}

const LOW = 0xffffffffn;

/** wyhash32 with big integers, written from the description in assembly/hash.ts. */
function hashModel(bytes: Uint8Array, seed: number): number {
  const word = (at: number): bigint => BigInt(Buffer.from(bytes).readUInt32LE(at));
  const mix = (a: bigint, b: bigint): bigint => (a ^ 0x53c5ca59n) * (b ^ 0x74743c1bn);
  let state = mix(BigInt(seed >>> 0), BigInt(bytes.length));
  let at = 0;
  for (; bytes.length - at > 8; at += 8) state = mix((state & LOW) ^ word(at), (state >> 32n) ^ word(at + 4));
  const rest = bytes.length - at;
  let low = 0n;
  let high = 0n;
  if (rest >= 4) {
    low = word(at);
    high = word(at + rest - 4);
  } else if (rest > 0) {
    low = BigInt((bytes[at] << 16) | (bytes[at + (rest >> 1)] << 8) | bytes[at + rest - 1]);
  }
  state = mix((state & LOW) ^ low, (state >> 32n) ^ high);
  state = mix(state & LOW, state >> 32n);
  return Number((state & LOW) ^ (state >> 32n));
}

describe('hash32', () => {
  test('equals the model', () => {
    const seeds = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), seeds, (bytes, seed) => {
        assert.equal(hashOf(bytes, seed), hashModel(bytes, seed));
      }),
    );
  });

  test('depends on the bytes only, not on where they are; nothing is written', () => {
    for (let length = 0; length <= 70; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255);
      const expected = hashOf(bytes);
      for (let shift = 1; shift < 16; shift++) assert.equal(hashOf(bytes, 0, SRC + shift), expected);
      assert.equal(hashOf(bytes, 0, arena.size - length), expected);
      assert.equal(hashOf(bytes, 0, 0), expected);
    }
    arena.expectUntouchedExcept([], 'hash32');
  });

  test('each input bit and each seed bit flips about half of the output bits', () => {
    for (const length of [1, 3, 4, 7, 8, 9, 16, 24, 40]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 101 + 17) & 255);
      for (let bit = 0; bit < length * 8; bit++) {
        let flips = 0;
        for (let seed = 0; seed < 64; seed++) {
          const changed = bytes.with(bit >> 3, bytes[bit >> 3] ^ (1 << (bit & 7)));
          flips += bitCount(hashOf(bytes, seed) ^ hashOf(changed, seed));
        }
        const share = flips / (64 * 32);
        assert.ok(share > 0.35 && share < 0.65, `length ${length} bit ${bit}: ${share}`);
      }
    }
  });

  test('number-like keys spread over buckets by low bits and by high bits', () => {
    const keys = 1 << 16;
    for (const makeKey of [
      (i: number) => `key:${i}`,
      (i: number) => `user:${i}:profile`,
      (i: number) => String(i * 4096),
    ]) {
      const low = new Uint32Array(1024);
      const high = new Uint32Array(1024);
      const seen = new Set<number>();
      for (let i = 0; i < keys; i++) {
        const hash = hashOf(Buffer.from(makeKey(i)));
        low[hash & 1023]++;
        high[hash >>> 22]++;
        seen.add(hash);
      }
      assert.ok(chiSquare(low, keys) < 1300, `low bits: ${chiSquare(low, keys)}`);
      assert.ok(chiSquare(high, keys) < 1300, `high bits: ${chiSquare(high, keys)}`);
      assert.ok(keys - seen.size <= 6, `${keys - seen.size} collisions of ${keys}; 0.5 expected`);
    }
  });
});

function bitCount(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** For 1,023 degrees of freedom: mean 1,023, standard deviation 45. */
function chiSquare(buckets: Uint32Array, keys: number): number {
  const expected = keys / buckets.length;
  return buckets.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}
