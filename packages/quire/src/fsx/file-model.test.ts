import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FileModel } from './file-model.ts';
import { formatRanges, parseRanges, shrink } from './shrink.ts';
import { SparseBytes } from './sparse-bytes.ts';

test('sparse bytes are an array that grows', () => {
  const change = fc.record({
    at: fc.integer({ min: 0, max: 60_000 }),
    length: fc.integer({ min: 0, max: 40_000 }),
    byte: fc.integer({ min: 1, max: 255 }),
    isCut: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      const sparse = new SparseBytes();
      const plain = new Uint8Array(100_000);
      for (const { at, length, byte, isCut } of changes) {
        if (isCut) {
          sparse.cut(at);
          plain.fill(0, at);
        } else {
          sparse.write(at, new Uint8Array(length).fill(byte));
          plain.fill(byte, at, at + length);
        }
      }
      assert.equal(Buffer.compare(sparse.slice(0, 100_000), plain), 0);
    }),
  );
});

test('a difference is found at its first byte, and only below the size', () => {
  const one = new SparseBytes();
  const two = new SparseBytes();
  one.write(70_000, Uint8Array.of(1, 2));
  two.write(70_000, Uint8Array.of(1, 3));
  two.write(400_000, Uint8Array.of(9));
  assert.equal(one.differsFrom(two, 500_000), 70_001);
  assert.equal(one.differsFrom(two, 70_001), -1);
  assert.equal(two.differsFrom(one, 500_000), 70_001);
});

test('a read sees what was there at any time while it ran, and nothing else', () => {
  const model = new FileModel();
  const write = (position: number, ...bytes: number[]): void => {
    model.announce({ kind: 'write', position, bytes: Uint8Array.from(bytes) });
    model.settle(bytes.length);
  };
  write(0, 1, 1, 1, 1);
  const exact = model.openRead(1, 10);
  model.closeRead(exact, Uint8Array.of(1, 1, 1));
  const during = model.openRead(0, 4);
  write(1, 2, 2);
  model.closeRead(during, Uint8Array.of(1, 1, 2, 1));
  assert.throws(() => model.closeRead(model.openRead(0, 4), Uint8Array.of(1, 1, 2, 1)), /byte 1 .*expected 0202/);
  assert.throws(() => model.closeRead(model.openRead(0, 4), Uint8Array.of(1, 2, 2)), /gave 3 bytes, expected 4…4/);
  const cut = model.openRead(0, 4);
  model.announce({ kind: 'truncate', size: 2 });
  model.closeRead(cut, Uint8Array.of(1, 2, 0, 1));
  const underWay = model.openRead(0, 4);
  model.settle(1);
  model.closeRead(underWay, Uint8Array.of(1, 2));
  assert.equal(model.size, 2);
  assert.throws(() => model.closeRead(model.openRead(0, 4), Uint8Array.of(1, 2, 2, 1)), /gave 4 bytes, expected 2…2/);
});

test('a write that stopped short leaves the rest as it was', () => {
  const model = new FileModel();
  model.announce({ kind: 'write', position: 3, bytes: Uint8Array.of(7, 8, 9) });
  model.settle(2);
  assert.deepEqual(model.bytes.slice(0, 6), Uint8Array.of(0, 0, 0, 7, 8, 0));
  assert.equal(model.size, 5);
});

test('errors are counted once until somebody has seen them', () => {
  const model = new FileModel();
  model.noteError();
  model.noteError();
  assert.equal(model.errors, 1);
  assert.notEqual(model.sampleErrors(), model.errors, 'whoever opens now will be told');
  model.isErrorSeen = true;
  assert.equal(model.sampleErrors(), 1);
  model.noteError();
  assert.equal(model.errors, 2);
});

test('shrinking keeps just what fails', async () => {
  const needed = [17, 400, 401];
  const all = Array.from({ length: 1000 }, (_, i) => i);
  let runs = 0;
  const kept = await shrink(
    all,
    async (some) => {
      runs++;
      return needed.every((index) => some.includes(index));
    },
    10_000,
  );
  assert.deepEqual(kept, needed);
  assert.ok(runs < 200, `${runs} runs`);
});

test('ranges say which operations, and are read back', () => {
  assert.equal(formatRanges([3, 7, 8, 9, 12, 13]), '3,7-9,12-13');
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(300)), (indices) => {
      const sorted = indices.sort((a, b) => a - b);
      assert.deepEqual(sorted.length === 0 ? [] : parseRanges(formatRanges(sorted)), sorted);
    }),
  );
  assert.throws(() => parseRanges('3-x'), TypeError);
});
