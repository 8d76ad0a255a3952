import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DESCRIPTOR, ENTRY, LoadCounter, ROOT, SEQUENCE, SLOT_WORD } from './load-counter.ts';

function counterOver(): { words: Int32Array; counter: LoadCounter } {
  const words = new Int32Array(new SharedArrayBuffer(64)).map((_, index) => index * 10);
  const shared = new Int32Array(new SharedArrayBuffer(64));
  shared.set(words);
  const kinds = new Uint8Array(16);
  kinds.set([0, ENTRY, ROOT, DESCRIPTOR, SLOT_WORD, SEQUENCE]);
  return { words: shared, counter: new LoadCounter(shared, kinds) };
}

describe('LoadCounter', () => {
  it('counts plain loads by table, and gives the words as they are', () => {
    const { counter } = counterOver();
    const { front } = counter;
    counter.run(() => {
      assert.equal(front[1] + front[2] + front[2] + front[3], 10 + 20 + 20 + 30);
      assert.equal(front[15], 150);
      assert.equal(front.length, 16);
    });
    assert.deepEqual(counter.loads, { entry: 1, root: 2, descriptor: 1, slotWord: 0, sequence: 0 });
  });

  it('counts atomic loads and changes, but no stores', () => {
    const { words, counter } = counterOver();
    const { front } = counter;
    counter.run(() => {
      Atomics.store(front, 4, 7);
      assert.equal(Atomics.load(front, 4), 7);
      assert.equal(Atomics.add(front, 5, 1), 50);
      assert.equal(Atomics.compareExchange(front, 1, 10, 11), 10);
      front[2] = 9;
    });
    assert.deepEqual([...words.subarray(1, 6)], [11, 9, 30, 7, 51]);
    assert.deepEqual(counter.loads, { entry: 1, root: 0, descriptor: 0, slotWord: 1, sequence: 1 });
  });

  it('leaves Atomics as they were, also after a failure, and counts nothing of other words', () => {
    const { counter } = counterOver();
    const { load } = Atomics;
    const other = new Int32Array(new SharedArrayBuffer(64));
    counter.run(() => assert.equal(Atomics.load(other, 1), 0));
    assert.throws(() =>
      counter.run(() => {
        throw new Error('on purpose');
      }),
    );
    assert.equal(Atomics.load, load);
    assert.equal(counter.loads.entry, 0);
  });
});
