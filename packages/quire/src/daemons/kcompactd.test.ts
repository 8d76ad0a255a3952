import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import { NO_PFN, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { makeRandom } from '../codec/testing/random.ts';
import { allocatedOrder, allocFolio, freeFolio } from '../compaction/alloc-folio.ts';
import type { CompactionPolicy } from '../compaction/policy.ts';
import { shortOrder } from '../compaction/stock.ts';
import { createFragmented, takeLargeBlocks } from '../compaction/testing/fragmented.ts';
import { freeBlocks, hasFreeBlock } from '../page-alloc/buddy.ts';
import { makePage } from '../testing/page-data.ts';
import { buryThread } from '../vm/thread-slot.ts';
import { Kcompactd } from './kcompactd.ts';
import { Kswapd } from './kswapd.ts';

/** Steps until the daemon rests. Returns how many it took. */
function settle(daemon: Kcompactd, limit = 100_000): number {
  let steps = 0;
  while (daemon.step()) assert.ok(++steps < limit, 'the daemon rests');
  return steps;
}

describe('kcompactd', () => {
  it('sleeps while nobody asks', () => {
    const { instance } = createFragmented('light');
    const daemon = new Kcompactd(instance.node);
    const scanned = instance.node.counters[C.compact_daemon_migrate_scanned];
    assert.equal(daemon.step(), false);
    assert.equal(instance.node.counters[C.compact_daemon_migrate_scanned], scanned);
    instance.finish();
  });

  for (const policy of ['light', 'split', 'caller', 'background'] as const satisfies readonly CompactionPolicy[]) {
    it(`${policy}: makes a block of the order that was refused, so that the next request has it`, () => {
      const scene = createFragmented(policy);
      const { instance } = scene;
      const giveBack = takeLargeBlocks(instance, 2);
      const daemon = new Kcompactd(instance.node);
      const first = allocFolio(instance.memory, 0, 6, 0);
      assert.ok(allocatedOrder.value < 6);
      settle(daemon);
      assert.equal(scene.count('compact_daemon_wake'), 1);
      assert.equal(scene.count('compact_daemon_blocks'), 1);
      assert.ok(scene.count('compact_daemon_migrate_scanned') > 0);
      if (policy === 'light' || policy === 'caller') assert.equal(scene.count('compact_migrate_scanned'), 0);
      const second = allocFolio(instance.memory, 0, 6, 0);
      assert.equal(allocatedOrder.value, 6);
      for (const pfn of [first, second]) freeFolio(instance.node, pfn);
      giveBack();
      scene.checkPages();
      instance.finish();
    });
  }

  it('a step is small: it holds the lock once and moves a few frames', () => {
    const scene = createFragmented('light');
    const { instance } = scene;
    const giveBack = takeLargeBlocks(instance, 2);
    const daemon = new Kcompactd(instance.node);
    freeFolio(instance.node, allocFolio(instance.memory, 0, 9, 0));
    let moved = scene.count('pgmigrate_success');
    let scanned = scene.count('compact_daemon_migrate_scanned') + scene.count('compact_daemon_free_scanned');
    while (daemon.step()) {
      const movedNow = scene.count('pgmigrate_success');
      const scannedNow = scene.count('compact_daemon_migrate_scanned') + scene.count('compact_daemon_free_scanned');
      assert.ok(movedNow - moved <= 16, 'moves');
      assert.ok(scannedNow - scanned <= 3072, `scans ${scannedNow - scanned}`);
      moved = movedNow;
      scanned = scannedNow;
    }
    assert.ok(hasFreeBlock(instance.node, 9));
    giveBack();
    instance.finish();
  });

  it('when nothing can be made it is put off, twice as long each time, and costs nothing meanwhile', () => {
    const scene = createFragmented('light');
    const { instance, space, pages } = scene;
    const { node } = instance;
    const giveBack = takeLargeBlocks(instance, 2);
    // Every page is pinned: nothing can move.
    for (let pfn = node.firstFree; pfn < node.frames; pfn++)
      if (node.words[node.pinAt + pfn] === 0) node.words[node.pinAt + pfn] = 1;
    const daemon = new Kcompactd(node);
    const runs: number[] = [];
    let wakes = 0;
    for (let request = 0; request < 200; request++) {
      const before = scene.count('compact_daemon_migrate_scanned');
      freeFolio(node, allocFolio(instance.memory, 0, 5, 0));
      settle(daemon);
      if (scene.count('compact_daemon_migrate_scanned') > before) runs.push(request);
      wakes = scene.count('compact_daemon_wake');
    }
    assert.deepEqual(runs.slice(0, 7), [0, 2, 6, 14, 30, 62, 126]);
    assert.equal(wakes, runs.length, 'it is not even woken');
    for (let pfn = node.firstFree; pfn < node.frames; pfn++)
      if (node.words[node.pinAt + pfn] === 1) node.words[node.pinAt + pfn] = 0;
    giveBack();
    assert.ok(pages.length > 0);
    space.close();
    instance.finish();
  });

  it('asks kswapd for room first, and both together make the block', () => {
    const scene = createFragmented('light');
    const { instance } = scene;
    const { node } = instance;
    const giveBack = takeLargeBlocks(instance, 2);
    const filler = instance.space(32 * 2 ** 20);
    for (let page = 0; node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_LOW] + 60; page++)
      filler.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
    const daemon = new Kcompactd(node);
    const kswapd = new Kswapd(instance.memory.reclaimers[0]);
    let got = 0;
    for (let request = 0; request < 20 && got < 6; request++) {
      const pfn = allocFolio(instance.memory, 0, 6, 0);
      got = allocatedOrder.value;
      freeFolio(node, pfn);
      for (let step = 0; step < 200 && kswapd.step(); step++);
      settle(daemon);
    }
    assert.equal(got, 6);
    assert.equal(node.words[L.H_WMARK_BOOST], 0, 'the room is not kept');
    giveBack();
    scene.checkPages();
    instance.finish();
  });

  it('a dead daemon’s part of a block comes back, and another goes on', () => {
    const scene = createFragmented('light');
    const { instance } = scene;
    const giveBack = takeLargeBlocks(instance, 2);
    const dying = instance.join();
    freeFolio(instance.node, allocFolio(instance.memory, 0, 9, 0));
    const free = instance.node.words[L.H_FREE_FRAMES];
    const daemon = new Kcompactd(dying.nodes[0]);
    for (let step = 0; step < 5; step++) assert.ok(daemon.step());
    assert.equal(buryThread(instance.nodes, dying.thread), true);
    assert.equal(instance.node.words[L.H_FREE_FRAMES], free);
    freeFolio(instance.node, allocFolio(instance.memory, 0, 9, 0));
    settle(new Kcompactd(instance.node));
    assert.ok(hasFreeBlock(instance.node, 9));
    giveBack();
    scene.checkPages();
    instance.finish();
  });

  it('stopped in the middle, it gives back what it had', () => {
    const { instance } = createFragmented('light');
    const giveBack = takeLargeBlocks(instance, 2);
    const { node } = instance;
    freeFolio(node, allocFolio(instance.memory, 0, 9, 0));
    const free = node.words[L.H_FREE_FRAMES];
    const daemon = new Kcompactd(node);
    for (let step = 0; step < 5; step++) assert.ok(daemon.step());
    assert.ok(node.words[L.H_FREE_FRAMES] < free);
    daemon.stop();
    assert.equal(node.words[L.H_FREE_FRAMES], free);
    giveBack();
    instance.finish();
  });
});

describe('the stock', () => {
  /** Requests of a trace, each held for `hold` others; the daemon gets `steps` steps after each. */
  function play(policy: CompactionPolicy, orders: readonly number[], requests: number, hold: number, steps: number) {
    const scene = createFragmented(policy);
    const { instance } = scene;
    const giveBack = takeLargeBlocks(instance, 2);
    const daemon = new Kcompactd(instance.node);
    const random = makeRandom(7);
    const held: Pfn[] = [];
    let full = 0;
    let late = 0;
    for (let request = 0; request < requests; request++) {
      const wanted = orders[random.below(orders.length)];
      const pfn = allocFolio(instance.memory, 0, wanted, 0);
      assert.notEqual(pfn, NO_PFN);
      if (allocatedOrder.value === wanted) full++;
      else if (request >= requests / 2) late++;
      held.push(pfn);
      if (held.length > hold) freeFolio(instance.node, held.splice(random.below(held.length), 1)[0]);
      for (let step = 0; step < steps && daemon.step(); step++);
    }
    return { scene, daemon, held, full, late, giveBack };
  }

  it('after a while every request of a steady demand is met, and no caller ever compacts or reclaims', () => {
    const { scene, daemon, held, late, giveBack } = play('stocked', [2, 3, 4], 1000, 12, 8);
    const { instance } = scene;
    assert.equal(late, 0);
    assert.equal(scene.count('compact_stall') + scene.count('allocstall'), 0);
    settle(daemon);
    assert.equal(shortOrder(instance.node), 0, 'the stock is full');
    for (const order of [2, 3, 4]) assert.ok(instance.node.words[L.H_STOCK_TARGET + order] > 0);
    for (const order of [1, 5, 6, 7, 8, 9]) assert.equal(instance.node.words[L.H_STOCK_TARGET + order], 0);
    for (const pfn of held) freeFolio(instance.node, pfn);
    giveBack();
    scene.checkPages();
    instance.finish();
  });

  it('follows demand that moves to another order, and takes at most a sixteenth of the node', () => {
    const { scene, daemon, held, giveBack } = play('stocked', [3], 400, 4, 8);
    const { instance } = scene;
    const { node } = instance;
    const target = (order: number): number => node.words[L.H_STOCK_TARGET + order];
    assert.ok(target(3) > 0 && target(6) === 0);
    for (let request = 0; request < 2000; request++) {
      freeFolio(node, allocFolio(instance.memory, 0, 6, 0));
      for (let step = 0; step < 8 && daemon.step(); step++);
    }
    assert.equal(target(3), 0);
    assert.ok(target(6) > 0);
    let frames = 0;
    for (let order = 1; order <= 9; order++) frames += target(order) << order;
    assert.ok(frames <= node.frames / 16);
    for (const pfn of held) freeFolio(node, pfn);
    giveBack();
    instance.finish();
  });

  it('no demand, no work', () => {
    const { scene, daemon, held, giveBack } = play('stocked', [4], 300, 4, 8);
    const { instance } = scene;
    settle(daemon);
    const wakes = scene.count('compact_daemon_wake');
    const blocks = freeBlocks(instance.node, 4);
    for (let turn = 0; turn < 1000; turn++) assert.equal(daemon.step(), false);
    // Single frames are not its business either.
    for (let turn = 0; turn < 100; turn++) freeFolio(instance.node, allocFolio(instance.memory, 0, 0, 0));
    assert.equal(daemon.step(), false);
    assert.equal(scene.count('compact_daemon_wake'), wakes);
    assert.ok(freeBlocks(instance.node, 4) >= blocks);
    for (const pfn of held) freeFolio(instance.node, pfn);
    giveBack();
    instance.finish();
  });

  it('meets more of the same demand than waking the daemon when a request has failed', () => {
    const stocked = play('stocked', [4], 600, 10, 6);
    const light = play('light', [4], 600, 10, 6);
    assert.ok(stocked.full > light.full, `${stocked.full} against ${light.full}`);
    for (const { scene, held, giveBack } of [stocked, light]) {
      for (const pfn of held) freeFolio(scene.instance.node, pfn);
      giveBack();
      scene.checkPages();
      scene.instance.finish();
    }
  });
});
