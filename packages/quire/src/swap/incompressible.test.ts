/** Pages that do not get smaller: kept, handed down, made active. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { Kcompressd } from '../daemons/kcompressd.ts';
import { counted, readPage } from '../testing/file-tier-scene.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, type TestInstance, type TestShape } from '../testing/test-instance.ts';
import type { RegionSpace } from '../vm/region-space.ts';
import type { IncompressiblePolicy } from './incompressible.ts';

const PAGES = 200;

interface Scene {
  readonly instance: TestInstance;
  readonly space: RegionSpace;
}

/** Half text, half noise, all of it resident and idle. */
function scene(incompressible: IncompressiblePolicy, shape: TestShape = {}, pages = PAGES): Scene {
  const instance = createTestInstance({ bytes: 8 * MIB, incompressible, ...shape });
  const space = instance.space(16 * MIB, '', 'random');
  for (let page = 0; page < pages; page++) space.write(page * PAGE_BYTES, pageOf(page), 0, PAGE_BYTES);
  return { instance, space };
}

function pageOf(page: number): Uint8Array {
  return makePage(page, page % 2 === 0 ? 'text' : 'noise');
}

/** Rounds of reclaim until `isDone`, at most `rounds`. */
function reclaim({ instance }: Scene, isDone: () => boolean, rounds = 500): void {
  const [reclaimer] = instance.memory.reclaimers;
  const kcompressd = new Kcompressd(reclaimer);
  for (let round = 0; round < rounds && !isDone(); round++) {
    reclaimer.round(true, false);
    while (kcompressd.step());
  }
}

function assertAll({ space }: Scene, pages = PAGES): void {
  for (let page = 0; page < pages; page++) assert.deepEqual(readPage(space, page), pageOf(page), `page ${page}`);
}

for (const kcompressd of [0, 1]) {
  describe(`incompressible pages, ${kcompressd} kcompressd`, () => {
    it('keep: stay in their frames, as storage, and are not tried again', () => {
      const at = scene('keep', { kcompressd });
      const { words } = at.instance.node;
      reclaim(at, () => words[L.H_REGION_PAGES] === 0);
      assert.equal(words[L.H_RAW_FRAMES], PAGES / 2);
      assert.equal(words[L.H_ZS_OBJECTS], PAGES / 2);
      const tried = counted(at.instance, 'zs_incompressible');
      reclaim(at, () => false, 20);
      assert.equal(counted(at.instance, 'zs_incompressible'), tried);
      assertAll(at);
      at.instance.finish();
    });

    it('demote: are in the file after the batch they were tried in, text stays in memory', () => {
      const at = scene('demote', { kcompressd, fileBytes: 8 * MIB }, 600);
      const { words } = at.instance.node;
      // Well above what is left alone while the file takes compressed pages.
      reclaim(at, () => words[L.H_REGION_PAGES] < 250);
      const noise = counted(at.instance, 'zs_incompressible');
      assert.ok(noise > 100);
      assert.equal(words[L.H_FILE_SLOTS], noise);
      assert.equal(words[L.H_RAW_FRAMES], 0);
      assert.equal(words[L.H_ZS_OBJECTS], counted(at.instance, 'zswpout'));
      assertAll(at, 600);
      at.instance.finish();
    });

    it('demote: with a device that is broken they stay raw', () => {
      const at = scene('demote', { kcompressd, fileBytes: 8 * MIB });
      const { words } = at.instance.node;
      at.instance.device.plan = ({ op }) => (op === 'write' ? { kind: 'error', code: 'EIO' } : undefined);
      reclaim(at, () => words[L.H_REGION_PAGES] === 0);
      assert.equal(words[L.H_FILE_SLOTS], 0);
      assert.ok(words[L.H_RAW_FRAMES] > 0);
      assertAll(at);
      at.instance.finish();
    });

    it('activate: are mapped again while there is text to be had, and kept raw when there is not', () => {
      const at = scene('activate', { kcompressd });
      const { words } = at.instance.node;
      reclaim(at, () => words[L.H_ZS_OBJECTS] === PAGES / 2);
      assert.equal(words[L.H_ZS_OBJECTS], PAGES / 2);
      assert.equal(words[L.H_RAW_FRAMES], 0, 'none was kept while text was left');
      assert.ok(counted(at.instance, 'zs_incompressible') > 0);
      assertAll(at);
      reclaim(at, () => words[L.H_REGION_PAGES] === 0);
      assert.equal(words[L.H_REGION_PAGES], 0, 'reclaim comes to an end');
      assert.equal(words[L.H_RAW_FRAMES], PAGES / 2);
      assertAll(at);
      at.instance.finish();
    });
  });
}

describe('memory full of incompressible pages', () => {
  for (const incompressible of ['keep', 'demote', 'activate'] as const) {
    it(`${incompressible}: a write never fails while the file has room`, () => {
      const instance = createTestInstance({ bytes: 4 * MIB, fileBytes: 16 * MIB, poolShare: 0.5, incompressible });
      const space = instance.space(16 * MIB, '', 'random');
      for (let page = 0; page < 3000; page++) space.write(page * PAGE_BYTES, makePage(page, 'noise'), 0, PAGE_BYTES);
      for (let page = 0; page < 3000; page += 11) assert.deepEqual(readPage(space, page), makePage(page, 'noise'));
      instance.finish();
    });

    it(`${incompressible === 'demote' ? 'keep' : incompressible}: without a file it is full, and says so`, () => {
      const policy = incompressible === 'demote' ? 'keep' : incompressible;
      const instance = createTestInstance({ bytes: 4 * MIB, incompressible: policy });
      const space = instance.space(16 * MIB, '', 'random');
      const fill = () => {
        for (let page = 0; page < 3000; page++) space.write(page * PAGE_BYTES, makePage(page, 'noise'), 0, PAGE_BYTES);
      };
      assert.throws(fill, { code: 'ERR_QUIRE_SWAP_FULL' });
      instance.finish();
    });
  }
});
