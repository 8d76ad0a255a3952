import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { CONTROL_WORDS, MAGIC } from './control.ts';
import { PageMap } from './page-map.ts';
import type { ClockWork } from './testing/clock-worker.ts';
import type { MapWork } from './testing/map-worker.ts';
import { keyOf, nameOf, patternBytes } from './testing/model-map.ts';
import { attachPlainMap, createPlainMap, type PlainMap } from './testing/plain-map.ts';

/** Runs `threads` workers over one map at the same time. */
async function runWorkers(plain: PlainMap, threads: number, work: Omit<MapWork, 'handle' | 'threadId'>): Promise<void> {
  const runs = Array.from({ length: threads }, (_, index) => {
    const workerData: MapWork = { ...work, handle: plain.handle, threadId: index + 1 };
    return new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL('./testing/map-worker.js', import.meta.url), { workerData });
      worker.on('error', reject);
      worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`))));
    });
  });
  await Promise.all(runs);
  for (let threadId = 0; threadId <= threads; threadId++) assert.equal(plain.map.isHeldBy(threadId), false);
  assert.equal(plain.map.findFault(), undefined);
}

describe('several threads on one map', () => {
  test('small values, few keys: nobody reads a torn or foreign value, own keys are exact', async () => {
    const plain = createPlainMap(20_000);
    await runWorkers(plain, 4, { steps: 25_000, keys: 40, valueBytesMax: 600, invalidReads: 0, maxBytes: undefined });
  });

  test('large values', async () => {
    const plain = createPlainMap(60_000);
    await runWorkers(plain, 3, { steps: 2500, keys: 20, valueBytesMax: 120_000, invalidReads: 0, maxBytes: undefined });
  });

  test('many keys: the index grows under all of them, pages move', async () => {
    const plain = createPlainMap(60_000);
    await runWorkers(plain, 4, {
      steps: 25_000,
      keys: 30_000,
      valueBytesMax: 300,
      invalidReads: 0.02,
      maxBytes: undefined,
    });
    assert.ok(plain.map.buckets > 256);
  });

  test('eviction by all of them', async () => {
    const plain = createPlainMap(20_000);
    await runWorkers(plain, 4, {
      steps: 15_000,
      keys: 5000,
      valueBytesMax: 2000,
      invalidReads: 0,
      maxBytes: 2_000_000,
    });
    assert.ok(plain.map.bytes < 2_000_000 + 4 * 3000, `${plain.map.bytes}`);
  });

  test('reads of one key never go back in time, and never miss it', async () => {
    const plain = createPlainMap(20_000);
    const done = new Int32Array(new SharedArrayBuffer(4));
    const runs = [0, 1, 2].map((index) => {
      const workerData: ClockWork = {
        handle: plain.handle,
        threadId: index + 1,
        isWriter: index === 0,
        steps: 30_000,
        done,
      };
      return new Promise<void>((resolve, reject) => {
        const worker = new Worker(new URL('./testing/clock-worker.js', import.meta.url), { workerData });
        worker.on('error', (error) => {
          Atomics.store(done, 0, 30_001);
          reject(error);
        });
        worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`))));
      });
    });
    await Promise.all(runs);
    assert.equal(plain.map.findFault(), undefined);
  });

  test('open makes the map once, then attaches', () => {
    const { spaces } = createPlainMap(100);
    const control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
    const first = PageMap.open(spaces, control, { threadId: 1 });
    first.set(keyOf('a'), keyOf('b'), 0);
    const second = PageMap.open(spaces, control, { threadId: 2 });
    assert.deepEqual(second.get(keyOf('a')), keyOf('b'));
    control[MAGIC] = 77;
    assert.throws(() => PageMap.open(spaces, control), { code: 'ERR_QUIRE_INVALID_ARG' });
    assert.throws(() => PageMap.open(spaces, new Int32Array(4)), { code: 'ERR_QUIRE_INVALID_ARG' });
  });

  test('what one thread set, another attached later reads', () => {
    const first = createPlainMap(5000, { threadId: 1 });
    const second = attachPlainMap(first.handle, { threadId: 2 });
    for (let index = 0; index < 3000; index++) first.map.set(keyOf(`${index}`), patternBytes(50, index), 0);
    for (let index = 0; index < 3000; index++)
      assert.deepEqual(second.map.get(keyOf(`${index}`)), patternBytes(50, index));
    second.map.delete(keyOf('7'));
    assert.equal(first.map.has(keyOf('7')), false);
    assert.equal(first.map.count, 2999);
    second.map.clear();
    assert.equal(first.map.count, 0);
    first.map.set(keyOf('again'), keyOf('x'), 0);
    assert.equal(nameOf(second.map.randomKey() ?? keyOf('')), 'again');
    assert.equal(second.map.findFault(), undefined);
  });

  test('a thread that dies inside leaves its name, and the others get an error instead of waiting for ever', () => {
    const first = createPlainMap(1000, { threadId: 1, lockWaitMsMax: 30 });
    const dead = attachPlainMap(first.handle, { threadId: 2 });
    const key = keyOf('k');
    first.map.set(key, keyOf('v'), 0);
    dead.map.core.locks.lockStripe(dead.map.core.loadKey(key) & 63);
    assert.equal(first.map.isHeldBy(2), true);
    assert.deepEqual(first.map.get(key), keyOf('v'), 'readers need no lock');
    assert.throws(() => first.map.set(key, keyOf('w'), 0), { code: 'ERR_QUIRE_FAILED' });
  });
});
