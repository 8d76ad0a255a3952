import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { KIND_REGION, LRU_ACTIVE, LRU_INACTIVE, setKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { MIB, type Pfn } from '../base/units.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import {
  checkLru,
  lruAddLocked,
  lruBlockAt,
  lruEndsAt,
  lruRemoveLocked,
  lruSize,
  lruTail,
  refillInactiveLocked,
  testAndClearTouch,
} from './lru.ts';
import {
  advanceAge,
  ageBucket,
  isRefaultClose,
  PROMOTE_BUCKETS,
  refaultDistance,
  shadowOfTouch,
  wasTouchClose,
} from './working-set.ts';

/** Frames that only the lists look at: nothing else of this instance is used. */
function framesFor(count: number) {
  const { node } = createTestInstance({ bytes: 2 * MIB, areas: 1 });
  const pfns = Array.from({ length: count }, (_, i) => (node.frames - 1 - i) as Pfn);
  for (const pfn of pfns) setKindLocked(node, pfn, KIND_REGION);
  return { node, pfns };
}

describe('LRU lists', () => {
  it('agree with two arrays', () => {
    const { node, pfns } = framesFor(40);
    const block = lruBlockAt(0);
    const lists: Pfn[][] = [[], []]; // heads first
    const operations = fc.array(fc.tuple(fc.nat(3), fc.nat(39), fc.nat(1)), { maxLength: 500, size: 'max' });
    fc.assert(
      fc.property(operations, (sequence) => {
        for (const [action, which, list] of sequence) {
          const pfn = pfns[which];
          const on = lists.findIndex((members) => members.includes(pfn));
          if (action === 3) node.words[node.touchAt + pfn] = 1;
          else if (action === 2) refill(lists, 7);
          else if (on < 0) {
            lruAddLocked(node, pfn, list + 1);
            lists[list].unshift(pfn);
          } else {
            lruRemoveLocked(node, pfn);
            lists[on].splice(lists[on].indexOf(pfn), 1);
          }
          if (action === 2) refillInactiveLocked(node, block, 7);
          for (const of of [LRU_INACTIVE, LRU_ACTIVE]) {
            assert.equal(lruTail(node, block, of), lists[of - 1].at(-1) ?? 0);
            assert.equal(lruSize(node, block, of), lists[of - 1].length);
          }
        }
        checkLru(node);
        assert.deepEqual(
          [LRU_INACTIVE, LRU_ACTIVE].map((of) => walk(of)),
          lists,
        );
      }),
      { numRuns: 100 },
    );

    /** What refillInactiveLocked should do, on arrays; looks at the touch marks before it takes them back. */
    function refill([inactive, active]: Pfn[][], limit: number): void {
      const touched = new Set(pfns.filter((pfn) => node.words[node.touchAt + pfn] !== 0));
      const looksMax = Math.min(limit, active.length);
      for (let looked = 0; looked < looksMax && inactive.length < active.length; looked++) {
        const pfn = active.pop() as Pfn;
        (touched.delete(pfn) ? active : inactive).unshift(pfn);
      }
    }

    function walk(list: number): Pfn[] {
      const members: Pfn[] = [];
      for (let pfn = node.words[lruEndsAt(block, list)]; pfn !== 0; pfn = node.words[node.nextAt + pfn])
        members.push(pfn as Pfn);
      return members;
    }
  });

  it('the touch mark is taken back by looking', () => {
    const { node, pfns } = framesFor(1);
    assert.equal(testAndClearTouch(node, pfns[0]), false);
    node.words[node.touchAt + pfns[0]] = 1;
    assert.equal(testAndClearTouch(node, pfns[0]), true);
    assert.equal(testAndClearTouch(node, pfns[0]), false);
  });

  it('asserts on a frame on two lists, or on none', () => {
    const { node, pfns } = framesFor(2);
    lruAddLocked(node, pfns[0], LRU_ACTIVE);
    assert.throws(() => lruAddLocked(node, pfns[0], LRU_INACTIVE), /already on a list/);
    assert.throws(() => lruRemoveLocked(node, pfns[1]), /on no list/);
  });

  it('the check finds a broken link', () => {
    const { node, pfns } = framesFor(3);
    for (const pfn of pfns) lruAddLocked(node, pfn, LRU_ACTIVE);
    checkLru(node);
    node.words[node.prevAt + pfns[1]] = pfns[1];
    assert.throws(() => checkLru(node), /back link/);
  });
});

describe('working set', () => {
  it('distance is how much of memory was wanted in between', () => {
    const { node } = framesFor(0);
    const bucketFrames = node.frames / 32;
    for (const start of [0, 5, 100, 8000, 2 ** 31 - 10, 2 ** 32 - 5]) {
      node.words[L.H_AGE] = start | 0;
      const shadow = ageBucket(node);
      assert.ok(shadow >= 1 && shadow <= 127);
      assert.ok(isRefaultClose(ageBucket(node), shadow), 'at once');
      for (let i = 0; i < bucketFrames * (PROMOTE_BUCKETS - 2); i++) advanceAge(node);
      assert.ok(isRefaultClose(ageBucket(node), shadow), 'within 1/8 of memory');
      for (let i = 0; i < bucketFrames * 3; i++) advanceAge(node);
      assert.ok(!isRefaultClose(ageBucket(node), shadow), 'beyond 1/8 of memory');
    }
  });

  it('no shadow, no promotion', () => {
    for (let bucket = 1; bucket < 128; bucket++) assert.equal(isRefaultClose(bucket, 0), false);
  });

  it('an age is close for some buckets and forgotten for the others, whatever the touch that left it was', () => {
    for (let shadow = 1; shadow < 256; shadow++) {
      let close = 0;
      for (let now = 0; now < 128; now++) if (isRefaultClose(now, shadow)) close++;
      assert.equal(close, PROMOTE_BUCKETS);
    }
  });

  it('a touch leaves its bucket, and whether it was close', () => {
    for (let now = 1; now < 128; now++) {
      assert.equal(shadowOfTouch(now, 0), now);
      const once = shadowOfTouch(now, now);
      assert.deepEqual([refaultDistance(now, once), wasTouchClose(once), wasTouchClose(now)], [0, true, false]);
      const later = ((now + PROMOTE_BUCKETS - 1) % 127) + 1;
      assert.equal(shadowOfTouch(later, once), later, 'the row is broken');
    }
  });
});
