/** The ring between kswapd and kcompressd: bounded, in batches, its entries hints; who is woken and how often. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND_MASK, KIND_QUEUED } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { MIB, NO_PFN, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { Kcompressd } from '../daemons/kcompressd.ts';
import { counted, readPage } from '../testing/file-tier-scene.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, locked, type TestInstance, type TestShape } from '../testing/test-instance.ts';
import type { Access } from '../vm/access.ts';
import type { RegionSpace } from '../vm/region-space.ts';
import { ISOLATE_BATCH } from './reclaimer.ts';
import { ringDropLocked, ringEntriesFor, ringLength, ringPeekLocked, ringPushLocked, wakeKcompressd } from './ring.ts';
import { COMPRESS_BATCH } from './swap-out.ts';

const PAGES = 900;
/** One batch that a thread has isolated, with a unit at its end. */
const BATCH_PAGES_MAX = 35;

interface Scene {
  readonly instance: TestInstance;
  readonly space: RegionSpace;
}

function scene(shape: TestShape = {}, access: Access = 'random'): Scene {
  const instance = createTestInstance({ bytes: 8 * MIB, kcompressd: 1, ...shape });
  const space = instance.space(16 * MIB, '', access);
  for (let page = 0; page < PAGES; page++) space.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
  return { instance, space };
}

function assertAll({ space }: Scene): void {
  for (let page = 0; page < PAGES; page++) assert.deepEqual(readPage(space, page), makePage(page, 'text'));
}

/** Counts notifications of the word that kcompressd sleeps on while `work` runs, and how many threads each was for. */
function notifications(instance: TestInstance, work: () => void): number[] {
  const { notify } = Atomics;
  const seen: number[] = [];
  Atomics.notify = (array, at, count) => {
    if (array === instance.node.home && at === L.H_KCOMPRESSD_EVENTS) seen.push(count ?? Number.POSITIVE_INFINITY);
    return notify(array as Int32Array<SharedArrayBuffer>, at, count);
  };
  try {
    work();
  } finally {
    Atomics.notify = notify;
  }
  return seen;
}

describe('the ring', () => {
  it('takes 1 % of the node at most, and nothing where nobody drains it', () => {
    for (const frames of [512, 2048, 100_000, 1_000_000]) {
      const entries = ringEntriesFor(frames);
      assert.ok(entries <= Math.max(32, frames / 100) && entries <= L.RING_ENTRIES_MAX, `${frames}`);
      assert.equal(entries & (entries - 1), 0);
    }
    const { instance } = scene({ kcompressd: 0 });
    instance.memory.reclaimers[0].round(true, false);
    assert.equal(ringLength(instance.node), 0);
    assert.equal(counted(instance, 'kcompressd_fallback'), 0, 'nobody was there to fall back from');
    instance.finish();
  });

  it('full: kswapd compresses the rest itself, and says so', () => {
    const at = scene();
    const { node, memory } = at.instance;
    const entries = node.words[L.H_RING_ENTRIES];
    for (let round = 0; round < 8; round++) memory.reclaimers[0].round(true, false);
    assert.equal(ringLength(node), entries);
    assert.ok(counted(at.instance, 'kcompressd_fallback') > 0);
    assert.ok(counted(at.instance, 'zswpout') > 0);
    assertAll(at);
    at.instance.finish();
  });

  it('bounds what is in flight: its entries and one batch a thread', () => {
    const at = scene();
    const { node, memory } = at.instance;
    const bound = node.words[L.H_RING_ENTRIES] + 2 * BATCH_PAGES_MAX;
    const daemon = new Kcompressd(memory.reclaimers[0]);
    for (let round = 0; round < 60; round++) {
      memory.reclaimers[0].round(true, false);
      if (round % 3 === 0) daemon.step();
      assert.ok(node.words[L.H_INFLIGHT] <= node.words[L.H_INFLIGHT_PEAK]);
    }
    assert.ok(node.words[L.H_INFLIGHT_PEAK] >= node.words[L.H_RING_ENTRIES]);
    assert.ok(node.words[L.H_INFLIGHT_PEAK] <= bound, `${node.words[L.H_INFLIGHT_PEAK]} of ${bound}`);
    at.instance.finish();
  });

  it('frames are free when a batch is published, and count as stolen then', () => {
    const at = scene();
    const { node, memory } = at.instance;
    memory.reclaimers[0].round(true, false);
    assert.equal(counted(at.instance, 'pgsteal_anon'), 0, 'they are only on their way');
    const daemon = new Kcompressd(memory.reclaimers[0]);
    while (daemon.step());
    assert.equal(counted(at.instance, 'pgsteal_anon'), ISOLATE_BATCH);
    assert.equal(counted(at.instance, 'pgsteal_kswapd'), ISOLATE_BATCH);
    assert.equal(counted(at.instance, 'kcompressd_pages'), ISOLATE_BATCH);
    assert.equal(node.words[L.H_INFLIGHT], 0);
    at.instance.finish();
  });

  it('a batch takes the lock once to be claimed and once to be published', () => {
    const at = scene();
    const { node, memory } = at.instance;
    memory.reclaimers[0].round(true, false);
    const daemon = new Kcompressd(memory.reclaimers[0]);
    const lock = node.lock.bind(node);
    let locks = 0;
    node.lock = () => {
      locks++;
      lock();
    };
    assert.ok(daemon.step());
    assert.equal(locks, 2);
    assert.equal(counted(at.instance, 'kcompressd_pages'), COMPRESS_BATCH);
    at.instance.finish();
  });

  it('entries of pages that were rescued or discarded are passed over', () => {
    const at = scene();
    const { node, memory } = at.instance;
    memory.reclaimers[0].round(true, false);
    const queued: number[] = [];
    for (let page = 0; page < PAGES; page++) if (isQueued(at, page)) queued.push(page);
    assert.equal(queued.length, ISOLATE_BATCH);
    const [written, gone, ...left] = queued;
    at.space.write(written * PAGE_BYTES, makePage(written, 'text'), 0, PAGE_BYTES);
    at.space.discard(gone * PAGE_BYTES, PAGE_BYTES);
    assert.equal(counted(at.instance, 'swap_rescued'), 1);
    assert.equal(counted(at.instance, 'swap_cancelled'), 1);
    const daemon = new Kcompressd(memory.reclaimers[0]);
    while (daemon.step());
    assert.equal(counted(at.instance, 'kcompressd_pages'), left.length);
    assert.equal(node.words[L.H_INFLIGHT], 0);
    at.instance.check();
    assert.ok(readPage(at.space, gone).every((byte) => byte === 0));
    at.space.write(gone * PAGE_BYTES, makePage(gone, 'text'), 0, PAGE_BYTES);
    assertAll(at);
    at.instance.finish();
  });

  it('a ring of stale entries alone is emptied', () => {
    const { instance } = scene();
    const { node, memory } = instance;
    const { firstFree } = node;
    locked(node, () => {
      for (let i = 0; i < 20; i++) assert.ok(ringPushLocked(node, (firstFree + i) as Pfn));
      assert.equal(ringPeekLocked(node), NO_PFN);
    });
    assert.equal(ringLength(node), 0);
    const daemon = new Kcompressd(memory.reclaimers[0]);
    assert.equal(daemon.step(), false);
    instance.finish();
  });

  it('units are claimed whole, and a unit that does not fit the batch waits for the next', () => {
    const at = scene({}, 'sequential');
    const { memory } = at.instance;
    for (let round = 0; round < 4; round++) memory.reclaimers[0].round(true, false);
    const daemon = new Kcompressd(memory.reclaimers[0]);
    while (daemon.step()) at.instance.check();
    assert.ok(counted(at.instance, 'thp_swpout') > 0);
    assertAll(at);
    at.instance.finish();
  });
});

/** Is the page's frame in flight and unclaimed? Its slot's word would say; so does its frame's kind. */
function isQueued({ instance, space }: Scene, page: number): boolean {
  const { node } = instance;
  const view = instance.memory.nodes[0];
  const pins = new Uint8Array(PAGE_BYTES);
  space.read(page * PAGE_BYTES, pins, 0, PAGE_BYTES);
  for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
    if ((view.words[node.kindAt + pfn] & KIND_MASK) !== KIND_QUEUED) continue;
    if (new DataView(node.memory.buffer, pfn * PAGE_BYTES).getUint32(0) === page) return true;
  }
  return false;
}

describe('waking kcompressd', () => {
  it('nobody asleep: no system call, whatever is pushed', () => {
    const { instance } = scene();
    const seen = notifications(instance, () => instance.memory.reclaimers[0].round(true, false));
    assert.deepEqual(seen, []);
    assert.equal(counted(instance, 'kcompressd_wake'), 0);
    assert.ok(Atomics.load(instance.node.words, L.H_KCOMPRESSD_EVENTS) > 0, 'the event is counted');
    instance.finish();
  });

  it('asleep: one wake-up a batch of reclaim, for as many threads as the ring has batches for', () => {
    const { instance } = scene({ kcompressd: 4, bytes: 32 * MIB });
    const { node } = instance;
    assert.equal(node.words[L.H_RING_ENTRIES], 2 * ISOLATE_BATCH);
    node.words[L.H_KCOMPRESSD_SLEEPERS] = 4;
    const seen = notifications(instance, () => instance.memory.reclaimers[0].round(true, false));
    assert.deepEqual(seen, [ISOLATE_BATCH / COMPRESS_BATCH]);
    assert.equal(counted(instance, 'kcompressd_wake'), 1);
    node.words[L.H_KCOMPRESSD_SLEEPERS] = 2;
    const more = notifications(instance, () => instance.memory.reclaimers[0].round(true, false));
    assert.deepEqual(more, [2], 'four batches, two threads awake');
    node.words[L.H_KCOMPRESSD_SLEEPERS] = 0;
    instance.finish();
  });

  it('those awake have enough hands: nobody is woken', () => {
    const { instance } = scene({ kcompressd: 4 });
    const { node } = instance;
    node.words[L.H_KCOMPRESSD_SLEEPERS] = 1;
    locked(node, () => ringPushLocked(node, node.firstFree as Pfn));
    assert.deepEqual(
      notifications(instance, () => wakeKcompressd(node, COMPRESS_BATCH)),
      [],
    );
    node.words[L.H_KCOMPRESSD_SLEEPERS] = 0;
    locked(node, () => ringDropLocked(node));
    instance.finish();
  });
});
