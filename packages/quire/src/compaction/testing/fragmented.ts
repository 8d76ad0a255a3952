/** An instance whose free memory is single frames between pages of a region, and what is needed to look at it. */
import assert from 'node:assert/strict';
import { KIND_NEW } from '../../arena/frame.ts';
import * as L from '../../arena/layout.ts';
import { C, type CounterName } from '../../base/counters.ts';
import { MIB, ORDER_MAX, PAGE_BYTES, type Pfn } from '../../base/units.ts';
import { freeBlocks, hasFreeBlock } from '../../page-alloc/buddy.ts';
import { GFP_RECLAIM } from '../../page-alloc/gfp.ts';
import { allocLocked, drainCachesLocked } from '../../page-alloc/page-allocator.ts';
import { makePage } from '../../testing/page-data.ts';
import { createTestInstance, locked, type TestInstance, type TestShape } from '../../testing/test-instance.ts';
import type { RegionSpace } from '../../vm/region-space.ts';
import { freeFolio } from '../alloc-folio.ts';
import { type CompactionPolicy, setCompaction } from '../policy.ts';

export interface Fragmented {
  readonly instance: TestInstance;
  readonly space: RegionSpace;
  readonly pages: number[];
  /** Counts of an event since the scene was set. */
  count(name: CounterName): number;
  /** Every page that is left has its bytes. */
  checkPages(): void;
}

/** `keepEvery` 2: every second page stays, so half of what was used is free, frame by frame. */
export function createFragmented(policy: CompactionPolicy, keepEvery = 2, shape: TestShape = {}): Fragmented {
  const instance = createTestInstance({ bytes: 16 * MIB, areas: 2, ...shape });
  const { node } = instance;
  setCompaction(instance.nodes, policy);
  const space = instance.space(64 * MIB);
  const pages: number[] = [];
  const total = node.words[L.H_FREE_FRAMES] - node.words[L.H_WMARK_HIGH] - 60;
  for (let page = 0; page < total; page++) space.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
  // What is still whole goes, so that nothing but what the region gives back is free.
  const ballast = instance.space(8 * MIB);
  for (let page = 0; page < node.words[L.H_FREE_FRAMES] - node.words[L.H_WMARK_HIGH] - 4; page++)
    ballast.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
  for (let page = 0; page < total; page++) {
    if (page % keepEvery === 0) pages.push(page);
    else space.discard(page * PAGE_BYTES, PAGE_BYTES);
  }
  locked(node, () => drainCachesLocked(node));
  const before = Float64Array.from(node.counters);
  return {
    instance,
    space,
    pages,
    count: (name) => node.counters[C[name]] - before[C[name]],
    checkPages: () => {
      const bytes = new Uint8Array(PAGE_BYTES);
      for (const page of pages) {
        space.read(page * PAGE_BYTES, bytes, 0, PAGE_BYTES);
        assert.deepEqual(bytes, makePage(page, 'text'), `page ${page}`);
      }
    },
  };
}

/** Takes away all free blocks of at least this order, as private memory. Returns how to give them back. */
export function takeLargeBlocks(instance: TestInstance, order: number): () => void {
  const { node } = instance;
  const taken: Pfn[] = [];
  locked(node, () => {
    for (let from = ORDER_MAX; from >= order; from--) {
      while (freeBlocks(node, from) > 0) taken.push(allocLocked(node, from, L.MIGRATE_MOVABLE, GFP_RECLAIM, KIND_NEW));
    }
  });
  assert.ok(!hasFreeBlock(node, order));
  return () => {
    for (const pfn of taken) freeFolio(node, pfn);
  };
}
