/** Groups at their limits: what is charged, whose pages go, what an operation that is refused leaves behind. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { isPresent } from '../arena/pte.ts';
import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { findLeaf, regionAt } from '../page-table/page-table.ts';
import { GROUP_RESERVE_PAGES, groupAt, groupOfRegion } from '../reclaim/group.ts';
import { makePage, type PageKind } from '../testing/page-data.ts';
import { createTestInstance, type TestInstance, type TestShape } from '../testing/test-instance.ts';
import { closeGroup, openGroup, setGroupLimits, shrinkGroup } from './group-limit.ts';
import { pinRange, unpinRange } from './pin-range.ts';
import { RegionSpace } from './region-space.ts';
import { chunksFor, closeRegion, openRegion } from './region-table.ts';

const SIZE = 16 * MIB;

let instance: TestInstance;

function start(shape: TestShape = {}): void {
  instance = createTestInstance(shape);
}

function regionOf(group: string): RegionSpace {
  const { region } = openRegion(instance.memory, '', chunksFor(SIZE), group);
  return new RegionSpace(instance.memory, region, SIZE);
}

function limited(name: string, pages: number, swapPages?: number): number {
  const group = openGroup(instance.memory, name);
  setGroupLimits(instance.memory, group, pages, swapPages);
  return group;
}

function charged(group: number): number {
  return instance.node.words[groupAt(group) + L.G_PAGES];
}

function write(space: RegionSpace, page: number, kind: PageKind = 'text'): void {
  space.write(page * PAGE_BYTES, makePage(page, kind), 0, PAGE_BYTES);
}

function assertPage(space: RegionSpace, page: number, kind: PageKind = 'text'): void {
  const got = new Uint8Array(PAGE_BYTES);
  space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
  assert.deepEqual(got, makePage(page, kind), `page ${page}`);
}

/** Pages of the region's first chunks that are in memory. */
function resident(space: RegionSpace, pages: number): number {
  let count = 0;
  for (let page = 0; page < pages; page++) {
    const place = space.placeOf(page * PAGE_BYTES);
    const node = instance.nodes[place.n];
    const leaf = findLeaf(node, space.region, place.chunk);
    if (leaf !== 0 && isPresent(node.words[leaf + place.page])) count++;
  }
  return count;
}

function isRefused(group: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof QuireError && error.code === 'ERR_QUIRE_OUT_OF_MEMORY' && error.message.includes(`'${group}'`);
}

beforeEach(() => start());
afterEach(() => instance.finish());

describe('a group at its limit', () => {
  it('gives up pages of its own, and keeps all its data', () => {
    const group = limited('a', 64);
    const space = regionOf('a');
    for (let page = 0; page < 1000; page++) {
      write(space, page);
      assert.ok(charged(group) <= 64);
    }
    for (let page = 0; page < 1000; page++) assertPage(space, page);
    assert.ok(charged(group) <= 64 && charged(group) > 16);
    const { words } = instance.node;
    assert.equal(words[groupAt(group) + L.G_PEAK_PAGES], 64);
    assert.ok(words[groupAt(group) + L.G_REFUSED] > 0);
    assert.equal(words[groupAt(group) + L.G_FAILED], 0);
    instance.check();
    closeGroup(instance.memory, group);
  });

  it('leaves pages of others alone, however long they have not been used', () => {
    const others = [regionOf('b'), regionOf('c'), regionOf('default')];
    for (const space of others) for (let page = 0; page < 100; page++) write(space, page);
    const group = limited('a', 32);
    const space = regionOf('a');
    for (let page = 0; page < 2000; page++) write(space, page);
    for (const other of others) assert.equal(resident(other, 100), 100);
    assert.equal(resident(space, 2000), charged(group));
    assert.equal(instance.node.counters[C.pgsteal_direct], instance.node.counters[C.pswpout], 'each was its own');
    closeGroup(instance.memory, group);
  });

  it('takes pages of its own on other nodes too', () => {
    instance.finish();
    start({ nodes: 2, bytes: 6 * MIB });
    const group = limited('a', 40);
    const space = regionOf('a');
    // Chunks are dealt round the nodes: first all of one, then of the other.
    for (let page = 0; page < 40; page++) write(space, page);
    for (let page = 512; page < 612; page++) write(space, page);
    assert.ok(charged(group) <= 40);
    assert.ok(resident(space, 40) < 20, 'the first node has given way');
    for (let page = 0; page < 40; page++) assertPage(space, page);
    for (let page = 512; page < 612; page++) assertPage(space, page);
    closeGroup(instance.memory, group);
  });

  it('counts incompressible pages as swapped, and charges them when they come back', () => {
    const group = limited('a', 32);
    const space = regionOf('a');
    for (let page = 0; page < 200; page++) write(space, page, 'noise');
    assert.ok(instance.node.words[L.H_RAW_FRAMES] >= 168);
    assert.ok(charged(group) <= 32);
    for (let round = 0; round < 3; round++) {
      for (let page = 0; page < 200; page++) {
        assertPage(space, page, 'noise');
        space.fill(page * PAGE_BYTES, page, 1);
        space.write(page * PAGE_BYTES, makePage(page, 'noise').subarray(0, 1), 0, 1);
        assert.ok(charged(group) <= 32);
      }
    }
    instance.check();
    closeGroup(instance.memory, group);
  });

  it('reads without bringing pages in when nothing can go', () => {
    const group = limited('a', 32);
    const space = regionOf('a');
    for (let page = 0; page < 300; page++) write(space, page);
    // No slot from here on: what is in memory stays there.
    instance.node.words[L.H_SLOTS_MAX] = 0;
    for (let round = 0; round < 4; round++) for (let page = 0; page < 300; page++) assertPage(space, page);
    assert.ok(charged(group) <= 32);
    instance.node.words[L.H_SLOTS_MAX] = L.SLOTS_MAX;
    closeGroup(instance.memory, group);
  });

  it('brings in what is read often, in place of what is not', () => {
    const group = limited('a', 64);
    const space = regionOf('a');
    for (let page = 0; page < 400; page++) write(space, page);
    assert.equal(resident(space, 8), 0);
    for (let round = 0; round < 20; round++) for (let page = 0; page < 8; page++) assertPage(space, page);
    assert.equal(resident(space, 8), 8, 'hot pages are in memory');
    assert.ok(charged(group) <= 64);
    closeGroup(instance.memory, group);
  });
});

describe('an operation that a group refuses', () => {
  it('names the group and leaves no trace', () => {
    instance.finish();
    start({ hasSwap: false });
    const group = limited('small one', 20);
    const space = regionOf('small one');
    for (let page = 0; page < 20; page++) write(space, page);
    const { words } = instance.node;
    const before = [
      charged(group),
      words[L.H_FREE_FRAMES],
      words[L.H_TABLE_FRAMES],
      words[L.H_REGION_PAGES],
      words[regionAt(space.region) + L.R_PAGES],
      words[L.H_SLOTS_USED],
    ];
    // In the leaf that is there, and in one that is not.
    for (const page of [20, 511]) assert.throws(() => write(space, page), isRefused('small one'));
    space.write(512 * 3 * PAGE_BYTES - 1, new Uint8Array(0), 0, 0);
    const after = [
      charged(group),
      words[L.H_FREE_FRAMES],
      words[L.H_TABLE_FRAMES],
      words[L.H_REGION_PAGES],
      words[regionAt(space.region) + L.R_PAGES],
      words[L.H_SLOTS_USED],
    ];
    assert.deepEqual(after, before);
    assert.equal(words[groupAt(group) + L.G_FAILED], 2);
    for (let page = 0; page < 20; page++) assertPage(space, page);
    // A page given back is room for another.
    space.discard(0, PAGE_BYTES);
    write(space, 511);
    instance.check();
    closeGroup(instance.memory, group);
  });

  it('frees the leaf that was made for it', () => {
    instance.finish();
    start({ hasSwap: false });
    const group = limited('a', 16);
    const space = regionOf('a');
    for (let page = 0; page < 16; page++) write(space, page);
    for (let chunk = 1; chunk < 5; chunk++) {
      assert.throws(() => write(space, chunk * 512), isRefused('a'));
      const place = space.placeOf(chunk * 512 * PAGE_BYTES);
      assert.equal(findLeaf(instance.nodes[place.n], space.region, place.chunk), 0);
    }
    closeGroup(instance.memory, group);
  });

  it('is none of the others’ business', () => {
    instance.finish();
    start({ hasSwap: false });
    const group = limited('a', 16);
    const space = regionOf('a');
    const other = regionOf('b');
    for (let page = 0; page < 16; page++) write(space, page);
    for (let page = 0; page < 300; page++) {
      assert.throws(() => write(space, 20), isRefused('a'));
      write(other, page);
    }
    for (let page = 0; page < 300; page++) assertPage(other, page);
    closeGroup(instance.memory, group);
  });

  it('may use the reserve when the page exists, so that something can be freed', () => {
    const group = limited('a', 32);
    const space = regionOf('a');
    for (let page = 0; page < 100; page++) write(space, page);
    instance.node.words[L.H_SLOTS_MAX] = 0;
    let written = 0;
    let refused = 0;
    for (let page = 0; page < 100; page++) {
      try {
        write(space, page);
        written++;
      } catch (error) {
        assert.ok(isRefused('a')(error));
        refused++;
      }
    }
    assert.ok(refused > 0 && written > 32);
    assert.equal(charged(group), 32 + GROUP_RESERVE_PAGES);
    assert.throws(() => write(space, 200), isRefused('a'), 'not for a page that is new');
    instance.node.words[L.H_SLOTS_MAX] = L.SLOTS_MAX;
    assert.ok(shrinkGroup(instance.memory, group));
    assert.ok(charged(group) <= 32);
    for (let page = 0; page < 100; page++) assertPage(space, page);
    closeGroup(instance.memory, group);
  });
});

describe('what is charged', () => {
  it('goes along with pages that move', () => {
    const group = limited('a', 64);
    const space = regionOf('a');
    for (let page = 0; page < 300; page++) write(space, (page * 37) % 300);
    const held = pinRange(instance.memory, space, 5 * PAGE_BYTES, 9 * PAGE_BYTES);
    assert.ok(charged(group) <= 64);
    instance.check();
    unpinRange(instance.memory, held);
    for (let page = 0; page < 300; page++) assertPage(space, page);
    instance.check();
    closeGroup(instance.memory, group);
  });

  it('comes back with the region', () => {
    const spaces = ['a', 'b', 'a', 'default'].map(regionOf);
    for (const [i, space] of spaces.entries()) for (let page = 0; page < 50 + i; page++) write(space, page);
    const groups = spaces.map((space) => groupOfRegion(instance.node, space.region));
    assert.equal(groups[0], groups[2]);
    assert.deepEqual(groups.map(charged), [102, 51, 102, 53]);
    closeRegion(instance.memory, spaces[0].region);
    assert.deepEqual(groups.map(charged), [52, 51, 52, 53]);
    for (const space of spaces.slice(1)) closeRegion(instance.memory, space.region);
    assert.deepEqual(groups.map(charged), [0, 0, 0, 0]);
  });

  it('follows a limit that is lowered and raised again', () => {
    const group = limited('a', 400);
    const space = regionOf('a');
    for (let page = 0; page < 400; page++) write(space, page);
    assert.equal(charged(group), 400);
    for (const pages of [300, 100, 16]) {
      setGroupLimits(instance.memory, group, pages, undefined);
      assert.ok(shrinkGroup(instance.memory, group));
      assert.ok(charged(group) <= pages);
    }
    setGroupLimits(instance.memory, group, Number.POSITIVE_INFINITY, undefined);
    for (let page = 0; page < 400; page++) write(space, page);
    assert.equal(charged(group), 400);
    closeGroup(instance.memory, group);
  });

  it('is not reclaimed below a limit that nothing can meet', () => {
    const group = limited('a', 100);
    const space = regionOf('a');
    for (let page = 0; page < 100; page++) write(space, page);
    const held = pinRange(instance.memory, space, 0, 40 * PAGE_BYTES);
    setGroupLimits(instance.memory, group, 16, undefined);
    assert.equal(shrinkGroup(instance.memory, group), false);
    assert.equal(charged(group), 40, 'all but what is pinned went');
    unpinRange(instance.memory, held);
    assert.ok(shrinkGroup(instance.memory, group));
    closeGroup(instance.memory, group);
  });
});

describe('reclaim for everybody', () => {
  it('takes of each group in proportion to its size', () => {
    const sizes = { a: 100, b: 200, c: 800, tiny: 3 };
    const spaces = Object.entries(sizes).map(([name, pages]) => ({ name, pages, space: regionOf(name) }));
    for (const { space, pages } of spaces) for (let page = 0; page < pages; page++) write(space, page);
    const total = 1103;
    const [reclaimer] = instance.memory.reclaimers;
    // Half of all.
    for (let round = 0; round < 1000 && instance.node.words[L.H_REGION_PAGES] > total / 2; round++)
      reclaimer.round(false, true);
    for (const { name, space, pages } of spaces.slice(0, 3)) {
      const left = resident(space, pages) / pages;
      assert.ok(left > 0.25 && left < 0.75, `${name}: ${left} of its pages are left`);
    }
    for (let round = 0; round < 1000 && instance.node.words[L.H_REGION_PAGES] > 0; round++)
      reclaimer.round(false, true);
    for (const { space, pages } of spaces) assert.equal(resident(space, pages), 0, 'none is left out');
  });

  it('passes a small group that is used all the time', () => {
    const hot = regionOf('hot');
    const cold = regionOf('cold');
    for (let page = 0; page < 20; page++) write(hot, page);
    for (let page = 0; page < 500; page++) write(cold, page);
    const [reclaimer] = instance.memory.reclaimers;
    for (let round = 0; round < 25; round++) {
      for (let page = 0; page < 20; page++) assertPage(hot, page);
      reclaimer.round(false, true);
    }
    assert.ok(resident(cold, 500) < 300);
    assert.equal(resident(hot, 20), 20);
  });
});
