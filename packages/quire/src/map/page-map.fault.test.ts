import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { QuireError } from '../base/errors.ts';
import { keyOf, ModelMap, patternBytes, seededRandom } from './testing/model-map.ts';
import { createPlainMap, type PlainMap } from './testing/plain-map.ts';

/** An operation on map and model; the model's part runs only when the map's part succeeded. */
interface Operation {
  readonly name: string;
  readonly prepare?: (plain: PlainMap, model: ModelMap) => void;
  readonly run: (plain: PlainMap) => unknown;
  readonly apply: (model: ModelMap) => void;
}

const KEY = keyOf('the key');

function put(plain: PlainMap, model: ModelMap, name: string, length: number, seed: number, expiresAtMs = 0): void {
  const value = patternBytes(length, seed);
  plain.map.set(keyOf(name), value, expiresAtMs, seed & 255);
  model.set(keyOf(name), value, expiresAtMs, seed & 255);
}

function setOf(length: number, expiresAtMs = 0): Pick<Operation, 'run' | 'apply'> {
  const value = patternBytes(length, length);
  return {
    run: ({ map }) => map.set(KEY, value, expiresAtMs, 3),
    apply: (model) => void model.set(KEY, value, expiresAtMs, 3),
  };
}

function rangeOf(from: number, length: number): Pick<Operation, 'run' | 'apply'> {
  const source = patternBytes(length, from);
  return {
    run: ({ map }) => map.writeRange(KEY, from, source),
    apply: (model) => void model.writeRange(KEY, from, source),
  };
}

function withKey(length: number, expiresAtMs = 0): NonNullable<Operation['prepare']> {
  return (plain, model) => put(plain, model, 'the key', length, 9, expiresAtMs);
}

/** Keys in the bucket chain of KEY: the map's chain is full after `count` of them. */
function crowd(count: number): NonNullable<Operation['prepare']> {
  return (plain, model) => {
    const { core } = plain.map;
    const home = core.loadKey(KEY) & 255;
    for (let index = 0, found = 0; found < count; index++) {
      const name = `crowd:${index}`;
      if ((core.loadKey(keyOf(name)) & 255) !== home) continue;
      put(plain, model, name, 20, index);
      found++;
    }
  };
}

const OPERATIONS: readonly Operation[] = [
  { name: 'set a new small value', ...setOf(100) },
  { name: 'set a new value of 9,000 bytes', ...setOf(9000) },
  { name: 'set a new value of 200 KiB', ...setOf(204_800) },
  { name: 'set with an expiry', ...setOf(10, 5_000_000) },
  { name: 'set into a full bucket', prepare: crowd(8), ...setOf(50) },
  { name: 'set into a full chain', prepare: crowd(15), ...setOf(50) },
  { name: 'overwrite in place', prepare: withKey(100), ...setOf(101) },
  { name: 'overwrite in place over pages', prepare: withKey(15_000), ...setOf(15_001) },
  { name: 'overwrite in place, expiry added', prepare: withKey(100), ...setOf(101, 5_000_000) },
  { name: 'replace small by large', prepare: withKey(100), ...setOf(100_000) },
  { name: 'replace large by small', prepare: withKey(100_000), ...setOf(100) },
  { name: 'replace an expired entry', prepare: withKey(100, 1), ...setOf(5000) },
  { name: 'writeRange creates', ...rangeOf(500, 20) },
  { name: 'writeRange creates a large one', ...rangeOf(50_000, 30_000) },
  { name: 'writeRange in place', prepare: withKey(1000), ...rangeOf(10, 20) },
  { name: 'writeRange in place over pages', prepare: withKey(14_000), ...rangeOf(10, 9000) },
  { name: 'writeRange grows in place', prepare: withKey(100_000), ...rangeOf(100_100, 20) },
  { name: 'writeRange appends much', prepare: withKey(66_000), ...rangeOf(66_000, 40_000) },
  { name: 'writeRange appends behind a gap', prepare: withKey(66_000), ...rangeOf(90_000, 40_000) },
  { name: 'writeRange overwrites much', prepare: withKey(66_000), ...rangeOf(5000, 40_000) },
  { name: 'writeRange moves', prepare: withKey(66_000), ...rangeOf(66_000, 100_000) },
  { name: 'writeRange moves a small one', prepare: withKey(100), ...rangeOf(90, 300) },
  {
    name: 'delete',
    prepare: withKey(100),
    run: ({ map }) => map.delete(KEY),
    apply: (model) => void model.delete(KEY),
  },
  {
    name: 'delete a large one',
    prepare: withKey(100_000),
    run: ({ map }) => map.delete(KEY),
    apply: (model) => void model.delete(KEY),
  },
  {
    name: 'delete from an overflow bucket',
    prepare: (plain, model) => {
      crowd(9)(plain, model);
      put(plain, model, 'the key', 10, 2);
    },
    run: ({ map }) => map.delete(KEY),
    apply: (model) => void model.delete(KEY),
  },
  {
    name: 'setExpiry',
    prepare: withKey(100),
    run: ({ map }) => map.setExpiry(KEY, 7_000_000),
    apply: (model) => {
      const entry = model.live(KEY);
      if (entry !== undefined) entry.expiresAtMs = 7_000_000;
    },
  },
  { name: 'clear', prepare: withKey(100_000), run: ({ map }) => map.clear(), apply: (model) => model.entries.clear() },
];

/** Fails the n-th allocation, for n = 0, 1, 2 … until the operation succeeds. Returns how many failed. */
function failEverywhere(operation: Operation, hitsExistingPages: boolean, hasDispose: boolean): number {
  for (let n = 0; n < 200; n++) {
    const model = new ModelMap();
    const disposed: string[] = [];
    const plain = createPlainMap(2048, {
      now: () => model.nowMs,
      ...(hasDispose ? { dispose: (_key, _value, reason) => disposed.push(reason) } : {}),
    });
    put(plain, model, 'neighbour', 300, 1);
    put(plain, model, 'another', 70_000, 2);
    operation.prepare?.(plain, model);
    const framesBefore = plain.framesUsed();
    disposed.length = 0;
    plain.faults.hitsExistingPages = hitsExistingPages;
    plain.faults.allocationsLeft = n;
    const isDone = attempt(operation, plain);
    plain.faults.allocationsLeft = Number.POSITIVE_INFINITY;
    assert.equal(plain.faults.pinned, 0, `${operation.name}, n = ${n}: nothing stays pinned`);
    if (isDone) operation.apply(model);
    else {
      assert.equal(disposed.length, 0, `${operation.name}, n = ${n}: no callback for what did not happen`);
      assert.ok(plain.framesUsed() <= framesBefore + PAGES_KEPT, `${operation.name}, n = ${n}: record pages come back`);
    }
    model.assertEqual(plain.map);
    put(plain, model, 'afterwards', 40_000, 5);
    model.assertEqual(plain.map);
    if (isDone) return n;
  }
  assert.fail(`${operation.name} never succeeds`);
}

/** Index, meta and slab pages touched for the first time stay. */
const PAGES_KEPT = 7;

function attempt(operation: Operation, plain: PlainMap): boolean {
  try {
    operation.run(plain);
    return true;
  } catch (error) {
    assert.ok(error instanceof QuireError && error.code === 'ERR_QUIRE_SWAP_FULL', String(error));
    return false;
  }
}

describe('a full swap at every possible point', () => {
  for (const operation of OPERATIONS) {
    test(`${operation.name}: all or nothing`, () => {
      failEverywhere(operation, false, false);
      failEverywhere(operation, true, false);
      failEverywhere(operation, true, true);
    });
  }

  test('the points are really met', () => {
    const failures = OPERATIONS.map((operation) => failEverywhere(operation, true, false));
    assert.ok(failures.filter((count) => count >= 2).length > OPERATIONS.length / 2, failures.join());
    assert.ok(Math.max(...failures) > 50, 'page by page through a large value');
  });
});

describe('growth while the swap is full', () => {
  /** Fills up to just before a split is due, then lets every allocation fail from the n-th on during the insertion that causes it. */
  test('a split that fails at any point is postponed, and made good later', () => {
    for (let n = 0; n < 14; n++) {
      const model = new ModelMap();
      const plain = createPlainMap(4096);
      for (let index = 0; index < 1281; index++) put(plain, model, `k${index}`, 8, index);
      plain.faults.hitsExistingPages = true;
      plain.faults.allocationsLeft = n;
      for (let index = 1281; index < 1290; index++) {
        try {
          put(plain, model, `k${index}`, 8, index);
        } catch (error) {
          assert.ok(error instanceof QuireError && error.code === 'ERR_QUIRE_SWAP_FULL', String(error));
        }
      }
      plain.faults.allocationsLeft = Number.POSITIVE_INFINITY;
      model.assertEqual(plain.map);
      assert.ok(plain.map.buckets >= 256);
      for (let index = 1290; index < 4000; index++) put(plain, model, `k${index}`, 8, index);
      model.assertEqual(plain.map);
      assert.ok(plain.map.buckets >= (plain.map.count - 1) / 5);
    }
  });

  test('faults at random all the time: the map equals the model after every failure', () => {
    const random = seededRandom(77);
    const model = new ModelMap();
    const plain = createPlainMap(8192);
    plain.faults.hitsExistingPages = true;
    let failures = 0;
    for (let step = 0; step < 40_000; step++) {
      plain.faults.allocationsLeft = random() < 0.2 ? Math.floor(random() * 8) : Number.POSITIVE_INFINITY;
      try {
        faultyStep(plain, model, random);
      } catch (error) {
        assert.ok(error instanceof QuireError && error.code === 'ERR_QUIRE_SWAP_FULL', String(error));
        failures++;
      }
      if (step % 4000 === 3999) {
        plain.faults.allocationsLeft = Number.POSITIVE_INFINITY;
        model.assertEqual(plain.map);
      }
    }
    assert.ok(failures > 1000, `${failures} failures`);
    assert.equal(plain.faults.pinned, 0);
  });
});

function faultyStep(plain: PlainMap, model: ModelMap, random: () => number): void {
  const key = keyOf(`key ${Math.floor(random() * 6000)}`);
  const choice = random();
  if (choice < 0.55) {
    const value = patternBytes(Math.floor(random() ** 4 * 20_000), Math.floor(random() * 100));
    plain.map.set(key, value, 0, 1);
    model.set(key, value, 0, 1);
  } else if (choice < 0.7) {
    const source = patternBytes(Math.floor(random() * 500), 4);
    const from = Math.floor(random() * 3000);
    plain.map.writeRange(key, from, source);
    model.writeRange(key, from, source);
  } else if (choice < 0.9) {
    plain.map.delete(key);
    model.delete(key);
  } else plain.map.get(key);
}
