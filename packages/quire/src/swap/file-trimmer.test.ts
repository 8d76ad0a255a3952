/** The end of a file given back: when its segments come free, when it is mostly dead, and never with something live in it. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import {
  assertPages,
  counted,
  demoteAll,
  type Loaded,
  load,
  PAGES,
  pageOf,
  readPage,
} from '../testing/file-tier-scene.ts';
import { createTestInstance, locked } from '../testing/test-instance.ts';
import { buryThread } from '../vm/thread-slot.ts';
import { isDrained, removeDevice, startDrain } from './drainer.ts';
import { FileCleaner } from './file-cleaner.ts';
import { addDevice, deviceAt, SEGMENT_BYTES } from './file-devices.ts';
import { closeOpenLocked, commitLocked, fileFreeLocked, reserveLocked, SEGMENT_GRANULES } from './file-segments.ts';
import { FileTrimmer } from './file-trimmer.ts';

const PAGES_ON_FILE = 5000;

describe('the end of a file', () => {
  let loaded: Loaded;
  let trimmer: FileTrimmer;

  beforeEach(() => {
    loaded = load(64 * MIB, PAGES_ON_FILE / 5);
    const { instance, space } = loaded;
    demoteAll(loaded);
    for (let page = PAGES_ON_FILE / 5; page < PAGES_ON_FILE; page++) {
      space.write(page * PAGE_BYTES, pageOf(page), 0, PAGE_BYTES);
      if (page % 500 === 499) {
        while (instance.node.words[L.H_REGION_PAGES] > 20) instance.memory.reclaimers[0].round(false, true);
        demoteAll(loaded);
      }
    }
    trimmer = new FileTrimmer(instance.nodes, instance.device, [new FileCleaner(instance.node, instance.device)]);
  });

  function rows(): number {
    return loaded.instance.node.words[deviceAt(0) + L.V_ROWS];
  }

  function trimAll(): void {
    for (let turn = 0; turn < 1000 && trimmer.step(); turn++);
    loaded.instance.check();
  }

  it('is cut off when the pages there are discarded', () => {
    const { instance, space } = loaded;
    const before = instance.device.bytesStored;
    assert.ok(rows() >= 30, `${rows()} rows`);
    space.discard(1000 * PAGE_BYTES, (PAGES_ON_FILE - 1000) * PAGE_BYTES);
    trimAll();
    assert.ok(instance.device.bytesStored < before / 2, `${instance.device.bytesStored} of ${before}`);
    assert.ok(counted(instance, 'file_segments_cut') > 10);
    assertPages(space, [], 1000);
    instance.finish();
  });

  it('comes free when every fourth page is left all over the file', () => {
    const { instance, space } = loaded;
    const before = rows();
    for (let page = 0; page < PAGES_ON_FILE; page++) if (page % 4 !== 0) space.discard(page * PAGE_BYTES, PAGE_BYTES);
    trimAll();
    assert.ok(rows() < before * 0.8, `${rows()} of ${before} rows`);
    assert.ok(counted(instance, 'file_segments_cleaned') > 5);
    for (let page = 0; page < PAGES_ON_FILE; page += 4) assert.deepEqual(readPage(space, page), pageOf(page));
    demoteAll(loaded);
    trimAll();
    instance.finish();
  });

  it('stays while something in it is live, and where too little would be won', () => {
    const { instance, space } = loaded;
    const before = rows();
    trimAll();
    assert.equal(rows(), before);
    assert.equal(instance.device.cuts, 0);
    space.discard(0, 300 * PAGE_BYTES);
    trimAll();
    assert.equal(rows(), before, 'the front came free');
    instance.finish();
  });

  it('a file that cannot be cut off stays as it is, and in use', () => {
    const { instance, space } = loaded;
    instance.device.cut = () => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    };
    const before = rows();
    space.discard(1000 * PAGE_BYTES, (PAGES_ON_FILE - 1000) * PAGE_BYTES);
    trimAll();
    assert.equal(rows(), before);
    assert.equal(instance.node.words[deviceAt(0) + L.V_LIMIT], 0);
    assert.ok(counted(instance, 'file_write_errors') > 0);
    assertPages(space, [], PAGES);
    instance.finish();
  });
});

describe('a cut under way', () => {
  it('keeps the log out of what is being cut off, and a dead cutter does not keep it out for ever', () => {
    const instance = createTestInstance({ bytes: 8 * MIB, nodes: 2 });
    const { nodes, node } = instance;
    addDevice(nodes, -1, 400 * SEGMENT_BYTES, 0);
    const store = (n: number): number =>
      locked(nodes[n], () => {
        const first = reserveLocked(nodes[n], SEGMENT_GRANULES, 0);
        if (first >= 0) commitLocked(nodes[n], first, 1, 1);
        return first;
      });
    const kept = Array.from({ length: 100 }, (_, i) => store(i % 2));
    for (const [i, granule] of kept.entries())
      if (i >= 20) locked(nodes[i % 2], () => fileFreeLocked(nodes[i % 2], granule));
    for (const each of nodes) locked(each, () => closeOpenLocked(each, 0));
    const other = instance.join();
    const refused: number[] = [];
    const device = {
      read: () => 0,
      write: () => 0,
      readAsync: () => Promise.resolve(0),
      cut: (offset: number) => {
        refused.push(offset);
        // 10 rows are in use on each node, 8 more are kept: the ninth does not open.
        const opened = Array.from({ length: 10 }, () => store(0));
        assert.deepEqual([opened.filter((first) => first >= 0).length, opened.indexOf(-1)], [8, 8]);
        other.nodes[0].lock = () => {
          throw new Error('a dead thread');
        };
      },
    };
    const trimmer = new FileTrimmer(other.nodes, device, []);
    assert.throws(() => trimmer.step(), /a dead thread/);
    assert.deepEqual(refused, [18 * 2 * SEGMENT_BYTES]);
    assert.equal(store(0), -1);
    assert.equal(node.words[deviceAt(0) + L.V_CUTTER], other.nodes[0].thread);
    assert.ok(buryThread(nodes, other.thread));
    assert.equal(node.words[deviceAt(0) + L.V_CUTTER], 0);
    assert.ok(store(0) >= 0 && store(1) >= 0);
  });

  it('keeps an empty device from going, whose place another could have before the file is cut off', () => {
    const instance = createTestInstance({ bytes: 8 * MIB });
    const { nodes, node } = instance;
    addDevice(nodes, -1, 400 * SEGMENT_BYTES, 0);
    locked(node, () => {
      const batches = Array.from({ length: 30 }, () => reserveLocked(node, SEGMENT_GRANULES, 0));
      for (const first of batches) commitLocked(node, first, 0, 0);
      closeOpenLocked(node, 0);
    });
    const drained: boolean[] = [];
    const device = {
      read: () => 0,
      write: () => 0,
      readAsync: () => Promise.resolve(0),
      cut: () => {
        assert.ok(startDrain(nodes, 0));
        drained.push(isDrained(nodes, 0));
      },
    };
    Atomics.store(node.home, L.H_TRIM_WANTED, 1);
    new FileTrimmer(nodes, device, []).step();
    assert.deepEqual(drained, [false]);
    assert.ok(isDrained(nodes, 0));
    removeDevice(nodes, 0);
    instance.finish();
  });
});
