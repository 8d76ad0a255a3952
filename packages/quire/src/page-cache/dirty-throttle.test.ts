import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { DIRTY_LIMITS_DEFAULT, isPaused, msBetween, setDirtyLimits, stampOf } from './dirty-limits.ts';
import { attachFiles, balanceDirty, balanceDirtyAsync } from './dirty-throttle.ts';
import { lockWriteback, unlockWriteback } from './inode.ts';
import { createFileScene, type FileScene, patternAt } from './testing/file-scene.ts';

const PAGE = PAGE_BYTES;

function createScene(): FileScene & { readonly limit: number; readonly background: number } {
  const scene = createFileScene({ bytes: 8 * MIB });
  attachFiles(scene.instance.memory, scene.io);
  setDirtyLimits(scene.instance.nodes, DIRTY_LIMITS_DEFAULT);
  const { words } = scene.instance.node;
  return Object.assign(scene, { limit: words[L.H_DIRTY_LIMIT], background: words[L.H_DIRTY_BACKGROUND] });
}

function write(scene: FileScene, pages: number): void {
  const bytes = pages * PAGE;
  assert.equal(scene.space.write(0, patternAt(0, bytes), 0, bytes), bytes);
}

function dirty(scene: FileScene): number {
  return scene.instance.node.words[L.H_PC_DIRTY];
}

function wasWoken(scene: FileScene): boolean {
  return Atomics.exchange(scene.instance.node.words, L.H_FLUSHER_WAKE, 0) === 1;
}

const both = [
  ['at once', (scene: FileScene) => Promise.resolve(balanceDirty(scene.instance.memory, scene.space.region))],
  ['without blocking', (scene: FileScene) => balanceDirtyAsync(scene.instance.memory, scene.space.region)],
] as const;

for (const [name, balance] of both) {
  describe(`a writer is held up, ${name}`, () => {
    it('not at all up to the background limit; above it the flusher is woken', async () => {
      const scene = createScene();
      write(scene, scene.background);
      await balance(scene);
      assert.ok(!wasWoken(scene));
      write(scene, scene.background + 1);
      await balance(scene);
      assert.ok(wasWoken(scene));
      assert.equal(dirty(scene), scene.background + 1);
      assert.equal(scene.instance.node.counters[C.balance_dirty_pages], 0);
      scene.finish();
    });

    it('above the limit: it writes a batch itself', async () => {
      const scene = createScene();
      write(scene, scene.limit + 1);
      await balance(scene);
      assert.equal(dirty(scene), 0);
      assert.equal(scene.instance.node.counters[C.balance_dirty_pages], 1);
      scene.finish();
    });

    it('by a file that cannot be written: not more than once, and not for long', async () => {
      const scene = createScene();
      write(scene, scene.limit + 1);
      let requests = 0;
      scene.io.plan = () => {
        requests++;
        return { kind: 'error', code: 'EIO' };
      };
      for (let call = 0; call < 50; call++) await balance(scene);
      assert.equal(requests, 1);
      assert.equal(dirty(scene), scene.limit + 1);
      scene.io.heal();
      scene.io.clock += 5000;
      await balance(scene);
      assert.equal(dirty(scene), 0);
      scene.finish();
    });

    it('while another thread writes back: for a bounded time', async () => {
      const scene = createScene();
      write(scene, scene.limit + 1);
      const { inode } = scene.space;
      scene.instance.node.words[L.H_FLUSHERS] = 1;
      lockWriteback(inode, 60);
      await balance(scene);
      assert.equal(dirty(scene), scene.limit + 1);
      unlockWriteback(inode, 60);
      scene.instance.node.words[L.H_FLUSHERS] = 0;
      await balance(scene);
      assert.equal(dirty(scene), 0);
      scene.finish();
    });
  });
}

describe('a writer of long pieces', () => {
  it('is held up within them, so that the dirty pages stay near the limit', () => {
    const scene = createFileScene({ bytes: 8 * MIB }, new Uint8Array(0), {
      balance: () => {
        most = Math.max(most, dirty(scene));
        balanceDirty(scene.instance.memory, scene.space.region);
      },
    });
    let most = 0;
    setDirtyLimits(scene.instance.nodes, DIRTY_LIMITS_DEFAULT);
    attachFiles(scene.instance.memory, scene.io);
    write(scene, 4096);
    const limit = scene.instance.node.words[L.H_DIRTY_LIMIT];
    assert.ok(most <= limit + 512 + 1, `${most} of ${limit}`);
    assert.ok(scene.io.bytesWritten >= (4096 - limit - 512) * PAGE);
    assert.ok(scene.flush());
    scene.finish();
  });
});

describe('dirty limits', () => {
  it('are shares of the frames of each node; those nobody sets are Linux’ own', () => {
    const scene = createFileScene({ bytes: 8 * MIB });
    const { node, memory } = scene.instance;
    attachFiles(memory, scene.io);
    write(scene, 1);
    balanceDirty(memory, scene.space.region);
    const managed = node.frames - node.firstFree;
    assert.equal(node.words[L.H_DIRTY_LIMIT], Math.floor(managed * 0.2));
    assert.equal(node.words[L.H_DIRTY_BACKGROUND], Math.floor(managed * 0.1));
    setDirtyLimits([node], { dirtyRatio: 1, dirtyBackgroundRatio: 0, dirtyExpireMs: 1, dirtyWritebackMs: 2 });
    assert.equal(node.words[L.H_DIRTY_LIMIT], Math.floor(managed * 0.01));
    assert.equal(node.words[L.H_DIRTY_BACKGROUND], 0);
    scene.finish();
  });

  it('stamps: differences are right over the end of the range, and no stamp says "none"', () => {
    for (const ms of [0, 1, 12.7, 2 ** 31 - 5, 2 ** 31, 2 ** 40 + 3]) {
      assert.ok(stampOf(ms) > 0 && stampOf(ms) < 2 ** 31);
      for (const later of [0, 1, 4999, 2 ** 29]) {
        const between = msBetween(stampOf(ms + 10), stampOf(ms + 10 + later));
        assert.ok(Math.abs(between - later) <= 1, `${ms} ${later} ${between}`);
        assert.ok(Math.abs(msBetween(stampOf(ms + 10 + later), stampOf(ms + 10)) + later) <= 1);
      }
    }
    assert.ok(!isPaused(0, 5));
    assert.ok(isPaused(stampOf(2 ** 31 + 100), 2 ** 31 - 100));
    assert.ok(!isPaused(stampOf(2 ** 31 - 100), 2 ** 31 + 100));
  });
});
