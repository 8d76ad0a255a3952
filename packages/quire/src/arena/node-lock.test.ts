import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { AssertionError } from '../base/assert.ts';
import { acquire, ownerOf, release, tryAcquire } from './node-lock.ts';

const LOCK = 0;
const COUNTER = 16;
const READY = 32;

/** Runs `body` in a worker with `words`, `me`, and the lock's functions in scope. */
function inWorker(words: Int32Array, me: number, body: string): Promise<void> {
  const url = new URL('./node-lock.js', import.meta.url).href;
  const code = `
    const { workerData } = require('node:worker_threads');
    import(${JSON.stringify(url)}).then(({ acquire, release }) => { const { words, me } = workerData; ${body} });
  `;
  const worker = new Worker(code, { eval: true, workerData: { words, me }, execArgv: [] });
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  });
}

function freshWords(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(256));
}

describe('node lock', () => {
  it('three threads count under it and lose nothing', async () => {
    const words = freshWords();
    const rounds = 20_000;
    const body = `
      Atomics.add(words, ${READY}, 1);
      while (Atomics.load(words, ${READY}) < 3);
      for (let i = 0; i < ${rounds}; i++) {
        acquire(words, ${LOCK}, me);
        words[${COUNTER}]++;               // plain: only the lock orders it
        words[${COUNTER} + 1] = me;
        if (words[${COUNTER} + 1] !== me) words[${COUNTER} + 2]++;
        release(words, ${LOCK}, me);
      }`;
    await Promise.all([1, 2, 3].map((me) => inWorker(words, me, body)));
    assert.equal(words[COUNTER], 3 * rounds);
    assert.equal(words[COUNTER + 2], 0);
    assert.equal(ownerOf(words, LOCK), 0);
  });

  it('names its holder', () => {
    const words = freshWords();
    acquire(words, LOCK, 7);
    assert.equal(ownerOf(words, LOCK), 7);
    assert.equal(tryAcquire(words, LOCK, 8), false);
    release(words, LOCK, 7);
    assert.equal(ownerOf(words, LOCK), 0);
    assert.equal(tryAcquire(words, LOCK, 8), true);
    release(words, LOCK, 8);
  });

  it('asserts when one thread takes it twice, or gives up what another holds', () => {
    const words = freshWords();
    acquire(words, LOCK, 5);
    assert.throws(() => acquire(words, LOCK, 5), AssertionError);
    assert.throws(() => release(words, LOCK, 6), AssertionError);
  });

  it('a sleeper is woken when the holder lets go late', async () => {
    const words = freshWords();
    acquire(words, LOCK, 1);
    const waiter = inWorker(
      words,
      2,
      `Atomics.store(words, ${READY}, 1); acquire(words, ${LOCK}, me); words[${COUNTER}] = 1; release(words, ${LOCK}, me);`,
    );
    while (Atomics.load(words, READY) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(Atomics.load(words, COUNTER), 0, 'it waits');
    release(words, LOCK, 1);
    await waiter;
    assert.equal(words[COUNTER], 1);
  });

  it('ends the wait for a holder that never lets go', async () => {
    const words = freshWords();
    await inWorker(words, 9, `acquire(words, ${LOCK}, me);`);
    assert.throws(() => acquire(words, LOCK, 1), AssertionError);
    assert.equal(ownerOf(words, LOCK), 9, 'the word still tells who died');
  });
});
