/** The file tier on a device that fails, fills up or lies: only the pages concerned notice, and nothing is lost that memory still has. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import {
  assertPages,
  code,
  counted,
  demoteAll,
  load,
  PAGES,
  pageOf,
  placeOf,
  readPage,
} from '../testing/file-tier-scene.ts';
import { makePage } from '../testing/page-data.ts';
import { readAsync } from '../vm/async-read.ts';
import { DEMOTED_IO_ERROR } from './demoter.ts';
import { FileCleaner } from './file-cleaner.ts';
import { FILE_GRANULE_BYTES, FILE_HEADER_BYTES, freeSegments, SEGMENT_BYTES } from './file-segments.ts';

describe('the file tier on a good device', () => {
  it('gives back what it was given, and its space when the pages go', () => {
    const loaded = load();
    demoteAll(loaded);
    assert.equal(loaded.instance.node.words[L.H_FILE_SLOTS], PAGES);
    assert.equal(loaded.instance.node.words[L.H_ZS_FRAMES], 0);
    loaded.instance.check();
    assertPages(loaded.space);
    const { node } = loaded.instance;
    const used = node.words[L.H_FILE_SEGMENTS] - freeSegments(node);
    assert.ok(used * SEGMENT_BYTES < PAGES * PAGE_BYTES * 0.9, 'compressed objects');
    loaded.space.discard(0, 64 * MIB);
    assert.equal(node.words[L.H_FILE_SLOTS], 0);
    assert.ok(node.words[L.H_FILE_SEGMENTS] - freeSegments(node) <= 1, 'only the open segment is left');
    loaded.instance.finish();
  });

  it('cleaning moves live objects and frees segments', () => {
    const loaded = load();
    demoteAll(loaded);
    const { instance, space } = loaded;
    for (let page = 0; page < PAGES; page++) if (page % 4 !== 0) space.discard(page * PAGE_BYTES, PAGE_BYTES);
    const before = freeSegments(instance.node);
    const cleaner = new FileCleaner(instance.node, instance.device);
    let cleaned = 0;
    while (cleaned < 100 && cleaner.clean()) cleaned++;
    assert.ok(cleaned > 3 && cleaned < 100, `${cleaned} cleaned`);
    assert.ok(freeSegments(instance.node) > before);
    for (let page = 0; page < PAGES; page += 4) assert.deepEqual(readPage(space, page), pageOf(page));
    instance.finish();
  });
});

describe('reads that fail', () => {
  it('EIO is ERR_QUIRE_IO for the readers of that page alone, and passes with the fault', async () => {
    const loaded = load();
    demoteAll(loaded);
    const { instance, space } = loaded;
    const bad = placeOf(loaded, 41);
    instance.device.plan = ({ op, offset }) =>
      op === 'read' && offset === bad ? { kind: 'error', code: 'EIO' } : undefined;
    assert.throws(
      () => readPage(space, 41),
      (error: Error & { code?: string; cause?: { code?: string } }) =>
        error.code === 'ERR_QUIRE_IO' && error.cause?.code === 'EIO',
    );
    await assert.rejects(
      readAsync(instance.memory, space, 41 * PAGE_BYTES, new Uint8Array(10), () => undefined),
      code('ERR_QUIRE_IO'),
    );
    assert.throws(
      () => space.write(41 * PAGE_BYTES + 5, new Uint8Array(3), 0, 3),
      code('ERR_QUIRE_IO'),
      'a partial write needs the rest of the page',
    );
    assertPages(space, [41]);
    assert.ok(counted(instance, 'file_read_errors') >= 3);
    instance.device.heal();
    assertPages(space);
    instance.finish();
  });

  it('a whole page can be stored where it cannot be read', () => {
    const loaded = load();
    demoteAll(loaded);
    const { instance, space } = loaded;
    instance.device.fail('read', 'EIO');
    space.write(10 * PAGE_BYTES, makePage(999, 'text'), 0, PAGE_BYTES);
    space.fill(11 * PAGE_BYTES, 7, PAGE_BYTES);
    space.discard(12 * PAGE_BYTES, PAGE_BYTES);
    assert.deepEqual(readPage(space, 10), makePage(999, 'text'));
    assert.deepEqual(readPage(space, 11), new Uint8Array(PAGE_BYTES).fill(7));
    assert.deepEqual(readPage(space, 12), new Uint8Array(PAGE_BYTES));
    instance.device.heal();
    assertPages(space, [10, 11, 12]);
    instance.finish();
  });

  it('damaged bytes are ERR_QUIRE_CORRUPT for that page alone, wherever the damage lies', () => {
    for (const at of [0, 3, 4, 7, 8, 12, FILE_HEADER_BYTES, FILE_HEADER_BYTES + 100]) {
      const loaded = load(16 * MIB, 60);
      demoteAll(loaded);
      const { instance, space } = loaded;
      instance.device.damage(placeOf(loaded, 20) + at, 0x10);
      assert.throws(() => readPage(space, 20), code('ERR_QUIRE_CORRUPT'), `byte ${at}`);
      assertPages(space, [20], 60);
      assert.ok(counted(instance, 'file_corrupt') > 0);
      space.write(20 * PAGE_BYTES, pageOf(20), 0, PAGE_BYTES);
      assertPages(space, [], 60);
      instance.finish();
    }
  });

  it('a short read, and bytes that change on the way, are never taken for the page', () => {
    const loaded = load(16 * MIB, 60);
    demoteAll(loaded);
    const { instance, space } = loaded;
    instance.device.plan = ({ op }) => (op === 'read' ? { kind: 'short', bytes: 100 } : undefined);
    assert.throws(() => readPage(space, 3), code('ERR_QUIRE_CORRUPT'));
    instance.device.plan = ({ op }) => (op === 'read' ? { kind: 'flip', at: 40, mask: 1 } : undefined);
    assert.throws(() => readPage(space, 3), code('ERR_QUIRE_CORRUPT'));
    instance.device.heal();
    assertPages(space, [], 60);
    instance.finish();
  });

  it('an old object of another page, where this one should be, is not taken for it', () => {
    const loaded = load(16 * MIB, 60);
    demoteAll(loaded);
    const { instance, space } = loaded;
    const [from, to] = [placeOf(loaded, 5), placeOf(loaded, 6)];
    const bytes = instance.device.peek(from, 4 * FILE_GRANULE_BYTES);
    instance.device.write(to, bytes, 0, bytes.length);
    assert.throws(() => readPage(space, 6), code('ERR_QUIRE_CORRUPT'));
    instance.finish();
  });
});

describe('writes that fail', () => {
  for (const fault of [
    { kind: 'error', code: 'ENOSPC' },
    { kind: 'error', code: 'EIO' },
    { kind: 'short', bytes: 700 },
  ] as const) {
    it(`${fault.kind === 'short' ? 'a short write' : fault.code}: the batch stays in memory, readable, and goes out later`, () => {
      const loaded = load();
      const { instance, space } = loaded;
      instance.device.plan = ({ op }) => (op === 'write' ? fault : undefined);
      assert.equal(demoteAll(loaded), DEMOTED_IO_ERROR);
      assert.ok(counted(instance, 'file_write_errors') > 0);
      assert.equal(instance.node.words[L.H_FILE_SLOTS], 0);
      instance.check();
      assertPages(space);
      instance.device.heal();
      assert.notEqual(demoteAll(loaded), DEMOTED_IO_ERROR);
      assert.equal(instance.node.words[L.H_FILE_SLOTS], PAGES);
      assertPages(space);
      instance.finish();
    });
  }

  it('a device that never takes anything leaves the compressed tier as it was: full, and room again after frees', () => {
    const { instance, space } = load(16 * MIB, 10);
    instance.device.fail('write', 'ENOSPC');
    const stored: number[] = [];
    assert.throws(() => {
      for (let page = 0; page < 8000; page++) {
        space.write((page + 1000) * PAGE_BYTES, makePage(page, 'noise'), 0, PAGE_BYTES);
        stored.push(page);
      }
    }, code('ERR_QUIRE_SWAP_FULL'));
    for (const page of stored) assert.deepEqual(readPage(space, page + 1000), makePage(page, 'noise'));
    space.discard(1000 * PAGE_BYTES, 100 * PAGE_BYTES);
    space.write(0, pageOf(0), 0, PAGE_BYTES);
    instance.finish();
  });
});

describe('a demotion overtaken', () => {
  it('pages discarded, rewritten or promoted while their batch is written stay as they are', () => {
    const loaded = load();
    const { instance, space, demoter } = loaded;
    let once = true;
    instance.device.duringWrite = () => {
      if (!once) return;
      once = false;
      for (let page = 0; page < 100; page++) {
        if (page % 3 === 0) space.discard(page * PAGE_BYTES, PAGE_BYTES);
        else if (page % 3 === 1) space.write(page * PAGE_BYTES, makePage(page + 5000, 'text'), 0, PAGE_BYTES);
      }
    };
    for (let sweep = 0; sweep < 100 && instance.node.words[L.H_FILE_SLOTS] < 300; sweep++) demoter.demote();
    assert.equal(once, false);
    instance.device.duringWrite = undefined;
    instance.check();
    for (let page = 0; page < PAGES; page++) {
      const wanted =
        page >= 100 || page % 3 === 2
          ? pageOf(page)
          : page % 3 === 1
            ? makePage(page + 5000, 'text')
            : new Uint8Array(PAGE_BYTES);
      assert.deepEqual(readPage(space, page), wanted, `page ${page}`);
    }
    instance.finish();
  });
});
