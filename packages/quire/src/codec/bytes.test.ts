import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { GuardedMemory } from './testing/guarded-memory.ts';

const LENGTHS = [
  0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 79, 80, 127, 128, 129, 200, 255, 256, 257,
  513,
];
const A = 1024;
const B = 2048;
const arena = new GuardedMemory(1);
const { kernel } = arena;

function pattern(length: number, salt: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (Math.imul(i + salt, 2654435761) >>> 24) & 255);
}

describe('copy', () => {
  test('every alignment of both sides, every length class', () => {
    for (let to = 0; to < 17; to++) {
      for (let from = 0; from < 17; from++) {
        for (const length of LENGTHS) {
          const bytes = pattern(length, to * 31 + from);
          arena.write(A + from, bytes);
          kernel.copy(B + to, A + from, length);
          assert.ok(arena.read(B + to, length).equals(bytes), `to ${to} from ${from} length ${length}`);
          arena.expectUntouchedExcept([[B + to, length]], `to ${to} from ${from} length ${length}`);
        }
      }
    }
  });

  test('overlapping runs, both directions, as memmove', () => {
    for (let distance = -130; distance <= 130; distance++) {
      for (const length of LENGTHS) {
        const bytes = pattern(length, length);
        arena.write(A, bytes);
        kernel.copy(A + distance, A, length);
        assert.ok(arena.read(A + distance, length).equals(bytes), `distance ${distance} length ${length}`);
        arena.expectUntouchedExcept([[A + distance, length]], `distance ${distance} length ${length}`);
      }
    }
  });

  test('both ends of the memory', () => {
    const bytes = pattern(4096, 1);
    arena.write(0, bytes);
    kernel.copy(arena.size - 4096, 0, 4096);
    assert.ok(arena.read(arena.size - 4096, 4096).equals(bytes));
    arena.expectUntouchedExcept([[arena.size - 4096, 4096]], 'to the end');
    kernel.copy(0, arena.size - 4095, 4095);
    assert.ok(arena.read(0, 4095).equals(bytes.subarray(1)));
    arena.expectUntouchedExcept([[0, 4095]], 'to the start');
  });
});

describe('fill', () => {
  test('every alignment and length class, and only the low eight bits', () => {
    for (let to = 0; to < 17; to++) {
      for (const length of LENGTHS) {
        for (const byte of [0, 0x5a, 0xff, 0x1a5, -1]) {
          kernel.fill(B + to, byte, length);
          assert.ok(arena.read(B + to, length).equals(new Uint8Array(length).fill(byte & 255)));
          arena.expectUntouchedExcept([[B + to, length]], `to ${to} length ${length} byte ${byte}`);
        }
      }
    }
  });

  test('both ends of the memory', () => {
    kernel.fill(arena.size - 100, 7, 100);
    kernel.fill(0, 9, 100);
    assert.ok(arena.read(arena.size - 100, 100).equals(new Uint8Array(100).fill(7)));
    assert.ok(arena.read(0, 100).equals(new Uint8Array(100).fill(9)));
    arena.expectUntouchedExcept(
      [
        [0, 100],
        [arena.size - 100, 100],
      ],
      'ends',
    );
  });
});

describe('equal', () => {
  test('every alignment; each single changed byte is seen, none beside the run', () => {
    for (let left = 0; left < 9; left++) {
      for (let right = 0; right < 9; right++) {
        for (const length of LENGTHS) {
          const bytes = pattern(length + 2, length);
          arena.write(A + left, bytes);
          arena.write(B + right, bytes.with(0, bytes[0] ^ 1).with(length + 1, bytes[length + 1] ^ 1));
          assert.equal(kernel.equal(A + left + 1, B + right + 1, length), 1, `${left} ${right} ${length}`);
        }
      }
    }
    const bytes = pattern(200, 5);
    for (let at = 0; at < 200; at++) {
      arena.write(A + 3, bytes);
      arena.write(B, bytes.with(at, bytes[at] ^ 0x80));
      assert.equal(kernel.equal(A + 3, B, 200), 0, `difference at ${at}`);
    }
    arena.expectUntouchedExcept([], 'equal writes nothing');
  });

  test('reads nothing past the end of the memory', () => {
    for (const length of LENGTHS) {
      arena.write(A, arena.read(arena.size - length, length));
      assert.equal(kernel.equal(A, arena.size - length, length), 1);
    }
  });
});

describe('isSameFilled', () => {
  test('returns the filling word, unsigned', () => {
    const words = fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xdeadbeef, 0xffffffff);
    const steps = fc.integer({ min: 1, max: 256 });
    fc.assert(
      fc.property(words, steps, fc.integer({ min: 0, max: 15 }), (word, sixteens, shift) => {
        const bytes = new Uint8Array(sixteens * 16);
        const view = new DataView(bytes.buffer);
        for (let i = 0; i < bytes.length; i += 4) view.setUint32(i, word, true);
        arena.write(A + shift, bytes);
        assert.equal(kernel.isSameFilled(A + shift, bytes.length), word);
      }),
    );
  });

  test('sees a single different byte anywhere', () => {
    for (const length of [16, 32, 64, 80, 96, 128, 144, 336]) {
      const bytes = new Uint8Array(length).fill(0xff);
      for (let at = 0; at < length; at++) {
        arena.write(A, bytes.with(at, 0xfe));
        assert.equal(kernel.isSameFilled(A, length), -1, `length ${length} byte ${at}`);
      }
    }
  });

  test('an empty run has no word; a run may end with the memory', () => {
    assert.equal(kernel.isSameFilled(A, 0), -1);
    for (const length of [16, 48, 64, 4096]) {
      arena.write(arena.size - length, new Uint8Array(length).fill(3));
      assert.equal(kernel.isSameFilled(arena.size - length, length), 0x03030303);
    }
  });
});
