/** Files in a group with a limit: folios are charged whole, shrink near the limit, and are given back by whatever goes wrong. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { DEFAULT_GROUP, groupAt } from '../reclaim/group.ts';
import { setGroupLimits, shrinkGroup } from '../vm/group-limit.ts';
import { createFileScene, type FileScene, patternAt, readAll } from './testing/file-scene.ts';

const PAGES = 600;

let scene: FileScene;

/** The scene's file is in the default group, which gets a limit here. */
function start(limitPages: number): void {
  scene = createFileScene({}, patternAt(0, PAGES * PAGE_BYTES));
  setGroupLimits(scene.instance.memory, DEFAULT_GROUP, limitPages, undefined);
}

function charged(): number {
  return scene.instance.node.words[groupAt(DEFAULT_GROUP) + L.G_PAGES];
}

function cached(): number {
  return scene.instance.node.words[L.H_PC_PAGES];
}

afterEach(() => scene.finish());

describe('a file of a group', () => {
  it('is read in whole, a part of it at a time in memory', () => {
    start(100);
    const got = new Uint8Array(50 * PAGE_BYTES);
    for (let page = 0; page < PAGES; page += 50) {
      for (let at = 0; at < got.length; ) at += scene.space.read(page * PAGE_BYTES + at, got, at, got.length - at);
      assert.deepEqual(got, patternAt(page * PAGE_BYTES, got.length));
      assert.ok(charged() <= 100 && charged() === cached());
    }
    scene.check();
  });

  it('gets large folios while there is room for them, and small ones after that', () => {
    start(40);
    scene.space.fill(0, 32, 5);
    assert.equal(charged(), 32);
    scene.space.fill(64 * PAGE_BYTES, 32, 5);
    assert.ok(charged() <= 40 && charged() >= 24, 'of what is left, and of what it gave up itself');
    assert.equal(scene.space.missAt(64 * PAGE_BYTES, 32 * PAGE_BYTES), -1);
    scene.check();
  });

  it('is written to within the limit: dirty pages are written back for others of it', () => {
    start(64);
    scene.instance.memory.writeBack = () => scene.writeSome();
    for (let page = 0; page < 300; page++) {
      scene.space.write(page * PAGE_BYTES, patternAt(page, PAGE_BYTES, 3), 0, PAGE_BYTES);
      assert.ok(charged() <= 64);
    }
    assert.ok(scene.flush());
    const whole = readAll(scene);
    for (let page = 0; page < 300; page++) {
      assert.ok(whole.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES).equals(patternAt(page, PAGE_BYTES, 3)));
    }
  });

  it('whose dirty pages cannot be written back refuses a write, and nothing else', () => {
    start(32);
    scene.instance.memory.writeBack = () => false;
    let written = 0;
    assert.throws(() => {
      for (; ; written++) scene.space.write(written * PAGE_BYTES, patternAt(0, PAGE_BYTES, 1), 0, PAGE_BYTES);
    }, /group 'default' is at its limit of 131072 bytes/);
    assert.equal(written, 32);
    assert.equal(charged(), 32);
    scene.space.write(5 * PAGE_BYTES, patternAt(0, PAGE_BYTES, 2), 0, PAGE_BYTES);
    const one = new Uint8Array(PAGE_BYTES);
    assert.equal(scene.space.read(5 * PAGE_BYTES, one, 0, PAGE_BYTES), PAGE_BYTES);
    assert.deepEqual(one, patternAt(0, PAGE_BYTES, 2));
    assert.ok(scene.flush());
    scene.space.write(written * PAGE_BYTES, patternAt(0, PAGE_BYTES, 1), 0, PAGE_BYTES);
    assert.ok(charged() <= 32);
  });

  it('may be pinned as one range at the limit: its pages only move', () => {
    start(48);
    for (let page = 0; page < 48; page++) scene.space.fill(page * PAGE_BYTES, 1, 0);
    assert.equal(charged(), 48);
    const held = scene.space.pin(0, 16 * PAGE_BYTES, false);
    assert.deepEqual(held.bytes.slice(), patternAt(0, 16 * PAGE_BYTES));
    assert.ok(charged() <= 48);
    scene.check();
    scene.space.unpin(held);
    assert.ok(shrinkGroup(scene.instance.memory, DEFAULT_GROUP));
  });
});

describe('the charge of a folio comes back', () => {
  it('when its bytes cannot be read', async () => {
    start(64);
    scene.io.plan = ({ op }) => (op === 'read' ? { kind: 'error', code: 'EIO' } : undefined);
    const got = new Uint8Array(8 * PAGE_BYTES);
    for (let i = 0; i < 30; i++) {
      assert.throws(() => scene.space.read(i * got.length, got, 0, got.length), { code: 'ERR_QUIRE_IO' });
      await assert.rejects(scene.space.fillAsync(i * got.length, 8, 3), { code: 'ERR_QUIRE_IO' });
      assert.equal(charged(), 0);
    }
    scene.io.heal();
    assert.ok(readAll(scene).equals(patternAt(0, PAGES * PAGE_BYTES)));
  });

  it('when somebody else was first', async () => {
    start(200);
    await Promise.all([
      scene.space.fillAsync(0, 64, 4),
      scene.space.fillAsync(0, 64, 0),
      scene.space.fillAsync(3 * PAGE_BYTES, 50, 2),
    ]);
    assert.equal(charged(), cached());
    assert.equal(charged(), 64);
  });

  it('when the file is cut off', () => {
    start(200);
    scene.space.fill(0, 128, 4);
    scene.space.truncate(10 * PAGE_BYTES + 5);
    assert.equal(charged(), cached());
    // The folio that the end lies in stays whole.
    assert.equal(charged(), 16);
  });
});
