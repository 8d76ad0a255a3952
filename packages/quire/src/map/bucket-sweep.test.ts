import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keyOf, nameOf, patternBytes, seededRandom } from './testing/model-map.ts';
import { createPlainMap } from './testing/plain-map.ts';

/** Draws 0..count-1 by Zipf's law with exponent 0.9. */
function zipf(count: number, random: () => number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) {
    sum += 1 / (rank + 1) ** 0.9;
    sums[rank] = sum;
  }
  return () => {
    const at = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < at) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** Accesses of a cache: Zipf over 20,000 keys; with scans, every 10,000 accesses a run through 4,000 keys never seen again. */
function* trace(length: number, hasScans: boolean): Generator<string> {
  const next = zipf(20_000, seededRandom(42));
  let scanned = 0;
  for (let step = 0; step < length; step++) {
    if (hasScans && step % 10_000 === 9999) for (let index = 0; index < 4000; index++) yield `scan ${scanned++}`;
    yield `key ${next()}`;
  }
}

function hitRateOfLru(entries: number, names: Iterable<string>): number {
  const lru = new Map<string, true>();
  let hits = 0;
  let asked = 0;
  for (const name of names) {
    if (name.startsWith('key')) asked++;
    if (lru.delete(name)) hits++;
    else if (lru.size >= entries) lru.delete(lru.keys().next().value ?? '');
    lru.set(name, true);
  }
  return hits / asked;
}

/** All values have one size, so that both caches hold the same number of entries. */
function hitRateOfMap(entries: number, names: Iterable<string>): number {
  const value = new Uint8Array(400);
  const { map } = createPlainMap(4000, { maxBytes: entries * 448 });
  let hits = 0;
  let asked = 0;
  for (const name of names) {
    const key = keyOf(name);
    if (name.startsWith('key')) asked++;
    if (map.has(key)) hits++;
    else map.set(key, value, 0);
  }
  assert.equal(map.findFault(), undefined);
  assert.ok(map.bytes <= entries * 448);
  return hits / asked;
}

describe('eviction', () => {
  test('keeps more than LRU does when scans pass through', () => {
    const lru = hitRateOfLru(2000, trace(100_000, true));
    const own = hitRateOfMap(2000, trace(100_000, true));
    assert.ok(own > lru + 0.01, `own ${own.toFixed(4)}, LRU ${lru.toFixed(4)}`);
  });

  test('keeps no less than LRU does without scans', () => {
    const lru = hitRateOfLru(2000, trace(100_000, false));
    const own = hitRateOfMap(2000, trace(100_000, false));
    assert.ok(own > lru, `own ${own.toFixed(4)}, LRU ${lru.toFixed(4)}`);
  });

  test('a hot set that was read again survives a scan of ten times maxBytes', () => {
    const { map } = createPlainMap(3000, { maxBytes: 1_000_000 });
    for (let index = 0; index < 200; index++) map.set(keyOf(`hot ${index}`), new Uint8Array(1000), 0);
    let kept = 0;
    for (let index = 0; index < 9000; index++) {
      map.set(keyOf(`scan ${index}`), new Uint8Array(1000), 0);
      map.get(keyOf(`hot ${index % 200}`));
    }
    for (let index = 0; index < 200; index++) if (map.has(keyOf(`hot ${index}`))) kept++;
    assert.ok(kept > 180, `${kept} of 200`);
    assert.equal(map.findFault(), undefined);
  });

  test('maxBytes holds after every set and writeRange, for values of any size', () => {
    const random = seededRandom(9);
    const { map } = createPlainMap(3000, { maxBytes: 2_000_000 });
    for (let step = 0; step < 20_000; step++) {
      const key = keyOf(`${Math.floor(random() * 3000)}`);
      const value = patternBytes(Math.floor(random() ** 8 * 300_000), step);
      if (random() < 0.2) map.writeRange(key, Math.floor(random() * 500), value.subarray(0, 2000));
      else map.set(key, value, 0);
      assert.ok(map.bytes <= 2_000_000, `${map.bytes} after step ${step}`);
    }
    assert.ok(map.bytes > 1_500_000, 'and the room is used');
    assert.equal(map.findFault(), undefined);
  });

  test('evict frees what it says, names the victims, and ends when all is gone', () => {
    const victims: string[] = [];
    const { map } = createPlainMap(3000, {
      dispose: (key, value, reason) => {
        assert.equal(reason, 'evict');
        assert.deepEqual(value, patternBytes(500, Number(nameOf(key))));
        victims.push(nameOf(key));
      },
    });
    for (let index = 0; index < 1000; index++) map.set(keyOf(`${index}`), patternBytes(500, index), 0);
    const before = map.bytes;
    const freed = map.evict(100_000);
    assert.ok(freed >= 100_000 && freed < 101_000, `${freed}`);
    assert.equal(map.bytes, before - freed);
    assert.equal(map.count, 1000 - victims.length);
    for (const name of victims) assert.equal(map.has(keyOf(name)), false);
    map.evict(Number.POSITIVE_INFINITY);
    assert.equal(map.count, 0);
    assert.equal(map.evict(1), 0);
    assert.equal(map.findFault(), undefined);
  });

  test('an entry in use goes last: 3 reads outlive 3 rounds of the hand', () => {
    const { map } = createPlainMap(3000);
    for (let index = 0; index < 500; index++) map.set(keyOf(`${index}`), new Uint8Array(100), 0);
    for (let read = 0; read < 200; read++) map.get(keyOf('77'));
    map.evict(map.bytes - 200);
    assert.equal(map.count, 1);
    assert.equal(map.has(keyOf('77')), true);
  });

  test('a value above maxBytes is refused and nothing is evicted for it', () => {
    const { map } = createPlainMap(3000, { maxBytes: 10_000 });
    map.set(keyOf('a'), new Uint8Array(1000), 0);
    assert.throws(() => map.set(keyOf('b'), new Uint8Array(20_000), 0), { code: 'ERR_QUIRE_RANGE' });
    assert.equal(map.has(keyOf('a')), true);
  });

  test('a callback that uses the map during an evicting set does not disturb that set', () => {
    const plain = createPlainMap(3000, {
      maxBytes: 100_000,
      dispose: (key) => {
        plain.map.get(key);
        plain.map.has(keyOf('something else'));
      },
    });
    for (let index = 0; index < 2000; index++) {
      plain.map.set(keyOf(`${index}`), keyOf(`value of ${index}`), 0);
      assert.deepEqual(plain.map.get(keyOf(`${index}`)), keyOf(`value of ${index}`));
    }
    assert.equal(plain.map.findFault(), undefined);
  });

  test('a full swap ends an eviction early, without harm', () => {
    const plain = createPlainMap(3000);
    for (let index = 0; index < 500; index++) plain.map.set(keyOf(`${index}`), new Uint8Array(100), 0);
    plain.faults.hitsExistingPages = true;
    plain.faults.allocationsLeft = 11;
    const freed = plain.map.evict(1_000_000);
    assert.ok(freed > 0 && freed < 2000, `${freed}`);
    assert.equal(plain.faults.pinned, 0);
    assert.equal(plain.map.findFault(), undefined);
  });
});
