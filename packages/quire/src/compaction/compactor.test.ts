import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND_NEW, kindOf, orderOf } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { NO_PFN, type Pfn } from '../base/units.ts';
import { hasFreeBlock } from '../page-alloc/buddy.ts';
import { freeToBuddyLocked } from '../page-alloc/page-allocator.ts';
import { COMPACT_FULL, COMPACT_LIGHT, Compactor } from './compactor.ts';
import { FIXED, FREE, MOVABLE, SmallHeap } from './testing/small-heap.ts';

const heap = new SmallHeap();
const { node } = heap;

/** One run from end to end; the block it made, NO_PFN when it made none. */
function compact(order: number, mode = COMPACT_FULL): Pfn {
  const compactor = new Compactor(node, order, mode, false);
  for (let steps = 0; steps < 1000; steps++) {
    const step = compactor.stepLocked();
    if (step === 'done') return compactor.block;
    if (step !== 'more') return NO_PFN;
  }
  throw new Error('a run ends');
}

/** Can a block of 2^order frames be made at all? */
function isPossible(layout: readonly number[], order: number): boolean {
  const free = layout.filter((state) => state === FREE).length;
  if (free < 1 << order) return false;
  for (let at = 0; at + (1 << order) <= layout.length; at += 1 << order) {
    if (layout.slice(at, at + (1 << order)).every((state) => state !== FIXED)) return true;
  }
  return false;
}

function layoutOf(number: number, frames: number, states: number): number[] {
  let rest = number;
  return Array.from({ length: frames }, () => {
    const state = rest % states;
    rest = Math.floor(rest / states);
    return state;
  });
}

describe('compaction of small heaps', () => {
  for (const [frames, states, stride] of [
    [2, 3, 1],
    [4, 3, 1],
    [8, 3, 1],
    [12, 2, 1],
    [16, 2, 7],
    [16, 3, 9973],
  ]) {
    it(`${stride === 1 ? 'every' : 'every so many-th'} layout of ${frames} frames with ${states} states: contents kept, largest block made`, () => {
      for (let number = 0; number < states ** frames; number += stride) {
        const layout = layoutOf(number, frames, states);
        for (let order = 1; 1 << order <= frames; order++) {
          heap.build(layout);
          if (hasFreeBlock(node, order)) {
            heap.clear();
            continue;
          }
          const block = compact(order);
          assert.equal(block !== NO_PFN, isPossible(layout, order), `${layout.join('')} order ${order}`);
          if (block !== NO_PFN) {
            assert.equal((block - heap.first) % (1 << order), 0);
            assert.equal(kindOf(node, block), KIND_NEW);
            assert.equal(orderOf(node, block), order);
            freeToBuddyLocked(node, block);
            assert.ok(hasFreeBlock(node, order));
          }
          heap.check();
          heap.clear();
        }
      }
    });
  }
});

describe('marks and positions', () => {
  it('a pageblock with nothing for an order is skipped for it and larger ones, until a daemon takes the marks back', () => {
    const at = node.blocksAt + Math.floor(heap.first / 512);
    heap.build([FREE, FIXED, FREE, FIXED, FREE, FIXED, FREE, FIXED]);
    assert.equal(compact(1, COMPACT_LIGHT), NO_PFN);
    assert.equal(node.words[at] >>> L.BLOCK_SKIP_SHIFT, 1);
    assert.equal(node.words[L.H_COMPACT_FLUSH], 1);
    heap.clear();
    heap.build([FREE, MOVABLE, FREE, MOVABLE]);
    node.words[at] = L.MIGRATE_MOVABLE | (1 << L.BLOCK_SKIP_SHIFT);
    assert.equal(compact(1, COMPACT_LIGHT), NO_PFN, 'skipped');
    const daemon = new Compactor(node, 1, COMPACT_LIGHT, true);
    assert.equal(node.words[at] >>> L.BLOCK_SKIP_SHIFT, 0);
    let step = daemon.stepLocked();
    while (step === 'more') step = daemon.stepLocked();
    assert.equal(step, 'done');
    freeToBuddyLocked(node, daemon.block);
    heap.check();
    heap.clear();
  });

  it('the next run goes on behind the block that was made', () => {
    node.words[L.H_COMPACT_MIGRATE] = 0;
    heap.build([FREE, MOVABLE, FREE, MOVABLE, MOVABLE, MOVABLE, FREE, MOVABLE, FREE, MOVABLE, MOVABLE, MOVABLE]);
    const block = compact(1, COMPACT_LIGHT);
    assert.equal(block, heap.first);
    assert.equal(node.words[L.H_COMPACT_MIGRATE], heap.first + 2);
    freeToBuddyLocked(node, block);
    heap.check();
    heap.clear();
  });

  it('a pinned page stays, and what was taken of its block is given back', () => {
    heap.build([FREE, MOVABLE, MOVABLE, FREE]);
    node.words[node.pinAt + heap.first + 1] = 1;
    node.words[node.pinAt + heap.first + 2] = 1;
    assert.equal(compact(1), NO_PFN);
    assert.equal(node.words[L.H_FREE_FRAMES], 2);
    node.words[node.pinAt + heap.first + 1] = 0;
    const block = compact(1);
    assert.equal(block, heap.first);
    freeToBuddyLocked(node, block);
    node.words[node.pinAt + heap.first + 2] = 0;
    heap.check();
    heap.clear();
  });
});
