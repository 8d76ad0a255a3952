/** Promotion from the file to the compressed tier: by reads, with errors, and overtaken. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
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
import { makePage } from '../testing/page-data.ts';
import { RegionSpace } from '../vm/region-space.ts';

function onFile(): Loaded {
  const loaded = load();
  demoteAll(loaded);
  return loaded;
}

function entryOf({ instance, space }: Loaded, page: number): number {
  return instance.node.words[findLeaf(instance.node, space.region, Math.floor(page / 512)) + (page % 512)];
}

describe('promotion to the compressed tier', () => {
  it('moves compressed and raw objects as they are, and gives their place in the file back', () => {
    const loaded = onFile();
    const { instance, space } = loaded;
    const { words } = instance.node;
    const entries = Array.from({ length: PAGES }, (_, page) => entryOf(loaded, page));
    const decoded = instance.device.reads;
    assertPages(space);
    const promoted = counted(instance, 'swap_promoted');
    assert.ok(promoted > PAGES / 2, `${promoted} promoted`);
    assert.equal(words[L.H_FILE_SLOTS], PAGES - promoted);
    assert.ok(words[L.H_RAW_FRAMES] > 0 && words[L.H_ZS_OBJECTS] > 0);
    assert.ok(instance.device.reads > decoded);
    for (let page = 0; page < PAGES; page++)
      assert.equal(entryOf(loaded, page), entries[page], 'no page table is touched');
    instance.check();
    instance.device.fail('read', 'EIO');
    let inPool = 0;
    for (let page = 0; page < PAGES; page++) {
      try {
        assert.deepEqual(readPage(space, page), pageOf(page));
        inPool++;
      } catch (error) {
        assert.ok(code('ERR_QUIRE_IO')(error as Error));
      }
    }
    assert.ok(inPool >= promoted);
    instance.device.heal();
    assertPages(space);
    instance.finish();
  });

  it('goes out and comes back, again and again, and every structure stays right', () => {
    const loaded = onFile();
    const { instance, space } = loaded;
    for (let round = 0; round < 4; round++) {
      assertPages(space);
      instance.check();
      evict(instance);
      demoteAll(loaded);
      instance.check();
    }
    instance.finish();
  });

  it('needs room: in the pool, and above the low watermark', () => {
    const loaded = onFile();
    const { instance, space } = loaded;
    const { words } = instance.node;
    words[L.H_POOL_FRAMES_MAX] = 40;
    assertPages(space);
    assert.ok(words[L.H_ZS_FRAMES] + words[L.H_RAW_FRAMES] <= 45);
    const promoted = counted(instance, 'swap_promoted');
    words[L.H_POOL_FRAMES_MAX] = words[L.H_FRAMES];
    words[L.H_WMARK_LOW] = words[L.H_FREE_FRAMES];
    for (let page = 0; page < PAGES; page += 2) readPage(space, page);
    assert.equal(counted(instance, 'swap_promoted'), promoted);
    words[L.H_WMARK_LOW] = words[L.H_WMARK_MIN];
    instance.finish();
  });

  it('leaves a damaged object where it is: an error of its readers, each time, and of nobody else', () => {
    const loaded = onFile();
    const { instance, space } = loaded;
    instance.device.damage(placeOf(loaded, 33) + 60, 2);
    for (let turn = 0; turn < 3; turn++) assert.throws(() => readPage(space, 33), code('ERR_QUIRE_CORRUPT'));
    assertPages(space, [33]);
    space.write(33 * PAGE_BYTES, pageOf(33), 0, PAGE_BYTES);
    assertPages(space);
    instance.finish();
  });

  it('is void when the page was discarded, written or promoted while its object was read', () => {
    for (const fate of ['discard', 'write', 'promote'] as const) {
      const loaded = onFile();
      const { instance, space } = loaded;
      const other = new RegionSpace(instance.join().memory, space.region, space.size);
      let isNested = false;
      instance.device.duringRead = () => {
        if (isNested) return;
        isNested = true;
        if (fate === 'discard') other.discard(20 * PAGE_BYTES, PAGE_BYTES);
        else if (fate === 'write') other.write(20 * PAGE_BYTES, makePage(777, 'text'), 0, PAGE_BYTES);
        else assert.deepEqual(readPage(other, 20), pageOf(20));
      };
      const wanted =
        fate === 'discard' ? new Uint8Array(PAGE_BYTES) : fate === 'write' ? makePage(777, 'text') : pageOf(20);
      assert.deepEqual(readPage(space, 20), wanted);
      assert.equal(isNested, true);
      instance.device.duringRead = undefined;
      instance.check();
      assert.deepEqual(readPage(space, 20), wanted);
      assertPages(space, [20]);
      instance.finish();
    }
  });
});
