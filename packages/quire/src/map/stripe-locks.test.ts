import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { CONTROL_WORDS, STRIPE_LOCK } from './control.ts';
import { StripeLocks } from './stripe-locks.ts';

function createControl(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
}

describe('StripeLocks', () => {
  test('the word names the owner, and is free afterwards', () => {
    const control = createControl();
    const locks = new StripeLocks(control, 41, 100);
    locks.lockStripe(3);
    assert.equal(control[STRIPE_LOCK + 3], 42);
    assert.equal(locks.heldBy(41), true);
    assert.equal(locks.heldBy(40), false);
    locks.unlockStripe(3);
    assert.equal(control[STRIPE_LOCK + 3], 0);
    assert.equal(locks.heldBy(41), false);
    for (const [lock, unlock] of [
      ['lockAllocator', 'unlockAllocator'],
      ['lockGrowth', 'unlockGrowth'],
      ['lockAll', 'unlockAll'],
    ] as const) {
      locks[lock]();
      assert.equal(locks.heldBy(41), true, lock);
      locks[unlock]();
      assert.equal(locks.heldBy(41), false, lock);
    }
  });

  test('a lock that another holds is not taken; one that stays held is an error that names the holder', () => {
    const control = createControl();
    const mine = new StripeLocks(control, 1, 30);
    const other = new StripeLocks(control, 2, 30);
    other.lockStripe(5);
    assert.equal(mine.tryLockStripe(5), false);
    assert.equal(mine.tryLockStripe(6), true);
    assert.throws(
      () => mine.lockStripe(5),
      (error: Error & { code?: string }) => error.code === 'ERR_QUIRE_FAILED' && /thread 2/.test(error.message),
    );
    assert.equal(mine.heldBy(2), true, 'the sign bit of the waiter does not hide the owner');
    other.unlockStripe(5);
    mine.lockStripe(5);
    mine.unlockStripe(5);
    mine.unlockStripe(6);
  });

  test('locking twice and unlocking what another holds are broken invariants', () => {
    const control = createControl();
    const mine = new StripeLocks(control, 1, 30);
    const other = new StripeLocks(control, 2, 30);
    mine.lockStripe(0);
    assert.throws(() => mine.lockStripe(0), /taken twice/);
    assert.throws(() => other.unlockStripe(0), /another thread/);
  });

  test('a sequence is odd inside a change, and a change is seen', () => {
    const locks = new StripeLocks(createControl(), 1, 30);
    const start = locks.sequence(9);
    assert.equal(start & 1, 0);
    assert.equal(locks.isUnchanged(9, start), true);
    locks.openStripe(9);
    assert.equal(locks.sequence(9) & 1, 1);
    assert.equal(locks.isUnchanged(9, start), false);
    assert.throws(() => locks.openStripe(9), /opened twice/);
  });

  test('a sequence counts on through the int32 range', () => {
    const control = createControl();
    const locks = new StripeLocks(control, 1, 30);
    control[64 + 2] = 0x7fff_fffe;
    for (let change = 0; change < 3; change++) {
      const start = locks.sequence(2);
      locks.openStripe(2);
      locks.closeStripe(2);
      assert.equal(locks.isUnchanged(2, start), false);
    }
  });

  test('four threads add under one lock and lose nothing', async () => {
    const control = createControl();
    const counter = new Int32Array(new SharedArrayBuffer(8));
    const workers = [1, 2, 3].map(
      (threadId) =>
        new Promise<void>((resolve, reject) => {
          const worker = new Worker(new URL('./testing/lock-worker.js', import.meta.url), {
            workerData: { control, counter, threadId },
          });
          worker.on('error', reject);
          worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`))));
        }),
    );
    await Promise.all(workers);
    assert.equal(counter[0], 3 * 20_000);
  });
});
