import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { KeyCodec } from './key-codec.ts';
import { HEADER_WORDS, KeyFrame } from './key-frame.ts';
import { patternBytes } from './testing/model-map.ts';
import { valueCodec } from './value-codec.ts';

const anyString = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
  fc.array(fc.integer({ min: 0xd700, max: 0xe100 })).map((codes) => String.fromCharCode(...codes)),
);
const anyKey = fc.oneof(anyString, fc.double(), fc.integer(), fc.uint8Array());

/** Equal as keys of a Map are, bytes by content. */
function isSameKey(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}

describe('KeyCodec', () => {
  test('what is encoded comes back', () => {
    const codec = new KeyCodec();
    fc.assert(
      fc.property(anyKey, (key) => {
        const decoded = codec.decode(codec.encode(key).slice());
        assert.ok(isSameKey(decoded, key === 0 ? 0 : key), String(key));
      }),
      { numRuns: 2000 },
    );
  });

  test('keys that differ have bytes that differ', () => {
    const codec = new KeyCodec();
    fc.assert(
      fc.property(anyKey, anyKey, (a, b) => {
        const bytes = codec.encode(a).slice();
        assert.equal(Buffer.compare(bytes, codec.encode(b)) === 0, isSameKey(a, b));
      }),
      { numRuns: 2000 },
    );
    const alike = [
      '1',
      1,
      new Uint8Array([0x31]),
      '\ud800',
      '\ufffd',
      '\ud801',
      '',
      new Uint8Array(0),
      Number.NaN,
      'NaN',
      Infinity,
      -Infinity,
      -1,
    ];
    const seen = new Set(alike.map((key) => Buffer.from(codec.encode(key)).toString('hex')));
    assert.equal(seen.size, alike.length);
  });

  test('-0 is 0 and every NaN is one', () => {
    const codec = new KeyCodec();
    assert.deepEqual(codec.encode(-0).slice(), codec.encode(0).slice());
    const odd = new Float64Array(new BigUint64Array([0xfff8_0000_0000_0123n]).buffer)[0];
    assert.deepEqual(codec.encode(odd).slice(), codec.encode(Number.NaN).slice());
  });

  test('the longest keys, and one byte more', () => {
    const codec = new KeyCodec();
    for (const key of ['x'.repeat(65_534), 'é'.repeat(32_767), new Uint8Array(65_534), `\ud800${'x'.repeat(32_766)}`]) {
      assert.ok(isSameKey(codec.decode(codec.encode(key)), key));
    }
    for (const key of [
      'x'.repeat(65_535),
      `${'é'.repeat(32_767)}x`,
      'é'.repeat(40_000),
      new Uint8Array(65_535),
      `\ud800${'x'.repeat(32_767)}`,
    ]) {
      assert.throws(() => codec.encode(key), { code: 'ERR_QUIRE_RANGE' });
    }
  });

  test('anything else is no key', () => {
    const codec = new KeyCodec();
    for (const key of [
      undefined,
      null,
      true,
      {},
      [],
      Symbol('s'),
      1n,
      () => 1,
      new Uint16Array(2),
      new ArrayBuffer(4),
    ]) {
      assert.throws(() => codec.encode(key), { code: 'ERR_QUIRE_INVALID_ARG' });
    }
  });
});

describe('KeyFrame', () => {
  test('holds the key padded with zeros, whatever key it held before', () => {
    const frame = new KeyFrame();
    for (const length of [100, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65_535, 10]) {
      const key = patternBytes(length, 3);
      frame.load(key, 1);
      assert.deepEqual(frame.bytes.slice(HEADER_WORDS * 4, HEADER_WORDS * 4 + length), key);
      const padded = (length + 7) & ~7;
      assert.equal(
        frame.bytes.slice(HEADER_WORDS * 4 + length, HEADER_WORDS * 4 + padded).every((byte) => byte === 0),
        true,
        `${length}`,
      );
    }
  });

  test('is MurmurHash3 x86_32', () => {
    const frame = new KeyFrame();
    const hash = (text: string, seed: number) => frame.load(new TextEncoder().encode(text), seed) >>> 0;
    assert.equal(hash('', 0), 0);
    assert.equal(hash('', 1), 0x514e28b7);
    assert.equal(hash('test', 0), 0xba6bd213);
    assert.equal(hash('Hello, world!', 0), 0xc0363e43);
    assert.equal(hash('The quick brown fox jumps over the lazy dog', 0x9747b28c), 0x2fa826cd);
  });

  test('spreads near keys evenly over buckets and tags', () => {
    const frame = new KeyFrame();
    const buckets = new Int32Array(256);
    const tags = new Set<number>();
    for (let index = 0; index < 25_600; index++) {
      const hash = frame.load(new TextEncoder().encode(`key:${index}`), 7);
      buckets[hash & 255]++;
      tags.add(hash >>> 8);
    }
    assert.ok(Math.max(...buckets) < 160 && Math.min(...buckets) > 55);
    assert.ok(tags.size > 25_500);
  });
});

describe('value codecs', () => {
  test('values come back', () => {
    const utf8 = valueCodec<string>('utf8');
    const json = valueCodec<unknown>('json');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => assert.equal(utf8.decode(utf8.encode(text)), text)),
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) =>
        assert.deepEqual(json.decode(json.encode(value)), JSON.parse(JSON.stringify(value))),
      ),
    );
    assert.equal(utf8.decode(utf8.encode('\ufeffbom')), '\ufeffbom');
  });

  test('values of the wrong type are refused', () => {
    for (const value of [undefined, 1, 'x', [1], null]) {
      assert.throws(() => valueCodec<unknown>('bytes').encode(value), { code: 'ERR_QUIRE_INVALID_ARG' });
    }
    for (const value of [undefined, 1, new Uint8Array(1)]) {
      assert.throws(() => valueCodec<unknown>('utf8').encode(value), { code: 'ERR_QUIRE_INVALID_ARG' });
    }
    for (const value of [undefined, () => 1, Symbol('s')]) {
      assert.throws(() => valueCodec<unknown>('json').encode(value), { code: 'ERR_QUIRE_INVALID_ARG' });
    }
    const bad = valueCodec<unknown>({ encode: () => 'text' as unknown as Uint8Array, decode: () => 1 });
    assert.throws(() => bad.encode(1), { code: 'ERR_QUIRE_INVALID_ARG' });
    for (const format of ['xml', null, {}, { encode: 1, decode: 2 }]) {
      assert.throws(() => valueCodec(format as 'json'), { code: 'ERR_QUIRE_INVALID_ARG' });
    }
  });
});
