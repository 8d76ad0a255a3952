/** Clean copies given up when slots run short: a page keeps its bytes, and swap-out its way. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import { MIB, PAGE_BYTES, type SlotIndex } from '../base/units.ts';
import { Kcopyd } from '../daemons/kcopyd.ts';
import { GFP_NOWARN, GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { groupAt } from '../reclaim/group.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, locked, type TestInstance } from '../testing/test-instance.ts';
import type { RegionSpace } from '../vm/region-space.ts';
import { ANY_GROUP, reclaimCleanCopiesLocked } from './clean-copy.ts';
import { allocRunLocked, allocSlotLocked } from './slot-alloc.ts';
import { freeSlotLocked } from './slot-free.ts';
import { SLOT_EMPTY, slotWord } from './slot-word.ts';
import { NO_SLOT } from './swap-table.ts';

let instance: TestInstance;
let space: RegionSpace;
let pages: number;
let copies: number;

/** Memory filled so far that idle pages have clean copies. */
beforeEach(() => {
  instance = createTestInstance({ bytes: 8 * MIB });
  space = instance.space(64 * MIB);
  const { words } = instance.node;
  pages = 0;
  while (words[L.H_FREE_FRAMES] > words[L.H_WMARK_COPY]) {
    space.write(pages * PAGE_BYTES, makePage(pages, 'text'), 0, PAGE_BYTES);
    pages++;
  }
  const kcopyd = new Kcopyd(instance.node);
  while (kcopyd.step());
  copies = words[L.H_CLEAN_COPIES];
  assert.ok(copies > 40, `${copies} copies of ${pages} pages`);
  assert.equal(words[L.H_SLOTS_USED], copies);
});

afterEach(() => {
  const page = new Uint8Array(PAGE_BYTES);
  for (let number = 0; number < pages; number++) {
    space.read(number * PAGE_BYTES, page, 0, PAGE_BYTES);
    assert.deepEqual(page, makePage(number, 'text'));
  }
  instance.finish();
});

function alloc(gfp: number, group = 0): SlotIndex {
  return locked(instance.node, () => allocSlotLocked(instance.node, slotWord(SLOT_EMPTY, 0), gfp, group));
}

function free(slots: readonly SlotIndex[]): void {
  locked(instance.node, () => {
    for (const slot of slots) freeSlotLocked(instance.node, slot);
  });
}

describe('clean copies and slots that run short', () => {
  it('at SLOTS_MAX swap-out gets the slots of copies, one after the other, until there is none', () => {
    const { words, counters } = instance.node;
    words[L.H_SLOTS_MAX] = copies;
    assert.equal(alloc(GFP_NOWARN), NO_SLOT, 'not for another copy ahead of need');
    assert.equal(words[L.H_CLEAN_COPIES], copies);
    const slots = Array.from({ length: copies }, () => alloc(GFP_RECLAIM));
    assert.ok(!slots.includes(NO_SLOT));
    assert.equal(alloc(GFP_RECLAIM), NO_SLOT);
    assert.equal(words[L.H_CLEAN_COPIES], 0);
    assert.equal(counters[C.swap_cache_reclaimed], copies);
    assert.equal(counters[C.swap_alloc_failed], 0);
    instance.node.words[L.H_SLOTS_MAX] = L.SLOTS_MAX;
    free(slots);
  });

  it('a run gets them too', () => {
    const { words } = instance.node;
    words[L.H_SLOTS_MAX] = copies;
    const base = locked(instance.node, () => allocRunLocked(instance.node, new Int32Array(4), GFP_RECLAIM));
    assert.notEqual(base, NO_SLOT);
    assert.ok(words[L.H_SLOTS_USED] <= copies);
    words[L.H_SLOTS_MAX] = L.SLOTS_MAX;
    free([0, 1, 2, 3].map((i) => (base + i) as SlotIndex));
  });

  it('a group at its limit gives up its own and no other’s', () => {
    const { words, home } = instance.node;
    const limitAt = groupAt(1) + L.G_SWAP_LIMIT_PAGES;
    home[limitAt] = 1 + 1;
    const slot = alloc(GFP_RECLAIM, 1);
    assert.equal(alloc(GFP_RECLAIM, 1), NO_SLOT);
    assert.equal(words[L.H_CLEAN_COPIES], copies);
    home[groupAt(0) + L.G_SWAP_LIMIT_PAGES] = copies + 1;
    const own = alloc(GFP_RECLAIM, 0);
    assert.notEqual(own, NO_SLOT);
    assert.ok(words[L.H_CLEAN_COPIES] < copies);
    home[groupAt(0) + L.G_SWAP_LIMIT_PAGES] = 0;
    home[limitAt] = 0;
    free([slot, own]);
  });

  it('more than half of all slots in use: before slots are stolen, when there is no memory for a table', () => {
    const { words } = instance.node;
    const held: SlotIndex[] = [];
    while ((words[L.H_SLOTS_USED] & (L.CLUSTER_SLOTS - 1)) !== 0) held.push(alloc(GFP_RECLAIM));
    words[L.H_SLOTS_MAX] = words[L.H_SLOTS_USED] + 10;
    const free0 = words[L.H_FREE_FRAMES];
    const parts = words.slice(L.H_SLAB_PARTIAL, L.H_SLAB_PARTIAL + 2);
    words[L.H_FREE_FRAMES] = 0;
    words.fill(0, L.H_SLAB_PARTIAL, L.H_SLAB_PARTIAL + 2);
    held.push(alloc(GFP_RECLAIM));
    words[L.H_FREE_FRAMES] += free0;
    words.set(parts, L.H_SLAB_PARTIAL);
    assert.ok(!held.includes(NO_SLOT));
    assert.ok(words[L.H_CLEAN_COPIES] < copies);
    words[L.H_SLOTS_MAX] = L.SLOTS_MAX;
    free(held);
  });

  it('the hand goes on from where it was, and round', () => {
    const { node } = instance;
    const [first, second] = [5, 7].map((wanted) =>
      locked(node, () => reclaimCleanCopiesLocked(node, wanted, ANY_GROUP)),
    );
    assert.deepEqual([first, second], [5, 7]);
    assert.equal(node.words[L.H_CLEAN_COPIES], copies - 12);
    assert.equal(
      locked(node, () => reclaimCleanCopiesLocked(node, 1e6, ANY_GROUP)),
      copies - 12,
      'all the others',
    );
    assert.equal(
      locked(node, () => reclaimCleanCopiesLocked(node, 1, ANY_GROUP)),
      0,
    );
  });
});
