/** What every policy must keep, run over each; then what makes each itself. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { LRU_ACTIVE, LRU_INACTIVE, LRU_MASK, LRU_SHIFT } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromPte, isPresent } from '../arena/pte.ts';
import { MIB, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { createIsolateResult, isolateLocked } from '../swap/swap-out.ts';
import { createTestInstance, locked } from '../testing/test-instance.ts';
import { DEFAULT_GROUP } from './group.ts';
import { checkLru, lruBlockAt, lruSize, lruTail } from './lru.ts';
import { RECLAIM_POLICIES, type ReclaimPolicyName, reclaimPolicyOf, setReclaimPolicy } from './policy.ts';
import { MEMORY_BUCKETS, NO_DISTANCE } from './working-set.ts';

const BLOCK = lruBlockAt(DEFAULT_GROUP);

/** A region of same-filled pages, so that nothing but the pages takes frames, and reclaim a round at a time. */
function createScene(name: ReclaimPolicyName) {
  const instance = createTestInstance({ bytes: 2 * MIB, areas: 1 });
  const { node, nodes, memory } = instance;
  setReclaimPolicy(nodes, name);
  const space = instance.space(512 * PAGE_BYTES);
  const byte = new Uint8Array(1);
  const entry = (page: number): number => node.words[findLeaf(node, space.region, 0) + page];
  return {
    instance,
    node,
    policy: reclaimPolicyOf(node),
    write: (page: number) => space.write(page * PAGE_BYTES, byte, 0, 1),
    read: (page: number) => space.read(page * PAGE_BYTES, byte, 0, 1),
    free: (page: number) => space.discard(page * PAGE_BYTES, PAGE_BYTES),
    isResident: (page: number) => isPresent(entry(page)),
    frameOf: (page: number) => frameFromPte(entry(page)) as Pfn,
    listOf: (page: number) => (node.words[node.kindAt + frameFromPte(entry(page))] & LRU_MASK) >> LRU_SHIFT,
    /** A round of direct reclaim: up to 16 pages. */
    round: () => memory.reclaimers[0].round(false, true),
  };
}

function pagesOnLists(node: Node): number {
  return lruSize(node, BLOCK, LRU_INACTIVE) + lruSize(node, BLOCK, LRU_ACTIVE);
}

for (const name of RECLAIM_POLICIES) {
  describe(`contract of a reclaim policy: ${name}`, () => {
    it('names a list for every distance', () => {
      const { policy } = createScene(name);
      for (let distance = 0; distance <= NO_DISTANCE; distance++) {
        assert.ok([LRU_INACTIVE, LRU_ACTIVE].includes(policy.listFor(distance)), `distance ${distance}`);
      }
      assert.equal(policy.listFor(NO_DISTANCE), LRU_INACTIVE, 'what has no history has to prove itself');
      for (const list of [LRU_INACTIVE, LRU_ACTIVE]) assert.equal(policy.listOfTouched(list), LRU_ACTIVE);
    });

    it('finds a page as long as there is one, once it has aged the lists', () => {
      const { instance, node, policy, write, read, round } = createScene(name);
      fc.assert(
        fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(99)), { maxLength: 300, size: 'max' }), (steps) => {
          for (const [action, page] of steps) {
            if (action === 0) write(page);
            else if (action < 3) read(page);
            else round();
            locked(node, () => {
              // The first look may find all touched, the second cannot.
              for (let looks = 0; looks < 2; looks++) {
                const aged = policy.ageLocked(node, BLOCK, node.frames);
                assert.ok(aged <= pagesOnLists(node));
              }
              const list = policy.scanListLocked(node, BLOCK);
              assert.equal(lruTail(node, BLOCK, list) === 0, pagesOnLists(node) === 0);
              checkLru(node);
            });
          }
        }),
        { numRuns: 40 },
      );
      instance.finish();
    });

    it('gives every idle page up, in as many looks as there are pages and touch marks', () => {
      for (const touched of [0, 50, 200]) {
        const { instance, node, write, read, round } = createScene(name);
        for (let page = 0; page < 200; page++) write(page);
        for (let page = 0; page < touched; page++) read(page);
        for (let rounds = 0; pagesOnLists(node) > 0; rounds++) {
          assert.ok(rounds < 200, 'reclaim ends');
          round();
        }
        for (let page = 0; page < 200; page++) read(page);
        instance.finish();
      }
    });

    it('makes progress when all pages are active and touched', () => {
      const { instance, node, write, round } = createScene(name);
      for (let page = 0; page < 200; page++) write(page);
      while (pagesOnLists(node) > 0) round();
      for (let page = 0; page < 200; page++) write(page);
      assert.deepEqual([lruSize(node, BLOCK, LRU_INACTIVE), lruSize(node, BLOCK, LRU_ACTIVE)], [0, 200]);
      // A round looks at no more than 64; the marks are gone after two turns at the latest.
      for (let rounds = 0; pagesOnLists(node) === 200; rounds++) {
        assert.ok(rounds < 40, 'a page is found');
        assert.ok(round(), 'a round that looked at pages says so');
      }
      instance.finish();
    });

    it('never gives up a page that was touched since it was last looked at', () => {
      const { instance, node, write, read, isResident, frameOf } = createScene(name);
      const operations = fc.array(fc.tuple(fc.nat(4), fc.nat(59)), { maxLength: 200, size: 'max' });
      const out = new Int32Array(32);
      const result = createIsolateResult();
      fc.assert(
        fc.property(operations, (steps) => {
          for (const [action, page] of steps) {
            if (action === 0) write(page);
            else if (action < 4) read(page);
            else {
              const resident = Array.from({ length: 60 }, (_, i) => i).filter(isResident);
              const marks = new Map(resident.map((i) => [frameOf(i), node.words[node.touchAt + frameOf(i)]]));
              locked(node, () => isolateLocked(node, 8, out, result));
              // Looked at twice in one go is possible only where fewer than four times as many pages are left.
              if (resident.length < 64) continue;
              for (let i = 0; i < result.isolated; i++) assert.equal(marks.get(out[i] as Pfn), 0);
            }
          }
        }),
        { numRuns: 40 },
      );
      instance.finish();
    });

    it('keeps pages in use while there are idle ones', () => {
      const { instance, write, read, isResident, round } = createScene(name);
      const hot = Array.from({ length: 20 }, (_, i) => i * 5);
      for (let page = 0; page < 100; page++) write(page);
      // Four rounds of 16; eighty pages are idle.
      for (let rounds = 0; rounds < 4; rounds++) {
        for (const page of hot) read(page);
        round();
      }
      assert.equal(hot.filter(isResident).length, hot.length, 'all of the used ones');
      assert.ok(Array.from({ length: 100 }, (_, page) => page).filter(isResident).length < 100, 'others have gone');
      instance.finish();
    });

    it('lets a scan of new pages pass by pages in use', () => {
      const { instance, write, read, isResident, round } = createScene(name);
      const hot = Array.from({ length: 30 }, (_, page) => page);
      for (const page of hot) write(page);
      for (let page = 100; page < 400; page++) {
        write(page);
        read(hot[page % hot.length]);
        if (page % 20 === 0 && page > 200) round();
      }
      assert.equal(hot.filter(isResident).length, hot.length);
      instance.finish();
    });

    it('holds the bytes of every page, whatever it does', () => {
      const { instance, node, write, read, free, round } = createScene(name);
      fc.assert(
        fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(499)), { maxLength: 600, size: 'max' }), (steps) => {
          for (const [action, page] of steps) {
            if (action < 2) write(page);
            else if (action === 2) read(page);
            else if (action === 3) free(page);
            else round();
          }
          checkLru(node);
          instance.check();
        }),
        { numRuns: 20 },
      );
      instance.finish();
    });
  });
}

describe('active-inactive', () => {
  it('takes idle pages of the active list back while it is the longer one', () => {
    const { instance, node, policy, write, read } = createScene('active-inactive');
    for (let page = 0; page < 40; page++) write(page);
    for (let page = 0; page < 40; page++) read(page);
    const out = new Int32Array(32);
    // One turn of the group looks at three pages; all are touched and go to the active list.
    const result = createIsolateResult();
    for (let looked = 0; looked < 40; looked += result.scanned) locked(node, () => isolateLocked(node, 1, out, result));
    const active = lruSize(node, BLOCK, LRU_ACTIVE);
    assert.ok(active > lruSize(node, BLOCK, LRU_INACTIVE), 'active is the longer one');
    locked(node, () => policy.ageLocked(node, BLOCK, 100));
    assert.ok(lruSize(node, BLOCK, LRU_INACTIVE) >= lruSize(node, BLOCK, LRU_ACTIVE));
    assert.equal(policy.scanListLocked(node, BLOCK), LRU_INACTIVE);
    instance.finish();
  });
});

describe('a page that comes back', () => {
  it('soon is active, and one that left long ago starts anew', () => {
    for (const name of RECLAIM_POLICIES) {
      const { policy } = createScene(name);
      assert.equal(policy.listFor(0), LRU_ACTIVE);
      assert.equal(policy.listFor(MEMORY_BUCKETS - 1), LRU_ACTIVE);
      assert.equal(policy.listFor(MEMORY_BUCKETS), LRU_INACTIVE);
      const { instance, node, write, read, round, isResident, listOf } = createScene(name);
      for (let page = 0; page < 100; page++) write(page);
      round();
      assert.ok(![0, 1, 2, 3].some(isResident), 'the first pages have left');
      write(0);
      assert.equal(listOf(0), LRU_ACTIVE, `${name}: written`);
      read(1);
      assert.ok(!isResident(1), 'read in passing');
      read(1);
      read(1);
      assert.equal(listOf(1), LRU_ACTIVE, `${name}: read again and again`);
      write(101);
      assert.equal(listOf(101), LRU_INACTIVE, 'a new page');
      node.words[L.H_AGE] += node.frames;
      write(2);
      assert.equal(listOf(2), LRU_INACTIVE, `${name}: after all of memory`);
      instance.finish();
    }
  });
});

describe('s3-fifo', () => {
  it('looks at the small queue while it is a tenth, then at the main one', () => {
    const { instance, node, policy, write, read } = createScene('s3-fifo');
    for (let page = 0; page < 100; page++) write(page);
    assert.equal(policy.scanListLocked(node, BLOCK), LRU_INACTIVE);
    for (let page = 0; page < 100; page++) read(page);
    const out = new Int32Array(512);
    const result = createIsolateResult();
    for (let i = 0; i < 100 && policy.scanListLocked(node, BLOCK) === LRU_INACTIVE; i++) {
      locked(node, () => isolateLocked(node, 1, out, result));
    }
    assert.equal(lruSize(node, BLOCK, LRU_INACTIVE), 9);
    const before = lruSize(node, BLOCK, LRU_ACTIVE);
    assert.ok(before >= 90);
    // Their marks were taken back on the way: from now on the main queue's tail goes.
    const tail = lruTail(node, BLOCK, LRU_ACTIVE);
    locked(node, () => isolateLocked(node, 1, out, result));
    assert.deepEqual([result.isolated, out[0], lruSize(node, BLOCK, LRU_ACTIVE)], [1, tail, before - 1]);
    instance.finish();
  });
});
