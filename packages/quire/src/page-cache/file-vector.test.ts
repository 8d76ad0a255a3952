import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, MIB, PAGE_BYTES } from '../base/units.ts';
import { createFileScene, FD, patternAt, readAll } from './testing/file-scene.ts';

/** Cuts bytes into views at the given places. */
function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    parts.push(bytes.subarray(at, at + length));
    at += length;
  }
  return parts;
}

const sum = (lengths: readonly number[]): number => lengths.reduce((total, length) => total + length, 0);

const lengths = fc.array(fc.oneof(fc.constant(0), fc.nat(100), fc.nat(3 * PAGE_BYTES), fc.constant(PAGE_BYTES)), {
  maxLength: 12,
});

describe('vector calls', () => {
  it('write and read what one call with all the bytes would', () => {
    const order = fc.nat(5);
    const position = fc.oneof(fc.nat(40 * PAGE_BYTES), fc.constant(CHUNK_BYTES - 5), fc.constant(16 * PAGE_BYTES));
    fc.assert(
      fc.property(lengths, position, order, fc.boolean(), (ofParts, at, folioOrder, isCached) => {
        const model = patternAt(0, 40 * PAGE_BYTES, 1);
        const scene = createFileScene({ bytes: 16 * MIB, nodes: 2 }, model);
        if (isCached) scene.space.fill(0, 40, folioOrder);
        const data = patternAt(at, sum(ofParts), 9);
        assert.equal(scene.space.writeVector(at, cut(data, ofParts)), data.length);
        const expected = Buffer.alloc(data.length > 0 ? Math.max(model.length, at + data.length) : model.length);
        expected.set(model);
        if (data.length > 0) expected.set(data, at);
        assert.equal(Buffer.compare(readAll(scene), expected), 0);

        const target = new Uint8Array(data.length);
        const readable = Math.max(0, Math.min(data.length, expected.length - at));
        assert.equal(scene.space.readVector(at, cut(target, ofParts)), readable);
        assert.equal(Buffer.compare(target.subarray(0, readable), expected.subarray(at, at + readable)), 0);
        assert.equal(scene.flush(), true);
        assert.equal(Buffer.compare(scene.io.bytes(FD), expected), 0);
        scene.finish();
      }),
      { numRuns: 60 },
    );
  });

  it('end at the end of the file, in whatever part that is', () => {
    const scene = createFileScene({}, patternAt(0, PAGE_BYTES + 10));
    const parts = [new Uint8Array(PAGE_BYTES), new Uint8Array(0), new Uint8Array(20), new Uint8Array(5)];
    assert.equal(scene.space.readVector(0, parts), PAGE_BYTES + 10);
    assert.deepEqual(parts[2], Uint8Array.from([...patternAt(PAGE_BYTES, 10), ...new Uint8Array(10)]));
    assert.deepEqual(parts[3], new Uint8Array(5));
    assert.equal(scene.space.readVector(PAGE_BYTES + 10, parts), 0);
    assert.equal(scene.space.readVector(0, []), 0);
    scene.finish();
  });

  it('are balanced once, and mark what lies in one folio once', () => {
    let balances = 0;
    const scene = createFileScene({ bytes: 16 * MIB }, patternAt(0, 64 * PAGE_BYTES), { balance: () => balances++ });
    scene.space.fill(0, 64, 4);
    const { node } = scene.instance;
    const parts = Array.from({ length: 10 }, () => new Uint8Array(1000));
    assert.equal(scene.space.writeVector(100, parts), 10_000);
    assert.equal(balances, 1);
    assert.equal(node.words[L.H_PC_DIRTY], 3);
    assert.equal(node.counters[C.nr_dirtied], 3);
    assert.equal(scene.flush(), true);
    scene.finish();
  });

  it('take views of the memory itself: a pinned range copied beside itself', () => {
    const scene = createFileScene({ bytes: 16 * MIB }, patternAt(0, 16 * PAGE_BYTES));
    scene.space.fill(0, 16, 4);
    const held = scene.space.pin(0, 3 * PAGE_BYTES, false);
    const parts = [held.bytes.subarray(0, 5000), patternAt(7, 300, 3), held.bytes.subarray(5000)];
    const expected = Buffer.from(patternAt(0, 16 * PAGE_BYTES));
    expected.set(Buffer.concat(parts), 4 * PAGE_BYTES + 1);
    assert.equal(scene.space.writeVector(4 * PAGE_BYTES + 1, parts), 3 * PAGE_BYTES + 300);
    scene.space.unpin(held);
    assert.equal(Buffer.compare(readAll(scene), expected), 0);
    assert.equal(scene.flush(), true);
    scene.finish();
  });

  it('say how much was written before an error, and meet it at the next call', () => {
    const scene = createFileScene({}, patternAt(0, 4 * PAGE_BYTES));
    scene.space.fill(0, 1, 0);
    scene.io.plan = () => ({ kind: 'error', code: 'EIO' });
    const parts = [new Uint8Array(PAGE_BYTES - 6), new Uint8Array(16)];
    // The first page is cached; of the second one only a part is written, so it would have to be read.
    assert.equal(scene.space.writeVector(0, parts), PAGE_BYTES);
    const isIo = (error: unknown) => error instanceof QuireError && error.code === 'ERR_QUIRE_IO';
    assert.throws(() => scene.space.writeVector(PAGE_BYTES, [new Uint8Array(10)]), isIo);
    scene.io.plan = undefined;
    assert.equal(scene.flush(), true);
    scene.finish();
  });

  it('longer than 2 MiB go part by part', () => {
    let balances = 0;
    const scene = createFileScene({ bytes: 32 * MIB }, new Uint8Array(0), { balance: () => balances++ });
    const data = patternAt(0, 3 * MIB + 5, 4);
    const parts = cut(data, [MIB, 0, 2 * MIB, 5]);
    assert.equal(scene.space.writeVector(0, parts), data.length);
    assert.equal(balances, 4);
    assert.equal(Buffer.compare(readAll(scene), data), 0);
    assert.equal(scene.flush(), true);
    scene.finish();
  });
});
