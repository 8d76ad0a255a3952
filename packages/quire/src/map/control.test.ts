import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ALLOCATOR_LOCK,
  addBytesLocked,
  CLASS_HEAD,
  CONTROL_WORDS,
  MAGIC,
  readBytes,
  resetControl,
  STRIPE_LOCK,
  STRIPE_SEQUENCE,
  STRIPES,
} from './control.ts';
import { EXPIRING, entryWord, hashOfEntry, isLink, LINK, locationOf, useOf } from './entry-word.ts';
import { CLASSES } from './size-class.ts';

test('the blocks of the control words do not overlap', () => {
  assert.ok(STRIPE_LOCK + STRIPES <= STRIPE_SEQUENCE);
  assert.ok(STRIPE_SEQUENCE + STRIPES <= CLASS_HEAD);
  assert.ok(CLASS_HEAD + CLASSES <= ALLOCATOR_LOCK);
  assert.ok(MAGIC < CONTROL_WORDS);
});

test('the byte counter counts beyond 32 bits, up and down', () => {
  const control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
  resetControl(control);
  let sum = 0;
  for (const delta of [
    5,
    2 ** 31,
    2 ** 31,
    2 ** 32 - 10,
    2 ** 40,
    -5,
    -(2 ** 40),
    -(2 ** 31),
    2 ** 31 - 1,
    -(2 ** 32),
  ]) {
    sum += delta;
    addBytesLocked(control, delta);
    assert.equal(readBytes(control), sum);
  }
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -(2 ** 26), max: 2 ** 33 })), (deltas) => {
      resetControl(control);
      let expected = 0;
      for (const delta of deltas) {
        const applied = Math.max(delta, -expected);
        expected += applied;
        addBytesLocked(control, applied);
        assert.equal(readBytes(control), expected);
      }
    }),
  );
});

test('an entry keeps location, tag, use count and expiring bit apart', () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat({ max: 31 * 2 ** 32 - 1 }), fc.boolean(), (hash, location, isExpiring) => {
      const word1 = entryWord(hash, location, isExpiring);
      assert.equal(locationOf((location % 2 ** 32) | 0, word1), location);
      assert.equal(useOf(word1), 0);
      assert.equal((word1 & EXPIRING) !== 0, isExpiring);
      assert.equal(hashOfEntry(word1, hash & 0xff), hash);
      assert.equal(hashOfEntry(word1, (hash & 0xfff) >>> 0), hash, 'a home bucket has the low bits of the hash');
      assert.equal(isLink(word1), false);
    }),
  );
  assert.equal(isLink(LINK), true);
});
