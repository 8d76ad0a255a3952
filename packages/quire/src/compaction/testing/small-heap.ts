/**
 * A heap of at most 16 frames in an instance where every other frame is taken: each frame is free, holds a page of a region
 * (movable), or is private to somebody (not movable). The layout is the test's, frame by frame.
 */
import assert from 'node:assert/strict';
import { FROZEN, KIND_NEW, KIND_REGION, kindOf, LRU_INACTIVE, setKindLocked, thawLocked } from '../../arena/frame.ts';
import * as L from '../../arena/layout.ts';
import type { Node } from '../../arena/node.ts';
import { frameFromPte, isPresent, PTE_NONE, pteFromFrame } from '../../arena/pte.ts';
import { NO_PFN, ORDER_MAX, type Pfn, type WordIndex } from '../../base/units.ts';
import { checkBuddy, takeBlockLocked } from '../../page-alloc/buddy.ts';
import { GFP_RECLAIM } from '../../page-alloc/gfp.ts';
import { allocLocked, freeToBuddyLocked } from '../../page-alloc/page-allocator.ts';
import { allocTableLocked, SLAB_2K } from '../../page-alloc/table-slab.ts';
import { checkLru, lruAddLocked, lruRemoveLocked } from '../../reclaim/lru.ts';
import { createTestInstance, type TestInstance } from '../../testing/test-instance.ts';

export const FREE = 0;
export const MOVABLE = 1;
export const FIXED = 2;

export class SmallHeap {
  readonly node: Node;
  readonly first: Pfn;
  private readonly instance: TestInstance;
  private readonly leaf: WordIndex;
  private layout: readonly number[] = [];

  constructor() {
    this.instance = createTestInstance({ bytes: L.NODE_BYTES_MIN, areas: 1 });
    this.node = this.instance.node;
    this.leaf = allocTableLocked(this.node, SLAB_2K, GFP_RECLAIM);
    let first = NO_PFN;
    for (let order = ORDER_MAX; order >= 0; order--) {
      for (let pfn = takeBlockLocked(this.node, order, 1); pfn !== NO_PFN; pfn = takeBlockLocked(this.node, order, 1)) {
        setKindLocked(this.node, pfn, KIND_NEW, order);
        if (order >= 4 && first === NO_PFN) first = pfn;
      }
    }
    this.first = first;
    this.node.words[L.H_FREE_FRAMES] = checkBuddy(this.node);
  }

  /** Makes the heap look like this. */
  build(layout: readonly number[]): void {
    const { node, first, leaf } = this;
    this.layout = layout;
    for (const [i, state] of layout.entries()) {
      const pfn = (first + i) as Pfn;
      setKindLocked(node, pfn, KIND_NEW);
      node.words[node.prevAt + pfn] = 255; // nobody's
      if (state !== MOVABLE) continue;
      setKindLocked(node, pfn, KIND_REGION);
      node.words[node.ownerAt + pfn] = leaf + i;
      node.words[node.slotAt + pfn] = 0;
      lruAddLocked(node, pfn, LRU_INACTIVE);
      thawLocked(node, pfn, 0);
      node.words[leaf + i] = pteFromFrame(pfn);
      this.bytes(pfn).fill(this.byteOf(i));
    }
    for (const [i, state] of layout.entries()) if (state === FREE) freeToBuddyLocked(node, (first + i) as Pfn);
  }

  /** Every page has its bytes, in a frame of its own; nothing that is fixed has moved. */
  check(): void {
    const { node, first, leaf } = this;
    const used = new Set<number>();
    for (const [i, state] of this.layout.entries()) {
      if (state === FIXED) assert.equal(kindOf(node, (first + i) as Pfn), KIND_NEW, 'what is fixed stays');
      if (state !== MOVABLE) continue;
      const pte = node.words[leaf + i];
      assert.ok(isPresent(pte));
      const pfn = frameFromPte(pte);
      assert.ok(!used.has(pfn), 'a frame for each page');
      used.add(pfn);
      assert.ok(pfn >= first && pfn < first + this.layout.length, 'in the heap');
      assert.equal(kindOf(node, pfn), KIND_REGION);
      assert.equal(node.words[node.pinAt + pfn], 0);
      const bytes = this.bytes(pfn);
      assert.ok(bytes[0] === this.byteOf(i) && bytes[4095] === this.byteOf(i) && bytes[2048] === this.byteOf(i));
    }
    checkLru(node);
    assert.equal(checkBuddy(node), node.words[L.H_FREE_FRAMES]);
  }

  /** Takes everything back, so that another layout can be built. */
  clear(): void {
    const { node, first, leaf } = this;
    for (const [i, state] of this.layout.entries()) {
      if (state !== MOVABLE) continue;
      const pfn = frameFromPte(node.words[leaf + i]);
      node.words[leaf + i] = PTE_NONE;
      lruRemoveLocked(node, pfn);
      node.words[node.pinAt + pfn] = FROZEN;
      setKindLocked(node, pfn, KIND_NEW);
    }
    for (;;) {
      const pfn = allocLocked(node, 0, L.MIGRATE_UNMOVABLE, GFP_RECLAIM, KIND_NEW);
      if (pfn === NO_PFN) break;
      assert.ok(pfn >= first && pfn < first + 16);
    }
    assert.equal(node.words[L.H_FREE_FRAMES], 0);
    node.words[node.blocksAt + Math.floor(first / 512)] = L.MIGRATE_MOVABLE;
  }

  private bytes(pfn: Pfn): Uint8Array {
    return this.node.bytes.subarray(pfn * 4096, (pfn + 1) * 4096);
  }

  private byteOf(i: number): number {
    return 17 + i;
  }
}
