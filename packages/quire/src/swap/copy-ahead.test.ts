/** Copies made ahead of need: when they are made, of what, and what becomes of them. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { C, type CounterName } from '../base/counters.ts';
import { CHUNK_BYTES, CHUNK_PAGES, MIB, PAGE_BYTES } from '../base/units.ts';
import { Kcopyd } from '../daemons/kcopyd.ts';
import { makePage, type PageKind } from '../testing/page-data.ts';
import { createTestInstance, locked, type TestInstance } from '../testing/test-instance.ts';
import { createPageView } from '../vm/page-space.ts';
import type { RegionSpace } from '../vm/region-space.ts';
import { sumCounter } from '../vm/thread-slot.ts';
import { beginCopiesLocked, type CopyBatch, createCopyBatch, endCopyLocked } from './copy-ahead.ts';
import { freeDetached, setDetaching } from './detached-leaves.ts';
import { fillByteOf } from './reclaimer.ts';
import { compressBatch } from './swap-out.ts';

let instance: TestInstance;
let space: RegionSpace;
let kcopyd: Kcopyd;

function open(hasSwap: boolean): void {
  instance = createTestInstance({ bytes: 8 * MIB, hasSwap });
  space = instance.space(64 * MIB);
  kcopyd = new Kcopyd(instance.node);
}

beforeEach(() => open(true));

afterEach(() => instance.finish());

function write(page: number, kind: PageKind, salt = 0): void {
  space.write(page * PAGE_BYTES, makePage(page + salt, kind), 0, PAGE_BYTES);
}

function assertPage(page: number, kind: PageKind, salt = 0): void {
  const got = new Uint8Array(PAGE_BYTES);
  space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
  assert.deepEqual(got, makePage(page + salt, kind));
}

function gauge(at: number): number {
  return instance.node.words[at];
}

function counted(name: CounterName): number {
  return sumCounter(instance.node, C[name]);
}

/** Writes new pages from `first` on until so little is free. Returns the next page. */
function fillTo(free: number, first = 0): number {
  let page = first;
  for (; gauge(L.H_FREE_FRAMES) > free; page++) write(page, 'text');
  return page;
}

function copyAll(): void {
  while (kcopyd.step());
}

/** The three steps of one batch, with `between` while nothing is locked. */
function copyBatch(between: () => void): CopyBatch {
  const { node } = instance;
  const batch = createCopyBatch();
  const [lengths, places] = [new Int32Array(batch.pfns.length), new Int32Array(batch.pfns.length)];
  locked(node, () => beginCopiesLocked(node, batch));
  compressBatch(node, batch.pfns, batch.count, lengths, places);
  between();
  locked(node, () => {
    for (let i = 0; i < batch.count; i++)
      endCopyLocked(node, batch, i, fillByteOf(node, batch.pfns[i]), places[i], lengths[i]);
  });
  return batch;
}

describe('copies ahead are made', () => {
  it('of a third of the idle pages, once an eighth of memory is used', () => {
    const first = fillTo(gauge(L.H_WMARK_COPY) + 1);
    assert.equal(kcopyd.step(), false);
    const pages = fillTo(gauge(L.H_FREE_FRAMES) >> 1, first);
    copyAll();
    const copies = gauge(L.H_CLEAN_COPIES);
    assert.ok(copies * 3 <= pages && copies * 3 > pages - 100, `${copies} copies of ${pages} pages`);
    assert.equal(counted('swap_copies_ahead'), copies);
    assert.equal(gauge(L.H_ZS_OBJECTS), copies);
    for (let page = 0; page < pages; page++) assertPage(page, 'text');
  });

  it('of as many pages as came anew once memory is full', () => {
    let page = fillTo(gauge(L.H_WMARK_HIGH));
    const [reclaimer] = instance.memory.reclaimers;
    const makeRoom = (): void => {
      while (gauge(L.H_FREE_FRAMES) <= gauge(L.H_WMARK_LOW)) reclaimer.round(false, true);
      assert.ok(gauge(L.H_FREE_FRAMES) <= gauge(L.H_WMARK_HIGH));
    };
    for (let turn = 0; turn < 40; turn++) {
      makeRoom();
      kcopyd.step();
      write(turn, 'text');
    }
    const fromBefore = counted('swap_copies_ahead');
    assert.ok(fromBefore > 0 && fromBefore <= 64, `${fromBefore} copies`);
    makeRoom();
    assert.equal(kcopyd.step(), false);
    const first = page;
    for (let turn = 0; turn < 20; turn++) {
      for (let i = 0; i < 10; i++) write(page++, 'text');
      makeRoom();
      kcopyd.step();
    }
    const fromGrowth = counted('swap_copies_ahead') - fromBefore;
    assert.ok(fromGrowth > 100 && fromGrowth <= page - first, `${fromGrowth} copies for ${page - first} pages`);
    for (let i = 0; i < page; i++) assertPage(i, 'text');
  });

  it('not at the low watermark, nor without swap', () => {
    fillTo(gauge(L.H_WMARK_LOW));
    assert.equal(kcopyd.step(), false);
    instance.finish();
    open(false);
    fillTo(gauge(L.H_WMARK_COPY) >> 1);
    copyAll();
    assert.equal(gauge(L.H_CLEAN_COPIES), 0);
  });

  it('not while leaves wait to be freed', () => {
    setDetaching(instance.nodes, L.DETACHED_MAX);
    const page = fillTo(gauge(L.H_WMARK_COPY) - 64, CHUNK_PAGES);
    write(0, 'text');
    space.discard(0, CHUNK_BYTES);
    assert.ok(page > CHUNK_PAGES && gauge(L.H_DETACHED) === 1 && !kcopyd.step());
    freeDetached(instance.nodes);
    assert.ok(kcopyd.step(), 'memory is as full as before');
  });

  it('and make eviction of the oldest pages free', () => {
    const pages = fillTo(gauge(L.H_WMARK_COPY) >> 1);
    copyAll();
    const copies = gauge(L.H_CLEAN_COPIES);
    const [reclaimer] = instance.memory.reclaimers;
    for (let round = 0; round < 4; round++) reclaimer.round(false, true);
    assert.equal(counted('swap_clean_copies'), 64);
    assert.equal(counted('zswpout'), 0);
    assert.equal(gauge(L.H_CLEAN_COPIES), copies - 64);
    for (let page = 0; page < pages; page++) assertPage(page, 'text');
  });

  it('of same-filled pages without storage, of incompressible ones not at all', () => {
    for (let page = 0; page < 8; page++) write(page, page % 2 === 0 ? 'same' : 'noise');
    copyBatch(() => {});
    assert.equal(gauge(L.H_SAME_SLOTS), 4);
    assert.equal(gauge(L.H_CLEAN_COPIES), 4);
    assert.equal(gauge(L.H_SLOTS_USED), 4);
    for (let page = 0; page < 8; page++) assertPage(page, page % 2 === 0 ? 'same' : 'noise');
  });

  it('not of pages in use', () => {
    for (let page = 0; page < 8; page++) write(page, 'text');
    assertPage(1, 'text');
    const view = createPageView();
    space.openWrite(2 * PAGE_BYTES, view);
    instance.node.words[instance.node.touchAt + view.pfn] = 0;
    const batch = copyBatch(() => {});
    space.closeWrite(view);
    assert.equal(batch.count, 6);
    assert.equal(gauge(L.H_CLEAN_COPIES), 6);
  });

  it('once: a page that is written again is not copied again', () => {
    const pages = fillTo(gauge(L.H_WMARK_COPY) >> 1);
    for (let batch = 0; batch < pages; batch += 16) copyBatch(() => {});
    for (let page = 0; page < pages; page++) write(page, 'text', 1000);
    assert.equal(gauge(L.H_CLEAN_COPIES), 0);
    copyAll();
    assert.equal(gauge(L.H_CLEAN_COPIES), 0);
    for (let page = 0; page < pages; page++) assertPage(page, 'text', 1000);
  });
});

describe('a page that changes while it is copied', () => {
  it('keeps what was written, and has no copy', () => {
    for (let page = 0; page < 16; page++) write(page, 'text');
    copyBatch(() => write(3, 'text', 1000));
    assert.equal(gauge(L.H_CLEAN_COPIES), 15);
    const [reclaimer] = instance.memory.reclaimers;
    for (let round = 0; round < 20 && gauge(L.H_REGION_PAGES) > 0; round++) reclaimer.round(false, true);
    for (let page = 0; page < 16; page++) assertPage(page, 'text', page === 3 ? 1000 : 0);
  });

  it('may be discarded, or be another page by then', () => {
    for (let page = 0; page < 16; page++) write(page, 'text');
    copyBatch(() => {
      space.discard(0, 4 * PAGE_BYTES);
      for (let page = 20; page < 24; page++) write(page, 'text');
    });
    assert.equal(gauge(L.H_CLEAN_COPIES), 12);
    for (let page = 4; page < 16; page++) assertPage(page, 'text');
    for (let page = 20; page < 24; page++) assertPage(page, 'text');
  });

  it('may be evicted: its swap-out is not disturbed', () => {
    for (let page = 0; page < 16; page++) write(page, 'text');
    const [reclaimer] = instance.memory.reclaimers;
    copyBatch(() => {
      for (let round = 0; round < 20 && gauge(L.H_REGION_PAGES) > 0; round++) reclaimer.round(false, true);
    });
    assert.equal(counted('zswpout'), 16);
    assert.equal(counted('swap_copies_ahead'), 0);
    for (let page = 0; page < 16; page++) assertPage(page, 'text');
  });
});
