/** The compressed tier is taken out of use: what comes back to it meanwhile, and who says that it is done. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { assertPages, counted, demoteAll, evict, type Loaded, load, readPage } from '../testing/file-tier-scene.ts';
import { makePage } from '../testing/page-data.ts';
import { DRAIN_NO_ROOM, Drainer, startDrain } from './drainer.ts';
import { deviceAt } from './file-devices.ts';
import { endPoolDrain, isPoolDrained, isPoolDrainStuck, PoolDrainer, startPoolDrain } from './pool-drain.ts';
import { Reclaimer } from './reclaimer.ts';
import { canDrainDevice, canDrainPool, poolRoom } from './tiers.ts';

function poolFrames({ instance }: Loaded): number {
  return instance.node.words[L.H_ZS_FRAMES] + instance.node.words[L.H_RAW_FRAMES];
}

function drainerOf({ instance }: Loaded): PoolDrainer {
  return new PoolDrainer(new Reclaimer(instance.node, instance.device));
}

describe('swapoff of the pool', () => {
  it('empties it in steps, and says when it is done', () => {
    const loaded = load();
    const { instance, space } = loaded;
    assert.ok(poolFrames(loaded) > 100);
    assert.ok(startPoolDrain(instance.nodes));
    assert.ok(!startPoolDrain(instance.nodes), 'once');
    const drainer = drainerOf(loaded);
    for (let turn = 0; turn < 1000 && !isPoolDrained(instance.nodes); turn++) drainer.step();
    assert.ok(isPoolDrained(instance.nodes));
    assert.equal(poolFrames(loaded), 0);
    assert.equal(drainer.step(), false);
    endPoolDrain(instance.nodes, true);
    instance.check();
    assertPages(space);
    instance.finish();
  });

  it('says that it is stuck when the files take nothing, and goes on when they do', () => {
    const loaded = load();
    const { instance, space } = loaded;
    instance.device.fail('write', 'ENOSPC');
    startPoolDrain(instance.nodes);
    const drainer = drainerOf(loaded);
    for (let turn = 0; turn < 20; turn++) drainer.step();
    assert.ok(isPoolDrainStuck(instance.nodes) && !isPoolDrained(instance.nodes));
    instance.device.heal();
    for (let turn = 0; turn < 1000 && !isPoolDrained(instance.nodes); turn++) drainer.step();
    assert.ok(isPoolDrained(instance.nodes));
    assertPages(space);
    instance.finish();
  });

  for (const end of ['while it is emptied', 'when it is off'] as const) {
    it(`nothing comes back to it ${end}: what is wanted again soon comes into memory`, () => {
      const loaded = load();
      const { instance, space } = loaded;
      demoteAll(loaded);
      startPoolDrain(instance.nodes);
      if (end === 'when it is off') endPoolDrain(instance.nodes, true);
      const resident = instance.node.words[L.H_REGION_PAGES];
      assertPages(space);
      assert.equal(instance.node.words[L.H_REGION_PAGES], resident, 'each was touched for the first time in long');
      for (let page = 0; page < 60; page++) readPage(space, page);
      for (let page = 0; page < 60; page++) readPage(space, page);
      assert.equal(counted(instance, 'swap_promoted'), 0);
      assert.equal(poolFrames(loaded), 0);
      assert.ok(instance.node.words[L.H_REGION_PAGES] > resident + 30);
      assertPages(space);
      instance.finish();
    });
  }

  it('is where promotions go again once it was called off', () => {
    const loaded = load();
    const { instance, space } = loaded;
    demoteAll(loaded);
    startPoolDrain(instance.nodes);
    endPoolDrain(instance.nodes, false);
    instance.node.words[L.H_POOL_FRAMES_MAX] = instance.node.frames;
    assertPages(space);
    assert.ok(counted(instance, 'swap_promoted') > 0 && poolFrames(loaded) > 0);
    instance.finish();
  });

  it('a device is not emptied into it, nor said to have room there', () => {
    const loaded = load();
    const { instance, space } = loaded;
    demoteAll(loaded);
    assert.ok(canDrainDevice(instance.nodes, 0));
    startPoolDrain(instance.nodes);
    assert.equal(poolRoom(instance.node, true), 0);
    assert.ok(!canDrainDevice(instance.nodes, 0));
    startDrain(instance.nodes, 0);
    assert.ok(!canDrainPool(instance.nodes), 'the only file is going');
    const drainer = new Drainer(instance.node, instance.device);
    assert.equal(drainer.step(0), DRAIN_NO_ROOM);
    assert.equal(poolFrames(loaded), 0);
    assert.ok(instance.node.words[deviceAt(0) + L.V_LIVE] > 0);
    assertPages(space);
    endPoolDrain(instance.nodes, false);
    instance.node.words[L.H_POOL_FRAMES_MAX] = instance.node.frames;
    assert.notEqual(drainer.step(0), DRAIN_NO_ROOM);
    instance.finish();
  });

  it('a daemon that was writing when a drain was called off says nothing about the next', () => {
    const loaded = load(undefined, 0);
    const { instance, space } = loaded;
    // All alike, so that they go in one batch.
    for (let page = 0; page < 8; page++) space.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
    evict(instance);
    startPoolDrain(instance.nodes);
    const drainer = drainerOf(loaded);
    instance.device.duringWrite = () => {
      instance.device.duringWrite = undefined;
      endPoolDrain(instance.nodes, false);
      startPoolDrain(instance.nodes);
    };
    drainer.step();
    assert.equal(instance.device.duringWrite, undefined);
    assert.equal(poolFrames(loaded), 0, 'as the first drain found it');
    assert.ok(!isPoolDrained(instance.nodes));
    space.write(0, makePage(1, 'text'), 0, PAGE_BYTES);
    evict(instance);
    assert.ok(poolFrames(loaded) > 0);
    drainer.step();
    drainer.step();
    assert.ok(isPoolDrained(instance.nodes));
    assert.equal(poolFrames(loaded), 0);
    instance.finish();
  });
});
