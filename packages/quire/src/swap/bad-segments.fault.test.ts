/** Segments that do not take writes: taken out of use, and told apart from a device that fails. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import {
  assertPages,
  counted,
  demoteAll,
  evict,
  type Loaded,
  load,
  PAGES,
  pageOf,
} from '../testing/file-tier-scene.ts';
import { locked } from '../testing/test-instance.ts';
import { freeBadBehind, noteFailureLocked } from './bad-segments.ts';
import { Drainer, isDrained, removeDevice, startDrain } from './drainer.ts';
import { FileCleaner } from './file-cleaner.ts';
import { addDevice, deviceAt, SEGMENT_BYTES } from './file-devices.ts';
import {
  closeOpenLocked,
  commitLocked,
  lastUsedSegment,
  reserveLocked,
  SEGMENT_BAD,
  SEGMENT_FREE,
  SEGMENT_GRANULES,
  segmentAt,
} from './file-segments.ts';
import { FileTrimmer } from './file-trimmer.ts';

interface Counted {
  /** Writes that met the bad place. */
  hits: number;
}

/** Writes that touch this byte of the file fail. */
function spoil({ instance }: Loaded, at: number, code = 'EIO'): Counted {
  const counter = { hits: 0 };
  instance.device.plan = ({ op, offset, length }) => {
    if (op !== 'write' || at < offset || at >= offset + length) return undefined;
    counter.hits++;
    return { kind: 'error', code };
  };
  return counter;
}

function words({ instance }: Loaded): Int32Array {
  return instance.node.words;
}

function bad(loaded: Loaded): number {
  return words(loaded)[deviceAt(0) + L.V_BAD];
}

/** Sends everything to the file, whatever fails on the way. */
function insist(loaded: Loaded): void {
  for (let turn = 0; turn < 50 && words(loaded)[L.H_ZS_FRAMES] + words(loaded)[L.H_RAW_FRAMES] > 0; turn++)
    demoteAll(loaded);
  loaded.instance.check();
}

/** Every page is written anew, goes to the file, and what was there comes free. */
function renew(loaded: Loaded): void {
  for (let page = 0; page < PAGES; page++) loaded.space.write(page * PAGE_BYTES, pageOf(page), 0, PAGE_BYTES);
  evict(loaded.instance);
  insist(loaded);
}

describe('a segment that does not take a write', () => {
  it('is not tried again, however often its place would come free', () => {
    const loaded = load();
    const counter = spoil(loaded, SEGMENT_BYTES + 40_000);
    insist(loaded);
    assert.equal(words(loaded)[L.H_FILE_SLOTS], PAGES);
    for (let round = 0; round < 5; round++) renew(loaded);
    assert.deepEqual([counter.hits, bad(loaded)], [1, 1]);
    assert.equal(words(loaded)[segmentAt(loaded.instance.node, 1)], SEGMENT_BAD);
    assertPages(loaded.space);
    loaded.instance.finish();
  });

  it('keeps what it has, to be read and freed', () => {
    const loaded = load();
    const counter = spoil(loaded, 1.5 * SEGMENT_BYTES);
    insist(loaded);
    const kept = words(loaded)[segmentAt(loaded.instance.node, 1)];
    assert.equal(counter.hits, 1);
    assert.ok(kept !== SEGMENT_BAD && (kept & 3) === SEGMENT_BAD, 'objects before the bad place');
    assertPages(loaded.space);
    loaded.space.discard(0, PAGES * PAGE_BYTES);
    assert.equal(words(loaded)[segmentAt(loaded.instance.node, 1)], SEGMENT_BAD);
    loaded.instance.finish();
  });

  it('is not blamed for a full file system', () => {
    const loaded = load();
    const counter = spoil(loaded, 1000, 'ENOSPC');
    demoteAll(loaded);
    assert.deepEqual([counter.hits, bad(loaded)], [1, 0]);
    loaded.instance.device.heal();
    insist(loaded);
    assert.equal(bad(loaded), 0);
    loaded.instance.finish();
  });

  it('nor for a device that fails: all of it is used again', () => {
    const loaded = load();
    const { device } = loaded.instance;
    for (let outage = 0; outage < 3; outage++) {
      for (let page = 0; page < PAGES; page++) loaded.space.write(page * PAGE_BYTES, pageOf(page), 0, PAGE_BYTES);
      evict(loaded.instance);
      device.fail('write', 'EIO');
      for (let turn = 0; turn < 20; turn++) demoteAll(loaded);
      assert.deepEqual([bad(loaded), words(loaded)[deviceAt(0) + L.V_STREAK]], [0, 20]);
      loaded.instance.check();
      device.heal();
      insist(loaded);
      assert.equal(words(loaded)[deviceAt(0) + L.V_STREAK], 0);
    }
    assert.equal(words(loaded)[L.H_FILE_SLOTS], PAGES);
    assertPages(loaded.space);
    loaded.instance.finish();
  });

  it('each of several is found', () => {
    const loaded = load();
    const places = [5, 9 * SEGMENT_BYTES, 4 * SEGMENT_BYTES + 100_000, 5 * SEGMENT_BYTES].map((place) => place + 1000);
    let hits = 0;
    loaded.instance.device.plan = ({ op, offset, length }) => {
      if (op !== 'write' || !places.some((at) => offset <= at && at < offset + length)) return undefined;
      hits++;
      return { kind: 'error', code: 'EIO' };
    };
    insist(loaded);
    for (let round = 0; round < 6; round++) renew(loaded);
    const found = hits;
    assert.ok(bad(loaded) >= 3 && found <= 8, `${bad(loaded)} bad, ${found} writes failed`);
    for (let round = 0; round < 6; round++) renew(loaded);
    assert.equal(hits, found, 'none of them is met again');
    assertPages(loaded.space);
    loaded.instance.finish();
  });

  it('is free again when the file was cut off before it', () => {
    const loaded = load(64 * MIB, 10);
    const { instance } = loaded;
    const { node } = instance;
    locked(node, () => {
      const firsts = Array.from({ length: 40 }, () => reserveLocked(node, SEGMENT_GRANULES, 0));
      noteFailureLocked(node, 20);
      noteFailureLocked(node, 38);
      for (const first of firsts) commitLocked(node, first, 0, 0);
      closeOpenLocked(node, 0);
    });
    assert.equal(bad(loaded), 2);
    assert.equal(lastUsedSegment(node, 0), -1, 'an empty bad segment holds up no cut');
    instance.check();
    const trimmer = new FileTrimmer(instance.nodes, instance.device, [new FileCleaner(node, instance.device)]);
    for (let turn = 0; turn < 20; turn++) trimmer.step();
    assert.equal(instance.device.cuts, 1);
    assert.equal(bad(loaded), 0, 'also of those that were only suspected');
    assert.equal(words(loaded)[deviceAt(0) + L.V_FREE], 256);
    for (const segment of [20, 38]) assert.equal(words(loaded)[segmentAt(node, segment)], SEGMENT_FREE);
    freeBadBehind(node, 0, 0);
    instance.finish();
  });

  it('goes with its device', () => {
    const loaded = load();
    const { instance, space } = loaded;
    spoil(loaded, 100);
    insist(loaded);
    assert.equal(bad(loaded), 1);
    addDevice(instance.nodes, -1, 16 * MIB, 0);
    startDrain(instance.nodes, 0);
    const drainer = new Drainer(instance.node, instance.device);
    for (let turn = 0; turn < 1000 && !isDrained(instance.nodes, 0); turn++) drainer.step(0);
    assert.ok(isDrained(instance.nodes, 0));
    removeDevice(instance.nodes, 0);
    instance.check();
    assertPages(space);
    assert.equal(counted(instance, 'file_corrupt'), 0);
    instance.finish();
  });
});
