import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KEEP_EXPIRY } from './byte-map.ts';
import { CONTROL_WORDS } from './control.ts';
import { PageMap } from './page-map.ts';
import { VALUE_BYTES_MAX } from './record.ts';
import { classCapacity, SLAB_CLASSES } from './size-class.ts';
import { keyOf, ModelMap, nameOf, patternBytes, scanNames, seededRandom } from './testing/model-map.ts';
import { createPlainMap } from './testing/plain-map.ts';
import { createPlainMemory, PlainPageSpace } from './testing/plain-page-space.ts';

function codeOf(code: string): (error: unknown) => boolean {
  return (error) => (error as { code?: string }).code === code;
}

describe('values of every size', () => {
  test('at the edges of all slab classes and of small extents', () => {
    const { map } = createPlainMap(30_000);
    const sizes = new Set<number>([0, 1, 7, 8, 9]);
    for (let classId = 0; classId < SLAB_CLASSES + 4; classId++) {
      const edge = classCapacity(classId) - 16 - 8;
      for (const size of [edge - 1, edge, edge + 1]) sizes.add(Math.max(0, size));
    }
    for (const size of sizes) map.set(keyOf(`s${size}`), patternBytes(size, 1), 0);
    for (const size of sizes)
      assert.equal(Buffer.compare(map.get(keyOf(`s${size}`)) ?? Buffer.of(1), patternBytes(size, 1)), 0, `${size}`);
    assert.equal(map.findFault(), undefined);
    for (const size of sizes) assert.equal(map.set(keyOf(`s${size}`), patternBytes(size + 1, 2), 0), false);
    for (const size of sizes)
      assert.equal(Buffer.compare(map.get(keyOf(`s${size}`)) ?? Buffer.of(1), patternBytes(size + 1, 2)), 0, `${size}`);
    assert.equal(map.findFault(), undefined);
    for (const size of sizes) assert.equal(map.delete(keyOf(`s${size}`)), true);
    assert.equal(map.bytes, 0);
    assert.equal(map.findFault(), undefined);
  });

  test('64 MiB: set, read in parts, overwrite a part, grow to the limit, delete', () => {
    const plain = createPlainMap(60_000);
    const { map } = plain;
    const key = keyOf('large');
    const value = patternBytes(VALUE_BYTES_MAX, 3);
    map.set(key, value, 0);
    assert.equal(map.valueLength(key), VALUE_BYTES_MAX);
    assert.equal(Buffer.compare(map.get(key) ?? Buffer.of(1), value), 0);
    const part = new Uint8Array(1000);
    assert.equal(map.readRange(key, VALUE_BYTES_MAX - 10, part, 0, 1000), 10);
    assert.equal(Buffer.compare(part.subarray(0, 10), value.subarray(VALUE_BYTES_MAX - 10)), 0);
    map.writeRange(key, VALUE_BYTES_MAX - 5, Uint8Array.of(1, 2, 3, 4, 5));
    assert.equal(map.readRange(key, VALUE_BYTES_MAX - 5, part, 0, 1000), 5);
    assert.deepEqual([...part.subarray(0, 5)], [1, 2, 3, 4, 5]);
    assert.throws(() => map.writeRange(key, VALUE_BYTES_MAX - 5, new Uint8Array(6)), codeOf('ERR_QUIRE_RANGE'));
    assert.equal(map.findFault(), undefined);
    assert.equal(map.delete(key), true);
    assert.ok(plain.framesUsed() < 10, `${plain.framesUsed()} frames`);
  });

  test('appending byte runs to 1 MiB moves the record seldom', () => {
    const { map } = createPlainMap(5000);
    const key = keyOf('log');
    const chunk = patternBytes(1000, 1);
    let moves = 0;
    let at = -1;
    for (let length = 0; length < 1_000_000; length += 1000) {
      assert.equal(map.writeRange(key, length, chunk), length + 1000);
      map.core.locks.lockStripe(map.core.loadKey(key) & 63);
      map.core.findLocked();
      map.core.locks.unlockStripe(map.core.frame.hash & 63);
      if (map.core.location !== at) moves++;
      at = map.core.location;
    }
    assert.ok(moves < 40, `${moves} moves`);
    const value = map.get(key);
    for (let length = 0; length < 1_000_000; length += 1000) {
      assert.equal(Buffer.compare(value?.subarray(length, length + 1000) ?? Buffer.of(), chunk), 0);
    }
    assert.equal(map.findFault(), undefined);
  });

  test('keys of 0 to 65,535 bytes, alike but for the last byte', () => {
    const { map } = createPlainMap(5000);
    const lengths = [0, 1, 2, 3, 4, 5, 7, 8, 9, 100, 4080, 4095, 4096, 4097, 20_000, 65_535];
    for (const length of lengths) {
      const key = patternBytes(length, 5);
      map.set(key, Uint8Array.of(length & 255), 0);
      if (length === 0) continue;
      const other = key.slice();
      other[length - 1] ^= 1;
      assert.equal(map.has(other), false);
      map.set(other, Uint8Array.of(99), 0);
    }
    for (const length of lengths) assert.deepEqual(map.get(patternBytes(length, 5)), Uint8Array.of(length & 255));
    assert.equal(map.count, lengths.length * 2 - 1);
    assert.throws(() => map.set(new Uint8Array(65_536), new Uint8Array(1), 0), codeOf('ERR_QUIRE_RANGE'));
    assert.equal(map.findFault(), undefined);
  });
});

describe('growth', () => {
  test('to 150,000 entries and back to none', () => {
    const plain = createPlainMap(40_000);
    const { map } = plain;
    const value = new Uint8Array(100);
    const count = 150_000;
    for (let index = 0; index < count; index++) {
      value.fill(index & 255);
      assert.equal(map.set(keyOf(`key:${index}`), value, 0), true);
    }
    assert.equal(map.count, count);
    assert.ok(map.buckets * 5 >= count - 5);
    const overhead = (plain.framesUsed() * 4096) / count - 100 - 10;
    assert.ok(overhead <= 60, `${overhead} bytes per entry above key and value`);
    assert.equal(map.findFault(), undefined);
    for (let index = 0; index < count; index += 7) {
      assert.deepEqual(map.get(keyOf(`key:${index}`)), value.fill(index & 255));
    }
    assert.equal(new Set(scanNames(map, 100)).size, count);
    for (let index = 0; index < count; index++) assert.equal(map.delete(keyOf(`key:${index}`)), true);
    assert.equal(map.count, 0);
    assert.equal(map.findFault(), undefined);
    assert.ok(plain.framesUsed() * 4096 < count * 20, 'records and their pages are gone, the index stays');
    map.clear();
    assert.equal(plain.framesUsed(), 0);
  });

  test('hundreds of keys with one hash: slower, but right, through growth', () => {
    const plain = createPlainMap(20_000);
    const { map } = plain;
    const model = new ModelMap();
    const home = map.core.loadKey(keyOf('x')) & 0xfff;
    let found = 0;
    for (let index = 0; found < 300; index++) {
      const key = keyOf(`c${index}`);
      if ((map.core.loadKey(key) & 0xfff) !== home) continue;
      found++;
      map.set(key, patternBytes(20, index), 0);
      model.set(key, patternBytes(20, index), 0, 0);
    }
    model.assertEqual(map);
    for (let index = 0; index < 12_000; index++) {
      const key = keyOf(`other ${index}`);
      map.set(key, key, 0);
      model.set(key, key, 0, 0);
    }
    model.assertEqual(map);
    for (const name of [...model.entries.keys()]) {
      if (!name.startsWith('c')) continue;
      assert.equal(map.delete(keyOf(name)), model.delete(keyOf(name)));
      if (found-- % 37 === 0) assert.equal(map.findFault(), undefined);
    }
    model.assertEqual(map);
  });

  test('a space too small for more buckets leaves chains longer, nothing worse', () => {
    const memory = createPlainMemory(4000);
    const spaces = {
      index: PlainPageSpace.create(memory, 131_072),
      heap: PlainPageSpace.create(memory, 2 ** 26),
      meta: PlainPageSpace.create(memory, 2 ** 20),
    };
    const map = PageMap.create(spaces, new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4)), { seed: 3 });
    let stored = 0;
    assert.throws(() => {
      for (; stored < 100_000; stored++) map.set(keyOf(`${stored}`), Uint8Array.of(1), 0);
    }, codeOf('ERR_QUIRE_SWAP_FULL'));
    assert.ok(stored > 8000, `${stored}`);
    assert.equal(map.count, stored);
    assert.equal(map.findFault(), undefined);
    for (let index = 0; index < stored; index++) assert.equal(map.has(keyOf(`${index}`)), true);
  });

  test('a heap whose address space is used up says ERR_QUIRE_SWAP_FULL, and takes more after a delete', () => {
    const memory = createPlainMemory(4000);
    const spaces = {
      index: PlainPageSpace.create(memory, 2 ** 20),
      heap: PlainPageSpace.create(memory, 2 ** 20),
      meta: PlainPageSpace.create(memory, 2 ** 20),
    };
    const map = PageMap.create(spaces, new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4)));
    let stored = 0;
    assert.throws(() => {
      for (; stored < 100; stored++) map.set(keyOf(`${stored}`), new Uint8Array(60_000), 0);
    }, codeOf('ERR_QUIRE_SWAP_FULL'));
    assert.equal(stored, 15);
    map.delete(keyOf('3'));
    map.set(keyOf('again'), new Uint8Array(60_000), 0);
    assert.equal(map.findFault(), undefined);
  });
});

describe('memory of records', () => {
  test('emptied runs serve other classes before fresh address space does', () => {
    const plain = createPlainMap(40_000);
    const { map } = plain;
    for (let round = 0; round < 12; round++) {
      const size = 100 + round * 150;
      for (let index = 0; index < 8000; index++) map.set(keyOf(`${index}`), new Uint8Array(size), 0);
      // Every second one first: runs empty in the middle of their lists.
      for (let index = 0; index < 8000; index += 2) map.delete(keyOf(`${index}`));
      for (let index = 1; index < 8000; index += 2) map.delete(keyOf(`${index}`));
      assert.equal(map.findFault(), undefined);
    }
    const largest = (8000 * 2048) / 65_536;
    assert.ok(map.core.control[221] < largest * 2.5, `${map.core.control[221]} runs used`);
    assert.equal(map.bytes, 0);
  });

  test('random sizes over and over: nothing leaks', () => {
    const plain = createPlainMap(40_000);
    const { map } = plain;
    const model = new ModelMap();
    const random = seededRandom(5);
    for (let step = 0; step < 60_000; step++) {
      const key = keyOf(`${Math.floor(random() * 2000)}`);
      if (random() < 0.4) assert.equal(map.delete(key), model.delete(key));
      else {
        const value = patternBytes(Math.floor(random() ** 6 * 70_000), step);
        assert.equal(map.set(key, value, 0, step & 7), model.set(key, value, 0, step & 7));
      }
    }
    model.assertEqual(map);
    let bytes = 0;
    for (const [name, { value }] of model.entries) bytes += 16 + name.length + value.length;
    assert.ok(map.bytes < bytes * 1.2 + model.entries.size * 24, `${map.bytes} charged for ${bytes}`);
    assert.ok(
      plain.framesUsed() * 4096 < map.bytes * 2 + 2_000_000,
      `${plain.framesUsed()} frames for ${map.bytes} bytes`,
    );
    for (const name of model.entries.keys()) map.delete(keyOf(name));
    assert.equal(map.bytes, 0);
    assert.equal(map.findFault(), undefined);
  });
});

describe('expiry', () => {
  test('an entry is there until its millisecond, then not, and the reader removes it', () => {
    let nowMs = 1000;
    const reasons: string[] = [];
    const { map } = createPlainMap(1000, {
      now: () => nowMs,
      dispose: (key, _value, reason) => reasons.push(`${nameOf(key)}:${reason}`),
    });
    map.set(keyOf('a'), Uint8Array.of(1), 2000);
    assert.equal(map.expiringCount, 1);
    nowMs = 1999;
    assert.equal(map.expiry(keyOf('a')), 2000);
    nowMs = 2000;
    assert.equal(map.count, 1);
    assert.equal(map.get(keyOf('a')), undefined);
    assert.equal(map.count, 0);
    assert.equal(map.expiringCount, 0);
    assert.deepEqual(reasons, ['a:expire']);
    assert.equal(map.findFault(), undefined);
  });

  test('expiries far away and KEEP_EXPIRY', () => {
    const { map } = createPlainMap(1000, { now: () => 5 });
    const far = 2 ** 48 - 1;
    map.set(keyOf('a'), Uint8Array.of(1), far);
    map.set(keyOf('a'), Uint8Array.of(2, 3), KEEP_EXPIRY);
    assert.equal(map.expiry(keyOf('a')), far);
    map.set(keyOf('a'), new Uint8Array(5000), KEEP_EXPIRY);
    assert.equal(map.expiry(keyOf('a')), far);
    map.set(keyOf('a'), Uint8Array.of(2), 0);
    assert.equal(map.expiry(keyOf('a')), 0);
    assert.equal(map.setExpiry(keyOf('a'), 2 ** 32 + 1), true);
    assert.equal(map.expiry(keyOf('a')), 2 ** 32 + 1);
    assert.equal(map.setExpiry(keyOf('b'), 9), false);
    assert.equal(map.expiry(keyOf('b')), -1);
    assert.equal(map.findFault(), undefined);
  });

  test('reap removes what has expired, at most `limit`, and walks all buckets in the end', () => {
    let nowMs = 0;
    const { map } = createPlainMap(4000, { now: () => nowMs });
    for (let index = 0; index < 5000; index++)
      map.set(keyOf(`${index}`), Uint8Array.of(1), index % 2 === 0 ? 1000 + index : 0);
    assert.equal(map.reap(100), 0);
    nowMs = 10_000;
    assert.ok(map.reap(10) <= 10);
    let calls = 0;
    while (map.expiringCount > 0) {
      assert.ok(map.reap(200) <= 200);
      assert.ok(++calls < 100, 'reap makes progress');
    }
    assert.equal(map.count, 2500);
    assert.equal(map.findFault(), undefined);
  });
});

describe('callbacks', () => {
  test('name key, value and reason, in order, with no lock held', () => {
    const seen: string[] = [];
    let nowMs = 0;
    const plain = createPlainMap(2000, {
      now: () => nowMs,
      dispose: (key, value, reason) => {
        seen.push(`${nameOf(key)}=${nameOf(value)}:${reason}`);
        plain.map.get(keyOf('other'));
        if (!nameOf(key).startsWith('from')) plain.map.set(keyOf(`from ${seen.length}`), key, 0);
      },
    });
    const { map } = plain;
    map.set(keyOf('other'), keyOf('o'), 0);
    map.set(keyOf('a'), keyOf('1'), 0);
    map.set(keyOf('a'), keyOf('2'), 10);
    nowMs = 20;
    map.set(keyOf('a'), keyOf('3'), 0);
    map.delete(keyOf('a'));
    assert.deepEqual(
      seen.filter((line) => line.startsWith('a=')),
      ['a=1:set', 'a=2:expire', 'a=3:delete'],
    );
    seen.length = 0;
    map.clear();
    assert.ok(seen.includes('other=o:clear'));
    assert.equal(map.findFault(), undefined);
  });

  test('a throwing callback is heard, and the map is sound', () => {
    const { map } = createPlainMap(2000, {
      dispose: () => {
        throw new Error('from the callback');
      },
    });
    map.set(keyOf('a'), keyOf('1'), 0);
    assert.throws(() => map.set(keyOf('a'), keyOf('2'), 0), /from the callback/);
    assert.deepEqual(map.get(keyOf('a')), keyOf('2'));
    assert.throws(() => map.delete(keyOf('a')), /from the callback/);
    assert.equal(map.count, 0);
    assert.equal(map.findFault(), undefined);
  });
});

describe('bad arguments', () => {
  const { map, spaces, control } = createPlainMap(100);
  const key = keyOf('k');
  const target = new Uint8Array(10);
  const cases: [string, () => unknown, string][] = [
    ['set: key too long', () => map.set(new Uint8Array(65_536), target, 0), 'ERR_QUIRE_RANGE'],
    ['set: value too long', () => map.set(key, new Uint8Array(VALUE_BYTES_MAX + 1), 0), 'ERR_QUIRE_RANGE'],
    ['set: expiry NaN', () => map.set(key, target, Number.NaN), 'ERR_QUIRE_INVALID_ARG'],
    ['set: expiry negative', () => map.set(key, target, -2), 'ERR_QUIRE_RANGE'],
    ['set: expiry fraction', () => map.set(key, target, 1.5), 'ERR_QUIRE_INVALID_ARG'],
    ['set: expiry too far', () => map.set(key, target, 2 ** 48), 'ERR_QUIRE_RANGE'],
    ['set: kind', () => map.set(key, target, 0, 256), 'ERR_QUIRE_RANGE'],
    ['getInto: offset beyond', () => map.getInto(key, target, 11), 'ERR_QUIRE_RANGE'],
    ['getInto: offset NaN', () => map.getInto(key, target, Number.NaN), 'ERR_QUIRE_RANGE'],
    ['getInto: offset negative', () => map.getInto(key, target, -1), 'ERR_QUIRE_RANGE'],
    ['readRange: from negative', () => map.readRange(key, -1, target, 0, 1), 'ERR_QUIRE_RANGE'],
    ['readRange: from NaN', () => map.readRange(key, Number.NaN, target, 0, 1), 'ERR_QUIRE_INVALID_ARG'],
    ['readRange: beyond the target', () => map.readRange(key, 0, target, 5, 6), 'ERR_QUIRE_RANGE'],
    ['writeRange: end too far', () => map.writeRange(key, VALUE_BYTES_MAX, Uint8Array.of(1)), 'ERR_QUIRE_RANGE'],
    ['writeRange: fraction', () => map.writeRange(key, 0.5, target), 'ERR_QUIRE_INVALID_ARG'],
    ['scan: cursor', () => map.scan(-1, 1, () => undefined), 'ERR_QUIRE_RANGE'],
    ['create: used control', () => PageMap.create(spaces, control), 'ERR_QUIRE_INVALID_ARG'],
    ['create: small control', () => PageMap.create(spaces, new Int32Array(10)), 'ERR_QUIRE_INVALID_ARG'],
    ['attach: no map', () => PageMap.attach(spaces, new Int32Array(CONTROL_WORDS)), 'ERR_QUIRE_INVALID_ARG'],
    ['attach: thread id', () => PageMap.attach(spaces, control, { threadId: -1 }), 'ERR_QUIRE_INVALID_ARG'],
    ['attach: maxBytes', () => PageMap.attach(spaces, control, { maxBytes: 0 }), 'ERR_QUIRE_INVALID_ARG'],
  ];
  for (const [name, call, code] of cases) {
    test(name, () => {
      assert.throws(call, codeOf(code));
      assert.equal(map.findFault(), undefined);
    });
  }
});
