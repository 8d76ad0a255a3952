import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { KEEP_EXPIRY } from './byte-map.ts';
import { keyOf, ModelMap, nameOf, patternBytes, scanNames, seededRandom } from './testing/model-map.ts';
import { createPlainMap, type PlainMap } from './testing/plain-map.ts';

/** Few keys, so that operations meet; some long, some empty, some that differ only in padding. */
const KEYS = [
  '',
  '\0',
  '\0\0',
  'a',
  'a\0',
  'b',
  'key:1',
  'key:2',
  'key:3',
  'k'.repeat(300),
  'k'.repeat(5000),
  `${'k'.repeat(4999)}l`,
  'K'.repeat(65535),
];
const key = fc.constantFrom(...KEYS).map(keyOf);
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(200) },
  { weight: 3, arbitrary: fc.nat(5000) },
  { weight: 2, arbitrary: fc.nat(40_000) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 4080, 16_368, 16_369, 65_520, 65_521, 140_000) },
);
const value = fc.tuple(size, fc.nat(1000)).map(([length, seed]) => patternBytes(length, seed));
const expiry = fc.oneof(fc.constant(0), fc.constant(KEEP_EXPIRY), fc.integer({ min: 1_000_001, max: 1_000_400 }));

type Step =
  | { op: 'set'; key: Uint8Array; value: Uint8Array; expiry: number; kind: number }
  | { op: 'writeRange'; key: Uint8Array; from: number; value: Uint8Array }
  | { op: 'readRange'; key: Uint8Array; from: number; length: number }
  | { op: 'get' | 'getInto' | 'has' | 'delete' | 'valueLength'; key: Uint8Array }
  | { op: 'setExpiry'; key: Uint8Array; expiry: number }
  | { op: 'tick'; ms: number }
  | { op: 'scan' | 'randomKey' | 'clear' | 'isValid' }
  | { op: 'reap'; limit: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ op: fc.constant('set' as const), key, value, expiry, kind: fc.nat(255) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('writeRange' as const),
      key,
      from: fc.oneof(fc.nat(300), fc.nat(60_000)),
      value,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('readRange' as const),
      key,
      from: fc.oneof(fc.nat(300), fc.nat(60_000)),
      length: size,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ op: fc.constantFrom('get' as const, 'getInto', 'has', 'delete', 'valueLength'), key }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('setExpiry' as const),
      key,
      expiry: fc.oneof(fc.constant(0), fc.integer({ min: 1_000_001, max: 1_000_400 })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('tick' as const), ms: fc.nat(100) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('scan' as const, 'randomKey', 'clear', 'isValid') }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('reap' as const), limit: fc.integer({ min: 1, max: 5 }) }) },
);

function run(plain: PlainMap, model: ModelMap, command: Step): void {
  const { map } = plain;
  switch (command.op) {
    case 'set':
      assert.equal(
        map.set(command.key, command.value, command.expiry, command.kind),
        model.set(command.key, command.value, command.expiry, command.kind),
      );
      return;
    case 'writeRange':
      assert.equal(
        map.writeRange(command.key, command.from, command.value),
        model.writeRange(command.key, command.from, command.value),
      );
      return;
    case 'readRange':
      checkRange(plain, model, command.key, command.from, command.length);
      return;
    case 'getInto':
      checkInto(plain, model, command.key);
      return;
    case 'get':
      assert.deepEqual(map.get(command.key), model.live(command.key)?.value);
      return;
    case 'has':
      assert.equal(map.has(command.key), model.live(command.key) !== undefined);
      return;
    case 'valueLength':
      assert.equal(map.valueLength(command.key), model.live(command.key)?.value.length ?? -1);
      return;
    case 'delete':
      assert.equal(map.delete(command.key), model.delete(command.key));
      return;
    case 'setExpiry': {
      const entry = model.live(command.key);
      assert.equal(map.setExpiry(command.key, command.expiry), entry !== undefined);
      if (entry !== undefined) entry.expiresAtMs = command.expiry;
      return;
    }
    case 'tick':
      model.nowMs += command.ms;
      return;
    default:
      checkWhole(plain, model, command);
  }
}

function checkWhole(plain: PlainMap, model: ModelMap, command: Step): void {
  const { map } = plain;
  if (command.op === 'scan') {
    model.dropExpired();
    assert.deepEqual(scanNames(map, 2).sort(), [...model.entries.keys()].sort());
  } else if (command.op === 'randomKey') {
    model.dropExpired();
    const random = map.randomKey();
    assert.equal(random === undefined, model.entries.size === 0);
    assert.ok(random === undefined || model.entries.has(nameOf(random)));
  } else if (command.op === 'reap') {
    const before = map.count;
    const reaped = map.reap(command.limit);
    assert.ok(reaped <= command.limit && map.count === before - reaped);
  } else if (command.op === 'clear') {
    map.clear();
    model.entries.clear();
  } else assert.equal(map.findFault(), undefined);
}

function checkRange(plain: PlainMap, model: ModelMap, key: Uint8Array, from: number, length: number): void {
  const target = new Uint8Array(length + 16).fill(0xaa);
  const count = plain.map.readRange(key, from, target, 8, length);
  const entry = model.live(key);
  const expected = entry?.value.subarray(from, from + length);
  assert.equal(count, expected?.length ?? -1);
  if (expected !== undefined) assert.equal(Buffer.compare(target.subarray(8, 8 + count), expected), 0);
  assert.equal(
    target.subarray(0, 8).every((byte) => byte === 0xaa),
    true,
  );
  assert.equal(
    target.subarray(8 + length).every((byte) => byte === 0xaa),
    true,
  );
}

function checkInto(plain: PlainMap, model: ModelMap, key: Uint8Array): void {
  const target = new Uint8Array(1000).fill(0xaa);
  const entry = model.live(key);
  const length = plain.map.getInto(key, target, 100);
  assert.equal(length, entry?.value.length ?? -1);
  const isFit = entry !== undefined && length <= 900;
  if (isFit) assert.equal(Buffer.compare(target.subarray(100, 100 + length), entry.value), 0);
  else
    assert.equal(
      target.every((byte) => byte === 0xaa),
      true,
    );
}

function property(invalidReads: number, hasDispose: boolean): fc.IProperty<[Step[], number]> {
  return fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), fc.nat(), (steps, seed) => {
    const model = new ModelMap();
    let disposed = 0;
    const plain = createPlainMap(4096, {
      now: () => model.nowMs,
      random: seededRandom(seed),
      seed,
      ...(hasDispose ? { dispose: () => void disposed++ } : {}),
    });
    plain.faults.random = seededRandom(seed);
    plain.faults.invalidReads = invalidReads;
    for (const command of steps) run(plain, model, command);
    plain.faults.invalidReads = 0;
    model.assertEqual(plain.map);
    assert.equal(plain.faults.pinned, 0);
    assert.ok(disposed >= 0);
    plain.map.clear();
    assert.equal(plain.framesUsed(), 0, 'every page came back');
    assert.equal(plain.map.findFault(), undefined);
  });
}

describe('PageMap against a plain Map', () => {
  test('any sequence of operations', () => {
    fc.assert(property(0, false), { numRuns: 300 });
  });

  test('with callbacks', () => {
    fc.assert(property(0, true), { numRuns: 100 });
  });

  test('while a tenth of all page reads show garbage', () => {
    fc.assert(property(0.1, false), { numRuns: 200 });
  });

  test('while nearly all page reads show garbage', () => {
    fc.assert(property(0.97, true), { numRuns: 60 });
  });
});
