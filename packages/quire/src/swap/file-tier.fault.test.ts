/** The file tier on a device that fails, fills up or lies: only the pages concerned notice, and nothing is lost that memory still has. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { C, type CounterName } from '../base/counters.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, type TestInstance } from '../testing/test-instance.ts';
import { readAsync } from '../vm/async-read.ts';
import type { RegionSpace } from '../vm/region-space.ts';
import { sumCounter } from '../vm/thread-slot.ts';
import { DEMOTED_FILE_FULL, DEMOTED_IO_ERROR, DEMOTED_SOME, Demoter } from './demoter.ts';
import { FileCleaner } from './file-cleaner.ts';
import { FILE_GRANULE_BYTES, FILE_HEADER_BYTES, fileOffset, freeSegments, SEGMENT_BYTES } from './file-segments.ts';
import { Reclaimer } from './reclaimer.ts';
import { payloadOf, SLOT_FILE, tagOf } from './slot-word.ts';
import { peekSlot } from './swap-table.ts';
import { isSwapped, slotFromPte } from '../arena/pte.ts';
import { findLeaf } from '../vm/page-table.ts';

const PAGES = 600;

interface Loaded {
  readonly instance: TestInstance;
  readonly space: RegionSpace;
  readonly demoter: Demoter;
}

/** `pages` pages of text, all compressed; nothing on file yet. */
function load(fileBytes = 16 * MIB, pages = PAGES): Loaded {
  const instance = createTestInstance({ bytes: 8 * MIB, fileBytes });
  const space = instance.space(64 * MIB);
  for (let page = 0; page < pages; page++) space.write(page * PAGE_BYTES, pageOf(page), 0, PAGE_BYTES);
  evict(instance);
  return { instance, space, demoter: new Demoter(instance.node, instance.device) };
}

function pageOf(page: number): Uint8Array {
  return makePage(page, page % 7 === 0 ? 'noise' : 'text');
}

/** Compresses everything that is resident. */
function evict(instance: TestInstance): void {
  const reclaimer = new Reclaimer(instance.node, undefined); // one that knows no file
  for (let round = 0; instance.node.words[L.H_REGION_PAGES] > 0 && round < 5000; round++) {
    reclaimer.round(false, true);
  }
  assert.equal(instance.node.words[L.H_REGION_PAGES], 0);
}

/** Demotes until nothing is left in memory, or the file is full. */
function demoteAll({ demoter, instance }: Loaded): number {
  let outcome = DEMOTED_SOME;
  for (let turn = 0; turn < 500 && instance.node.words[L.H_ZS_FRAMES] + instance.node.words[L.H_RAW_FRAMES] > 0; turn++) {
    outcome = demoter.demote();
    if (outcome === DEMOTED_FILE_FULL || outcome === DEMOTED_IO_ERROR) break;
  }
  return outcome;
}

/** Byte offset in the file of a page's object. */
function placeOf({ instance, space }: Loaded, page: number): number {
  const { node } = instance;
  const pte = node.words[findLeaf(node, space.region, Math.floor(page / 512)) + (page % 512)];
  assert.ok(isSwapped(pte));
  const word = peekSlot(node, slotFromPte(pte));
  assert.equal(tagOf(word), SLOT_FILE, `page ${page} is on file`);
  return fileOffset(node, payloadOf(word));
}

function counted(instance: TestInstance, name: CounterName): number {
  return sumCounter(instance.node, C[name]);
}

function readPage(space: RegionSpace, page: number): Uint8Array {
  const got = new Uint8Array(PAGE_BYTES);
  space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
  return got;
}

function assertPages(space: RegionSpace, except: readonly number[] = [], pages = PAGES): void {
  for (let page = 0; page < pages; page++) {
    if (!except.includes(page)) assert.deepEqual(readPage(space, page), pageOf(page), `page ${page}`);
  }
}

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

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
    instance.device.plan = ({ op, offset }) => (op === 'read' && offset === bad ? { kind: 'error', code: 'EIO' } : undefined);
    assert.throws(() => readPage(space, 41), (error: Error & { code?: string; cause?: { code?: string } }) => error.code === 'ERR_QUIRE_IO' && error.cause?.code === 'EIO');
    await assert.rejects(readAsync(instance.memory, space, 41 * PAGE_BYTES, new Uint8Array(10), () => undefined), code('ERR_QUIRE_IO'));
    assert.throws(() => space.write(41 * PAGE_BYTES + 5, new Uint8Array(3), 0, 3), code('ERR_QUIRE_IO'), 'a partial write needs the rest of the page');
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
  for (const fault of [{ kind: 'error', code: 'ENOSPC' }, { kind: 'error', code: 'EIO' }, { kind: 'short', bytes: 700 }] as const) {
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

describe('cleaning on a bad device', () => {
  /** A quarter of every segment is live. */
  function sparse(): Loaded & { readonly cleaner: FileCleaner; readonly live: number[] } {
    const loaded = load();
    demoteAll(loaded);
    const live: number[] = [];
    for (let page = 0; page < PAGES; page++) {
      if (page % 4 === 0) live.push(page);
      else loaded.space.discard(page * PAGE_BYTES, PAGE_BYTES);
    }
    return { ...loaded, live, cleaner: new FileCleaner(loaded.instance.node, loaded.instance.device) };
  }

  function cleanAll(cleaner: FileCleaner): number {
    let cleaned = 0;
    while (cleaned < 100 && cleaner.clean()) cleaned++;
    return cleaned;
  }

  it('a damaged object makes its page LOST, the others move', () => {
    const loaded = sparse();
    const { instance, space, cleaner, live } = loaded;
    instance.device.damage(placeOf(loaded, live[3]) + FILE_HEADER_BYTES + 9);
    assert.ok(cleanAll(cleaner) > 3);
    assert.throws(() => readPage(space, live[3]), code('ERR_QUIRE_CORRUPT'));
    for (const page of live) if (page !== live[3]) assert.deepEqual(readPage(space, page), pageOf(page));
    instance.check();
    space.fill(live[3] * PAGE_BYTES, 1, PAGE_BYTES);
    assert.deepEqual(readPage(space, live[3]), new Uint8Array(PAGE_BYTES).fill(1), 'a whole-page store makes it good');
    instance.finish();
  });

  it('a header that no longer names its slot holds up one segment, not all of them', () => {
    const loaded = sparse();
    const { instance, space, cleaner, live } = loaded;
    instance.device.damage(placeOf(loaded, live[2]), 0x01);
    const before = freeSegments(instance.node);
    let cleaned = 0;
    for (let turn = 0; turn < 60; turn++) if (cleaner.clean()) cleaned++;
    assert.ok(cleaned > 3 && cleaned < 30, `${cleaned} cleaned`);
    assert.ok(freeSegments(instance.node) > before);
    assert.throws(() => readPage(space, live[2]), code('ERR_QUIRE_CORRUPT'));
    for (const page of live) if (page !== live[2]) assert.deepEqual(readPage(space, page), pageOf(page));
    instance.finish();
  });

  it('a segment that cannot be read does not keep the others from being cleaned', () => {
    const loaded = sparse();
    const { instance, space, cleaner, live } = loaded;
    const segment = Math.floor(placeOf(loaded, live[2]) / SEGMENT_BYTES);
    instance.device.plan = ({ op, offset }) => (op === 'read' && Math.floor(offset / SEGMENT_BYTES) === segment ? { kind: 'error', code: 'EIO' } : undefined);
    const before = freeSegments(instance.node);
    for (let turn = 0; turn < 30; turn++) cleaner.clean();
    assert.ok(freeSegments(instance.node) > before, 'others were cleaned');
    instance.device.heal();
    for (let turn = 0; turn < 30; turn++) cleaner.clean();
    for (const page of live) assert.deepEqual(readPage(space, page), pageOf(page));
    instance.finish();
  });

  it('a failed write leaves every object where it was', () => {
    const { instance, space, cleaner, live } = sparse();
    instance.device.fail('write', 'EIO');
    for (let turn = 0; turn < 5; turn++) assert.equal(cleaner.clean(), false);
    for (const page of live) assert.deepEqual(readPage(space, page), pageOf(page));
    instance.device.heal();
    assert.ok(cleanAll(cleaner) > 3);
    for (const page of live) assert.deepEqual(readPage(space, page), pageOf(page));
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
      const wanted = page >= 100 || page % 3 === 2 ? pageOf(page) : page % 3 === 1 ? makePage(page + 5000, 'text') : new Uint8Array(PAGE_BYTES);
      assert.deepEqual(readPage(space, page), wanted, `page ${page}`);
    }
    instance.finish();
  });
});
