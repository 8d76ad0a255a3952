import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nextCursor } from './map-scan.ts';
import { keyOf, nameOf, scanNames, seededRandom } from './testing/model-map.ts';
import { createPlainMap } from './testing/plain-map.ts';

describe('the cursor', () => {
  test('walks every bucket of a level once and ends at 0', () => {
    for (const level of [1, 2, 3, 8, 11]) {
      const seen = new Set<number>();
      let cursor = 0;
      do {
        assert.equal(seen.has(cursor), false);
        seen.add(cursor);
        cursor = nextCursor(cursor, level);
      } while (cursor !== 0);
      assert.equal(seen.size, 2 ** level);
    }
  });

  /** Every place where the level can rise, for small tables: all descendants of unvisited buckets are still ahead. */
  test('loses nothing and repeats nothing when the level rises anywhere', () => {
    for (let level = 1; level <= 6; level++) {
      for (let riseAt = 0; riseAt < 2 ** level; riseAt++) {
        for (let rise = 1; rise <= 3; rise++) checkRise(level, riseAt, level + rise);
      }
    }
  });

  function checkRise(level: number, riseAt: number, risen: number): void {
    /** Buckets of the risen table that have been visited, by way of an ancestor or themselves. */
    const seen = new Set<number>();
    let cursor = 0;
    for (let step = 0; ; step++) {
      const current = step < riseAt ? level : risen;
      for (let bucket = cursor & (2 ** current - 1); bucket < 2 ** risen; bucket += 2 ** current) {
        assert.equal(seen.has(bucket), false, `bucket ${bucket} twice`);
        seen.add(bucket);
      }
      cursor = nextCursor(cursor & (2 ** current - 1), current);
      if (cursor === 0) break;
    }
    assert.equal(seen.size, 2 ** risen);
  }

  test('works at the largest level', () => {
    assert.equal(nextCursor(0, 31), 2 ** 30);
    assert.equal(nextCursor(2 ** 30, 31), 2 ** 29);
    assert.equal(nextCursor(2 ** 31 - 1, 31), 0);
  });
});

describe('a scan', () => {
  test('visits what is there all the time once, whatever comes and goes', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 0, max: 6000 }),
        (seed, hint, stable) => {
          const random = seededRandom(seed);
          const { map } = createPlainMap(10_000, { seed });
          for (let index = 0; index < stable; index++) map.set(keyOf(`stable ${index}`), keyOf('x'), 0);
          const seen = new Map<string, number>();
          let added = 0;
          let cursor = 0;
          do {
            cursor = map.scan(cursor, hint, (key) => seen.set(nameOf(key), (seen.get(nameOf(key)) ?? 0) + 1));
            for (let change = random() * 200; change > 0; change--) map.set(keyOf(`new ${added++}`), keyOf('y'), 0);
            for (let change = random() * 50; change > 0; change--)
              map.delete(keyOf(`new ${Math.floor(random() * added)}`));
            if (added > 20_000) break;
          } while (cursor !== 0);
          if (cursor === 0)
            for (let index = 0; index < stable; index++)
              assert.equal(seen.get(`stable ${index}`), 1, `stable ${index}`);
          assert.equal(map.findFault(), undefined);
        },
      ),
      { numRuns: 25 },
    );
  });

  test('ends soon when the map is empty or sparse, and never with less than it promises', () => {
    const { map } = createPlainMap(3000);
    assert.deepEqual(scanNames(map, 10), []);
    for (let index = 0; index < 3000; index++) map.set(keyOf(`${index}`), keyOf('x'), 0);
    for (let index = 1; index < 3000; index++) map.delete(keyOf(`${index}`));
    let calls = 0;
    let cursor = 0;
    do {
      cursor = map.scan(cursor, 10, () => undefined);
      calls++;
    } while (cursor !== 0);
    assert.ok(calls <= 12, `${calls} calls`);
    assert.deepEqual(scanNames(map, 1), ['0']);
  });

  test('leaves expired keys out', () => {
    let nowMs = 0;
    const { map } = createPlainMap(3000, { now: () => nowMs });
    map.set(keyOf('a'), keyOf('x'), 10);
    map.set(keyOf('b'), keyOf('x'), 0);
    nowMs = 10;
    assert.deepEqual(scanNames(map, 1), ['b']);
    assert.deepEqual(map.randomKey(), keyOf('b'));
  });

  test('the callback may change the map', () => {
    const { map } = createPlainMap(3000);
    for (let index = 0; index < 500; index++) map.set(keyOf(`${index}`), keyOf('x'), 0);
    let cursor = 0;
    do cursor = map.scan(cursor, 5, (key) => map.delete(key));
    while (cursor !== 0);
    assert.equal(map.count, 0);
    assert.equal(map.findFault(), undefined);
  });
});

describe('randomKey', () => {
  test('reaches every key', () => {
    const { map } = createPlainMap(3000, { random: seededRandom(3) });
    for (let index = 0; index < 60; index++) map.set(keyOf(`${index}`), keyOf('x'), 0);
    const seen = new Set<string>();
    for (let draw = 0; draw < 3000; draw++) seen.add(nameOf(map.randomKey() ?? keyOf('none')));
    assert.equal(seen.size, 60);
  });
});
