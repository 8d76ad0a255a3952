import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BUCKETS, FIRST_BUCKETS, STRIPES } from './control.ts';
import { BUCKET_BYTES } from './hash-index.ts';
import { keyOf, ModelMap, seededRandom } from './testing/model-map.ts';
import { createPlainMap } from './testing/plain-map.ts';

describe('homeOf', () => {
  const { index } = createPlainMap(100).map.core;

  test('every hash has a home below the bucket count, with the hash’s low bits', () => {
    const random = seededRandom(1);
    for (let buckets = FIRST_BUCKETS; buckets <= 2048; buckets++) {
      const small = 2 ** (31 - Math.clz32(buckets));
      for (let draw = 0; draw < 30; draw++) {
        const hash = (random() * 2 ** 32) | 0;
        const home = index.homeOf(hash, buckets);
        assert.ok(home >= 0 && home < buckets);
        assert.equal(home & (small - 1), (hash & (small - 1)) >>> 0);
      }
    }
  });

  test('one more bucket moves hashes from one bucket only, to the new one, in the same stripe', () => {
    const random = seededRandom(2);
    for (let buckets = FIRST_BUCKETS; buckets < 1100; buckets++) {
      const source = buckets - 2 ** (31 - Math.clz32(buckets));
      assert.equal(source % STRIPES, buckets % STRIPES);
      for (let draw = 0; draw < 50; draw++) {
        const hash = (random() * 2 ** 32) | 0;
        const before = index.homeOf(hash, buckets);
        const after = index.homeOf(hash, buckets + 1);
        if (after === before) continue;
        assert.equal(before, source);
        assert.equal(after, buckets);
      }
    }
  });

  test('at the ends of the range', () => {
    assert.equal(index.homeOf(-1, 2 ** 31), 2 ** 31 - 1);
    assert.equal(index.homeOf(0x7fff_ffff, 2 ** 31), 2 ** 31 - 1);
    assert.equal(index.homeOf(-1, 2 ** 31 - 1), 2 ** 30 - 1);
    assert.equal(index.homeOf(-1, 256), 255);
    assert.equal(index.homeOf(256, 257), 256);
    assert.equal(index.homeOf(257, 257), 1);
  });
});

describe('chains', () => {
  /** Keys of home bucket 5 among 256. */
  function crowd(map: ReturnType<typeof createPlainMap>['map'], count: number): string[] {
    const names: string[] = [];
    for (let index = 0; names.length < count; index++) {
      if ((map.core.loadKey(keyOf(`n${index}`)) & 255) === 5) names.push(`n${index}`);
    }
    return names;
  }

  test('grow by overflow buckets, and give them back when they empty, in any order', () => {
    for (let seed = 0; seed < 12; seed++) {
      const random = seededRandom(seed);
      const { map } = createPlainMap(2000);
      const model = new ModelMap();
      const names = crowd(map, 40);
      for (const name of names) {
        map.set(keyOf(name), keyOf(name), 0);
        model.set(keyOf(name), keyOf(name), 0, 0);
      }
      model.assertEqual(map);
      const used = map.core.control[223];
      assert.ok(used >= 5 && used <= 6, `${used} overflow buckets for 40 entries`);
      while (names.length > 0) {
        const [name] = names.splice(Math.floor(random() * names.length), 1);
        assert.equal(map.delete(keyOf(name)), model.delete(keyOf(name)));
        assert.equal(map.findFault(), undefined);
      }
      for (const name of crowd(map, 40)) {
        map.set(keyOf(name), keyOf(name), 0);
        model.set(keyOf(name), keyOf(name), 0, 0);
      }
      model.assertEqual(map);
      assert.ok(map.core.control[223] <= used + 1, 'freed overflow buckets are used again');
    }
  });

  test('holes are filled before a chain gets longer', () => {
    const { map } = createPlainMap(2000);
    const names = crowd(map, 60);
    for (const name of names.slice(0, 30)) map.set(keyOf(name), keyOf(name), 0);
    const used = map.core.control[223];
    for (let index = 0; index < 30; index += 3) map.delete(keyOf(names[index]));
    for (const name of names.slice(30, 40)) map.set(keyOf(name), keyOf(name), 0);
    assert.equal(map.core.control[223], used);
    assert.equal(map.findFault(), undefined);
  });

  test('a split with a long chain moves half of it, and both halves are whole', () => {
    const { map } = createPlainMap(8000);
    const model = new ModelMap();
    for (const name of crowd(map, 120)) {
      map.set(keyOf(name), keyOf(name), 0);
      model.set(keyOf(name), keyOf(name), 0, 0);
    }
    for (let index = 0; map.buckets < 1100; index++) {
      map.set(keyOf(`filler ${index}`), keyOf('x'), 0);
      model.set(keyOf(`filler ${index}`), keyOf('x'), 0, 0);
    }
    model.assertEqual(map);
  });

  test('an overflow bucket never lies in a home bucket’s place', () => {
    const { core } = createPlainMap(100).map;
    assert.ok(core.index.bucketsMax * BUCKET_BYTES <= core.index.overflowOffset(0));
    assert.equal(core.control[BUCKETS], FIRST_BUCKETS);
  });
});
