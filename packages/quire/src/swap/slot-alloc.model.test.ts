/**
 * Long sequences of slots taken and given back: three threads, three groups with limits, runs of every order, bad slots, memory
 * for tables that is missing at any point. SlotScene compares each outcome with what looking at every slot says.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import { KIB, type SlotIndex } from '../base/units.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { allocTableLocked, freeTableLocked, SLAB_512 } from '../page-alloc/table-slab.ts';
import { groupAt } from '../reclaim/group.ts';
import { NOTHING, PLENTY, SlotScene, type TableMemory } from '../testing/slot-scene.ts';
import { locked } from '../testing/test-instance.ts';
import { releaseThreadClusterLocked } from './cluster.ts';
import { allocRunLocked, allocSlotLocked } from './slot-alloc.ts';
import { freeRowLocked, freeSlotLocked, markBadLocked } from './slot-free.ts';
import { MIXED, ownerCode, slotGroupLocked } from './slot-group.ts';
import { allocInRowLocked, endSlotRowLocked } from './slot-row.ts';
import { SLOT_BAD, SLOT_EMPTY, slotWord } from './slot-word.ts';
import { checkSwapTable, SLOTS_STATIC_BYTES, slotsBytes } from './swap-check.ts';
import { descriptorAt, INDEX_MASK, NO_SLOT, peekSlot } from './swap-table.ts';

const MEMORY: readonly TableMemory[] = [PLENTY, NOTHING, { frames: 1, parts: false }, { frames: 0, parts: true }];

type Step =
  | readonly [name: 'alloc', thread: number, order: number, group: number, memory: number, times: number]
  | readonly [name: 'batch', thread: number, groups: readonly number[], wanted: number, memory: number]
  | readonly [name: 'free' | 'freeRow', thread: number, from: number, times: number, stride: number]
  | readonly [name: 'bad', slot: number, memory: number]
  | readonly [name: 'limit', group: number, slots: number]
  | readonly [name: 'max', slots: number]
  | readonly [name: 'leave', thread: number];

const memory = fc.nat(MEMORY.length - 1);
const thread = fc.nat(2);
const group = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.tuple(
      fc.constant('alloc' as const),
      thread,
      fc.constantFrom(0, 0, 0, 1, 2, 2, 4, 9),
      group,
      memory,
      fc.integer({ min: 1, max: 300 }),
    ),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(
      fc.constant('batch' as const),
      thread,
      // Runs of one group, as they come from its lists.
      fc
        .array(fc.tuple(group, fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 4 })
        .map((runs) => runs.flatMap(([of, length]) => new Array<number>(length).fill(of))),
      fc.integer({ min: 1, max: 200 }),
      memory,
    ),
  },
  {
    weight: 12,
    arbitrary: fc.tuple(
      fc.constantFrom('free' as const, 'freeRow' as const),
      thread,
      fc.nat(),
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 7 }),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant('bad' as const), fc.nat(5 * L.CLUSTER_SLOTS), memory) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('limit' as const), fc.integer({ min: 1, max: 2 }), fc.nat(900)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('max' as const), fc.integer({ min: 1, max: 4000 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('leave' as const), thread) },
);

function apply(scene: SlotScene, step: Step): void {
  switch (step[0]) {
    case 'alloc':
      for (let i = 0; i < step[5] >> step[2] || i === 0; i++) {
        if (scene.alloc(step[1], step[2], step[3], MEMORY[step[4]]) === NO_SLOT) break;
      }
      break;
    case 'batch':
      scene.allocBatch(step[1], step[2], Math.max(step[2].length, step[3]), MEMORY[step[4]]);
      break;
    case 'free':
    case 'freeRow': {
      const start = scene.held.length === 0 ? 0 : step[2] % scene.held.length;
      const slots = scene.held.slice(start, start + step[3] * step[4]).filter((_, i) => i % step[4] === 0);
      if (step[0] === 'freeRow') scene.freeRow(step[1], slots);
      else for (const slot of slots) scene.free(step[1], slot);
      break;
    }
    case 'bad':
      scene.markBad(step[1] as SlotIndex, MEMORY[step[2]]);
      break;
    case 'limit':
      scene.limit(step[1], step[2] < 800 ? step[2] : undefined);
      break;
    case 'max':
      scene.slotsMax = step[1];
      break;
    case 'leave': {
      const node = scene.views[step[1]];
      locked(node, () => releaseThreadClusterLocked(node, node.threadAt));
    }
  }
}

describe('slot allocation', () => {
  it('long sequences do what looking at every slot says', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
        const scene = new SlotScene(3);
        for (const one of steps) {
          apply(scene, one);
          scene.check();
        }
        scene.finish();
      }),
      { numRuns: 100 },
    );
  });

  it('runs of every order are aligned and whole, and fill their clusters', () => {
    for (let order = 0; order <= 9; order++) {
      const scene = new SlotScene(1);
      const runs = L.CLUSTER_SLOTS >> order;
      const bases = Array.from({ length: 2 * runs }, () => scene.alloc(0, order, 0));
      assert.equal(scene.node.words[L.H_CLUSTERS_USED], 2, `order ${order}`);
      for (const base of bases.filter((_, i) => i % 2 === 1)) {
        for (let i = 0; i < 1 << order; i++) scene.free(0, (base + i) as SlotIndex);
      }
      const again = Array.from({ length: runs }, () => scene.alloc(0, order, 0));
      assert.deepEqual(new Set(again), new Set(bases.filter((_, i) => i % 2 === 1)), 'they fit where they were');
      scene.check();
      scene.finish();
    }
  });

  it('a cluster is one group’s, until a slot of it is stolen; empty, it forgets whose it was', () => {
    const scene = new SlotScene(2);
    const { node } = scene;
    const mine = Array.from({ length: L.CLUSTER_SLOTS - 1 }, () => scene.alloc(0, 0, 1));
    const theirs = Array.from({ length: 100 }, () => scene.alloc(0, 0, 2));
    const descriptor = descriptorAt(node, theirs[0] >>> 9);
    assert.notEqual(mine[0] >>> 9, theirs[0] >>> 9, 'one thread, two groups, two clusters');
    mine.push(scene.alloc(0, 0, 1));
    assert.equal(mine[L.CLUSTER_SLOTS - 1], mine[0] | INDEX_MASK, 'and back to the first');
    assert.equal(ownerCode(node, descriptor), 2 + 1);

    // The frame of the two tables has no part left: no cluster can be begun, and 512 bytes cannot be had either.
    assert.equal(scene.alloc(0, 0, 1, NOTHING), NO_SLOT);
    assert.equal(ownerCode(node, descriptor), 2 + 1);
    const part = locked(node, () => allocTableLocked(node, SLAB_512, GFP_RECLAIM));
    const stolen = Array.from({ length: 50 }, () => scene.alloc(0, 0, 1, { frames: 0, parts: true }));
    assert.equal(ownerCode(node, descriptor), MIXED);
    assert.equal(node.counters[C.swap_slots_stolen], 50);
    scene.check();
    for (const slot of stolen) assert.equal(slotGroupLocked(node, slot), 1);
    for (const slot of theirs) assert.equal(slotGroupLocked(node, slot), 2);
    assert.equal(slotsBytes(node), 4 * KIB + 2 * 2 * KIB + 512);

    for (const slot of [...theirs, ...stolen.slice(1)]) scene.free(1, slot);
    assert.equal(ownerCode(node, descriptor), MIXED, 'one of the stolen is left');
    scene.free(1, stolen[0]);
    assert.equal(slotsBytes(node), 4 * KIB + 2 * KIB);
    locked(node, () => freeTableLocked(node, SLAB_512, part));
    scene.finish();
  });

  it('the group’s limit and SLOTS_MAX are exact, for runs too', () => {
    const scene = new SlotScene(1);
    scene.limit(1, 10);
    assert.notEqual(scene.alloc(0, 3, 1), NO_SLOT);
    assert.equal(scene.alloc(0, 2, 1), NO_SLOT, '12 would be too many');
    assert.notEqual(scene.alloc(0, 1, 1), NO_SLOT);
    assert.equal(scene.alloc(0, 0, 1), NO_SLOT);
    assert.notEqual(scene.alloc(0, 0, 2), NO_SLOT, 'another group has no limit');
    scene.slotsMax = 13;
    assert.equal(scene.alloc(0, 2, 2), NO_SLOT);
    assert.notEqual(scene.alloc(0, 1, 2), NO_SLOT);
    assert.equal(scene.alloc(0, 0, 0), NO_SLOT);
    assert.equal(scene.node.home[groupAt(1) + L.G_SWAP_PAGES], 10);
    scene.finish();
  });

  it('a chunk that was full is used again before another is begun', () => {
    const scene = new SlotScene(1);
    const { words } = scene.node;
    const bases = Array.from({ length: L.CLUSTER_CHUNK + 1 }, () => scene.alloc(0, 9, 0));
    assert.equal(bases[L.CLUSTER_CHUNK] >>> 9, L.CLUSTER_CHUNK, 'the second chunk');
    for (let i = 0; i < L.CLUSTER_SLOTS; i++) scene.free(0, (bases[40] + i) as SlotIndex);
    scene.check();
    assert.equal(scene.alloc(0, 9, 0), bases[40]);
    for (let i = 0; i < L.CLUSTER_SLOTS; i++) scene.free(0, (bases[L.CLUSTER_CHUNK] + i) as SlotIndex);
    scene.check();
    assert.equal(words[L.CLUSTER_ROOTS_AT + 1], 0, 'it went with its last cluster');
    scene.finish();
  });

  it('a batch takes slots in order, and what is set apart beyond it comes back', () => {
    const scene = new SlotScene(1);
    const { node } = scene;
    const groupPages = (group: number) => node.home[groupAt(group) + L.G_SWAP_PAGES];
    const [first] = scene.allocBatch(0, [1], 32);
    assert.deepEqual(scene.allocBatch(0, [1, 1, 1], 32), [first + 1, first + 2, first + 3]);
    scene.check();
    scene.free(0, (first + 2) as SlotIndex);
    assert.equal(scene.alloc(0, 0, 1), first + 4, 'the hint is behind the last one taken');
    locked(node, () => {
      allocInRowLocked(node, slotWord(SLOT_EMPTY, 1), 1, 8);
      assert.deepEqual([node.slotRow.left, groupPages(1), node.words[L.H_SLOTS_USED]], [7, 12, 12]);
      allocInRowLocked(node, slotWord(SLOT_EMPTY, 1), 2, 7);
      assert.deepEqual([node.slotRow.left, groupPages(1), groupPages(2)], [0, 5, 1], 'another group ends the row');
      endSlotRowLocked(node);
    });
    checkSwapTable(node);
    assert.equal(node.words[L.H_SLOTS_USED], 6);
  });

  it('no row is set apart of what somebody may be short of', () => {
    const scene = new SlotScene(1);
    scene.limit(1, 5);
    assert.equal(scene.allocBatch(0, new Array(9).fill(1), 32).length, 5, 'the limit of the group is exact');
    scene.check();
    scene.slotsMax = 12;
    assert.equal(scene.allocBatch(0, new Array(9).fill(2), 32).length, 7, 'and so is SLOTS_MAX');
    scene.check();
    scene.slotsMax = 10_000;
    const rest = scene.allocBatch(0, new Array(L.CLUSTER_SLOTS).fill(2), L.CLUSTER_SLOTS);
    assert.equal(rest.length, L.CLUSTER_SLOTS, 'from one cluster to the next');
    assert.equal(rest[L.CLUSTER_SLOTS - 1] >>> 9, (rest[0] >>> 9) + 1);
    scene.finish();
  });

  it('a row that goes is of one cluster, and of slots in use', () => {
    const scene = new SlotScene(1);
    const { node } = scene;
    const slots = Int32Array.from(scene.allocBatch(0, new Array(L.CLUSTER_SLOTS + 2).fill(0), 2 * L.CLUSTER_SLOTS));
    const far = Int32Array.of(slots[3], slots[L.CLUSTER_SLOTS + 1]);
    node.lock();
    assert.throws(() => freeRowLocked(node, far, 2), /row of one cluster/);
    assert.throws(() => freeRowLocked(node, Int32Array.of(slots[5], slots[5]), 2), /freed twice/);
    assert.throws(() => freeRowLocked(node, slots, 0), /slots of a row/);
    node.unlock();
  });

  it('asks for no run that is none', () => {
    const { node } = new SlotScene(1);
    node.lock();
    assert.throws(() => allocRunLocked(node, new Int32Array(3), GFP_RECLAIM), /length of a run/);
    assert.throws(() => allocRunLocked(node, new Int32Array(1024), GFP_RECLAIM), /length of a run/);
    node.unlock();
  });
});

describe('bad slots', () => {
  it('are never handed out, count against SLOTS_MAX, and keep their tables', () => {
    const scene = new SlotScene(1);
    for (const slot of [0, 1, 5, 511, 600]) assert.ok(scene.markBad(slot as SlotIndex));
    assert.ok(scene.markBad(5 as SlotIndex), 'twice is once');
    scene.check();
    scene.slotsMax = 5 + 1200;
    for (let i = 0; i < 100; i++) scene.alloc(0, 2, 0);
    while (scene.alloc(0, 0, 0) !== NO_SLOT);
    assert.equal(scene.held.length, 1200);
    scene.finish();
    assert.equal(scene.node.words[L.H_SLOT_TABLES], 2);
    assert.ok(scene.alloc(0, 0, 2) < 2 * L.CLUSTER_SLOTS, 'which are used before a cluster is begun');
  });

  it('a slot in use is made bad instead of being freed', () => {
    const scene = new SlotScene(1);
    scene.limit(1, 2);
    const slot = scene.alloc(0, 0, 1);
    const other = scene.alloc(0, 0, 1);
    assert.equal(scene.alloc(0, 0, 1), NO_SLOT);
    assert.ok(scene.markBad(slot, NOTHING), 'needs no memory');
    scene.check();
    assert.equal(peekSlot(scene.node, slot), SLOT_BAD);
    assert.notEqual(scene.alloc(0, 0, 1), NO_SLOT, 'the group has a slot to take again');
    scene.free(0, other);
    assert.throws(() => locked(scene.node, () => freeSlotLocked(scene.node, slot)), /freed twice/);
    scene.finish();
  });

  it('needs memory for the table of a free cluster', () => {
    const scene = new SlotScene(1);
    const before = scene.trace();
    assert.equal(scene.markBad(700 as SlotIndex, NOTHING), false);
    assert.equal(scene.markBad(700 as SlotIndex, { frames: 1, parts: false }), false, 'a chunk and a table');
    assert.deepEqual(scene.trace(), before);
    assert.throws(
      () => locked(scene.node, () => markBadLocked(scene.node, L.SLOTS_MAX as SlotIndex, GFP_RECLAIM)),
      /slot/,
    );
    scene.finish();
  });

  it('a cluster of nothing but bad slots is full', () => {
    const scene = new SlotScene(1);
    for (let slot = 0; slot < L.CLUSTER_SLOTS; slot++) scene.markBad(slot as SlotIndex);
    scene.check();
    assert.equal(scene.alloc(0, 0, 0), L.CLUSTER_SLOTS);
    scene.finish();
  });
});

describe('memory of the swap table', () => {
  it('is at most 6 bytes a slot in use when clusters are full, and 64 KiB for a terabyte that is idle', () => {
    const scene = new SlotScene(1);
    assert.ok(SLOTS_STATIC_BYTES <= 64 * KIB, `${SLOTS_STATIC_BYTES}`);
    assert.equal(slotsBytes(scene.node), 0);
    for (let i = 0; i < 128 * L.CLUSTER_SLOTS; i++) {
      locked(scene.node, () => allocSlotLocked(scene.node, slotWord(SLOT_EMPTY, 0), GFP_RECLAIM));
    }
    assert.equal(slotsBytes(scene.node), 128 * 2 * KIB + 4 * KIB);
    assert.equal(slotsBytes(scene.node) / scene.node.words[L.H_SLOTS_USED], 4.0625);
    checkSwapTable(scene.node);
  });
});
