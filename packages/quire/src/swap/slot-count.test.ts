/** Counts of slots against a plain map: any number of references, tables that come and go, memory that is not there. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { KIND_NEW } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { MIB, NO_PFN, type Pfn, type SlotIndex, type WordIndex } from '../base/units.ts';
import { GFP_MEMALLOC, GFP_NOWARN, GFP_USER } from '../page-alloc/gfp.ts';
import { allocLocked, freeLocked } from '../page-alloc/page-allocator.ts';
import { allocTableLocked, freeTableLocked, SLAB_2K } from '../page-alloc/table-slab.ts';
import { createTestInstance, locked, type TestInstance } from '../testing/test-instance.ts';
import { allocSlotLocked } from './slot-alloc.ts';
import { checkSlotCounts, dupSlotLocked, isSlotSharedLocked, putSlotLocked, slotCountLocked } from './slot-count.ts';
import { SLOT_SAME, slotWord } from './slot-word.ts';
import { attachStorageLocked } from './storage.ts';
import { checkSwapTable } from './swap-check.ts';
import { peekSlot } from './swap-table.ts';

let instance: TestInstance;

beforeEach(() => {
  instance = createTestInstance({ bytes: 4 * MIB });
});

function makeSlot(): SlotIndex {
  const { node } = instance;
  return locked(node, () => {
    const slot = allocSlotLocked(node, slotWord(SLOT_SAME, 7), GFP_USER);
    attachStorageLocked(node, slot, slotWord(SLOT_SAME, 7));
    return slot;
  });
}

function dup(slot: SlotIndex): boolean {
  return locked(instance.node, () => dupSlotLocked(instance.node, slot, GFP_USER));
}

function put(slot: SlotIndex): number {
  return locked(instance.node, () => putSlotLocked(instance.node, slot));
}

function count(slot: SlotIndex): number {
  return slotCountLocked(instance.node, slot);
}

describe('the count of a slot', () => {
  afterEach(() => instance.finish());

  it('is one and takes no memory until there is a second reference', () => {
    const slots = Array.from({ length: 600 }, makeSlot);
    const tables = instance.node.words[L.H_TABLE_FRAMES];
    for (const slot of slots) assert.equal(count(slot), 1);
    assert.ok(dup(slots[3]));
    assert.equal(count(slots[3]), 2);
    assert.ok(isSlotSharedLocked(instance.node, slots[3]));
    assert.ok(!isSlotSharedLocked(instance.node, slots[4]));
    assert.equal(instance.node.words[L.H_TABLE_FRAMES], tables + 1);
    assert.equal(put(slots[3]), 1);
    assert.equal(instance.node.words[L.H_TABLE_FRAMES], tables, 'the table went with the last second reference');
    for (const slot of slots) assert.equal(put(slot), 0);
    assert.equal(peekSlot(instance.node, slots[3]), 0);
  });

  it('passes a byte, and comes back from there', () => {
    const slot = makeSlot();
    const neighbour = makeSlot();
    assert.ok(dup(neighbour));
    for (let references = 2; references <= 1000; references++) {
      assert.ok(dup(slot));
      assert.equal(count(slot), references);
    }
    assert.equal(count(neighbour), 2);
    checkSlotCounts(instance.node);
    for (let references = 999; references >= 1; references--) assert.equal(put(slot), references);
    assert.equal(count(neighbour), 2);
    assert.equal(put(neighbour), 1);
    assert.equal(put(neighbour), 0);
    assert.equal(put(slot), 0);
  });

  it('cannot go up without memory, and nothing changes then', () => {
    const { node } = instance;
    const slot = makeSlot();
    const hoard: Pfn[] = [];
    const tables: WordIndex[] = [];
    const takeTable = () => allocTableLocked(node, SLAB_2K, GFP_USER);
    const takeAll = (): void =>
      locked(node, () => {
        for (;;) {
          const pfn = allocLocked(node, 0, L.MIGRATE_MOVABLE, GFP_MEMALLOC | GFP_NOWARN, KIND_NEW);
          if (pfn === NO_PFN) break;
          hoard.push(pfn);
        }
        // The other half of a frame that is cut up already.
        for (let table = takeTable(); table !== 0; table = takeTable()) tables.push(table);
      });
    /** Up to the reserve no frame is to be had: more than one has to come back. */
    const giveUntil = (done: () => boolean): void => {
      while (!done()) locked(node, () => freeLocked(node, hoard.pop() ?? assert.fail('all is given back')));
    };
    takeAll();
    assert.ok(!dup(slot), 'no table of bytes');
    assert.equal(count(slot), 1);
    assert.equal(checkSlotCounts(node), 0);
    giveUntil(() => dup(slot));
    for (let references = 3; references <= 256; references++) assert.ok(dup(slot));
    takeAll();
    assert.ok(!dup(slot), 'no table of words');
    assert.equal(count(slot), 256);
    assert.equal(checkSlotCounts(node), 255);
    giveUntil(() => dup(slot));
    assert.equal(count(slot), 257);
    locked(node, () => {
      for (const pfn of hoard) freeLocked(node, pfn);
      for (const table of tables) freeTableLocked(node, SLAB_2K, table);
    });
    while (put(slot) > 0);
  });
});

it('any sequence of references agrees with a plain map', () => {
  const step = fc.record({
    which: fc.nat(),
    times: fc.integer({ min: 1, max: 90 }),
    kind: fc.integer({ min: 0, max: 5 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 200 }), (steps) => {
      instance = createTestInstance({ bytes: 4 * MIB });
      const model = new Map<SlotIndex, number>();
      for (const { which, times, kind } of steps) {
        const slots = [...model.keys()];
        const slot = slots[which % Math.max(1, slots.length)];
        if (kind === 0 || slots.length === 0) for (let i = 0; i < times; i++) model.set(makeSlot(), 1);
        else if (kind < 4) {
          for (let i = 0; i < times; i++) assert.ok(dup(slot));
          model.set(slot, (model.get(slot) ?? 0) + times);
        } else {
          for (let i = 0; i < times && model.has(slot); i++) {
            const left = (model.get(slot) ?? 0) - 1;
            assert.equal(put(slot), left);
            if (left === 0) model.delete(slot);
            else model.set(slot, left);
          }
        }
      }
      for (const [slot, references] of model) assert.equal(count(slot), references);
      const beyond = [...model.values()].reduce((sum, references) => sum + references - 1, 0);
      assert.equal(checkSlotCounts(instance.node), beyond);
      checkSwapTable(instance.node);
      for (const slot of model.keys()) while (put(slot) > 0);
      instance.finish();
    }),
    { numRuns: 60 },
  );
});
