/** The ways of a swapped page: read where it lies, promoted, kept as clean copy, rescued in flight. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { C, type CounterName } from '../base/counters.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { Reclaimer } from '../swap/reclaimer.ts';
import { makePage, type PageKind } from '../testing/page-data.ts';
import { createTestInstance, type TestInstance } from '../testing/test-instance.ts';
import type { RegionSpace } from './region-space.ts';
import { sumCounter } from './thread-slot.ts';

let instance: TestInstance;
let space: RegionSpace;

beforeEach(() => {
  instance = createTestInstance({ bytes: 8 * MIB, kcompressd: 1 });
  space = instance.space(64 * MIB);
});

afterEach(() => {
  instance.finish();
});

function write(page: number, kind: PageKind): void {
  space.write(page * PAGE_BYTES, makePage(page, kind), 0, PAGE_BYTES);
}

function assertPage(page: number, kind: PageKind): void {
  const got = new Uint8Array(PAGE_BYTES);
  space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
  assert.deepEqual(got, makePage(page, kind));
}

/** Compresses all that is resident. */
function evict(): void {
  const reclaimer = new Reclaimer(instance.node, undefined);
  const { words } = instance.node;
  for (let round = 0; round < 2000 && words[L.H_REGION_PAGES] + words[L.H_INFLIGHT] > 0; round++)
    reclaimer.round(false, true);
  assert.equal(words[L.H_REGION_PAGES], 0);
}

function counted(name: CounterName): number {
  return sumCounter(instance.node, C[name]);
}

function gauge(at: number): number {
  return instance.node.words[at];
}

describe('reading a swapped page', () => {
  it('takes no frame the first two times, and brings it in the third', () => {
    for (let page = 0; page < 100; page++) write(page, 'text');
    evict();
    // Long after: what was evicted is not wanted soon.
    instance.node.words[L.H_AGE] += instance.node.frames;
    const free = gauge(L.H_FREE_FRAMES);
    assertPage(5, 'text');
    assert.equal(gauge(L.H_REGION_PAGES), 0);
    assert.equal(gauge(L.H_FREE_FRAMES), free);
    assertPage(5, 'text');
    assert.equal(gauge(L.H_REGION_PAGES), 0);
    assert.equal(counted('transient_reads'), 2);
    assertPage(5, 'text');
    assert.equal(gauge(L.H_REGION_PAGES), 1);
    assert.equal(gauge(L.H_CLEAN_COPIES), 1);
    assertPage(5, 'text');
    assert.equal(counted('transient_reads'), 2);
  });

  it('a clean copy makes the next eviction free; a write gives it up', () => {
    for (let page = 0; page < 40; page++) write(page, 'text');
    evict();
    const compressed = counted('zswpout');
    // Three in one bucket of age: a new one may begin between them.
    for (let page = 0; page < 40; page++) for (let touch = 0; touch < 5; touch++) assertPage(page, 'text');
    assert.equal(gauge(L.H_CLEAN_COPIES), 40);
    space.fill(7 * PAGE_BYTES, 1, 10);
    assert.equal(gauge(L.H_CLEAN_COPIES), 39);
    evict();
    assert.equal(counted('swap_clean_copies'), 39);
    assert.equal(counted('zswpout'), compressed + 1);
    for (let page = 8; page < 40; page++) assertPage(page, 'text');
  });

  it('each kind of page goes to its place', () => {
    const kinds: readonly PageKind[] = ['text', 'same', 'zero', 'noise'];
    for (const [i, kind] of kinds.entries()) for (let k = 0; k < 10; k++) write(i + k * 4, kind);
    evict();
    assert.equal(gauge(L.H_SAME_SLOTS), 20);
    assert.equal(gauge(L.H_RAW_FRAMES), 10);
    assert.equal(gauge(L.H_ZS_OBJECTS), 10);
    for (const [i, kind] of kinds.entries()) for (let k = 0; k < 10; k++) assertPage(i + k * 4, kind);
    // A raw page is mapped as it is.
    space.fill(3 * PAGE_BYTES + 9, 1, 1);
    assert.equal(gauge(L.H_RAW_FRAMES), 9);
  });
});

describe('a page in flight', () => {
  function queue(): void {
    for (let page = 0; page < 60; page++) write(page, 'text');
    const [reclaimer] = instance.memory.reclaimers;
    for (let round = 0; round < 20 && gauge(L.H_INFLIGHT) < 16; round++) reclaimer.round(true, false);
    assert.ok(gauge(L.H_INFLIGHT) >= 16);
  }

  it('is read where it is, without ending the flight', () => {
    queue();
    const inflight = gauge(L.H_INFLIGHT);
    for (let page = 0; page < 60; page++) assertPage(page, 'text');
    assert.equal(gauge(L.H_INFLIGHT), inflight);
    evict();
  });

  it('is rescued by a write and cancelled by a discard', () => {
    queue();
    for (let page = 0; page < 30; page++) space.fill(page * PAGE_BYTES + 5, 0xee, 1);
    space.discard(30 * PAGE_BYTES, 30 * PAGE_BYTES);
    assert.equal(gauge(L.H_INFLIGHT), 0);
    assert.ok(counted('swap_rescued') + counted('swap_cancelled') >= 16);
    // What the ring still names is no longer queued.
    assert.equal(instance.memory.reclaimers[0].drainRing(8, true), 0);
    evict();
    const got = new Uint8Array(1);
    for (let page = 0; page < 30; page++) {
      space.read(page * PAGE_BYTES + 5, got, 0, 1);
      assert.equal(got[0], 0xee);
    }
  });
});
