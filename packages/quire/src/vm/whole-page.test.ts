/** Whole pages read into memory of a node: decoded where they are wanted, whatever they are stored as, and nothing beside them is touched. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { FILE_OBJECT_BYTES_MAX } from '../swap/file-object.ts';
import { code, demoteAll, evict, load, placeOf, readPage } from '../testing/file-tier-scene.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import { giveIoBlock, takeIoBlock } from './io-block.ts';

const GUARD = 0xa5;
/** More than the block's order 2 has room for is not read at once. */
const RUN = 3;
/** Not aligned to anything. */
const SHIFT = 13;

describe('whole pages in memory of a node', () => {
  for (const tier of ['memory', 'pool', 'file'] as const) {
    it(`are those that were written, from ${tier}, alone and in a row`, () => {
      const loaded = load(undefined, 0);
      const { instance, space } = loaded;
      for (let page = 0; page < 96; page++) space.write(page * PAGE_BYTES, makePage(page), 0, PAGE_BYTES);
      if (tier !== 'memory') evict(instance);
      if (tier === 'file') demoteAll(loaded);
      const { pfn, bytes } = takeIoBlock(instance.memory, 2);
      for (let page = 0; page + RUN <= 96; page++) {
        for (const pages of [1, RUN]) {
          bytes.fill(GUARD);
          space.read(page * PAGE_BYTES, bytes, SHIFT, pages * PAGE_BYTES);
          for (let i = 0; i < pages; i++) {
            const at = SHIFT + i * PAGE_BYTES;
            assert.deepEqual(bytes.slice(at, at + PAGE_BYTES), new Uint8Array(makePage(page + i)), `page ${page + i}`);
          }
          assert.ok(bytes.subarray(0, SHIFT).every((byte) => byte === GUARD));
          assert.ok(bytes.subarray(SHIFT + pages * PAGE_BYTES).every((byte) => byte === GUARD));
        }
      }
      giveIoBlock(instance.memory, pfn);
      instance.finish();
    });
  }

  it('come from another node too', () => {
    const instance = createTestInstance({ bytes: 4 * MIB, nodes: 2 });
    const space = instance.space(8 * MIB);
    const pages = [0, 512, 1024, 1536];
    for (const page of pages) space.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
    for (const reclaimer of instance.memory.reclaimers) {
      for (let round = 0; round < 100 && reclaimer.node.words[L.H_REGION_PAGES] > 0; round++)
        reclaimer.round(false, true);
    }
    const { pfn, bytes } = takeIoBlock(instance.memory, 0);
    for (const page of pages) {
      space.read(page * PAGE_BYTES, bytes, 0, PAGE_BYTES);
      assert.deepEqual(bytes.slice(), new Uint8Array(makePage(page, 'text')), `page ${page}`);
    }
    giveIoBlock(instance.memory, pfn);
    instance.finish();
  });

  it('stay as they are there when the page cannot be read, and other readers have scratch memory', () => {
    const loaded = load(undefined, 0);
    const { instance, space } = loaded;
    for (let page = 0; page < 40; page++) space.write(page * PAGE_BYTES, makePage(page, 'noise'), 0, PAGE_BYTES);
    evict(instance);
    demoteAll(loaded);
    instance.node.words[L.H_POOL_FRAMES_MAX] = 0;
    instance.device.damage(placeOf(loaded, 20) + FILE_OBJECT_BYTES_MAX - 500, 8);
    const { pfn, bytes } = takeIoBlock(instance.memory, 0);
    bytes.fill(GUARD);
    assert.throws(() => space.read(20 * PAGE_BYTES, bytes, 0, PAGE_BYTES), code('ERR_QUIRE_CORRUPT'));
    assert.ok(bytes.every((byte) => byte === GUARD));
    assert.deepEqual(readPage(space, 21), makePage(21, 'noise'));
    space.read(22 * PAGE_BYTES + 10, bytes, 0, 100);
    assert.ok(bytes.subarray(100).every((byte) => byte === GUARD));
    giveIoBlock(instance.memory, pfn);
    instance.finish();
  });
});
