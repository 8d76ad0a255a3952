/** LZ4 and zstd side by side: in one pool, in one file, in units, recompressed, damaged. On a Node without zstd something stands for it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MIB, PAGE_BYTES, UNIT_PAGES } from '../base/units.ts';
import {
  assertPages,
  code,
  counted,
  demoteAll,
  evict,
  type Loaded,
  PAGES,
  pageOf,
  placeOf,
  readPage,
} from '../testing/file-tier-scene.ts';
import { createTestInstance, type TestShape } from '../testing/test-instance.ts';
import type { Access } from '../vm/access.ts';
import { setCodecs } from './block-codec.ts';
import { Demoter } from './demoter.ts';
import { lengthIn, ZSTD_OBJECT } from './file-object.ts';
import { FILE_HEADER_BYTES, RAW_OBJECT } from './file-segments.ts';
import { compactPool } from './pool-compactor.ts';

const LEVEL = 3;

/** Pages 0…299 with LZ4, the others with zstd, all in the pool. */
function loadMixed(shape: TestShape = {}, access: Access = 'random'): Loaded {
  const instance = createTestInstance({ bytes: 8 * MIB, fileBytes: 16 * MIB, ...shape });
  const space = instance.space(64 * MIB, '', access);
  const fileLevel = shape.fileZstd ?? 0;
  for (const [level, first] of [
    [0, 0],
    [LEVEL, PAGES / 2],
  ]) {
    setCodecs(instance.nodes, level, fileLevel);
    for (let page = first; page < first + PAGES / 2; page++)
      space.write(page * PAGE_BYTES, pageOf(page), 0, PAGE_BYTES);
    evict(instance);
  }
  return { instance, space, demoter: new Demoter(instance.node, instance.device) };
}

/** Word 1 of the page's object on file. */
function formOf(loaded: Loaded, page: number): number {
  const header = new Uint8Array(FILE_HEADER_BYTES);
  loaded.instance.device.read(placeOf(loaded, page), header, 0, header.length);
  return new DataView(header.buffer).getInt32(4, true);
}

describe('two codecs in one pool', () => {
  it('are both read, whole and in part', () => {
    const { instance, space } = loadMixed();
    assertPages(space);
    const got = new Uint8Array(100);
    for (const page of [1, 2, PAGES - 2, PAGES - 1]) {
      for (const at of [0, 1000, PAGE_BYTES - 100]) {
        space.read(page * PAGE_BYTES + at, got, 0, got.length);
        assert.deepEqual(got, pageOf(page).slice(at, at + 100));
      }
    }
    instance.finish();
  });

  it('keep their codec when compaction moves them', () => {
    const { instance, space } = loadMixed();
    for (let page = 0; page < PAGES; page += 1) if (page % 4 !== 1) space.discard(page * PAGE_BYTES, PAGE_BYTES);
    assert.ok(compactPool(instance.node, 10_000) > 0);
    instance.check();
    for (let page = 1; page < PAGES; page += 4) assert.deepEqual(readPage(space, page), pageOf(page), `page ${page}`);
    instance.finish();
  });

  it('and in units, read in a row, at random, and after some of their pages were written', () => {
    const { instance, space } = loadMixed({}, 'sequential');
    assert.ok(counted(instance, 'thp_swpout') > 0);
    assertPages(space);
    for (let page = PAGES - 1; page >= 0; page -= 3) assert.deepEqual(readPage(space, page), pageOf(page));
    for (let page = 2; page < PAGES; page += UNIT_PAGES) space.write(page * PAGE_BYTES, pageOf(page), 0, PAGE_BYTES);
    evict(instance);
    instance.check();
    assertPages(space);
    instance.finish();
  });
});

describe('two codecs in one file', () => {
  it('each object says which: LZ4, zstd and raw as they lay in the pool', () => {
    const loaded = loadMixed();
    demoteAll(loaded);
    for (let page = 0; page < PAGES; page++) {
      const form = formOf(loaded, page);
      if (page % 7 === 0) assert.ok((form & RAW_OBJECT) !== 0, `page ${page}`);
      else assert.equal((form & ZSTD_OBJECT) !== 0, page >= PAGES / 2, `page ${page}`);
    }
    assertPages(loaded.space);
    loaded.instance.finish();
  });

  it('units of either are taken apart', () => {
    const loaded = loadMixed({}, 'sequential');
    demoteAll(loaded);
    assert.equal(counted(loaded.instance, 'zswpwb'), PAGES);
    assertPages(loaded.space);
    loaded.instance.finish();
  });

  for (const access of ['random', 'sequential'] as const) {
    it(`with a codec of its own the file takes less, ${access}`, () => {
      const plain = loadMixed({}, access);
      const loaded = loadMixed({ fileZstd: 9 }, access);
      // Pages of units are compressed with the pool's codec when they are taken apart.
      setCodecs(plain.instance.nodes, 0, 0);
      setCodecs(loaded.instance.nodes, 0, 9);
      demoteAll(plain);
      demoteAll(loaded);
      assert.ok(counted(loaded.instance, 'file_recompressed') > 0);
      assert.ok(loaded.instance.device.bytesWritten < plain.instance.device.bytesWritten);
      for (let page = 0; page < PAGES; page++) assert.ok(lengthIn(formOf(loaded, page)) <= PAGE_BYTES);
      // Last: reads bring pages back from the file, zstd as it is.
      assertPages(loaded.space);
      loaded.instance.check();
      plain.instance.finish();
      loaded.instance.finish();
    });
  }

  it('damaged zstd is an error of its readers and of nobody else', () => {
    const loaded = loadMixed();
    demoteAll(loaded);
    const { instance, space } = loaded;
    const damaged = PAGES - 3;
    assert.ok((formOf(loaded, damaged) & ZSTD_OBJECT) !== 0);
    instance.device.damage(placeOf(loaded, damaged) + FILE_HEADER_BYTES + 20, 0xff);
    assert.throws(() => readPage(space, damaged), code('ERR_QUIRE_CORRUPT'));
    assertPages(space, [damaged]);
    instance.finish();
  });
});

describe('a block that is none', () => {
  it('in the pool is ERR_QUIRE_CORRUPT: nothing has moved, so it is damage', () => {
    const { instance, space } = loadMixed();
    const { node } = instance;
    const zstd = node.kernel.zstd;
    assert.ok(zstd !== undefined);
    const victim = PAGES - 2;
    const decompress = zstd.decompress.bind(zstd);
    zstd.decompress = () => -1;
    assert.throws(() => readPage(space, victim), code('ERR_QUIRE_CORRUPT'));
    zstd.decompress = decompress;
    assert.deepEqual(readPage(space, victim), pageOf(victim));
    instance.finish();
  });

  it('in the pool is read again when the slot moved meanwhile', () => {
    const { instance, space } = loadMixed();
    const { node } = instance;
    const zstd = node.kernel.zstd;
    assert.ok(zstd !== undefined);
    const victim = PAGES - 2;
    const decompress = zstd.decompress.bind(zstd);
    let moved = 0;
    zstd.decompress = () => {
      // The page goes to the file while its block is looked at, and what was there is other bytes by now.
      zstd.decompress = decompress;
      const demoter = new Demoter(node, instance.device);
      while (counted(instance, 'zswpwb') < PAGES) demoter.demote();
      moved++;
      return -1;
    };
    assert.deepEqual(readPage(space, victim), pageOf(victim));
    assert.equal(moved, 1);
    assert.equal(counted(instance, 'file_corrupt'), 0);
    instance.finish();
  });
});
