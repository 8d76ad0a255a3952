/** swapoff of a device on devices that fail: what can be read goes elsewhere, what cannot is lost for its readers alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import {
  assertPages,
  code,
  counted,
  demoteAll,
  type Loaded,
  load,
  PAGES,
  pageOf,
  placeOf,
  readPage,
} from '../testing/file-tier-scene.ts';
import { makePage } from '../testing/page-data.ts';
import { prefetchAsync } from '../vm/async-read.ts';
import { buryThread } from '../vm/thread-slot.ts';
import { DEMOTED_SOME } from './demoter.ts';
import {
  DRAIN_BUSY,
  DRAIN_DONE,
  DRAIN_MOVED,
  DRAIN_NO_ROOM,
  Drainer,
  isDrained,
  removeDevice,
  startDrain,
  stopDrain,
} from './drainer.ts';
import { addDevice, DEVICE_BYTES, deviceAt, SEGMENT_BYTES } from './file-devices.ts';
import { FILE_HEADER_BYTES } from './file-segments.ts';

/** All pages on device 0; device 1 is empty. */
function twoDevices(secondBytes = 16 * MIB): Loaded & { readonly drainer: Drainer } {
  const loaded = load();
  demoteAll(loaded);
  const { instance } = loaded;
  if (secondBytes > 0) addDevice(instance.nodes, -1, secondBytes, 0);
  assert.equal(instance.node.words[deviceAt(0) + L.V_LIVE], PAGES);
  return { ...loaded, drainer: new Drainer(instance.node, instance.device) };
}

function drain({ instance, drainer }: { instance: Loaded['instance']; drainer: Drainer }, device = 0): number {
  let outcome = DRAIN_MOVED;
  for (let turn = 0; turn < 10_000 && outcome === DRAIN_MOVED; turn++) outcome = drainer.step(device);
  instance.check();
  return outcome;
}

function lostPages({ instance }: Loaded): number {
  return instance.node.words[deviceAt(0) + L.V_LOST];
}

/** The page whose object ends where the one at `place` begins, or before. */
function placeBefore(loaded: Loaded, place: number): number {
  const places = Array.from({ length: PAGES }, (_, page) => placeOf(loaded, page));
  const nearest = Math.max(...places.filter((each) => each < place));
  return places.indexOf(nearest);
}

function finish({ instance }: Loaded): void {
  assert.ok(isDrained(instance.nodes, 0));
  removeDevice(instance.nodes, 0);
  instance.finish();
}

describe('draining a device', () => {
  it('moves everything to another, without a page table being looked at', () => {
    const loaded = twoDevices();
    const { instance, space } = loaded;
    assert.ok(startDrain(instance.nodes, 0));
    assert.ok(!startDrain(instance.nodes, 0), 'once');
    const faults = counted(instance, 'pgfault');
    assert.equal(drain(loaded), DRAIN_DONE);
    assert.equal(counted(instance, 'pgfault'), faults);
    assert.equal(instance.node.words[deviceAt(1) + L.V_LIVE], PAGES);
    assertPages(space);
    assert.equal(lostPages(loaded), 0);
    finish(loaded);
  });

  it('to the pool when no device has room, as objects and raw pages, the rest staying readable', () => {
    const loaded = twoDevices(0);
    const { instance, space } = loaded;
    startDrain(instance.nodes, 0);
    assert.equal(drain(loaded), DRAIN_DONE);
    assert.ok(instance.node.words[L.H_RAW_FRAMES] >= Math.floor(PAGES / 7));
    assert.ok(instance.node.words[L.H_ZS_OBJECTS] > 0);
    assertPages(space);
    finish(loaded);
  });

  it('stops where neither has room; the device can be on again, and nothing is lost', () => {
    const loaded = twoDevices(4 * SEGMENT_BYTES); // two of them are spare
    const { instance, space, drainer } = loaded;
    instance.node.words[L.H_POOL_FRAMES_MAX] = 8;
    startDrain(instance.nodes, 0);
    assert.equal(drain(loaded), DRAIN_NO_ROOM);
    assert.equal(drainer.step(0), DRAIN_NO_ROOM);
    assert.ok(!isDrained(instance.nodes, 0));
    assertPages(space);
    stopDrain(instance.node.words, 0);
    assertPages(space);
    space.write(0, makePage(1, 'noise'), 0, PAGE_BYTES);
    addDevice(instance.nodes, -1, 16 * MIB, 0);
    startDrain(instance.nodes, 0);
    assert.equal(drain(loaded), DRAIN_DONE, 'the second time it begins at the start');
    assertPages(space, [0]);
    finish(loaded);
  });

  it('drops clean copies instead of moving them', async () => {
    const loaded = twoDevices();
    const { instance, space } = loaded;
    await prefetchAsync(instance.memory, space, 0, 40 * PAGE_BYTES, () => undefined);
    const copies = instance.node.words[L.H_CLEAN_COPIES];
    assert.equal(copies, 40);
    startDrain(instance.nodes, 0);
    assert.equal(drain(loaded), DRAIN_DONE);
    assert.equal(instance.node.words[deviceAt(1) + L.V_LIVE], PAGES - copies);
    assertPages(space);
    finish(loaded);
  });

  it('goes on while pages are discarded, rewritten and read in between and during its writes', () => {
    const loaded = twoDevices();
    const { instance, space, drainer } = loaded;
    let next = 0;
    const disturb = (): void => {
      const page = (next * 37) % PAGES;
      if (next % 3 === 0) space.discard(page * PAGE_BYTES, PAGE_BYTES);
      else if (next % 3 === 1) space.write(page * PAGE_BYTES, makePage(page + 9000, 'text'), 0, PAGE_BYTES);
      else readPage(space, page);
      next++;
    };
    instance.device.duringWrite = disturb;
    startDrain(instance.nodes, 0);
    let outcome = DRAIN_MOVED;
    for (let turn = 0; turn < 1000 && outcome === DRAIN_MOVED; turn++) {
      for (let i = 0; i < 5; i++) disturb();
      outcome = drainer.step(0);
    }
    assert.equal(outcome, DRAIN_DONE);
    instance.device.duringWrite = undefined;
    const wanted = new Map<number, Uint8Array>();
    for (let i = 0; i < next; i++) {
      const page = (i * 37) % PAGES;
      if (i % 3 === 0) wanted.set(page, new Uint8Array(PAGE_BYTES));
      else if (i % 3 === 1) wanted.set(page, makePage(page + 9000, 'text'));
    }
    for (let page = 0; page < PAGES; page++) assert.deepEqual(readPage(space, page), wanted.get(page) ?? pageOf(page));
    finish(loaded);
  });

  it('one demoter a node: while another is at work it waits, and if that one dies it goes on', () => {
    const loaded = twoDevices();
    const { instance, drainer } = loaded;
    startDrain(instance.nodes, 0);
    const other = instance.join();
    instance.node.words[L.H_DEMOTE_BUSY] = other.nodes[0].thread;
    assert.equal(drainer.step(0), DRAIN_BUSY);
    assert.ok(buryThread(instance.nodes, other.thread));
    assert.equal(drain(loaded), DRAIN_DONE);
    assertPages(loaded.space);
    finish(loaded);
  });

  it('a thread that dies while its batch is written leaves all where it was', () => {
    const loaded = twoDevices();
    const { instance, space } = loaded;
    startDrain(instance.nodes, 0);
    const other = instance.join();
    const doomed = new Drainer(other.nodes[0], instance.device);
    let dies = true;
    instance.device.duringWrite = () => {
      if (!dies) return;
      dies = false;
      assert.equal(instance.node.words[L.H_DEMOTE_BUSY], other.nodes[0].thread);
      assert.ok(buryThread(instance.nodes, other.thread));
      assert.equal(drain(loaded), DRAIN_DONE, 'another goes on at once');
      other.nodes[0].lock = () => {
        throw new Error('a dead thread');
      };
    };
    assert.throws(() => doomed.step(0), /a dead thread/);
    instance.device.duringWrite = undefined;
    assertPages(space);
    finish(loaded);
  });
});

describe('draining a device that fails', () => {
  it('EIO on one object: that page is lost, the rest of its segment is moved one by one', () => {
    const loaded = twoDevices();
    const { instance, space } = loaded;
    const bad = placeOf(loaded, 41);
    instance.device.plan = ({ op, offset, length }) =>
      op === 'read' && offset <= bad && bad < offset + length && (offset === bad || length > PAGE_BYTES + 256)
        ? { kind: 'error', code: 'EIO' }
        : undefined;
    startDrain(instance.nodes, 0);
    assert.equal(drain(loaded), DRAIN_DONE);
    assert.equal(lostPages(loaded), 1);
    instance.device.heal();
    assert.throws(() => readPage(space, 41), code('ERR_QUIRE_IO'));
    assertPages(space, [41]);
    space.write(41 * PAGE_BYTES, pageOf(41), 0, PAGE_BYTES);
    assertPages(space);
    finish(loaded);
  });

  it('a bad sector just behind an object: the object is whole, and moves', () => {
    const loaded = twoDevices();
    const { instance, space } = loaded;
    const bad = placeOf(loaded, 41);
    instance.device.plan = ({ op, offset, length }) =>
      op === 'read' && offset <= bad && bad < offset + length ? { kind: 'error', code: 'EIO' } : undefined;
    const before = placeBefore(loaded, bad);
    instance.node.words[L.H_POOL_FRAMES_MAX] = 0; // no promotion
    assert.deepEqual(readPage(space, before), pageOf(before));
    assert.ok(placeOf(loaded, before) > bad - 17 * 256);
    startDrain(instance.nodes, 0);
    assert.equal(drain(loaded), DRAIN_DONE);
    assert.equal(lostPages(loaded), 1, 'what could be read before can be read after');
    assertPages(space, [41]);
    space.discard(41 * PAGE_BYTES, PAGE_BYTES);
    finish(loaded);
  });

  it('a device that reads nothing at all: all pages are lost, and it can go', () => {
    const loaded = twoDevices();
    const { instance, space } = loaded;
    instance.device.fail('read', 'EIO');
    startDrain(instance.nodes, 0);
    assert.equal(drain(loaded), DRAIN_DONE);
    assert.equal(lostPages(loaded), PAGES);
    assert.throws(() => readPage(space, 5), code('ERR_QUIRE_IO'));
    space.discard(0, 64 * MIB);
    finish(loaded);
  });

  it('damaged bytes: in a payload, in a length, and in the slot that says whose it is', () => {
    const loaded = twoDevices();
    const { instance, space } = loaded;
    instance.device.damage(placeOf(loaded, 7) + FILE_HEADER_BYTES + 5);
    instance.device.damage(placeOf(loaded, 100) + 4, 0x40);
    instance.device.damage(placeOf(loaded, 300), 0x01);
    startDrain(instance.nodes, 0);
    assert.equal(drain(loaded), DRAIN_DONE);
    assert.equal(lostPages(loaded), 3);
    for (const page of [7, 100, 300]) assert.throws(() => readPage(space, page), code('ERR_QUIRE_CORRUPT'));
    assertPages(space, [7, 100, 300]);
    finish(loaded);
  });

  it('a short read is no reason to lose a page that is whole', () => {
    const loaded = twoDevices();
    const { instance, space } = loaded;
    let shortened = 0;
    instance.device.plan = ({ op, length }) =>
      op === 'read' && length > PAGE_BYTES + 256 && shortened++ < 3 ? { kind: 'short', bytes: 300 } : undefined;
    startDrain(instance.nodes, 0);
    assert.equal(drain(loaded), DRAIN_DONE);
    assert.ok(shortened >= 3);
    assert.equal(lostPages(loaded), 0, 'the sweep found them');
    assertPages(space);
    finish(loaded);
  });

  for (const fault of [
    { kind: 'error', code: 'ENOSPC' },
    { kind: 'error', code: 'EIO' },
    { kind: 'short', bytes: 700 },
  ] as const) {
    it(`${fault.kind === 'short' ? 'short writes' : fault.code} of the device that should take it: the next does`, () => {
      const loaded = twoDevices();
      const { instance, space } = loaded;
      addDevice(instance.nodes, -1, 16 * MIB, 0);
      instance.device.plan = ({ op, offset }) =>
        op === 'write' && Math.floor(offset / DEVICE_BYTES) === 1 ? fault : undefined;
      startDrain(instance.nodes, 0);
      assert.equal(drain(loaded), DRAIN_DONE);
      assert.equal(instance.node.words[deviceAt(1) + L.V_LIVE], 0);
      assert.equal(instance.node.words[deviceAt(2) + L.V_LIVE], PAGES);
      const errors = counted(instance, 'file_write_errors');
      assert.ok(errors >= 1 && errors < 4, `${errors}: it is passed over for a while`);
      assertPages(space);
      finish(loaded);
    });
  }

  it('all others fail: the pool takes what it can', () => {
    const loaded = twoDevices();
    const { instance, space } = loaded;
    instance.device.fail('write', 'EIO');
    startDrain(instance.nodes, 0);
    assert.equal(drain(loaded), DRAIN_DONE);
    assert.equal(instance.node.words[L.H_FILE_SLOTS], 0);
    assertPages(space);
    finish(loaded);
  });
});

describe('demotion with a device that fails', () => {
  it('the batch goes to the next one in the same call, and the first is tried again later', () => {
    const loaded = load();
    const { instance, space, demoter } = loaded;
    addDevice(instance.nodes, -1, 16 * MIB, -1);
    instance.device.plan = ({ op, offset }) =>
      op === 'write' && offset < DEVICE_BYTES ? { kind: 'error', code: 'EIO' } : undefined;
    let outcome = demoter.demote();
    for (let i = 0; i < 5 && outcome !== DEMOTED_SOME; i++) outcome = demoter.demote();
    assert.equal(outcome, DEMOTED_SOME);
    assert.equal(instance.node.words[deviceAt(0) + L.V_LIVE], 0);
    assert.ok(instance.node.words[deviceAt(1) + L.V_LIVE] > 0);
    instance.device.heal();
    instance.node.words[deviceAt(0) + L.V_HOLD] = 1;
    demoteAll(loaded);
    assert.ok(instance.node.words[deviceAt(0) + L.V_LIVE] > 0, 'it is back');
    assertPages(space);
    instance.finish();
  });
});
