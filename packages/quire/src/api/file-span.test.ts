/** Every argument form that FileHandle takes means the same here. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bufferOf, encodeText, type FileSpan, fillSpan, OWN_POSITION, positionOf, vectorOf } from './file-span.ts';
import { expectAll, NOT_INTEGERS, withCode } from './testing/expect-code.ts';

function spanOf(buffer: NodeJS.ArrayBufferView, ...rest: unknown[]): [number, number, number] {
  const span: FileSpan = { bytes: new Uint8Array(0), offset: 0, length: 0, position: 0 };
  fillSpan(span, buffer, rest[0], rest[1], rest[2]);
  assert.equal(span.bytes.buffer, buffer.buffer, 'a view, not a copy');
  assert.equal(span.bytes.byteOffset, buffer.byteOffset);
  assert.equal(span.bytes.byteLength, buffer.byteLength);
  return [span.offset, span.length, span.position];
}

const ten = new Uint8Array(10);

describe('the forms of read and write', () => {
  it('say the same', () => {
    assert.deepEqual(spanOf(ten), [0, 10, OWN_POSITION]);
    assert.deepEqual(spanOf(ten, 3), [3, 7, OWN_POSITION]);
    assert.deepEqual(spanOf(ten, 3, 4), [3, 4, OWN_POSITION]);
    assert.deepEqual(spanOf(ten, 3, 4, 5), [3, 4, 5]);
    assert.deepEqual(spanOf(ten, null, null, null), [0, 10, OWN_POSITION]);
    assert.deepEqual(spanOf(ten, undefined, undefined, 7n), [0, 10, 7]);
    assert.deepEqual(spanOf(ten, {}), [0, 10, OWN_POSITION]);
    assert.deepEqual(spanOf(ten, { offset: 3 }), [3, 7, OWN_POSITION]);
    assert.deepEqual(spanOf(ten, { offset: 3, length: 4, position: 5 }), [3, 4, 5]);
    assert.deepEqual(spanOf(ten, { offset: null, length: null, position: null }), [0, 10, OWN_POSITION]);
    assert.deepEqual(spanOf(ten, 10), [10, 0, OWN_POSITION]);
    assert.deepEqual(spanOf(ten, 0, 0, 2 ** 53 - 1), [0, 0, 2 ** 53 - 1]);
  });

  it('count bytes, whatever the view', () => {
    const words = new Float64Array(new ArrayBuffer(64), 16, 4);
    assert.deepEqual(spanOf(words), [0, 32, OWN_POSITION]);
    assert.deepEqual(spanOf(words, 8), [8, 24, OWN_POSITION]);
    assert.deepEqual(spanOf(new DataView(new ArrayBuffer(64), 10, 20), 19, 1, 3), [19, 1, 3]);
    assert.deepEqual(spanOf(new Int32Array(new SharedArrayBuffer(16))), [0, 16, OWN_POSITION]);
  });

  it('refuse what is none', async () => {
    const INVALID = 'ERR_QUIRE_INVALID_ARG';
    const RANGE = 'ERR_QUIRE_RANGE';
    const present = NOT_INTEGERS.filter((value) => value !== undefined && value !== null);
    const objects = (value: unknown): boolean => typeof value === 'object' && value !== null;
    await expectAll([
      ...present.flatMap((value) => [
        ...(objects(value)
          ? []
          : [{ what: `offset ${String(value)}`, call: () => spanOf(ten, value), code: INVALID } as const]),
        { what: `length ${String(value)}`, call: () => spanOf(ten, 0, value), code: INVALID } as const,
        { what: `offset: ${String(value)}`, call: () => spanOf(ten, { offset: value }), code: INVALID } as const,
        { what: `length: ${String(value)}`, call: () => spanOf(ten, { length: value }), code: INVALID } as const,
      ]),
      ...present
        .filter((value) => typeof value !== 'bigint')
        .flatMap((value) => [
          { what: `position ${String(value)}`, call: () => spanOf(ten, 0, 1, value), code: INVALID } as const,
          { what: `position: ${String(value)}`, call: () => spanOf(ten, { position: value }), code: INVALID } as const,
        ]),
      { what: 'position −1n', call: () => positionOf(-1n), code: INVALID },
      { what: 'position 2^53', call: () => positionOf(2n ** 53n), code: INVALID },
      { what: 'offset beyond', call: () => spanOf(ten, 11), code: RANGE },
      { what: 'length beyond', call: () => spanOf(ten, 0, 11), code: RANGE },
      { what: 'offset + length beyond', call: () => spanOf(ten, 5, 6), code: RANGE },
      { what: 'offset: beyond', call: () => spanOf(ten, { offset: 11 }), code: RANGE },
      ...[5, 'x', true, new ArrayBuffer(4), [], { buffer: 5 }, { buffer: new ArrayBuffer(3) }].map(
        (value) => ({ what: `buffer ${String(value)}`, call: () => bufferOf(value), code: INVALID }) as const,
      ),
      ...[undefined, null, 5, ten, {}, [5], [ten, null]].map(
        (value) => ({ what: `buffers ${String(value)}`, call: () => vectorOf(value), code: INVALID }) as const,
      ),
      ...[5, 'utf-77', {}, ''].map(
        (value) => ({ what: `encoding ${String(value)}`, call: () => encodeText('x', value), code: INVALID }) as const,
      ),
    ]);
  });

  it('a failed call leaves the span as it was', () => {
    const span: FileSpan = { bytes: ten, offset: 1, length: 2, position: 3 };
    assert.throws(() => fillSpan(span, 5 as unknown as Uint8Array, 0, 1, 1), withCode('ERR_QUIRE_INVALID_ARG'));
    assert.deepEqual(span, { bytes: ten, offset: 1, length: 2, position: 3 });
  });

  it('a buffer is made when none is given', () => {
    assert.equal(bufferOf(undefined).byteLength, 16_384);
    assert.equal(bufferOf(null).byteLength, 16_384);
    assert.equal(bufferOf({ position: 3 }).byteLength, 16_384);
    assert.equal(bufferOf({ buffer: ten }), ten);
    assert.equal(bufferOf(ten), ten);
  });

  it('texts in every encoding', () => {
    assert.deepEqual([...encodeText('é', undefined)], [0xc3, 0xa9]);
    assert.deepEqual([...encodeText('é', 'latin1')], [0xe9]);
    assert.deepEqual([...encodeText('00ff', 'hex')], [0, 255]);
    assert.deepEqual([...encodeText('é', null)], [0xc3, 0xa9]);
  });
});
