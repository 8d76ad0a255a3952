/** Devices added, filled, freed, drained and removed at random, against a model that knows where every batch is. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as L from '../arena/layout.ts';
import { MIB } from '../base/units.ts';
import { createTestInstance, locked, type TestInstance } from '../testing/test-instance.ts';
import { forgetDevice, isDrained, removeDevice, startDrain, stopDrain } from './drainer.ts';
import {
  addDevice,
  CHUNK_SEGMENTS,
  DEVICE_BYTES,
  DEVICE_DRAINING,
  DEVICE_NONE,
  DEVICE_ON,
  deviceAt,
  deviceOf,
  deviceState,
  fileOffset,
  holdDeviceLocked,
  NO_DEVICE,
  SEGMENT_BYTES,
  SEGMENTS_MAX,
} from './file-devices.ts';
import {
  checkFileSegments,
  commitLocked,
  FILE_GRANULE_BYTES,
  fileFreeLocked,
  freeSegments,
  reserveLocked,
  SEGMENT_GRANULES,
  SPARE_SEGMENTS,
} from './file-segments.ts';

const GRANULES = 200;
const BATCHES_PER_SEGMENT = Math.floor(SEGMENT_GRANULES / GRANULES);

/** Takes room for a batch of one object. */
function store(instance: TestInstance, n = 0, granules = GRANULES): number {
  const node = instance.nodes[n];
  return locked(node, () => {
    const first = reserveLocked(node, granules, SPARE_SEGMENTS);
    if (first < 0) return first;
    commitLocked(node, first, 1, 1);
    node.words[L.H_FILE_SLOTS]++;
    return first;
  });
}

function free(instance: TestInstance, granule: number, n = 0): void {
  const node = instance.nodes[n];
  locked(node, () => {
    node.words[L.H_FILE_SLOTS]--;
    fileFreeLocked(node, granule);
  });
}

describe('devices of the file tier', () => {
  it('the highest priority first, equal ones in turn, a full one not at all', () => {
    const instance = createTestInstance({ bytes: 8 * MIB });
    for (const [priority, segments] of [
      [1, 4],
      [7, 4],
      [7, 4],
      [3, 4],
    ]) {
      addDevice(instance.nodes, -1, segments * SEGMENT_BYTES, priority);
    }
    const used: number[] = [];
    for (let granule = store(instance); granule >= 0; granule = store(instance))
      used.push(deviceOf(instance.node, granule));
    const each = 2 * BATCHES_PER_SEGMENT; // two segments of four are spare
    const pair = Array.from({ length: each }, () => [1, 2]).flat();
    assert.deepEqual(used, [...pair, ...Array<number>(each).fill(3), ...Array<number>(each).fill(0)]);
    assert.equal(freeSegments(instance.node), 4 * SPARE_SEGMENTS);
    checkFileSegments(instance.node);
  });

  it('one that failed comes last for a while, but comes', () => {
    const instance = createTestInstance({ bytes: 8 * MIB });
    addDevice(instance.nodes, -1, 40 * SEGMENT_BYTES, 7);
    addDevice(instance.nodes, -1, 6 * SEGMENT_BYTES, 0);
    locked(instance.node, () => holdDeviceLocked(instance.node, 0));
    const used: number[] = [];
    for (let i = 0; i < 100; i++) used.push(deviceOf(instance.node, store(instance)));
    const second = used.lastIndexOf(1) + 1;
    assert.equal(second, 4 * BATCHES_PER_SEGMENT, 'until the other is full');
    assert.ok(used.slice(second).every((device) => device === 0));
  });

  it('the free segment with the lowest number is taken first', () => {
    const instance = createTestInstance({ bytes: 8 * MIB });
    addDevice(instance.nodes, -1, 3000 * SEGMENT_BYTES, 0);
    const granules = Array.from({ length: 40 * BATCHES_PER_SEGMENT }, () => store(instance));
    for (const [index, granule] of granules.entries()) {
      const segment = Math.floor(index / BATCHES_PER_SEGMENT);
      assert.equal(Math.floor(granule / SEGMENT_GRANULES), segment);
      if (segment % 3 === 1 && segment < 30) free(instance, granule);
    }
    const reused: number[] = [];
    for (let i = 0; i < 10 * BATCHES_PER_SEGMENT; i++) reused.push(Math.floor(store(instance) / SEGMENT_GRANULES));
    assert.deepEqual([...new Set(reused)], [1, 4, 7, 10, 13, 16, 19, 22, 25, 28]);
  });

  it('numbers are dealt until there are none, whatever gaps removed devices left', () => {
    const instance = createTestInstance({ bytes: 8 * MIB });
    const { nodes } = instance;
    const home = nodes[0].words;
    const quarter = (SEGMENTS_MAX / 4) * SEGMENT_BYTES;
    assert.deepEqual(
      [0, 1, 2, 3].map(() => addDevice(nodes, -1, quarter, 0)),
      [0, 1, 2, 3],
    );
    assert.equal(addDevice(nodes, -1, MIB, 0), NO_DEVICE);
    for (const device of [0, 2]) {
      startDrain(nodes, device);
      removeDevice(nodes, device);
      forgetDevice(home, device);
    }
    assert.equal(addDevice(nodes, -1, 2 * quarter, 0), 0, 'one in two gaps');
    assert.equal(home[deviceAt(0) + L.V_SEGMENTS], SEGMENTS_MAX / 2);
    const places = [store(instance), store(instance)];
    assert.ok(places.every((granule) => deviceOf(instance.node, granule) >= 0));
    const last = SEGMENTS_MAX / 4 + CHUNK_SEGMENTS - 1; // of the chunk before the second gap, in device 1
    assert.equal(deviceOf(instance.node, last * SEGMENT_GRANULES), 1);
    // Device 0 has chunks 0 … 63 and 128 … 191: the first of those goes on where the first part ends.
    const second = (SEGMENTS_MAX / 2) * SEGMENT_GRANULES;
    assert.equal(deviceOf(instance.node, second), 0);
    assert.equal(fileOffset(instance.node, second), (SEGMENTS_MAX / 4) * SEGMENT_BYTES);
    checkFileSegments(instance.node);
  });

  it('any sequence: batches never overlap, stay inside their file, and room is found while there is some', () => {
    const op = fc.oneof(
      { weight: 1, arbitrary: fc.record({ op: fc.constant('add'), size: fc.integer({ min: 3, max: 9 }) }) },
      { weight: 10, arbitrary: fc.record({ op: fc.constant('store'), size: fc.integer({ min: 1, max: 300 }) }) },
      { weight: 7, arbitrary: fc.record({ op: fc.constant('free'), size: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('drain'), size: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('stop'), size: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ op: fc.constant('remove'), size: fc.nat() }) },
    );
    fc.assert(
      fc.property(fc.array(op, { maxLength: 250 }), (ops) => {
        const model = new DeviceModel();
        for (const { op: what, size } of ops) model.run(what, size);
        model.drainAll();
      }),
      { numRuns: 60 },
    );
  });
});

interface Batch {
  readonly n: number;
  readonly granule: number;
  readonly from: number;
  readonly to: number;
}

class DeviceModel {
  private readonly instance = createTestInstance({ bytes: 2 * MIB, nodes: 2, areas: 1 });
  private readonly live: Batch[] = [];
  private turn = 0;

  run(what: string, size: number): void {
    const { nodes } = this.instance;
    const device = size % L.DEVICES_MAX;
    const state = deviceState(nodes[0].words, device);
    if (what === 'add') this.add(size);
    else if (what === 'store') this.store(size);
    else if (what === 'free') this.free(size);
    else if (what === 'drain') assert.equal(startDrain(nodes, device), state === DEVICE_ON);
    else if (what === 'stop' && state === DEVICE_DRAINING) stopDrain(nodes[0].words, device);
    else if (what === 'remove' && state === DEVICE_DRAINING) this.remove(device);
    for (const node of nodes) checkFileSegments(node);
  }

  private add(segments: number): void {
    const { nodes } = this.instance;
    const free = [0, 1, 2, 3, 4, 5, 6, 7].find((each) => deviceState(nodes[0].words, each) === DEVICE_NONE);
    assert.equal(addDevice(nodes, -1, segments * 2 * SEGMENT_BYTES, segments % 2), free ?? NO_DEVICE);
  }

  private store(granules: number): void {
    const n = this.turn++ % 2;
    const node = this.instance.nodes[n];
    const granule = store(this.instance, n, granules);
    const room = this.roomOn(n);
    if (granule < 0) {
      assert.equal(room, 0, 'room was left');
      return;
    }
    const device = deviceOf(node, granule);
    assert.equal(deviceState(node.home, device), DEVICE_ON);
    const from = fileOffset(node, granule);
    const to = from + granules * FILE_GRANULE_BYTES;
    assert.equal(Math.floor(from / DEVICE_BYTES), device);
    assert.ok((from % DEVICE_BYTES) + granules * FILE_GRANULE_BYTES <= this.bytesOf(device));
    for (const other of this.live) assert.ok(to <= other.from || from >= other.to, 'two batches in one place');
    this.live.push({ n, granule, from, to });
  }

  /** Segments that a batch could open. */
  private roomOn(n: number): number {
    const { words, home } = this.instance.nodes[n];
    let room = 0;
    for (let device = 0; device < L.DEVICES_MAX; device++) {
      if (deviceState(home, device) !== DEVICE_ON) continue;
      room += Math.max(0, words[deviceAt(device) + L.V_FREE] - SPARE_SEGMENTS);
    }
    return room;
  }

  private bytesOf(device: number): number {
    return this.instance.node.words[deviceAt(device) + L.V_SEGMENTS] * 2 * SEGMENT_BYTES;
  }

  private free(pick: number): void {
    const [batch] = this.live.splice(pick % Math.max(1, this.live.length), 1);
    if (batch !== undefined) free(this.instance, batch.granule, batch.n);
  }

  private remove(device: number): void {
    const { nodes } = this.instance;
    const holds = this.live.some(({ n, granule }) => deviceOf(nodes[n], granule) === device);
    assert.equal(isDrained(nodes, device), !holds);
    if (holds) return;
    removeDevice(nodes, device);
    forgetDevice(nodes[0].words, device);
    assert.equal(nodes[0].words[deviceAt(device) + L.V_FREE], 0);
  }

  drainAll(): void {
    while (this.live.length > 0) this.free(0);
    for (let device = 0; device < L.DEVICES_MAX; device++) {
      const state = deviceState(this.instance.node.words, device);
      if (state === DEVICE_NONE) continue;
      if (state === DEVICE_ON) startDrain(this.instance.nodes, device);
      this.remove(device);
    }
    for (const { words } of this.instance.nodes) {
      assert.equal(words[L.H_FILE_SEGMENTS], 0);
      for (const at of [L.FILE_CHUNK_OWNERS_AT, L.FILE_CHUNK_FREE_AT, L.FILE_SEGMENT_ROOTS_AT]) {
        assert.ok(words.subarray(at, at + L.FILE_CHUNKS).every((word) => word === 0));
      }
    }
    this.instance.finish();
  }
}
