import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND_NEW } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { MIB, NO_PFN, ORDER_MAX, type Pfn } from '../base/units.ts';
import { createTestInstance, locked } from '../testing/test-instance.ts';
import { freeBlocks, hasFreeBlock } from './buddy.ts';
import { buddyinfo, fragmentationIndex, fragmentationIndexOf, unusableIndex } from './fragmentation.ts';
import { GFP_RECLAIM } from './gfp.ts';
import { allocLocked, drainCachesLocked, freeToBuddyLocked } from './page-allocator.ts';

/** A node of which exactly these blocks are free: [order, count]. */
function nodeWith(blocks: readonly (readonly [number, number])[]) {
  const instance = createTestInstance({ bytes: 16 * MIB, areas: 1 });
  const { node } = instance;
  locked(node, () => {
    const taken: { pfn: Pfn; order: number }[] = [];
    // As blocks of the order wanted, neighbours kept apart, so that those given back do not merge.
    for (const [order, count] of blocks) {
      for (let i = 0; i < count * 2; i++)
        taken.push({ pfn: allocLocked(node, order, L.MIGRATE_MOVABLE, GFP_RECLAIM, KIND_NEW), order });
    }
    drainCachesLocked(node);
    while (allocLocked(node, 0, L.MIGRATE_MOVABLE, GFP_RECLAIM, KIND_NEW) !== NO_PFN);
    for (const { pfn, order } of taken) if ((pfn >> order) % 2 === 0) freeToBuddyLocked(node, pfn);
  });
  for (const [order, count] of blocks) assert.equal(freeBlocks(node, order), count, `blocks of order ${order}`);
  return instance;
}

describe('fragmentation', () => {
  it('buddyinfo counts the free blocks of each order', () => {
    const { nodes } = nodeWith([
      [3, 2],
      [0, 5],
    ]);
    assert.deepEqual(buddyinfo(nodes), [5, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual(buddyinfo([nodes[0], nodes[0]]), [10, 0, 0, 4, 0, 0, 0, 0, 0, 0]);
  });

  it('the index is −1000 when a block is there, near 0 for want of memory, near 1000 when it is in pieces', () => {
    const { nodes, node } = nodeWith([[0, 200]]);
    assert.equal(fragmentationIndex(nodes, 0), -1000);
    // 1000 − (1000 + 200·1000/2^k) / 200
    assert.equal(fragmentationIndex(nodes, 1), Math.trunc(1000 - (1000 + 100_000) / 200));
    assert.equal(fragmentationIndex(nodes, 4), Math.trunc(1000 - (1000 + 12_500) / 200));
    assert.equal(fragmentationIndex(nodes, 9), Math.trunc(1000 - (1000 + 390) / 200));
    const { nodes: short } = nodeWith([[3, 1]]);
    assert.ok(fragmentationIndex(short, 4) < 0 || fragmentationIndex(short, 4) <= 500, 'one block is not in pieces');
    const { nodes: none } = nodeWith([]);
    assert.equal(fragmentationIndex(none, 2), 0);
    for (let order = 0; order <= ORDER_MAX; order++) {
      assert.equal(fragmentationIndexOf(node, order), fragmentationIndex(nodes, order));
      assert.equal(hasFreeBlock(node, order), fragmentationIndex(nodes, order) === -1000);
    }
  });

  it('the unusable share grows with the order', () => {
    const { nodes } = nodeWith([
      [4, 1],
      [2, 4],
      [0, 16],
    ]);
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].map((order) => unusableIndex(nodes, order)),
      [0, 33, 33, 66, 66, 100],
    );
    const { nodes: none } = nodeWith([]);
    assert.equal(unusableIndex(none, 3), 0);
  });
});
