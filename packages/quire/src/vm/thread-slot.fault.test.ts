/** A thread that died half way through its work, played step by step: what it held comes back, or the instance is told that it cannot. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND_NEW } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { GFP_USER } from '../page-alloc/gfp.ts';
import { allocLocked, freeLocked } from '../page-alloc/page-allocator.ts';
import { Compressor } from '../swap/compressor.ts';
import { reserveLocked } from '../swap/file-segments.ts';
import { ringLength } from '../swap/ring.ts';
import { claimLocked, createIsolateResult, isolateLocked } from '../swap/swap-out.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, locked, type TestInstance, type TestThread } from '../testing/test-instance.ts';
import type { Access } from './access.ts';
import type { RegionSpace } from './region-space.ts';
import { attachThread, breakLocks, buryThread, detachThread, liveThreads } from './thread-slot.ts';

const PAGES = 200;

interface Scene {
  readonly instance: TestInstance;
  readonly dead: TestThread;
  readonly space: RegionSpace;
}

function scene(access: Access = 'random'): Scene {
  const instance = createTestInstance({ bytes: 4 * MIB, kcompressd: 1, fileBytes: 4 * MIB });
  const space = instance.space(16 * MIB, '', access);
  for (let page = 0; page < PAGES; page++) space.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
  for (let pfn = instance.node.firstFree; pfn < instance.node.frames; pfn++)
    instance.node.words[instance.node.touchAt + pfn] = 0;
  return { instance, space, dead: instance.join() };
}

/** Buries the thread and checks that nothing of it is left. */
function bury({ instance, dead, space }: Scene): void {
  assert.equal(buryThread(instance.nodes, dead.thread), true);
  assert.equal(liveThreads(instance.node), 1);
  instance.check();
  const got = new Uint8Array(PAGE_BYTES);
  for (let page = 0; page < PAGES; page++) {
    space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
    assert.deepEqual(got, makePage(page, 'text'), `page ${page}`);
  }
  assert.equal(instance.node.words[L.H_INFLIGHT], 0, 'no page is in flight for ever');
  instance.finish();
}

function isolate(node: TestThread['nodes'][0], limit: number): number[] {
  const out = new Int32Array(limit);
  const result = createIsolateResult();
  locked(node, () => isolateLocked(node, limit, out, result));
  assert.equal(result.isolated, limit);
  return [...out];
}

describe('a dead thread', () => {
  it('that did nothing', () => {
    bury(scene());
  });

  it('with frames in its cache and a cluster of its own', () => {
    const at = scene();
    const [node] = at.dead.nodes;
    locked(node, () => {
      const pfns = Array.from({ length: 20 }, () => allocLocked(node, 0, L.MIGRATE_MOVABLE, GFP_USER, KIND_NEW));
      for (const pfn of pfns) freeLocked(node, pfn);
    });
    isolate(node, 4);
    bury(at);
  });

  it('with private frames it was filling', () => {
    const at = scene();
    const [node] = at.dead.nodes;
    locked(node, () => {
      for (let i = 0; i < 5; i++) allocLocked(node, 0, L.MIGRATE_MOVABLE, GFP_USER, KIND_NEW);
    });
    bury(at);
  });

  it('with pages isolated and told to nobody', () => {
    const at = scene();
    isolate(at.dead.nodes[0], 32);
    bury(at);
  });

  it('with pages taken from the ring', () => {
    const at = scene();
    const [reclaimer] = at.instance.memory.reclaimers;
    reclaimer.round(true, false);
    assert.ok(ringLength(at.instance.node) > 8);
    new Compressor(at.dead.nodes[0], false).claimRing(8);
    bury(at);
  });

  it('with pages it was compressing', () => {
    const at = scene();
    const [node] = at.dead.nodes;
    const pfns = isolate(node, 8);
    locked(node, () => {
      for (const pfn of pfns) assert.ok(claimLocked(node, pfn as never));
    });
    bury(at);
  });

  it('with units queued and units it was compressing', () => {
    const at = scene('sequential');
    const [node] = at.dead.nodes;
    const compressor = new Compressor(node, false);
    const pfns = isolate(node, 16);
    assert.equal(compressor.claim(Int32Array.from(pfns.slice(0, 8)), 0, true), 8);
    compressor.compress();
    bury(at);
  });

  it('with a batch on its way to the file', () => {
    const at = scene();
    const [node] = at.dead.nodes;
    locked(node, () => {
      node.words[L.H_DEMOTE_BUSY] = node.thread;
      assert.ok(reserveLocked(node, 50, 0) >= 0);
    });
    bury(at);
  });

  it('holding the lock: the instance must fail, and the lock can be broken', () => {
    const { instance, dead } = scene();
    dead.nodes[0].lock();
    assert.equal(buryThread(instance.nodes, dead.thread), false);
    breakLocks(instance.nodes, dead.thread);
    locked(instance.node, () => undefined);
  });
});

describe('thread slots', () => {
  it('are given out once, and again after they are left', () => {
    const instance = createTestInstance({ bytes: 16 * MIB, areas: 2 });
    const others = Array.from({ length: 20 }, () => instance.join());
    assert.equal(new Set([instance.thread, ...others.map((other) => other.thread)]).size, 21);
    assert.equal(liveThreads(instance.node), 21);
    for (const other of others) detachThread(other.nodes, other.thread);
    assert.equal(liveThreads(instance.node), 1);
    instance.join();
    assert.equal(liveThreads(instance.node), 2);
    instance.finish();
  });

  it('end at 64, or when no area can be had', () => {
    const large = createTestInstance({ bytes: 32 * MIB });
    for (let i = 1; i < L.THREADS_MAX; i++) large.join();
    assert.throws(() => large.join(), /at most 64 threads/);
    const small = createTestInstance({ bytes: 2 * MIB, areas: 1 });
    let joined = 0;
    assert.throws(() => {
      for (; joined < L.THREADS_MAX; joined++) attachThread(small.nodes);
    }, /no contiguous memory/);
    assert.ok(joined < 20);
  });
});
