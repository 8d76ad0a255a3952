/** The inline runner: daemons get their steps from who uses the instance. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND_NEW } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import { NO_PFN, PAGE_BYTES, type Pfn } from '../base/units.ts';
import { hasFreeBlock } from '../page-alloc/buddy.ts';
import { GFP_NOWAIT } from '../page-alloc/gfp.ts';
import { allocLocked, freeLocked } from '../page-alloc/page-allocator.ts';
import { attachFiles } from '../page-cache/dirty-throttle.ts';
import { createFileScene, type FileScene } from '../page-cache/testing/file-scene.ts';
import { locked } from '../testing/test-instance.ts';
import { InlineRunner } from './runner.ts';

function createScene(): FileScene {
  const scene = createFileScene();
  attachFiles(scene.instance.memory, scene.io);
  return scene;
}

describe('inline runner', () => {
  it('gives the flusher a step when it was asked for, and none otherwise', () => {
    const scene = createScene();
    const { words } = scene.instance.node;
    const runner = new InlineRunner(scene.instance.memory);
    scene.space.write(0, new Uint8Array(PAGE_BYTES), 0, PAGE_BYTES);
    runner.poll();
    assert.equal(scene.io.writes, 0);
    Atomics.store(words, L.H_FLUSH_WANTED, 1);
    Atomics.store(words, L.H_FLUSHER_WAKE, 1);
    runner.poll();
    assert.equal(scene.io.writes, 1);
    assert.equal(Atomics.load(words, L.H_FLUSHER_WAKE), 0);
    scene.finish();
  });

  it('gives kcompactd steps when it was asked for, and leaves nothing half done', () => {
    const scene = createScene();
    const { node, memory } = scene.instance;
    const runner = new InlineRunner(memory);
    runner.poll();
    assert.equal(node.counters[C.compact_daemon_wake], 0);
    // No large block is free, and nothing can be moved to make one.
    const blocks: Pfn[] = [];
    for (;;) {
      const pfn = locked(node, () => allocLocked(node, 9, L.MIGRATE_MOVABLE, GFP_NOWAIT, KIND_NEW));
      if (pfn === NO_PFN) break;
      blocks.push(pfn);
    }
    assert.ok(!hasFreeBlock(node, 9));
    const free = node.words[L.H_FREE_FRAMES];
    Atomics.store(node.words, L.H_KCOMPACTD_WAKE, 1);
    runner.poll();
    assert.equal(node.counters[C.compact_daemon_wake], 1);
    assert.equal(node.words[L.H_FREE_FRAMES], free, 'all frames that it took are free again');
    for (const pfn of blocks) locked(node, () => freeLocked(node, pfn));
    scene.finish();
  });

  it('leaves kcompactd to its thread where there is one', () => {
    const scene = createScene();
    const { node, memory } = scene.instance;
    Atomics.store(node.words, L.H_KCOMPACTDS, 1);
    Atomics.store(node.words, L.H_KCOMPACTD_WAKE, 1);
    new InlineRunner(memory).poll();
    assert.equal(node.counters[C.compact_daemon_wake], 0);
    scene.finish();
  });
});
