/** Ranges of a file seen in place. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { freezeLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { frameFromFolioPte } from '../arena/pte.ts';
import { CHUNK_BYTES, MIB, PAGE_BYTES } from '../base/units.ts';
import { evictFolioLocked } from '../reclaim/folio.ts';
import { lruRemoveLocked } from '../reclaim/lru.ts';
import { createFileScene, evictAll, FD, leafOf, patternAt, readAll } from './testing/file-scene.ts';

describe('pinned ranges', () => {
  it('do not move a folio that is larger than their block, written while a frame was sought', () => {
    const scene = createFileScene({ bytes: 12 * MIB }, patternAt(0, 16 * PAGE_BYTES));
    scene.space.fill(0, 8, 0);
    const { map } = scene.space;
    const { me } = map;
    let isDone = false;
    // The first who asks for it is `gather`, just before it locks the file: another thread was faster.
    Object.defineProperty(map, 'me', {
      get: () => {
        if (!isDone) {
          isDone = true;
          scene.space.truncate(0);
          scene.space.write(0, patternAt(0, 16 * PAGE_BYTES, 3), 0, 16 * PAGE_BYTES);
        }
        return me;
      },
    });
    const held = scene.space.pin(2 * PAGE_BYTES, 2 * PAGE_BYTES);
    assert.ok(isDone);
    assert.ok(Buffer.from(held.bytes).equals(patternAt(2 * PAGE_BYTES, 2 * PAGE_BYTES, 3)));
    scene.space.unpin(held);
    assert.ok(readAll(scene).equals(patternAt(0, 16 * PAGE_BYTES, 3)));
    scene.finish();
  });

  it('look again at the block: a page of it is read in while the others are copied', () => {
    const scene = createFileScene({ bytes: 12 * MIB }, patternAt(0, 4 * PAGE_BYTES));
    const other = scene.open(scene.instance.join());
    for (const page of [1, 2]) scene.space.read(page * PAGE_BYTES, new Uint8Array(1), 0, 1);
    const { kernel } = scene.instance.node;
    const { copy } = kernel;
    let copies = 0;
    kernel.copy = (to, from, length) => {
      if (copies++ === 0) other.read(3 * PAGE_BYTES, new Uint8Array(1), 0, 1);
      copy(to, from, length);
    };
    const held = scene.space.pin(PAGE_BYTES, 2 * PAGE_BYTES);
    kernel.copy = copy;
    assert.ok(copies > 3, 'copied again');
    assert.ok(Buffer.from(held.bytes).equals(patternAt(PAGE_BYTES, 2 * PAGE_BYTES)));
    scene.check();
    scene.space.unpin(held);
    assert.ok(readAll(scene).equals(patternAt(0, 4 * PAGE_BYTES)));
    scene.finish();
  });

  it('look again at the block: all of it is evicted before it is locked', () => {
    const scene = createFileScene({ bytes: 12 * MIB }, patternAt(0, 16 * PAGE_BYTES));
    const far = scene.space.pin(9 * PAGE_BYTES, PAGE_BYTES, false);
    for (const page of [1, 2]) scene.space.read(page * PAGE_BYTES, new Uint8Array(1), 0, 1);
    const { map } = scene.space;
    const { me } = map;
    let isGone = false;
    Object.defineProperty(map, 'me', {
      get: () => {
        const { node } = scene.instance;
        const leaf = leafOf(scene);
        node.lock();
        for (const page of isGone ? [] : [1, 2]) {
          const head = frameFromFolioPte(node.words[leaf + page]);
          assert.ok(freezeLocked(node, head));
          lruRemoveLocked(node, head);
          assert.ok(evictFolioLocked(node, head));
        }
        node.unlock();
        isGone = true;
        return me;
      },
    });
    const held = scene.space.pin(PAGE_BYTES, 2 * PAGE_BYTES);
    assert.ok(isGone);
    assert.ok(Buffer.from(held.bytes).equals(patternAt(PAGE_BYTES, 2 * PAGE_BYTES)));
    scene.check();
    scene.space.unpin(held);
    scene.space.unpin(far);
    scene.finish();
  });

  it('are one run of bytes, whatever folios the pages were in', () => {
    const scene = createFileScene({ bytes: 12 * MIB }, patternAt(0, MIB));
    for (const page of [3, 5, 6, 17]) scene.space.read(page * PAGE_BYTES, new Uint8Array(1), 0, 1);
    scene.space.write(4 * PAGE_BYTES + 7, patternAt(0, 100, 8), 0, 100);
    const expected = patternAt(0, MIB);
    expected.set(patternAt(0, 100, 8), 4 * PAGE_BYTES + 7);
    const held = scene.space.pin(3 * PAGE_BYTES + 10, 15 * PAGE_BYTES);
    assert.ok(Buffer.from(held.bytes).equals(expected.subarray(3 * PAGE_BYTES + 10, 18 * PAGE_BYTES + 10)));
    scene.check();
    assert.equal(scene.instance.node.words[L.H_PC_DIRTY], 1, 'dirty blocks stay dirty, others do not become so yet');
    held.bytes.fill(0x55);
    expected.fill(0x55, 3 * PAGE_BYTES + 10, 18 * PAGE_BYTES + 10);
    assert.ok(readAll(scene).equals(expected), 'written in place');
    scene.space.unpin(held);
    assert.equal(scene.instance.node.words[L.H_PC_DIRTY], 16);
    assert.ok(scene.flush());
    assert.ok(Buffer.from(scene.io.bytes(FD)).equals(expected));
    scene.finish();
  });

  it('stay where they are while memory is short, and go when they are given back', () => {
    const scene = createFileScene({}, patternAt(0, 8 * PAGE_BYTES));
    const held = scene.space.pin(0, 8 * PAGE_BYTES, false);
    for (let round = 0; round < 20; round++) scene.instance.memory.reclaimers[0].round(false, false);
    assert.equal(scene.instance.node.words[L.H_PC_PAGES], 8);
    assert.ok(Buffer.from(held.bytes).equals(patternAt(0, 8 * PAGE_BYTES)));
    scene.space.unpin(held);
    evictAll(scene);
    scene.finish();
  });

  it('of a file that is cut off meanwhile: the bytes stay, those behind the end do not come back', () => {
    const scene = createFileScene({}, patternAt(0, 4 * PAGE_BYTES));
    const held = scene.space.pin(0, 4 * PAGE_BYTES);
    scene.space.truncate(PAGE_BYTES + 100);
    assert.ok(Buffer.from(held.bytes.subarray(0, PAGE_BYTES + 100)).equals(patternAt(0, PAGE_BYTES + 100)));
    assert.ok(held.bytes.subarray(PAGE_BYTES + 100).every((byte) => byte === 0));
    held.bytes.fill(0x77);
    scene.space.unpin(held);
    scene.check();
    scene.space.truncate(4 * PAGE_BYTES);
    const expected = new Uint8Array(4 * PAGE_BYTES).fill(0x77, 0, PAGE_BYTES + 100);
    assert.ok(readAll(scene).equals(expected));
    assert.ok(scene.flush());
    scene.finish();
  });

  it('that overlap share a folio when it is there, and are refused when it would have to move', () => {
    const scene = createFileScene({}, patternAt(0, 16 * PAGE_BYTES));
    const one = scene.space.pin(0, 8 * PAGE_BYTES);
    const two = scene.space.pin(PAGE_BYTES, PAGE_BYTES);
    assert.equal(two.head, one.head);
    assert.throws(() => scene.space.pin(4 * PAGE_BYTES, 8 * PAGE_BYTES), { code: 'ERR_QUIRE_OUT_OF_MEMORY' });
    scene.space.unpin(one);
    scene.space.unpin(two);
    scene.space.unpin(scene.space.pin(4 * PAGE_BYTES, 8 * PAGE_BYTES));
    scene.check();
    scene.finish();
  });

  it('of nothing, behind the end or across 2 MiB are out of range', () => {
    const scene = createFileScene({ bytes: 12 * MIB }, patternAt(0, CHUNK_BYTES + PAGE_BYTES));
    for (const [position, length] of [
      [0, 0],
      [CHUNK_BYTES, PAGE_BYTES + 1],
      [CHUNK_BYTES - 1, 2],
    ]) {
      assert.throws(() => scene.space.pin(position, length), { code: 'ERR_QUIRE_RANGE' });
    }
    const whole = scene.space.pin(0, CHUNK_BYTES);
    assert.equal(frameFromFolioPte(scene.instance.node.words[leafOf(scene)]) % 512, 0);
    scene.space.unpin(whole);
    scene.finish();
  });
});
