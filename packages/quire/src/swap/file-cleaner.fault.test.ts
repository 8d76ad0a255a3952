/** Cleaning the log on a device that fails or lies: what can be moved is moved, and nothing else is harmed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { code, demoteAll, type Loaded, load, PAGES, pageOf, placeOf, readPage } from '../testing/file-tier-scene.ts';
import { FileCleaner } from './file-cleaner.ts';
import { FILE_HEADER_BYTES, freeSegments, SEGMENT_BYTES } from './file-segments.ts';

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
    instance.device.plan = ({ op, offset }) =>
      op === 'read' && Math.floor(offset / SEGMENT_BYTES) === segment ? { kind: 'error', code: 'EIO' } : undefined;
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
    instance.node.words[L.H_POOL_FRAMES_MAX] = 0; // what is read stays on file (swap/promoter.ts)
    instance.device.fail('write', 'EIO');
    for (let turn = 0; turn < 5; turn++) assert.equal(cleaner.clean(), false);
    for (const page of live) assert.deepEqual(readPage(space, page), pageOf(page));
    instance.device.heal();
    assert.ok(cleanAll(cleaner) > 3);
    for (const page of live) assert.deepEqual(readPage(space, page), pageOf(page));
    instance.finish();
  });
});
