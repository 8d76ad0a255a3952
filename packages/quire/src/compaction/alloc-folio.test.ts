import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { KIND_NEW, kindOf, orderOf } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { CounterName } from '../base/counters.ts';
import { MIB, NO_PFN, ORDER_MAX, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { hasFreeBlock, typeOf } from '../page-alloc/buddy.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { allocLocked } from '../page-alloc/page-allocator.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, locked } from '../testing/test-instance.ts';
import { buryThread } from '../vm/thread-slot.ts';
import { allocatedOrder, allocFolio, freeFolio } from './alloc-folio.ts';
import { COMPACT_FULL, Compactor } from './compactor.ts';
import { COMPACTION_POLICIES, type CompactionPolicy } from './policy.ts';
import { createFragmented, takeLargeBlocks } from './testing/fragmented.ts';

interface Expectation {
  /** Order got; 'largest': the largest that was free. */
  readonly got: number | 'largest';
  readonly stalls: number;
  readonly wakes: boolean;
}

/** What each policy does about a request when nothing above order 1 is free and half of memory is, frame by frame. */
const SCENES: Record<CompactionPolicy, Record<2 | 4 | 6, Expectation>> = {
  direct: {
    2: { got: 2, stalls: 1, wakes: false },
    4: { got: 4, stalls: 1, wakes: false },
    6: { got: 6, stalls: 1, wakes: false },
  },
  caller: {
    2: { got: 2, stalls: 1, wakes: false },
    4: { got: 'largest', stalls: 0, wakes: true },
    6: { got: 'largest', stalls: 0, wakes: true },
  },
  split: {
    2: { got: 2, stalls: 1, wakes: false },
    4: { got: 3, stalls: 1, wakes: true },
    6: { got: 3, stalls: 1, wakes: true },
  },
  light: {
    2: { got: 'largest', stalls: 0, wakes: true },
    4: { got: 'largest', stalls: 0, wakes: true },
    6: { got: 'largest', stalls: 0, wakes: true },
  },
  background: {
    2: { got: 2, stalls: 1, wakes: false },
    4: { got: 3, stalls: 1, wakes: true },
    6: { got: 3, stalls: 1, wakes: true },
  },
  stocked: {
    2: { got: 'largest', stalls: 0, wakes: true },
    4: { got: 'largest', stalls: 0, wakes: true },
    6: { got: 'largest', stalls: 0, wakes: true },
  },
};

const WORK: readonly CounterName[] = ['compact_migrate_scanned', 'compact_free_scanned', 'pgmigrate_success'];

describe('policies', () => {
  for (const policy of COMPACTION_POLICIES) {
    for (const wanted of [2, 4, 6] as const) {
      it(`${policy}: order ${wanted} is wanted, free memory is in single frames`, () => {
        const scene = createFragmented(policy);
        const { instance } = scene;
        const { node } = instance;
        const giveBack = takeLargeBlocks(instance, 2);
        const { got, stalls, wakes } = SCENES[policy][wanted];
        const largest = hasFreeBlock(node, 1) ? 1 : 0;
        // The stock is made by demand: it takes some requests until it is short.
        const requests = policy === 'stocked' ? 16 : 1;
        const held: Pfn[] = [];
        for (let i = 0; i < requests; i++) {
          held.push(allocFolio(instance.memory, 0, wanted, 0));
          if (i === 0) assert.equal(allocatedOrder.value, got === 'largest' ? largest : got);
        }
        assert.equal(kindOf(node, held[0]), KIND_NEW);
        assert.equal(scene.count('compact_stall'), stalls);
        assert.equal(scene.count('compact_success'), stalls);
        for (const name of WORK) assert.equal(scene.count(name) > 0, stalls > 0, name);
        assert.equal(scene.count('allocstall'), 0, 'there is room: nobody reclaims');
        assert.equal(node.words[L.H_KCOMPACTD_WAKE], wakes ? 1 : 0);
        for (const pfn of held) freeFolio(node, pfn);
        giveBack();
        scene.checkPages();
        instance.finish();
      });
    }

    it(`${policy}: a block is free: taken at once, nobody disturbed`, () => {
      const scene = createFragmented(policy);
      const { instance } = scene;
      assert.ok(hasFreeBlock(instance.node, 4));
      const pfn = allocFolio(instance.memory, 0, 4, 0);
      assert.equal(allocatedOrder.value, 4);
      assert.equal(orderOf(instance.node, pfn), 4);
      assert.equal(pfn % 16, 0);
      assert.equal(scene.count('compact_stall') + scene.count('allocstall'), 0);
      assert.equal(instance.node.words[L.H_KCOMPACTD_WAKE], 0);
      freeFolio(instance.node, pfn);
      instance.finish();
    });

    it(`${policy}: memory is short, not only in pieces: callers that may not stall do not reclaim`, () => {
      const scene = createFragmented(policy);
      const { instance, space } = scene;
      const { node } = instance;
      // Pages of another region, until only a little more than the low mark is free: too little to compact for order 4.
      takeLargeBlocks(instance, 4);
      const filler = instance.space(32 * MIB);
      for (let page = 0; node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_LOW] + 12; page++)
        filler.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
      const stalled = scene.count('allocstall');
      const pfn = allocFolio(instance.memory, 0, 4, 0);
      assert.notEqual(pfn, NO_PFN);
      if (policy === 'direct') assert.ok(scene.count('allocstall') > stalled, 'reclaims');
      else if (policy === 'light' || policy === 'caller') {
        assert.equal(scene.count('allocstall'), stalled);
        assert.ok(node.words[L.H_WMARK_BOOST] > 0, 'kswapd is asked for room');
        assert.equal(node.words[L.H_KSWAPD_WAKE], 1);
        assert.equal(node.words[L.H_KCOMPACTD_WAKE], 0, 'kcompactd could do nothing yet');
      } else if (policy === 'stocked') assert.equal(scene.count('allocstall'), stalled);
      freeFolio(node, pfn);
      space.close();
    });
  }
});

describe('the minimum order', () => {
  it('order 0 is had by reclaim when memory is full, whatever is wanted', () => {
    for (const policy of COMPACTION_POLICIES) {
      const scene = createFragmented(policy, 1);
      const { instance } = scene;
      const { node } = instance;
      const held: Pfn[] = [];
      for (let i = 0; i < 200; i++) {
        const pfn = allocFolio(instance.memory, 0, 3, 0);
        assert.notEqual(pfn, NO_PFN, `${policy} ${i}`);
        assert.equal(orderOf(node, pfn), allocatedOrder.value);
        held.push(pfn);
      }
      for (const pfn of held) freeFolio(node, pfn);
      scene.checkPages();
      instance.finish();
    }
  });

  it('a block that is needed is made, of any order and type, under each policy', () => {
    for (const policy of COMPACTION_POLICIES) {
      for (const type of [L.MIGRATE_MOVABLE, L.MIGRATE_UNMOVABLE]) {
        const scene = createFragmented(policy);
        const { instance } = scene;
        const giveBack = takeLargeBlocks(instance, 2);
        for (const order of [2, 5, 9]) {
          const pfn = allocFolio(instance.memory, 0, order, order, type);
          assert.notEqual(pfn, NO_PFN, `${policy} order ${order}`);
          assert.equal(allocatedOrder.value, order);
          assert.equal(pfn % (1 << order), 0);
          freeFolio(instance.node, pfn);
        }
        giveBack();
        scene.checkPages();
        instance.finish();
      }
    }
  });

  it('NO_PFN when all is full, and when what cannot move is in every block', () => {
    const instance = createTestInstance({ bytes: 2 * MIB, hasSwap: false, areas: 1 });
    const { node } = instance;
    const held: Pfn[] = [];
    for (;;) {
      const pfn = allocFolio(instance.memory, 0, 0, 0);
      if (pfn === NO_PFN) break;
      held.push(pfn);
    }
    assert.equal(node.words[L.H_FREE_FRAMES], node.words[L.H_WMARK_MIN]);
    // The reserve too: it may hold a block.
    locked(node, () => {
      while (node.words[L.H_FREE_FRAMES] > 0) held.push(allocLocked(node, 0, L.MIGRATE_MOVABLE, GFP_RECLAIM, KIND_NEW));
    });
    // Every fourth private frame goes back: a third of memory is free and nothing can be moved.
    for (const pfn of held) if (pfn % 4 !== 0) freeFolio(node, pfn);
    assert.equal(allocFolio(instance.memory, 0, 3, 3), NO_PFN);
    const small = allocFolio(instance.memory, 0, 3, 0);
    assert.ok(allocatedOrder.value < 3);
    freeFolio(node, small);
    for (const pfn of held) if (pfn % 4 === 0) freeFolio(node, pfn);
    assert.notEqual(allocFolio(instance.memory, 0, 3, 3), NO_PFN);
  });

  it('an unmovable block turns its pageblock unmovable where most of it is free', () => {
    const instance = createTestInstance({ bytes: 16 * MIB, areas: 1 });
    const pfn = allocFolio(instance.memory, 0, 3, 3, L.MIGRATE_UNMOVABLE);
    assert.equal(typeOf(instance.node, pfn), L.MIGRATE_UNMOVABLE);
    freeFolio(instance.node, pfn);
    instance.finish();
  });
});

describe('any sequence of allocations', () => {
  for (const policy of COMPACTION_POLICIES) {
    it(`under ${policy}: blocks are aligned, do not overlap, and all memory comes back`, () => {
      const operation = fc.tuple(fc.nat(ORDER_MAX), fc.nat(ORDER_MAX), fc.nat(), fc.nat(3));
      fc.assert(
        fc.property(fc.array(operation, { maxLength: 80, size: 'max' }), (operations) => {
          const scene = createFragmented(policy, 3, { bytes: 8 * MIB });
          const { instance } = scene;
          const { node } = instance;
          const owner = new Uint8Array(node.frames);
          const held: Pfn[] = [];
          for (const [a, b, pick, action] of operations) {
            if (action === 0 && held.length > 0) {
              const [pfn] = held.splice(pick % held.length, 1);
              owner.fill(0, pfn, pfn + (1 << orderOf(node, pfn)));
              freeFolio(node, pfn);
              continue;
            }
            const pfn = allocFolio(instance.memory, 0, Math.max(a, b), Math.min(a, b), action & 1);
            if (pfn === NO_PFN) continue;
            const order = allocatedOrder.value;
            assert.ok(order >= Math.min(a, b) && order <= Math.max(a, b));
            assert.equal(orderOf(node, pfn), order);
            assert.equal(pfn % (1 << order), 0);
            assert.ok(owner.subarray(pfn, pfn + (1 << order)).every((used) => used === 0));
            owner.fill(1, pfn, pfn + (1 << order));
            held.push(pfn);
          }
          for (const pfn of held) freeFolio(node, pfn);
          scene.checkPages();
          instance.finish();
        }),
        { numRuns: 8 },
      );
    });
  }
});

it('a thread that dies while it empties a block leaves nothing behind', () => {
  const scene = createFragmented('direct');
  const { instance } = scene;
  const giveBack = takeLargeBlocks(instance, 2);
  const dying = instance.join();
  const [node] = dying.nodes;
  const free = node.words[L.H_FREE_FRAMES];
  const compactor = locked(node, () => new Compactor(node, 9, COMPACT_FULL, false));
  for (let step = 0; step < 6; step++)
    assert.equal(
      locked(node, () => compactor.stepLocked()),
      'more',
    );
  assert.ok(node.words[L.H_FREE_FRAMES] < free, 'it holds part of a block');
  assert.equal(buryThread(instance.nodes, dying.thread), true);
  assert.equal(node.words[L.H_FREE_FRAMES], free);
  giveBack();
  scene.checkPages();
  instance.finish();
});
