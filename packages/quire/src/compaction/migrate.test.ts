import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import * as F from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { frameFromFolioPte, orderFromPte } from '../arena/pte.ts';
import { C } from '../base/counters.ts';
import { MIB, NO_PFN, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { allocLocked, freeLocked, freeToBuddyLocked } from '../page-alloc/page-allocator.ts';
import { setBits } from '../page-table/block-bits.ts';
import { ensureLeafLocked } from '../page-table/page-table.ts';
import { publishFolioLocked } from '../reclaim/folio.ts';
import { DEFAULT_GROUP } from '../reclaim/group.ts';
import { lruBlockAt, lruTail } from '../reclaim/lru.ts';
import { SIZE_CLASSES } from '../swap/size-classes.ts';
import * as W from '../swap/slot-word.ts';
import { sequenceAt } from '../swap/swap-table.ts';
import { forEachObjectLocked } from '../swap/zs-pool.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, frameBytes, locked, type TestInstance } from '../testing/test-instance.ts';
import { checkNode } from '../vm/instance-check.ts';
import { createPageView } from '../vm/page-space.ts';
import type { RegionSpace } from '../vm/region-space.ts';
import { openRegion } from '../vm/region-table.ts';
import { isMovableLocked, migrateLocked } from './migrate.ts';

/** Moves what begins at `from` somewhere else. False when it does not move. */
function migrate(instance: TestInstance, from: Pfn): boolean {
  const { node } = instance;
  return locked(node, () => {
    const order = F.orderOf(node, from);
    const to = allocLocked(node, order, L.MIGRATE_MOVABLE, GFP_RECLAIM, F.KIND_NEW);
    assert.notEqual(to, NO_PFN);
    const moved = migrateLocked(node, from, to);
    freeToBuddyLocked(node, moved ? from : to);
    return moved;
  });
}

/** Moves every frame of these kinds, once. Returns how many. */
function migrateAll(instance: TestInstance, kinds: readonly number[]): number {
  const { node } = instance;
  let moved = 0;
  for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
    const kind = F.kindOf(node, pfn as Pfn);
    if (kinds.includes(kind) && migrate(instance, pfn as Pfn)) moved++;
  }
  return moved;
}

/** Pages of all sorts in all tiers that need no file. */
function createMixed(pages: number): { instance: TestInstance; space: RegionSpace; check(): void } {
  const instance = createTestInstance({ bytes: 8 * MIB });
  const space = instance.space(16 * MIB);
  for (let page = 0; page < pages; page++) space.write(page * PAGE_BYTES, makePage(page), 0, PAGE_BYTES);
  for (let round = 0; round < 40; round++) instance.memory.reclaimers[0].round(false, true);
  // Twice, so that some come back and keep their slot as clean copy.
  const bytes = new Uint8Array(PAGE_BYTES);
  for (const page of [3, 9, 17, 33, 40, 41, 42]) {
    for (let i = 0; i < 3; i++) space.read(page * PAGE_BYTES, bytes, 0, PAGE_BYTES);
  }
  return {
    instance,
    space,
    check: () => {
      for (let page = 0; page < pages; page++) {
        space.read(page * PAGE_BYTES, bytes, 0, PAGE_BYTES);
        assert.deepEqual(bytes, makePage(page), `page ${page}`);
      }
    },
  };
}

describe('migration', () => {
  for (const [name, kinds] of [
    ['region pages', [F.KIND_REGION]],
    ['zspages, head by head', [F.KIND_ZS]],
    ['zspages, tail by tail', [F.KIND_ZS_TAIL]],
    ['raw pages', [F.KIND_RAW]],
    ['everything', [F.KIND_REGION, F.KIND_ZS, F.KIND_ZS_TAIL, F.KIND_RAW]],
  ] as const) {
    it(`of ${name} keeps every byte and every structure`, () => {
      const { instance, check } = createMixed(900);
      for (let turn = 0; turn < 3; turn++) {
        assert.ok(migrateAll(instance, kinds) > 3);
        instance.check();
      }
      check();
      instance.finish();
    });
  }

  it('any sequence of moves, writes, reads, reclaim and discards leaves what a plain copy has', () => {
    const operation = fc.tuple(fc.nat(5), fc.nat(299), fc.nat(1_000_000));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 300, size: 'max' }), (operations) => {
        const instance = createTestInstance({ bytes: 4 * MIB });
        const { node } = instance;
        const space = instance.space(4 * MIB);
        const model = new Map<number, Uint8Array>();
        const bytes = new Uint8Array(PAGE_BYTES);
        for (const [action, page, pick] of operations) {
          if (action === 0) {
            model.set(page, makePage(pick));
            space.write(page * PAGE_BYTES, makePage(pick), 0, PAGE_BYTES);
          } else if (action === 1) instance.memory.reclaimers[0].round(false, true);
          else if (action === 2) {
            space.discard(page * PAGE_BYTES, PAGE_BYTES);
            model.delete(page);
          } else if (action === 3) {
            space.read(page * PAGE_BYTES, bytes, 0, PAGE_BYTES);
            assert.deepEqual(bytes, model.get(page) ?? new Uint8Array(PAGE_BYTES));
          } else {
            const at = node.firstFree + (pick % (node.frames - node.firstFree));
            for (let pfn = at; pfn < Math.min(at + 64, node.frames); pfn++) {
              if (isMovableLocked(node, pfn as Pfn)) assert.ok(migrate(instance, pfn as Pfn));
            }
          }
        }
        for (const [page, expected] of model) {
          space.read(page * PAGE_BYTES, bytes, 0, PAGE_BYTES);
          assert.deepEqual(bytes, expected, `page ${page}`);
        }
        instance.finish();
      }),
      { numRuns: 60 },
    );
  });

  it('keeps clean copies, and the order of the LRU lists', () => {
    const { instance, space, check } = createMixed(900);
    const { node } = instance;
    const copies = node.words[L.H_CLEAN_COPIES];
    assert.ok(copies > 0, 'the scene has clean copies');
    const orderOfList = (): number[] => {
      const owners: number[] = [];
      for (
        let pfn = lruTail(node, lruBlockAt(DEFAULT_GROUP), F.LRU_INACTIVE);
        pfn !== 0;
        pfn = node.words[node.prevAt + pfn] as Pfn
      )
        owners.push(node.words[node.ownerAt + pfn]);
      return owners;
    };
    const before = orderOfList();
    migrateAll(instance, [F.KIND_REGION]);
    assert.deepEqual(orderOfList(), before);
    assert.equal(node.words[L.H_CLEAN_COPIES], copies);
    const freed = node.counters[C.swap_clean_copies];
    for (let round = 0; round < 200; round++) instance.memory.reclaimers[0].round(false, true);
    assert.ok(node.counters[C.swap_clean_copies] > freed, 'the copies are good for eviction');
    check();
    space.close();
    instance.finish();
  });

  it('moves the sequence of every object that lies in the frame, wholly or in part', () => {
    const { instance } = createMixed(900);
    const { node } = instance;
    let straddling = 0;
    for (let head = node.firstFree; head < node.frames; head++) {
      if (F.kindOf(node, head as Pfn) !== F.KIND_ZS) continue;
      const { bytes } = SIZE_CLASSES[node.words[node.ownerAt + head] & 0xff];
      const second = node.words[node.slotAt + head] as Pfn;
      if (second === NO_PFN) continue;
      const before = new Map<number, number>();
      forEachObjectLocked(node, head as Pfn, (slot, location) => {
        const isInSecond = W.locationPfn(location) === second;
        const reachesIn = W.locationPfn(location) === head && W.locationOffsetBytes(location) + bytes > PAGE_BYTES;
        if (!isInSecond && !reachesIn) return;
        if (reachesIn) straddling++;
        before.set(slot, node.words[sequenceAt(slot)]);
      });
      assert.ok(migrate(instance, second));
      for (const [slot, sequence] of before) assert.notEqual(node.words[sequenceAt(slot)], sequence, `slot ${slot}`);
    }
    assert.ok(straddling > 10, `${straddling} objects straddle`);
    instance.finish();
  });

  it('leaves pinned pages, tables, private frames and thread areas where they are', () => {
    const { instance, space } = createMixed(100);
    const { node } = instance;
    const view = createPageView();
    space.openWrite(0, view);
    assert.equal(migrate(instance, view.pfn as Pfn), false);
    space.closeWrite(view);
    assert.equal(migrate(instance, view.pfn as Pfn), true);
    for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
      const kind = F.kindOf(node, pfn as Pfn);
      if (kind === F.KIND_TABLE || kind === F.KIND_THREAD || kind === F.KIND_NEW || kind === F.KIND_RESERVED)
        assert.equal(isMovableLocked(node, pfn as Pfn), false);
    }
    instance.finish();
  });

  it('an open read of a page that moves is thrown away, and none of its bytes change before', () => {
    const { instance, space } = createMixed(100);
    const view = createPageView();
    space.write(5 * PAGE_BYTES, makePage(5), 0, PAGE_BYTES);
    space.openRead(5 * PAGE_BYTES, PAGE_BYTES, view);
    const from = view.pfn as Pfn;
    assert.ok(from > 0);
    migrate(instance, from);
    assert.deepEqual(
      instance.node.bytes.slice(view.byte, view.byte + PAGE_BYTES),
      makePage(5),
      'until it is used again',
    );
    assert.equal(space.closeRead(view), false);
    space.openRead(5 * PAGE_BYTES, PAGE_BYTES, view);
    assert.notEqual(view.pfn, from);
    assert.equal(space.closeRead(view), true);
    instance.finish();
  });
});

describe('migration of folios of a file', () => {
  for (let order = 0; order <= 4; order++) {
    it(`order ${order}: entries, head and tails, state of blocks`, () => {
      const instance = createTestInstance({ bytes: 8 * MIB });
      const { node } = instance;
      const { region } = openRegion(instance.memory, 'file:0:1', 1, 'default', L.REGION_FILE);
      const page = 3 << order;
      const leaf = locked(node, () => ensureLeafLocked(node, region, 0, GFP_RECLAIM));
      const head = locked(node, () => {
        const pfn = allocLocked(node, order, L.MIGRATE_MOVABLE, GFP_RECLAIM, F.KIND_NEW);
        for (let i = 0; i < 1 << order; i++) frameBytes(node, (pfn + i) as Pfn).set(makePage(i, 'text'));
        publishFolioLocked(node, leaf, page, pfn, order, 0, F.LRU_INACTIVE);
        return pfn;
      });
      setBits(node.words, leaf + L.FL_UPTODATE, page, 1 << order);
      setBits(node.words, leaf + L.FL_DIRTY, page, 1);
      Atomics.add(node.words, L.H_PC_DIRTY, 1);
      const state = node.words.slice(leaf + L.FL_UPTODATE, leaf + L.FL_UPTODATE + 48);
      const version = node.words[node.versionAt + head];
      node.words[node.pinAt + head] = 1;
      assert.equal(migrate(instance, head), false, 'pinned');
      node.words[node.pinAt + head] = 0;
      assert.equal(migrate(instance, head), true);
      const moved = frameFromFolioPte(node.words[leaf + page]);
      assert.notEqual(moved, head);
      assert.equal(node.words[node.versionAt + head], version + 1);
      for (let i = 0; i < 1 << order; i++) {
        const pte = node.words[leaf + page + i];
        assert.equal(frameFromFolioPte(pte), moved + i);
        assert.equal(orderFromPte(pte), order);
        assert.deepEqual(frameBytes(node, (moved + i) as Pfn).slice(), makePage(i, 'text'));
        assert.equal(F.kindOf(node, (moved + i) as Pfn), i === 0 ? F.KIND_PAGECACHE : F.KIND_PAGECACHE_TAIL);
      }
      assert.equal(node.words[node.ownerAt + moved], leaf + page);
      assert.deepEqual(node.words.slice(leaf + L.FL_UPTODATE, leaf + L.FL_UPTODATE + 48), state);
      checkNode(node);
    });
  }

  it('a folio above order 4 stays', () => {
    const instance = createTestInstance({ bytes: 8 * MIB });
    const { node } = instance;
    const { region } = openRegion(instance.memory, 'file:0:1', 1, 'default', L.REGION_FILE);
    locked(node, () => {
      const leaf = ensureLeafLocked(node, region, 0, GFP_RECLAIM);
      const pfn = allocLocked(node, 5, L.MIGRATE_MOVABLE, GFP_RECLAIM, F.KIND_NEW);
      publishFolioLocked(node, leaf, 32, pfn, 5, 0, F.LRU_INACTIVE);
      assert.equal(isMovableLocked(node, pfn), false);
      const free = allocLocked(node, 0, L.MIGRATE_MOVABLE, GFP_RECLAIM, F.KIND_NEW);
      freeLocked(node, free);
    });
    checkNode(node);
  });
});
