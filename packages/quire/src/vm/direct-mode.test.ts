/** Direct mode: what entries hold, and that nothing else is there for the sake of slots. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { isPresent, pteFromFrame, pteFromWord, wordFromPte } from '../arena/pte.ts';
import { C, type CounterName } from '../base/counters.ts';
import { CHUNK_PAGES, MIB, PAGE_BYTES, type Pfn, UNIT_PAGES } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { slotOfEntry } from '../swap/direct-entry.ts';
import { compactPool } from '../swap/pool-compactor.ts';
import { Reclaimer } from '../swap/reclaimer.ts';
import { freeSlotLocked } from '../swap/slot-free.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot, setSlotWordLocked } from '../swap/swap-table.ts';
import { makePage, type PageKind } from '../testing/page-data.ts';
import { createTestInstance, locked, type TestInstance } from '../testing/test-instance.ts';
import type { RegionSpace } from './region-space.ts';
import { sumCounter } from './thread-slot.ts';

const REGION_BYTES = 64 * MIB;
const KINDS = ['text', 'same', 'zero', 'noise'] as const;
const TAG_OF_KIND = [W.SLOT_OBJECT, W.SLOT_SAME, W.SLOT_SAME, W.SLOT_RAW];

let instance: TestInstance;
let space: RegionSpace;

beforeEach(() => {
  instance = createTestInstance({ bytes: 8 * MIB, isVirtual: false });
  space = instance.space(REGION_BYTES, '', 'random');
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

/** Everything resident goes out, and is not wanted soon. */
function evict(): void {
  const reclaimer = new Reclaimer(instance.node, undefined);
  const { words } = instance.node;
  for (let round = 0; round < 2000 && words[L.H_REGION_PAGES] > 0; round++) reclaimer.round(false, true);
  assert.equal(words[L.H_REGION_PAGES], 0);
  words[L.H_AGE] += instance.node.frames;
}

function entryAt(page: number): number {
  const leaf = findLeaf(instance.node, space.region, Math.floor(page / CHUNK_PAGES));
  assert.notEqual(leaf, 0);
  return leaf + (page % CHUNK_PAGES);
}

function tagBehind(page: number): number {
  return W.tagOf(wordFromPte(instance.node.words[entryAt(page)]));
}

function gauge(at: number): number {
  return instance.node.words[at];
}

function counted(name: CounterName): number {
  return sumCounter(instance.node, C[name]);
}

describe('an entry of direct mode', () => {
  it('holds every word that a slot holds, and is never taken for a mapped page', () => {
    const payloads = [0, 1, 255, W.objectLocation(2 ** 20 - 1, 4080), 2 ** 28 - 1];
    for (let tag = W.SLOT_FRAME; tag <= W.SLOT_EMPTY; tag++) {
      for (const payload of payloads) {
        const word = W.slotWord(tag, payload) & ~W.SLOT_CACHED;
        assert.equal(wordFromPte(pteFromWord(word)), word);
        assert.ok(!isPresent(pteFromWord(word)) && pteFromWord(word) !== 0);
      }
    }
    assert.equal(wordFromPte(pteFromFrame(77 as Pfn)), W.SLOT_FREE);
    assert.equal(wordFromPte(0), W.SLOT_FREE);
  });

  it('leads to each kind of page, and nothing is allocated for it', () => {
    for (let page = 0; page < 80; page++) write(page, KINDS[page % 4]);
    evict();
    for (let page = 0; page < 80; page++) assert.equal(tagBehind(page), TAG_OF_KIND[page % 4], `page ${page}`);
    assert.equal(gauge(L.H_SLOTS_USED) + gauge(L.H_CLUSTERS_USED) + gauge(L.H_CLUSTER_FREE), 0);
    for (let page = 0; page < 80; page++) assertPage(page, KINDS[page % 4]);
    instance.check();
  });

  it('is what its slot number names', () => {
    write(3, 'text');
    evict();
    const pteAt = entryAt(3);
    const slot = slotOfEntry(instance.node, pteAt, instance.node.words[pteAt]);
    assert.equal(slot, pteAt);
    assert.equal(peekSlot(instance.node, slot), wordFromPte(instance.node.words[pteAt]));
    assert.equal(peekSlot(instance.node, -1), W.SLOT_FREE);
    assert.equal(peekSlot(instance.node, instance.node.words.length), W.SLOT_FREE);
  });
});

describe('a page of direct mode', () => {
  it('gives its storage up when it is read in: the entry has room for the frame alone', () => {
    for (let page = 0; page < 40; page++) write(page, 'text');
    evict();
    // Three in one bucket of age: a new one may begin between them.
    for (let page = 0; page < 40; page++) for (let touch = 0; touch < 5; touch++) assertPage(page, 'text');
    assert.equal(gauge(L.H_REGION_PAGES), 40);
    assert.equal(gauge(L.H_CLEAN_COPIES) + gauge(L.H_ZS_OBJECTS), 0);
    const compressed = counted('zswpout');
    evict();
    assert.equal(counted('zswpout'), compressed + 40);
  });

  it('is overwritten in whole and in part, and discarded, from every backend', () => {
    for (let page = 0; page < 48; page++) write(page, KINDS[page % 4]);
    evict();
    for (let page = 0; page < 16; page++) write(page, 'noise');
    for (let page = 16; page < 32; page++) space.fill(page * PAGE_BYTES, 7, 100);
    space.discard(32 * PAGE_BYTES, 16 * PAGE_BYTES);
    instance.check();
    evict();
    for (let page = 0; page < 16; page++) assertPage(page, 'noise');
    for (let page = 16; page < 32; page++) {
      const got = new Uint8Array(PAGE_BYTES);
      space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
      assert.deepEqual(got, makePage(page, KINDS[page % 4]).fill(7, 0, 100));
    }
    for (let page = 32; page < 48; page++) {
      const got = new Uint8Array(PAGE_BYTES).fill(1);
      space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
      assert.deepEqual(got, new Uint8Array(PAGE_BYTES));
    }
  });

  it('has its entry rewritten when compaction of the pool moves its object', () => {
    for (let page = 0; page < 400; page++) write(page, 'text');
    evict();
    for (let page = 0; page < 400; page++) if (page % 5 !== 0) space.discard(page * PAGE_BYTES, PAGE_BYTES);
    const before = Array.from({ length: 80 }, (_, i) => gauge(entryAt(i * 5)));
    assert.ok(compactPool(instance.node, 1000) > 0);
    const moved = before.filter((entry, i) => entry !== gauge(entryAt(i * 5))).length;
    assert.ok(moved > 0 && counted('zs_compacted') > 0);
    for (let page = 0; page < 400; page += 5) assertPage(page, 'text');
  });

  it('goes out in a unit of four entries', () => {
    const sequential = instance.space(REGION_BYTES, '', 'sequential');
    for (let page = 0; page < 42; page++) sequential.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
    evict();
    assert.equal(counted('thp_swpout'), 10);
    const leaf = findLeaf(instance.node, sequential.region, 0);
    for (let first = 0; first < 40; first += UNIT_PAGES) {
      for (let i = 1; i < UNIT_PAGES; i++) assert.equal(gauge(leaf + first + i), gauge(leaf + first));
    }
    const got = new Uint8Array(42 * PAGE_BYTES);
    sequential.read(0, got, 0, got.length);
    for (let page = 0; page < 42; page++)
      assert.deepEqual(got.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES), makePage(page, 'text'));
  });

  it('has no word to be freed twice, and none that is a clean copy', () => {
    const { node } = instance;
    write(9, 'text');
    evict();
    const pteAt = entryAt(9);
    const entry = node.words[pteAt];
    const slot = slotOfEntry(node, pteAt, entry);
    assert.throws(
      () => locked(node, () => setSlotWordLocked(node, slot, wordFromPte(entry) | W.SLOT_CACHED)),
      /clean copies/,
    );
    locked(node, () => freeSlotLocked(node, slot));
    assert.throws(() => locked(node, () => freeSlotLocked(node, slot)), /freed twice/);
    node.words[pteAt] = entry;
    assertPage(9, 'text');
  });
});
