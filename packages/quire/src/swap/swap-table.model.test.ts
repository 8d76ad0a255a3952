/** The swap table against a Set: allocation and freeing by two threads, tables and chunks that come and go, a space that fills up. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { KIB, MIB, type SlotIndex, UNIT_PAGES } from '../base/units.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { allocTableLocked, freeTableLocked, SLAB_2K, SLAB_512 } from '../page-alloc/table-slab.ts';
import { shadowByteAt } from '../reclaim/working-set.ts';
import { createTestInstance, locked } from '../testing/test-instance.ts';
import { detachThread } from '../vm/thread-slot.ts';
import { allocRunLocked, allocSlotLocked } from './slot-alloc.ts';
import { freeSlotLocked } from './slot-free.ts';
import { SLOT_EMPTY, SLOT_FRAME, SLOT_FREE, slotWord } from './slot-word.ts';
import { checkSwapTable } from './swap-check.ts';
import { NO_SLOT, peekSlot, sequenceAt, setSlotWordLocked, slotWordLocked } from './swap-table.ts';

function alloc(node: Node, payload: number): SlotIndex {
  return locked(node, () => allocSlotLocked(node, slotWord(SLOT_EMPTY, payload), GFP_RECLAIM));
}

function free(node: Node, slot: SlotIndex): void {
  locked(node, () => freeSlotLocked(node, slot));
}

function chunks(node: Node): number {
  return node.words.subarray(L.CLUSTER_ROOTS_AT, L.CLUSTER_ROOTS_AT + L.CLUSTER_ROOTS).filter((root) => root !== 0)
    .length;
}

describe('swap table', () => {
  it('agrees with a Map, with two threads allocating', () => {
    const runs = fc.array(fc.tuple(fc.nat(1), fc.integer({ min: -900, max: 900 }), fc.nat()), {
      maxLength: 60,
      size: 'max',
    });
    fc.assert(
      fc.property(runs, (sequence) => {
        const instance = createTestInstance({ bytes: 4 * MIB });
        const views = [instance.node, instance.join().nodes[0]];
        const model = new Map<SlotIndex, number>();
        for (const [thread, count, pick] of sequence) {
          const node = views[thread];
          for (let i = 0; i < count; i++) {
            const slot = alloc(node, i);
            assert.notEqual(slot, NO_SLOT);
            assert.ok(!model.has(slot), 'a slot is given out once');
            model.set(slot, i);
          }
          const slots = [...model.keys()];
          const start = slots.length === 0 ? 0 : pick % slots.length;
          for (const slot of slots.slice(start, start - Math.min(count, 0))) {
            free(node, slot);
            model.delete(slot);
          }
          checkSwapTable(node);
        }
        assert.equal(instance.node.words[L.H_SLOTS_USED], model.size);
        for (const [slot, payload] of model) assert.equal(peekSlot(instance.node, slot), slotWord(SLOT_EMPTY, payload));
        for (const slot of model.keys()) free(instance.node, slot);
        instance.finish();
      }),
      { numRuns: 30 },
    );
  });

  it('runs are aligned, in a cluster of their own, and come back when all four are free', () => {
    const instance = createTestInstance({ bytes: 4 * MIB });
    const { node } = instance;
    const pfns = Int32Array.of(100, 101, 102, 103);
    const singles = Array.from({ length: 3 }, (_, i) => alloc(node, i));
    const runs = Array.from({ length: 300 }, () => locked(node, () => allocRunLocked(node, pfns, GFP_RECLAIM)));
    assert.equal(new Set(runs).size, 300);
    for (const base of runs) {
      assert.equal(base % UNIT_PAGES, 0);
      assert.notEqual(base >>> 9, singles[0] >>> 9, 'not among single slots');
      for (let i = 0; i < UNIT_PAGES; i++) assert.equal(peekSlot(node, base + i), slotWord(SLOT_FRAME, pfns[i]));
    }
    checkSwapTable(node);
    assert.equal(node.words[L.H_CLUSTERS_USED], 4, '300 runs are three clusters');
    // One slot of each goes: no run comes free, single slots fill the gaps.
    for (const base of runs.slice(0, 128)) free(node, (base + 1) as SlotIndex);
    assert.ok(!runs.slice(0, 128).includes(locked(node, () => allocRunLocked(node, pfns, GFP_RECLAIM))));
    for (const base of runs.slice(0, 128)) for (const i of [0, 2, 3]) free(node, (base + i) as SlotIndex);
    checkSwapTable(node);
    detachThread(instance.nodes, instance.thread);
    checkSwapTable(node);
    assert.equal(node.words[L.H_SLOTS_USED], 3 + 173 * UNIT_PAGES);
  });

  it('runs and single slots by two threads agree with a Map', () => {
    const step = fc.tuple(fc.nat(1), fc.integer({ min: 0, max: 9 }), fc.nat());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 1500, size: 'max' }), (sequence) => {
        const instance = createTestInstance({ bytes: 2 * MIB, areas: 2 });
        const views = [instance.node, instance.join().nodes[0]];
        const held = new Set<SlotIndex>();
        for (const [thread, choice, pick] of sequence) {
          const node = views[thread];
          if (choice < 5) {
            const isRun = choice < 3;
            const base = isRun
              ? locked(node, () => allocRunLocked(node, new Int32Array(UNIT_PAGES).fill(pick % 1000), GFP_RECLAIM))
              : alloc(node, pick % 1000);
            assert.notEqual(base, NO_SLOT);
            for (let i = 0; i < (isRun ? UNIT_PAGES : 1); i++) {
              assert.ok(!held.has((base + i) as SlotIndex), 'a slot is given out once');
              held.add((base + i) as SlotIndex);
            }
          } else if (held.size > 0) {
            const slots = [...held];
            for (let i = 0; i < 3 && i < slots.length; i++) {
              const slot = slots[(pick + i) % slots.length];
              if (!held.delete(slot)) continue;
              free(node, slot);
            }
          }
        }
        checkSwapTable(instance.node);
        assert.equal(instance.node.words[L.H_SLOTS_USED], held.size);
        for (const slot of held) free(instance.node, slot);
        instance.finish();
      }),
      { numRuns: 25 },
    );
  });

  it('a table lives as long as a slot of it, a chunk as long as a cluster of it', () => {
    const instance = createTestInstance({ bytes: 4 * MIB });
    const { node } = instance;
    const tables = node.words[L.H_TABLE_FRAMES];
    const slots = Array.from({ length: L.CLUSTER_SLOTS * 140 }, (_, i) => alloc(node, i));
    assert.equal(chunks(node), 2, '140 clusters are two chunks of 128');
    assert.equal(node.words[L.H_CLUSTERS_USED], 140);
    // 2 KiB and 512 B a cluster, and the chunks: 5 bytes a slot in use.
    assert.ok(node.words[L.H_TABLE_FRAMES] - tables <= 70 + 18 + 2);
    for (const slot of slots.slice(0, -1)) free(node, slot);
    assert.equal(node.words[L.H_CLUSTERS_USED], 1);
    assert.equal(chunks(node), 1);
    free(node, slots.at(-1) as SlotIndex);
    assert.equal(node.words[L.H_SLOTS_USED], 0);
    detachThread(instance.nodes, instance.thread);
    assert.equal(node.words[L.H_CLUSTERS_USED], 0);
    assert.equal(node.words[L.H_TABLE_FRAMES], tables, 'an idle space holds no table at all');
    checkSwapTable(node);
  });

  it('allocation never fails while a slot is free', () => {
    for (const limit of [1, 511, 512, 513, 2000]) {
      const instance = createTestInstance({ bytes: 4 * MIB });
      const { node } = instance;
      const [other] = instance.join().nodes;
      node.words[L.H_SLOTS_MAX] = limit;
      const held: SlotIndex[] = [];
      for (let i = 0; i < limit; i++) held.push(alloc(i % 3 === 0 ? other : node, i));
      assert.ok(!held.includes(NO_SLOT), `all ${limit} could be had`);
      assert.equal(alloc(node, 0), NO_SLOT);
      for (let round = 0; round < 200; round++) {
        const [slot] = held.splice((round * 131) % held.length, 1);
        free(node, slot);
        const again = alloc(round % 2 === 0 ? node : other, round);
        assert.notEqual(again, NO_SLOT, 'one was free');
        held.push(again);
        assert.equal(alloc(other, 0), NO_SLOT);
      }
      for (const slot of held) free(other, slot);
      instance.finish();
    }
  });

  it('a thread whose cluster lost its table takes a partial one when there is no memory for a new table', () => {
    const instance = createTestInstance({ bytes: 4 * MIB });
    const { node } = instance;
    const [other] = instance.join().nodes;
    const mine = alloc(node, 1);
    const theirs = Array.from({ length: 600 }, (_, i) => alloc(other, i));
    // The other thread's first cluster has room again: it is on the partial list.
    for (const slot of theirs.slice(0, 10)) free(other, slot);
    free(node, mine);
    const taken = takeEveryFrame(node);
    const partial = Array.from({ length: 10 }, (_, i) => alloc(node, i));
    assert.ok(!partial.includes(NO_SLOT), 'slots of the partial cluster are free');
    const stolen = Array.from({ length: 512 - 88 }, (_, i) => alloc(node, i));
    assert.ok(!stolen.includes(NO_SLOT), 'slots of the cluster that the other thread fills are free');
    assert.equal(alloc(node, 2), NO_SLOT, 'now no table has a free slot');
    assert.equal(alloc(other, 2), NO_SLOT);
    checkSwapTable(node);
    giveBack(node, taken);
    const fresh = alloc(other, 2);
    assert.notEqual(fresh, NO_SLOT, 'memory for a table came back');
    for (const slot of [...theirs.slice(10), ...partial, ...stolen, fresh]) free(node, slot);
    instance.finish();
  });

  it('sequences move with every release, shadows are cleared', () => {
    const instance = createTestInstance({ bytes: 4 * MIB });
    const { node } = instance;
    const slot = alloc(node, 3);
    const shadow = shadowByteAt(node, slot);
    node.bytes[shadow] = 77;
    const sequence = node.words[sequenceAt(slot)];
    alloc(node, 4);
    free(node, slot);
    assert.notEqual(node.words[sequenceAt(slot)], sequence);
    assert.equal(peekSlot(node, slot), SLOT_FREE);
    assert.equal(node.bytes[shadow], 0);
  });

  it('slots that nobody has are free, wherever they would be', () => {
    const { node } = createTestInstance({ bytes: 4 * MIB });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: L.SLOTS_MAX - 1 }), (slot) => {
        assert.equal(peekSlot(node, slot), SLOT_FREE);
        assert.ok(shadowByteAt(node, slot) > 0 && shadowByteAt(node, slot) < node.bytes.length);
        const at = sequenceAt(slot);
        assert.ok(at >= L.SEQUENCES_AT && at < L.SEQUENCES_AT + L.SEQUENCE_WORDS);
      }),
    );
    assert.throws(() => slotWordLocked(node, 5 as SlotIndex), /slot has a table/);
  });

  it('asserts on a slot freed twice, and the check finds a slot that came from nowhere', () => {
    const instance = createTestInstance({ bytes: 4 * MIB });
    const { node } = instance;
    const slot = alloc(node, 1);
    const other = alloc(node, 2);
    free(node, slot);
    node.lock();
    assert.throws(() => freeSlotLocked(node, slot), /freed twice/);
    node.unlock();
    setSlotWordLocked(node, slot, slotWord(SLOT_EMPTY, 0));
    assert.throws(() => checkSwapTable(node), /cluster count/);
    setSlotWordLocked(node, slot, SLOT_FREE);
    free(node, other);
    instance.finish();
  });

  it('the space of a terabyte costs 22 KiB until it is used', () => {
    assert.equal(L.SLOTS_MAX * 4 * KIB, 2 ** 40);
    assert.ok((L.CLUSTER_ROOTS + (L.GROUPS_MAX + 2) * L.CLUSTER_LIST_WORDS) * 4 < 22 * KIB);
  });
});

/** Every frame, and every part of the slab frames that are there. */
function takeEveryFrame(node: Node): (() => void)[] {
  return locked(node, () => {
    const undo: (() => void)[] = [];
    for (const size of [SLAB_2K, SLAB_512]) {
      for (
        let at = allocTableLocked(node, size, GFP_RECLAIM);
        at !== 0;
        at = allocTableLocked(node, size, GFP_RECLAIM)
      ) {
        const part = at;
        undo.push(() => freeTableLocked(node, size, part));
      }
    }
    return undo;
  });
}

function giveBack(node: Node, undo: readonly (() => void)[]): void {
  locked(node, () => {
    for (const step of undo) step();
  });
}
