/** Clones whose pages lie on a device that is damaged or fails, and what others do while a page of theirs is read from it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { frameFromPte, isPresent } from '../arena/pte.ts';
import { AssertionError } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import {
  assertPages,
  code,
  demoteAll,
  type Loaded,
  load,
  pageOf,
  placeOf,
  readPage,
} from '../testing/file-tier-scene.ts';
import { makePage } from '../testing/page-data.ts';
import { readAsync } from './async-read.ts';
import { cloneRegion } from './clone.ts';
import { RegionSpace } from './region-space.ts';

function cloneOf(loaded: Loaded, of = loaded.space): RegionSpace {
  const region = cloneRegion(loaded.instance.memory, of.region, '', 'default');
  return new RegionSpace(loaded.instance.memory, region, of.size);
}

function onFile(): Loaded & { copy: RegionSpace } {
  const loaded = load();
  demoteAll(loaded);
  return { ...loaded, copy: cloneOf(loaded) };
}

describe('pages on file that several regions share', () => {
  it('a damaged one is ERR_QUIRE_CORRUPT for all of them, and good again for who overwrites it', async () => {
    const { copy, ...loaded } = onFile();
    const { instance, space } = loaded;
    instance.device.damage(placeOf(loaded, 33) + 20, 0x10);
    for (const side of [space, copy]) {
      assert.throws(() => readPage(side, 33), code('ERR_QUIRE_CORRUPT'));
      assert.throws(() => side.fill(33 * PAGE_BYTES + 1, 1, 1), code('ERR_QUIRE_CORRUPT'));
      const target = new Uint8Array(PAGE_BYTES);
      const read = readAsync(instance.memory, side, 33 * PAGE_BYTES, target, () => undefined);
      await assert.rejects(read, code('ERR_QUIRE_CORRUPT'));
    }
    instance.check();
    copy.write(33 * PAGE_BYTES, makePage(1000), 0, PAGE_BYTES);
    assert.deepEqual(readPage(copy, 33), makePage(1000));
    assert.throws(() => readPage(space, 33), code('ERR_QUIRE_CORRUPT'));
    space.discard(33 * PAGE_BYTES, PAGE_BYTES);
    assert.deepEqual(readPage(space, 33), new Uint8Array(PAGE_BYTES));
    assertPages(space, [33]);
    assertPages(copy, [33]);
    instance.finish();
  });

  it('a write that cannot read the old bytes changes nothing, for anybody', () => {
    const { copy, ...loaded } = onFile();
    const { instance, space } = loaded;
    instance.device.plan = (request) => (request.op === 'read' ? { kind: 'error', code: 'EIO' } : undefined);
    assert.throws(() => copy.fill(40 * PAGE_BYTES + 7, 1, 9), code('ERR_QUIRE_IO'));
    instance.device.plan = undefined;
    instance.check();
    assertPages(space);
    assertPages(copy);
    instance.finish();
  });

  it('cleaning and demotion move what all of them find', () => {
    const { copy, ...loaded } = onFile();
    const { instance, space } = loaded;
    for (let page = 0; page < 300; page++) copy.write(page * PAGE_BYTES, pageOf(page + 1), 0, PAGE_BYTES);
    instance.closeSpace(space);
    demoteAll(loaded);
    instance.check();
    for (let page = 0; page < 300; page++) assert.deepEqual(readPage(copy, page), pageOf(page + 1));
    for (let page = 300; page < 600; page++) assert.deepEqual(readPage(copy, page), pageOf(page));
    instance.finish();
  });
});

describe('while a page is read from the device for a write', () => {
  const PAGE = 5;

  /** The source writes PAGE; `meanwhile` runs in the middle of its read. */
  function writeWith(loaded: Loaded, meanwhile: () => void): void {
    const { instance, space } = loaded;
    instance.device.duringRead = () => {
      instance.device.duringRead = undefined;
      meanwhile();
    };
    space.fill(PAGE * PAGE_BYTES + 100, 0xee, 50);
    assert.equal(instance.device.duringRead, undefined, 'it was read');
    instance.check();
  }

  it('the leaf goes, and becomes that of a clone with the same slot: the write stays out of it', () => {
    const { copy, ...loaded } = onFile();
    const { instance, space } = loaded;
    const leaf = findLeaf(instance.node, space.region, 0);
    let second: RegionSpace | undefined;
    writeWith(loaded, () => {
      space.discard(0, CHUNK_BYTES);
      second = cloneOf(loaded, copy);
      assert.equal(findLeaf(instance.node, second.region, 0), leaf, 'the leaf is used again');
    });
    assert.ok(second !== undefined);
    assertPages(copy);
    assertPages(second);
    assert.deepEqual(readPage(space, PAGE), new Uint8Array(PAGE_BYTES).fill(0xee, 100, 150));
    instance.finish();
  });

  it('the other side lets go: the writer is the last', () => {
    const { copy, ...loaded } = onFile();
    writeWith(loaded, () => loaded.instance.closeSpace(copy));
    assert.deepEqual(readPage(loaded.space, PAGE), pageOf(PAGE).fill(0xee, 100, 150));
    assertPages(loaded.space, [PAGE]);
    loaded.instance.finish();
  });

  it('another clone is made: it has the page as it was', () => {
    const { copy, ...loaded } = onFile();
    const made: RegionSpace[] = [];
    writeWith(loaded, () => made.push(cloneOf(loaded)));
    for (const side of [copy, ...made]) assertPages(side);
    assert.deepEqual(readPage(loaded.space, PAGE), pageOf(PAGE).fill(0xee, 100, 150));
    loaded.instance.finish();
  });

  it('the other side promotes it: the slot’s frame is for all, and the writer copies that', () => {
    const { copy, ...loaded } = onFile();
    writeWith(loaded, () => {
      for (let touch = 0; touch < 3; touch++) assert.deepEqual(readPage(copy, PAGE), pageOf(PAGE));
    });
    assert.deepEqual(readPage(copy, PAGE), pageOf(PAGE));
    assert.deepEqual(readPage(loaded.space, PAGE), pageOf(PAGE).fill(0xee, 100, 150));
    loaded.instance.finish();
  });
});

describe('an invariant breaks in the middle of a clone', () => {
  it('the error says which, and the lock that is still held is not taken again', () => {
    const { instance, space } = load();
    const [{ words, ownerAt }] = instance.nodes;
    space.fill(0, 7, 10);
    const pte = words[findLeaf(instance.node, space.region, 0)];
    assert.ok(isPresent(pte));
    words[ownerAt + frameFromPte(pte)]++;
    assert.throws(() => cloneRegion(instance.memory, space.region, '', 'default'), /entry maps the frame/);
    const latched = instance.memory.latch(new AssertionError('entry maps the frame'));
    assert.ok(latched instanceof QuireError && !instance.node.isLockedByMe());
  });
});
