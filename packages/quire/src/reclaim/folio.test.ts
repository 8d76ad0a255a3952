/** Folios enter a file and leave it: frames, entries, counts; and what reclaim does with them at the inactive tail. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as F from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { pteFromFolio } from '../arena/pte.ts';
import type { Pfn, WordIndex } from '../base/units.ts';
import { GFP_USER } from '../page-alloc/gfp.ts';
import { allocLocked } from '../page-alloc/page-allocator.ts';
import { setBits } from '../page-table/block-bits.ts';
import { ensureLeafLocked, findLeaf } from '../page-table/page-table.ts';
import { createIsolateResult, isolateLocked } from '../swap/swap-out.ts';
import { createTestInstance, locked, type TestInstance } from '../testing/test-instance.ts';
import { controlWords, openRegion } from '../vm/region-table.ts';
import {
  evictFolioLocked,
  freeLeafIfEmptyLocked,
  isVacantLocked,
  leafOfFolio,
  pageOfFolio,
  publishFolioLocked,
  removeFolioLocked,
} from './folio.ts';
import { DEFAULT_GROUP } from './group.ts';
import { lruBlockAt, lruRemoveLocked, lruSize, lruTail } from './lru.ts';

interface Scene {
  readonly instance: TestInstance;
  readonly node: Node;
  readonly region: number;
  /** A folio of `order` at `page` of chunk 0, published. */
  folio(page: number, order: number, pins?: number): Pfn;
  leaf(): WordIndex;
}

function createScene(): Scene {
  const instance = createTestInstance();
  const { node } = instance;
  const { region } = openRegion(instance.memory, 'file:0:0', 16, 'default', L.REGION_FILE);
  controlWords(instance.memory, region);
  const folio = (page: number, order: number, pins = 0): Pfn =>
    locked(node, () => {
      const leaf = ensureLeafLocked(node, region, 0, GFP_USER);
      const head = allocLocked(node, order, L.MIGRATE_MOVABLE, GFP_USER, F.KIND_NEW);
      assert.ok(leaf > 0 && head > 0 && isVacantLocked(node, leaf, page, order));
      setBits(node.words, leaf + L.FL_UPTODATE, page, 1 << order);
      publishFolioLocked(node, leaf, page, head, order, pins, F.LRU_INACTIVE);
      return head;
    });
  return { instance, node, region, folio, leaf: () => findLeaf(node, region, 0) };
}

function remove(node: Node, head: Pfn): void {
  locked(node, () => {
    assert.ok(F.freezeLocked(node, head));
    lruRemoveLocked(node, head);
    removeFolioLocked(node, head);
  });
}

describe('a folio', () => {
  it('of each order is named by its entries, head and tails, and leaves nothing behind', () => {
    for (let order = 0; order <= 9; order++) {
      const { instance, node, region, folio, leaf } = createScene();
      const free = node.words[L.H_FREE_FRAMES];
      const page = order === 9 ? 0 : 1 << order;
      const head = folio(page, order);
      const frames = 1 << order;
      for (let i = 0; i < frames; i++) {
        assert.equal(node.words[leaf() + page + i], pteFromFolio((head + i) as Pfn, order));
        assert.equal(F.kindOf(node, (head + i) as Pfn), i === 0 ? F.KIND_PAGECACHE : F.KIND_PAGECACHE_TAIL);
        assert.equal(F.headOf((head + i) as Pfn, F.orderOf(node, (head + i) as Pfn)), head, 'the head from each frame');
      }
      assert.equal(leafOfFolio(node, head), leaf());
      assert.equal(pageOfFolio(node, head), page);
      assert.equal(node.words[leaf() + L.FL_PRESENT], frames);
      assert.equal(node.words[L.H_PC_PAGES], frames);
      assert.equal(lruSize(node, lruBlockAt(DEFAULT_GROUP), F.LRU_INACTIVE), 1, 'one entry a folio');
      instance.check();
      assert.ok(F.tryPin(node, head));
      assert.equal(
        locked(node, () => F.freezeLocked(node, head)),
        false,
      );
      F.unpin(node, head);
      const version = node.words[node.versionAt + head];
      remove(node, head);
      assert.notEqual(node.words[node.versionAt + head], version);
      assert.equal(node.words[leaf() + L.FL_UPTODATE], 0);
      assert.ok(locked(node, () => freeLeafIfEmptyLocked(node, leaf())));
      assert.equal(leaf(), 0);
      // The two directories above stay.
      assert.equal(node.words[L.H_FREE_FRAMES], free - 2);
      assert.equal(node.words[L.REGIONS_AT + region * L.REGION_WORDS + L.R_PAGES], 0);
      instance.finish();
    }
  });

  it('has its place: aligned, in one leaf, where nothing is', () => {
    const { instance, node, folio, leaf } = createScene();
    folio(4, 2);
    assert.equal(isVacantLocked(node, leaf(), 0, 2), true);
    assert.equal(isVacantLocked(node, leaf(), 0, 3), false);
    for (const [page, order, message] of [
      [2, 2, /place of a folio/],
      [4, 2, /not cached yet/],
    ] as const) {
      node.lock();
      const head = allocLocked(node, order, L.MIGRATE_MOVABLE, GFP_USER, F.KIND_NEW);
      assert.throws(() => publishFolioLocked(node, leaf(), page, head, order, 0, F.LRU_INACTIVE), message);
      node.unlock();
    }
    assert.ok(instance.node.words[L.H_PC_PAGES] >= 4);
  });

  it('is not evicted while a block of it is dirty or under writeback', () => {
    const { instance, node, folio, leaf } = createScene();
    const head = folio(0, 4);
    for (const bits of [L.FL_DIRTY, L.FL_WRITEBACK]) {
      for (const page of [0, 7, 15]) {
        node.words[leaf() + bits] = 1 << page;
        node.lock();
        assert.ok(F.freezeLocked(node, head));
        assert.equal(evictFolioLocked(node, head), false);
        F.thawLocked(node, head, 0);
        node.unlock();
      }
      node.words[leaf() + bits] = 1 << 16;
    }
    node.words[leaf() + L.FL_DIRTY] = 0;
    node.words[leaf() + L.FL_WRITEBACK] = 0;
    locked(node, () => {
      lruRemoveLocked(node, head);
      assert.ok(F.freezeLocked(node, head));
      assert.ok(evictFolioLocked(node, head));
    });
    assert.equal(leaf(), 0, 'the leaf goes with its last page');
    instance.finish();
  });

  it('keeps a leaf that is on a list of dirty leaves', () => {
    const { instance, node, folio, leaf } = createScene();
    const head = folio(0, 0);
    node.words[leaf() + L.FL_LISTED] = 1;
    remove(node, head);
    assert.equal(
      locked(node, () => freeLeafIfEmptyLocked(node, leaf())),
      false,
    );
    node.words[leaf() + L.FL_LISTED] = 0;
    assert.ok(locked(node, () => freeLeafIfEmptyLocked(node, leaf())));
    instance.finish();
  });
});

describe('reclaim at the inactive tail', () => {
  function isolate(node: Node): ReturnType<typeof createIsolateResult> {
    const result = createIsolateResult();
    locked(node, () => isolateLocked(node, 1, new Int32Array(8), result));
    return result;
  }

  it('frees a clean folio whole', () => {
    const { instance, node, folio } = createScene();
    folio(0, 3);
    const result = isolate(node);
    assert.deepEqual([result.freed, result.freedFile, result.isolated, result.dirty], [8, 8, 0, 0]);
    assert.equal(node.words[L.H_PC_PAGES], 0);
    instance.finish();
  });

  it('passes one that was used, one that is pinned and one that is dirty', () => {
    const { instance, node, folio, leaf } = createScene();
    const dirty = folio(0, 1);
    node.words[leaf() + L.FL_DIRTY] = 2;
    const pinned = folio(2, 1, 1);
    const used = folio(4, 1);
    node.words[node.touchAt + used] = 1;
    const idle = folio(6, 1);
    const result = isolate(node);
    assert.deepEqual([result.freed, result.dirty], [2, 1]);
    assert.notEqual(F.kindOf(node, idle), F.KIND_PAGECACHE);
    assert.equal(lruTail(node, lruBlockAt(DEFAULT_GROUP), F.LRU_ACTIVE), pinned);
    assert.equal(lruSize(node, lruBlockAt(DEFAULT_GROUP), F.LRU_ACTIVE), 2);
    assert.equal(node.words[node.touchAt + used], 0);
    assert.equal(lruTail(node, lruBlockAt(DEFAULT_GROUP), F.LRU_INACTIVE), dirty);
    assert.equal(lruSize(node, lruBlockAt(DEFAULT_GROUP), F.LRU_INACTIVE), 1);
    F.unpin(node, pinned);
    node.words[leaf() + L.FL_DIRTY] = 0;
    instance.finish();
  });
});
