/** Reads of the file tier: in order, and of parts of raw pages. What is read ahead takes no frame and is never shown when it is old. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as L from '../arena/layout.ts';
import { slotFromPte } from '../arena/pte.ts';
import { PAGE_BYTES, type SlotIndex } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { shadowByteAt } from '../reclaim/working-set.ts';
import { FILE_OBJECT_BYTES_MAX, granulesFor, RAW_PART_BYTES, RAW_PART_STRIDE } from '../swap/file-object.ts';
import { FILE_GRANULE_BYTES } from '../swap/file-segments.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot } from '../swap/swap-table.ts';
import {
  assertPages,
  code,
  counted,
  demoteAll,
  evict,
  type Loaded,
  load,
  PAGES,
  pageOf,
  placeOf,
  readPage,
} from '../testing/file-tier-scene.ts';
import type { DeviceRequest } from '../testing/memory-device.ts';
import { makePage } from '../testing/page-data.ts';

/** From one raw page in the file to the next. */
const RAW_STRIDE_BYTES = granulesFor(PAGE_BYTES) * FILE_GRANULE_BYTES;

/** Pages on file that stay there: the pool has no room for promotions. */
function onFile(pages = PAGES): Loaded {
  const loaded = load(undefined, pages);
  demoteAll(loaded);
  loaded.instance.node.words[L.H_POOL_FRAMES_MAX] = 0;
  return loaded;
}

/** From here on no page comes into memory: frames are as short as can be. Gives them back. */
function keepOnFile({ instance }: Loaded): () => void {
  const { words } = instance.node;
  const min = words[L.H_WMARK_MIN];
  words[L.H_WMARK_MIN] = words[L.H_FREE_FRAMES];
  return () => {
    words[L.H_WMARK_MIN] = min;
  };
}

/** Noise alone, so that every object is raw. */
function onFileRaw(pages: number): Loaded {
  const loaded = load(undefined, 0);
  const { instance, space } = loaded;
  for (let page = 0; page < pages; page++) space.write(page * PAGE_BYTES, noise(page), 0, PAGE_BYTES);
  evict(instance);
  demoteAll(loaded);
  instance.node.words[L.H_POOL_FRAMES_MAX] = 0;
  return loaded;
}

function noise(page: number): Uint8Array {
  return makePage(page, 'noise');
}

/**
 * A raw page is first of the file's first segment, goes, and the segment is used again for a compressed page that got the
 * slot and the place of that one. 20 raw pages are in the file besides. Says which slot and page.
 */
function replaceByShort(loaded: Loaded): { slot: number; page: number } {
  const { instance, space, demoter } = loaded;
  const { node } = instance;
  const slotOf = (page: number): SlotIndex => slotFromPte(node.words[findLeaf(node, space.region, 0) + page]);
  const writeNoise = (pages: number): void => {
    for (let page = 0; page < pages; page++) space.write(page * PAGE_BYTES, noise(page), 0, PAGE_BYTES);
    evict(instance);
  };
  // More than one segment has room for.
  writeNoise(100);
  demoteAll(loaded);
  const slot = slotOf(0);
  const place = placeOf(loaded, 0);
  space.discard(0, 100 * PAGE_BYTES);
  const page = 200;
  for (let turn = 0, taken = -1; taken !== slot; turn++) {
    assert.ok(turn < 2000, 'the slot is handed out again');
    space.discard(page * PAGE_BYTES, PAGE_BYTES);
    space.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
    evict(instance);
    taken = slotOf(page);
  }
  // They fill the second segment, but for less than the compressed page takes.
  writeNoise(20);
  for (let raw = 0; raw < 20; raw += 5) {
    demoter.demote(Int32Array.from({ length: 5 }, (_, at) => W.payloadOf(peekSlot(node, slotOf(raw + at)))));
  }
  demoteAll(loaded);
  assert.equal(placeOf(loaded, page), place);
  node.words[L.H_POOL_FRAMES_MAX] = 0;
  return { slot, page };
}

/** Requests for reading, from now on. */
function watchReads({ instance }: Loaded): DeviceRequest[] {
  const reads: DeviceRequest[] = [];
  instance.device.plan = (request) => {
    if (request.op === 'read') reads.push(request);
    return undefined;
  };
  return reads;
}

describe('pages read in order', () => {
  it('come several in a read, take no frame, and are what was written', () => {
    const loaded = onFile();
    const { instance, space } = loaded;
    const { words } = instance.node;
    const free = words[L.H_FREE_FRAMES];
    const reads = watchReads(loaded);
    assertPages(space);
    assert.ok(reads.length * 5 < PAGES * 2, `${reads.length} reads of ${PAGES} pages`);
    assert.ok(reads.every(({ length }) => length <= L.AREA_STAGING_BYTES));
    assert.equal(words[L.H_FREE_FRAMES], free);
    assert.equal(words[L.H_REGION_PAGES], 0);
    const [ahead, hits] = [counted(instance, 'swap_ra'), counted(instance, 'swap_ra_hit')];
    assert.ok(hits <= ahead && hits > ahead / 2, `${hits} of ${ahead} used`);
    instance.finish();
  });

  it('cost as little when a page is read in pieces', () => {
    const loaded = onFileRaw(100);
    const reads = watchReads(loaded);
    const piece = new Uint8Array(1024);
    for (let at = 0; at < 100 * PAGE_BYTES; at += 1024) {
      const page = Math.floor(at / PAGE_BYTES);
      loaded.space.read(at, piece, 0, 1024);
      assert.deepEqual(piece, noise(page).subarray(at % PAGE_BYTES, (at % PAGE_BYTES) + 1024));
    }
    assert.ok(reads.length < 100, `${reads.length} reads`);
    loaded.instance.finish();
  });

  it('pages in memory tiers are passed over', () => {
    const loaded = onFile();
    const { instance, space } = loaded;
    for (let page = 0; page < PAGES; page += 3) space.write(page * PAGE_BYTES, pageOf(page), 0, PAGE_BYTES);
    const reads = watchReads(loaded);
    assertPages(space);
    assert.ok(reads.length * 3 < PAGES, `${reads.length} reads`);
    instance.finish();
  });

  it('pages read at random bring nothing with them', () => {
    const loaded = onFile();
    const reads = watchReads(loaded);
    for (let step = 0; step < PAGES; step++) readPage(loaded.space, (step * 271) % PAGES);
    assert.equal(counted(loaded.instance, 'swap_ra'), 0);
    assert.ok(reads.every(({ length }) => length <= FILE_OBJECT_BYTES_MAX));
    loaded.instance.finish();
  });

  it('a read of several that fails is no error of any page; one that fails alone is that page’s', () => {
    const loaded = onFile();
    const { instance, space } = loaded;
    instance.device.plan = ({ op, length }) =>
      op === 'read' && length > FILE_OBJECT_BYTES_MAX ? { kind: 'error', code: 'EIO' } : undefined;
    assertPages(space);
    assert.equal(counted(instance, 'file_read_errors'), 0);
    const bad = placeOf(loaded, 77);
    instance.device.plan = ({ op, offset, length }) =>
      op === 'read' && offset <= bad && bad < offset + length ? { kind: 'error', code: 'EIO' } : undefined;
    for (let page = 0; page < PAGES; page++) {
      if (page === 77) assert.throws(() => readPage(space, page), code('ERR_QUIRE_IO'));
      else assert.deepEqual(readPage(space, page), pageOf(page));
    }
    instance.device.heal();
    assertPages(space);
    instance.finish();
  });

  it('damaged bytes are the error of their page, and bytes that changed on the way of none', () => {
    const loaded = onFile();
    const { instance, space } = loaded;
    instance.device.damage(placeOf(loaded, 50) + 40, 1);
    for (let page = 0; page < PAGES; page++) {
      if (page === 50) assert.throws(() => readPage(space, page), code('ERR_QUIRE_CORRUPT'));
      else assert.deepEqual(readPage(space, page), pageOf(page));
    }
    instance.device.plan = ({ op, length }) =>
      op === 'read' && length > FILE_OBJECT_BYTES_MAX
        ? { kind: 'flip', at: Math.floor(length / 2), mask: 4 }
        : undefined;
    assertPages(space, [50]);
    instance.device.plan = ({ op, length }) =>
      op === 'read' && length > FILE_OBJECT_BYTES_MAX ? { kind: 'short', bytes: Math.floor(length / 3) } : undefined;
    assertPages(space, [50]);
    instance.finish();
  });

  it('what was read ahead is not shown once its page was written, discarded or moved, nor from a buffer used for other things', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 40 }),
        fc.array(fc.nat(3), { minLength: 12, maxLength: 12 }),
        (first, fates) => {
          const loaded = onFile(64);
          const { instance, space, demoter } = loaded;
          const model = Array.from({ length: 64 }, (_, page) => pageOf(page));
          for (let page = first; page < first + 6; page++) readPage(space, page);
          for (const [at, fate] of fates.entries()) {
            const page = first + 6 + at;
            if (fate === 1) {
              model[page] = makePage(page + 900, page % 2 === 0 ? 'noise' : 'text');
              space.write(page * PAGE_BYTES, model[page], 0, PAGE_BYTES);
            } else if (fate === 2) {
              model[page] = new Uint8Array(PAGE_BYTES);
              space.discard(page * PAGE_BYTES, PAGE_BYTES);
            }
          }
          evict(instance);
          if (fates[0] === 3) for (let turn = 0; turn < 6; turn++) demoter.demote();
          for (let page = first + 6; page < first + 18; page++) assert.deepEqual(readPage(space, page), model[page]);
          instance.finish();
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('parts of raw pages', () => {
  it('a small read fetches no more than the last part it wants, once the last pages were raw', () => {
    const loaded = onFileRaw(60);
    const { space } = loaded;
    const restore = keepOnFile(loaded);
    for (const page of [40, 30, 20, 10]) assert.deepEqual(readPage(space, page), noise(page));
    const reads = watchReads(loaded);
    for (let step = 0; step < 200; step++) {
      const page = (step * 37) % 60;
      const from = (step * 709) % (PAGE_BYTES - 1024);
      const got = new Uint8Array(1024);
      space.read(page * PAGE_BYTES + from, got, 0, 1024);
      assert.deepEqual(got, noise(page).subarray(from, from + 1024));
      const read = reads.pop();
      assert.equal(read?.offset, placeOf(loaded, page));
      assert.equal(read?.length, Math.ceil((from + 1024) / RAW_PART_BYTES) * RAW_PART_STRIDE);
      assert.equal(reads.length, 0);
    }
    restore();
    loaded.instance.finish();
  });

  it('a compressed page taken for a raw one is read right, and the guess given up', () => {
    const loaded = onFile();
    const { space } = loaded;
    const restore = keepOnFile(loaded);
    for (const page of [70, 49, 28, 7]) assert.deepEqual(readPage(space, page), pageOf(page));
    const reads = watchReads(loaded);
    const got = new Uint8Array(100);
    for (const page of [500, 400, 300, 200, 100]) {
      space.read(page * PAGE_BYTES + 1100, got, 0, 100);
      assert.deepEqual(got, pageOf(page).subarray(1100, 1200));
    }
    assert.deepEqual(
      reads.map(({ length }) => length === 2 * RAW_PART_STRIDE),
      [true, false, true, false, false, false, false],
    );
    restore();
    loaded.instance.finish();
  });

  it('damage of one part is told to its readers, and to those of the whole page', () => {
    const loaded = onFileRaw(60);
    const { instance, space } = loaded;
    const restore = keepOnFile(loaded);
    for (const page of [40, 30, 20]) readPage(space, page);
    instance.device.damage(placeOf(loaded, 10) + 2 * RAW_PART_STRIDE + 500, 8);
    const got = new Uint8Array(1024);
    for (const part of [0, 1, 3]) {
      space.read(10 * PAGE_BYTES + part * 1024, got, 0, 1024);
      assert.deepEqual(got, noise(10).subarray(part * 1024, (part + 1) * 1024));
      readPage(space, 20 + part);
    }
    assert.throws(() => space.read(10 * PAGE_BYTES + 2048, got, 0, 1024), code('ERR_QUIRE_CORRUPT'));
    assert.throws(() => readPage(space, 10), code('ERR_QUIRE_CORRUPT'));
    instance.device.fail('read', 'EIO');
    assert.throws(() => space.read(11 * PAGE_BYTES, got, 0, 1024), code('ERR_QUIRE_IO'));
    restore();
    instance.finish();
  });

  it('one wrong bit anywhere in a raw page is found by who reads it whole, alone or with others', () => {
    const loaded = onFileRaw(12);
    const { instance, space } = loaded;
    const restore = keepOnFile(loaded);
    const byte = new Uint8Array(1);
    const flip = (at: number, bit: number): void => {
      byte[0] = instance.device.peek(at, 1)[0] ^ (1 << bit);
      instance.device.write(at, byte, 0, 1);
    };
    for (let at = 0; at < FILE_OBJECT_BYTES_MAX; at += at % RAW_PART_STRIDE < 18 ? 1 : 97) {
      flip(placeOf(loaded, 5) + at, at % 8);
      instance.node.ahead.count = 0;
      assert.throws(() => readPage(space, 5), code('ERR_QUIRE_CORRUPT'), `byte ${at}, alone`);
      for (const page of [2, 3, 4]) assert.deepEqual(readPage(space, page), noise(page));
      assert.throws(() => readPage(space, 5), code('ERR_QUIRE_CORRUPT'), `byte ${at}, read ahead`);
      flip(placeOf(loaded, 5) + at, at % 8);
    }
    instance.node.ahead.count = 0;
    assert.deepEqual(readPage(space, 5), noise(5));
    restore();
    instance.finish();
  });

  it('raw pages lie in the file in the order in which they left memory, and come ten in a read', () => {
    const pages = 400;
    const loaded = onFileRaw(pages);
    const restore = keepOnFile(loaded);
    let follows = 0;
    for (let page = 1; page < pages; page++) {
      if (placeOf(loaded, page) - placeOf(loaded, page - 1) === RAW_STRIDE_BYTES) follows++;
    }
    // A segment has room for eight batches of seven and some; the reclaimer leaves no other gap.
    assert.ok(follows > pages * 0.95, `${follows} of ${pages} behind the page before`);
    const reads = watchReads(loaded);
    for (let page = 0; page < pages; page++) assert.deepEqual(readPage(loaded.space, page), noise(page));
    assert.ok(reads.length < pages / 7, `${reads.length} reads`);
    restore();
    loaded.instance.finish();
  });

  it('a compressed page is not taken for the raw one that its slot had in the same place, whose parts are left behind it', () => {
    const loaded = load(undefined, 0);
    const { space } = loaded;
    const { slot, page } = replaceByShort(loaded);
    const restore = keepOnFile(loaded);
    const got = new Uint8Array(200);
    let guesses = 0;
    for (const from of [3100, 2100, 1100, 50]) {
      loaded.instance.node.ahead.count = 0;
      for (const other of [3, 9, 6]) assert.deepEqual(readPage(space, other), noise(other));
      loaded.instance.node.bytes[shadowByteAt(loaded.instance.node, slot)] = 0;
      const reads = watchReads(loaded);
      space.read(page * PAGE_BYTES + from, got, 0, 200);
      assert.deepEqual(got, makePage(page, 'text').subarray(from, from + 200), `from byte ${from}`);
      if (reads.length === 2) guesses++;
    }
    assert.equal(guesses, 4, 'it was taken for a raw one first');
    restore();
    loaded.instance.finish();
  });

  it('a part of another page, or another part, is not taken for the one wanted', () => {
    const loaded = onFileRaw(60);
    const { instance, space } = loaded;
    const restore = keepOnFile(loaded);
    for (const page of [40, 30, 20]) readPage(space, page);
    const { device } = instance;
    const part = (page: number, at: number) =>
      device.peek(placeOf(loaded, page) + at * RAW_PART_STRIDE, RAW_PART_STRIDE);
    const put = (page: number, at: number, bytes: Uint8Array) =>
      device.write(placeOf(loaded, page) + at * RAW_PART_STRIDE, bytes, 0, bytes.length);
    const got = new Uint8Array(1024);
    put(11, 1, part(12, 1));
    put(13, 2, part(13, 3));
    assert.throws(() => space.read(11 * PAGE_BYTES + 1024, got, 0, 1024), code('ERR_QUIRE_CORRUPT'));
    assert.throws(() => space.read(13 * PAGE_BYTES + 2048, got, 0, 1024), code('ERR_QUIRE_CORRUPT'));
    restore();
    instance.finish();
  });
});
