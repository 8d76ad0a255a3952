/** Discard and close with leaves that are freed later (swap/detached-leaves.ts): what is gone at once, what comes back when, and through whom. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { tryPin, unpin } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { frameFromPte, isPresent } from '../arena/pte.ts';
import { C } from '../base/counters.ts';
import { CHUNK_BYTES, CHUNK_PAGES, MIB, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { Kswapd } from '../daemons/kswapd.ts';
import { findLeaf, regionAt } from '../page-table/page-table.ts';
import { groupAt } from '../reclaim/group.ts';
import {
  detachedLeaves,
  detachLeaf,
  endDetaching,
  freeDetached,
  freeDetachedSome,
  hasDetached,
} from '../swap/detached-leaves.ts';
import { reclaimDirect } from '../swap/direct-reclaim.ts';
import { ROUND_GAINED } from '../swap/reclaim-loop.ts';
import { claimLocked, publishSameLocked } from '../swap/swap-out.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, locked, type TestInstance, type TestShape } from '../testing/test-instance.ts';
import { cloneRegion } from './clone.ts';
import { closeGroup, openGroup, setGroupLimits } from './group-limit.ts';
import { createPageView } from './page-space.ts';
import { RegionSpace } from './region-space.ts';
import { chunksFor, closeRegion, openRegion } from './region-table.ts';
import { buryThread, sumCounter } from './thread-slot.ts';

const SIZE = 64 * MIB;

let instance: TestInstance;

function start(shape: TestShape = {}): RegionSpace {
  instance = createTestInstance({ bytes: 8 * MIB, kcompressd: 1, detaching: L.DETACHED_MAX, ...shape });
  return instance.space(SIZE);
}

afterEach(() => instance.finish());

function gauge(at: number): number {
  return instance.node.words[at];
}

function pagesOf(space: RegionSpace): number {
  return gauge(regionAt(space.region) + L.R_PAGES);
}

function write(space: RegionSpace, first: number, count: number): void {
  for (let page = first; page < first + count; page++) space.write(page * PAGE_BYTES, makePage(page), 0, PAGE_BYTES);
}

function assertPages(space: RegionSpace, first: number, count: number): void {
  const got = new Uint8Array(PAGE_BYTES);
  for (let page = first; page < first + count; page++) {
    space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
    assert.deepEqual(got, makePage(page), `page ${page}`);
  }
}

function assertZeros(space: RegionSpace, offset: number, length: number): void {
  const got = new Uint8Array(length).fill(1);
  space.read(offset, got, 0, length);
  assert.ok(got.every((byte) => byte === 0));
}

function frameOf(space: RegionSpace, page: number): Pfn {
  const leaf = findLeaf(instance.node, space.region, Math.floor(page / CHUNK_PAGES));
  const pte = instance.node.words[leaf + (page % CHUNK_PAGES)];
  assert.ok(isPresent(pte), `page ${page} is resident`);
  return frameFromPte(pte);
}

/** One direct reclaim after another, until the first chunk's pages are swapped or on their way. */
function evict(rounds: number): void {
  for (let round = 0; round < rounds; round++) instance.memory.reclaimers[0].round(round % 2 === 0, true);
}

describe('a whole chunk that is discarded', () => {
  it('is gone at once for its region, and comes back in batches', () => {
    const space = start();
    write(space, 0, CHUNK_PAGES + 10);
    const free = gauge(L.H_FREE_FRAMES);
    space.discard(0, CHUNK_BYTES);
    assertZeros(space, 0, CHUNK_BYTES);
    assertPages(space, CHUNK_PAGES, 10);
    assert.equal(pagesOf(space), 10);
    assert.equal(gauge(L.H_FREE_FRAMES), free, 'no frame yet');
    assert.equal(sumCounter(instance.node, C.leaves_detached), 1);
    const kswapd = new Kswapd(instance.memory.reclaimers[0]);
    for (let batch = 1; batch <= 8; batch++) {
      instance.check();
      assert.ok(kswapd.step());
      if (batch < 8) assert.equal(gauge(L.H_FREE_FRAMES), free + batch * 64);
    }
    assert.ok(!hasDetached(instance.node));
    assert.ok(gauge(L.H_FREE_FRAMES) >= free + CHUNK_PAGES);
    assert.ok(!freeDetachedSome(instance.node));
  });

  it('may be written again before its old pages are freed', () => {
    const space = start({ bytes: 12 * MIB });
    for (let round = 0; round < 3; round++) {
      write(space, round, CHUNK_PAGES - round);
      space.discard(0, CHUNK_BYTES);
    }
    write(space, 7, 300);
    assert.equal(gauge(L.H_DETACHED), 3);
    instance.check();
    freeDetached(instance.nodes);
    instance.check();
    assertPages(space, 7, 300);
    assert.equal(pagesOf(space), 300);
  });

  it('frees every kind of page: resident, in flight, compressed, raw, same-filled, with a clean copy', () => {
    const space = start({ bytes: 6 * MIB });
    write(space, 0, CHUNK_PAGES);
    evict(18);
    for (let page = 0; page < 120; page++) for (let touch = 0; touch < 3; touch++) assertPages(space, page, 1);
    evict(1);
    const before = [L.H_INFLIGHT, L.H_ZS_OBJECTS, L.H_RAW_FRAMES, L.H_SAME_SLOTS, L.H_CLEAN_COPIES, L.H_REGION_PAGES];
    for (const at of before) assert.ok(gauge(at) > 0, `header word ${at}`);
    space.discard(0, CHUNK_BYTES);
    instance.check();
    while (freeDetachedSome(instance.node)) instance.check();
    for (const at of [...before, L.H_SLOTS_USED, L.H_DETACHED]) assert.equal(gauge(at), 0, `header word ${at}`);
  });

  it('frees pages that direct mode finds by the places of their entries', () => {
    const space = start({ bytes: 4 * MIB, isVirtual: false });
    write(space, 0, 2 * CHUNK_PAGES);
    space.discard(0, 2 * CHUNK_BYTES);
    evict(4);
    instance.check();
    freeDetached(instance.nodes);
    assert.equal(gauge(L.H_ZS_OBJECTS) + gauge(L.H_REGION_PAGES) + gauge(L.H_INFLIGHT), 0);
  });

  it('that is partly covered goes page by page, at once', () => {
    const space = start();
    write(space, 0, 2 * CHUNK_PAGES);
    const free = gauge(L.H_FREE_FRAMES);
    space.discard(PAGE_BYTES, CHUNK_BYTES);
    assert.equal(gauge(L.H_DETACHED), 0);
    assert.equal(gauge(L.H_FREE_FRAMES), free + CHUNK_PAGES);
  });

  it('on several nodes each has its own', () => {
    const space = start({ nodes: 2 });
    write(space, 0, 4 * CHUNK_PAGES);
    space.discard(0, 3 * CHUNK_BYTES);
    assert.deepEqual(
      instance.nodes.map((node) => node.words[L.H_DETACHED]),
      [2, 1],
    );
    instance.check();
    assert.ok(freeDetached(instance.nodes));
    assertPages(space, 3 * CHUNK_PAGES, CHUNK_PAGES);
  });
});

describe('a leaf is not put off', () => {
  it('with a pinned page: that is zeroed where it is, and its writer keeps it', () => {
    const space = start();
    write(space, 0, CHUNK_PAGES);
    const view = createPageView();
    space.openWrite(5 * PAGE_BYTES, view);
    space.discard(0, CHUNK_BYTES);
    assert.equal(gauge(L.H_DETACHED), 0);
    assert.equal(pagesOf(space), 1);
    view.bytes[view.byte] = 77;
    space.closeWrite(view);
    const got = new Uint8Array(2);
    space.read(5 * PAGE_BYTES, got, 0, 2);
    assert.deepEqual([...got], [77, 0]);
    space.discard(0, CHUNK_BYTES);
    assert.equal(gauge(L.H_DETACHED), 1, 'now it can');
  });

  it('when as many wait as may, or none may', () => {
    const space = start({ detaching: 1 });
    write(space, 0, 2 * CHUNK_PAGES);
    space.discard(0, 2 * CHUNK_BYTES);
    assert.equal(gauge(L.H_DETACHED), 1);
    assert.equal(pagesOf(space), 0);
    instance.node.words[L.H_DETACH_MAX] = 0;
    freeDetached(instance.nodes);
    write(space, 0, CHUNK_PAGES);
    space.discard(0, CHUNK_BYTES);
    assert.equal(gauge(L.H_DETACHED), 0);
  });
});

describe('a page of a detached leaf', () => {
  it('that a late pin holds for a moment is passed over, and the leaf tried again behind the others', () => {
    const space = start();
    write(space, 0, 2 * CHUNK_PAGES);
    const pfn = frameOf(space, 100);
    space.discard(0, 2 * CHUNK_BYTES);
    const [first, second] = detachedLeaves(instance.node);
    assert.ok(tryPin(instance.node, pfn), 'who has an old entry adds 1, and will take it back');
    while (gauge(L.H_DETACHED) === 2 && detachedLeaves(instance.node)[0].leaf === first.leaf) {
      assert.ok(freeDetachedSome(instance.node));
      instance.check();
    }
    assert.deepEqual(detachedLeaves(instance.node), [second, first]);
    assert.ok(freeDetached(instance.nodes));
    assert.equal(gauge(L.H_DETACHED), 1, 'the pinned page is still there');
    assert.equal(freeDetached(instance.nodes), false, 'and nothing else');
    assert.equal(gauge(L.H_REGION_PAGES), 1);
    unpin(instance.node, pfn);
    assert.ok(freeDetached(instance.nodes));
  });

  it('is reclaimed, published and rescued like any other', () => {
    const space = start({ bytes: 6 * MIB });
    write(space, 0, CHUNK_PAGES);
    const pfns = Array.from({ length: CHUNK_PAGES }, (_, page) => frameOf(space, page));
    evict(1); // into the ring
    const queued = pfns.filter((pfn) => instance.node.words[instance.node.pinAt + pfn] < 0);
    assert.ok(queued.length > 0);
    space.discard(0, CHUNK_BYTES);
    const { node } = instance;
    const published = queued.find((pfn) => locked(node, () => claimLocked(node, pfn)));
    assert.ok(published !== undefined);
    locked(node, () => publishSameLocked(node, published, 9));
    instance.check();
    const other = instance.join();
    assert.ok(buryThread(instance.nodes, other.thread), 'rescues all that is queued');
    instance.check();
    freeDetached(instance.nodes);
    assert.equal(gauge(L.H_REGION_PAGES) + gauge(L.H_SAME_SLOTS) + gauge(L.H_INFLIGHT), 0);
  });

  it('that is detached while others are freed is left to whoever comes next', () => {
    const space = start();
    write(space, 0, 4 * CHUNK_PAGES);
    space.discard(0, CHUNK_BYTES);
    const { node } = instance;
    const lock = node.lock.bind(node);
    let chunk = 1;
    const other = instance.join();
    node.lock = () => {
      if (chunk < 4 && gauge(L.H_DETACHED) === 1) assert.ok(detachLeaf(other.nodes[0], space.region, chunk++));
      lock();
    };
    assert.ok(freeDetached(instance.nodes));
    node.lock = lock;
    assert.equal(gauge(L.H_DETACHED), 1, 'one came, and one went');
    endDetaching(other.nodes);
    assert.ok(freeDetached(instance.nodes));
    assert.equal(gauge(L.H_DETACHED), 0);
  });

  it('that a clone shares stays the clone’s', () => {
    const space = start();
    write(space, 0, CHUNK_PAGES);
    const clone = new RegionSpace(instance.memory, cloneRegion(instance.memory, space.region, '', 'default'), SIZE);
    space.discard(0, CHUNK_BYTES);
    instance.check();
    while (freeDetachedSome(instance.node)) instance.check();
    assertPages(clone, 0, CHUNK_PAGES);
    assertZeros(space, 0, CHUNK_BYTES);
  });
});

describe('a region that is closed', () => {
  it('gives its number to another, which the old pages do not disturb', () => {
    const space = start();
    const { region } = openRegion(instance.memory, '', chunksFor(SIZE));
    const old = new RegionSpace(instance.memory, region, SIZE);
    write(old, 0, CHUNK_PAGES);
    write(space, 0, 5);
    closeRegion(instance.memory, region);
    const next = openRegion(instance.memory, '', chunksFor(SIZE)).region;
    assert.equal(next, region);
    const fresh = new RegionSpace(instance.memory, next, SIZE);
    assertZeros(fresh, 0, CHUNK_BYTES);
    write(fresh, 3, 50);
    assert.equal(pagesOf(fresh), 50);
    while (freeDetachedSome(instance.node)) instance.check();
    assert.equal(pagesOf(fresh), 50);
    assertPages(fresh, 3, 50);
    assertPages(space, 0, 5);
  });
});

describe('nobody fails for what waits', () => {
  it('direct reclaim frees it before it looks at pages in use', () => {
    const space = start({ bytes: 4 * MIB, hasSwap: false });
    write(space, 0, CHUNK_PAGES);
    space.discard(0, CHUNK_BYTES);
    write(space, CHUNK_PAGES, CHUNK_PAGES);
    assertPages(space, CHUNK_PAGES, CHUNK_PAGES);
    assert.equal(sumCounter(instance.node, C.swap_full), 0);
    space.discard(0, SIZE);
    assert.ok(reclaimDirect(instance.memory.reclaimers[0], CHUNK_PAGES));
  });

  it('a group at its limit has its own back first', () => {
    const space = start();
    const group = openGroup(instance.memory, 'a');
    setGroupLimits(instance.memory, group, CHUNK_PAGES, 0);
    const { region } = openRegion(instance.memory, '', chunksFor(SIZE), 'a');
    const own = new RegionSpace(instance.memory, region, SIZE);
    write(space, 0, CHUNK_PAGES);
    for (let round = 0; round < 4; round++) {
      write(own, 0, CHUNK_PAGES);
      if (round === 0) space.discard(0, CHUNK_BYTES); // older, and of another group
      own.discard(0, CHUNK_BYTES);
    }
    assert.ok(
      detachedLeaves(instance.node).some((each) => each.group !== group),
      'the other group’s waits still',
    );
    closeRegion(instance.memory, region);
    closeGroup(instance.memory, group);
  });

  it('and then what clones of other groups keep of it', () => {
    start();
    const group = openGroup(instance.memory, 'a');
    setGroupLimits(instance.memory, group, 64, 100);
    const { region } = openRegion(instance.memory, '', chunksFor(SIZE), 'a');
    const own = new RegionSpace(instance.memory, region, SIZE);
    write(own, 0, 150);
    const clone = cloneRegion(instance.memory, region, '', 'default');
    own.discard(0, CHUNK_BYTES);
    closeRegion(instance.memory, clone);
    assert.equal(
      instance.node.words[groupAt(group) + L.G_SWAP_PAGES],
      100,
      'slots of the group, named by the clone’s leaf',
    );
    write(own, 0, 150);
    assertPages(own, 0, 150);
    closeRegion(instance.memory, region);
    closeGroup(instance.memory, group);
  });

  it('slots that wait are slots to be had', () => {
    const space = start({ bytes: 4 * MIB, slots: 700 });
    for (let round = 0; round < 6; round++) {
      write(space, 0, 2 * CHUNK_PAGES);
      space.discard(0, 2 * CHUNK_BYTES);
    }
    assert.equal(sumCounter(instance.node, C.swap_full), 0);
  });

  it('names of groups whose last pages wait are to be had too', () => {
    start();
    for (let round = 0; round < L.GROUPS_MAX + 10; round++) {
      const { region } = openRegion(instance.memory, '', chunksFor(SIZE), `group ${round}`);
      write(new RegionSpace(instance.memory, region, SIZE), 0, 3);
      closeRegion(instance.memory, region);
    }
    const held = Array.from({ length: L.GROUPS_MAX - 1 }, (_, i) => openGroup(instance.memory, `held ${i}`));
    for (const group of held) closeGroup(instance.memory, group);
  });
});

describe('kswapd', () => {
  /** Another thread that has detached both chunks of the space, and is not done. */
  function inDiscard(space: RegionSpace): TestInstance['nodes'] {
    const { nodes } = instance.join();
    for (const chunk of [0, 1]) assert.ok(detachLeaf(nodes[0], space.region, chunk));
    return nodes;
  }

  it('leaves what waits to a thread that is at it, and is woken at its end', () => {
    const space = start();
    write(space, 0, 2 * CHUNK_PAGES);
    const kswapd = new Kswapd(instance.memory.reclaimers[0]);
    const nodes = inDiscard(space);
    assert.ok(!kswapd.step() && gauge(L.H_DETACHED) === 2);
    assert.equal(instance.memory.reclaimers[0].directRound(), ROUND_GAINED, 'reclaim takes what it needs');
    assert.equal(gauge(L.H_DETACHED), 1);
    const events = gauge(L.H_EVENTS);
    endDetaching(nodes);
    assert.equal(gauge(L.H_EVENTS), events + 1);
    endDetaching(nodes);
    assert.equal(gauge(L.H_EVENTS), events + 1, 'once');
    assert.ok(kswapd.step());
  });

  it('does not wait for ever for a thread that nobody can tell to be dead', () => {
    const space = start();
    write(space, 0, 3 * CHUNK_PAGES);
    const kswapd = new Kswapd(instance.memory.reclaimers[0]);
    const nodes = inDiscard(space);
    let looks = 0;
    while (!kswapd.step()) if (++looks === 10) assert.ok(detachLeaf(nodes[0], space.region, 2), 'it lives');
    assert.equal(looks, 10 + 16);
    while (gauge(L.H_DETACHED) > 0) assert.ok(kswapd.step(), 'and then all of it');
    assert.equal(gauge(L.H_REGION_PAGES), 0);
  });

  it('goes on when a thread that died in a discard is buried', () => {
    const space = start();
    write(space, 0, 2 * CHUNK_PAGES);
    const kswapd = new Kswapd(instance.memory.reclaimers[0]);
    const [dead] = inDiscard(space);
    assert.ok(!kswapd.step());
    assert.ok(buryThread(instance.nodes, dead.threadIndex));
    assert.ok(kswapd.step());
    freeDetached(instance.nodes);
  });
});

describe('a thread that dies', () => {
  it('between two batches leaves a ring that anybody goes on with', () => {
    const space = start();
    write(space, 0, CHUNK_PAGES);
    const other = instance.join();
    space.discard(0, CHUNK_BYTES);
    for (let batch = 0; batch < 3; batch++) assert.ok(freeDetachedSome(other.nodes[0]));
    assert.ok(buryThread(instance.nodes, other.thread));
    instance.check();
    assert.ok(freeDetached(instance.nodes));
  });
});
