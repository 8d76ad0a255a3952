/** The workers that files need: started with the first file, replaced when they die, done without when they cannot be. */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { QuireError } from '../base/errors.ts';
import { MIB } from '../base/units.ts';
import { setDirtyLimits } from '../page-cache/dirty-limits.ts';
import { attachFiles } from '../page-cache/dirty-throttle.ts';
import { FileSpace } from '../page-cache/file-space.ts';
import { closeInode, openInode } from '../page-cache/inode.ts';
import { openErrors, writeBackFile } from '../page-cache/sync.ts';
import { createTestInstance, type TestInstance } from '../testing/test-instance.ts';
import { liveThreads } from '../vm/thread-slot.ts';
import { NodeFileIo } from './node-file-io.ts';
import { WorkerPool } from './worker-pool.ts';

const FILE_BYTES = 3 * MIB;

interface Scene {
  readonly instance: TestInstance;
  readonly pool: WorkerPool;
  readonly space: FileSpace;
  readonly path: string;
  finish(isWhole: boolean): Promise<void>;
}

async function createScene(threads: number, expireMs = 30_000): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'quire-pool-'));
  const path = join(folder, 'file');
  const fd = openSync(path, 'w+');
  const instance = createTestInstance({ bytes: 12 * MIB, areas: 5 });
  const { memory, memories, module, nodes } = instance;
  attachFiles(memory, new NodeFileIo());
  const times = { dirtyExpireMs: expireMs, dirtyWritebackMs: 20 };
  setDirtyLimits(nodes, { dirtyRatio: 50, dirtyBackgroundRatio: 40, ...times });
  const look = () => ({ size: fstatSync(fd).size, mtimeNs: 1n });
  const opened = openInode(memory, { name: 'file:1:1', readFd: fd, writeFd: fd, look });
  const pool = new WorkerPool(memory, { memories, module });
  await pool.open(threads);
  return {
    instance,
    pool,
    space: new FileSpace(memory, opened.region, opened.inode),
    path,
    finish: async (isWhole) => {
      await pool.close();
      if (isWhole) {
        closeInode(memory, opened.region);
        instance.finish();
      }
      closeSync(fd);
      rmSync(folder, { recursive: true });
    },
  };
}

function contentOf(round: number): Uint8Array {
  const bytes = new Uint8Array(FILE_BYTES);
  new Uint32Array(bytes.buffer).forEach((_, index, words) => {
    words[index] = index * 31 + round;
  });
  return bytes;
}

function flushers({ instance }: Scene): number {
  return Atomics.load(instance.node.words, L.H_FLUSHERS);
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`${what} did not happen`);
}

describe('daemons of files', () => {
  it('are started once, counted, and end with the pool', async () => {
    const scene = await createScene(1);
    assert.equal(flushers(scene), 0);
    await Promise.all([scene.pool.openFileDaemons(['flusher', 'kcompactd']), scene.pool.openFileDaemons(['flusher'])]);
    assert.equal(flushers(scene), 1);
    assert.equal(Atomics.load(scene.instance.node.words, L.H_KCOMPACTDS), 1);
    assert.equal(liveThreads(scene.instance.node), 4);
    const content = contentOf(0);
    scene.space.write(0, content, 0, content.length);
    await writeBackFile(scene.instance.memory, scene.space.inode);
    assert.equal(Buffer.compare(readFileSync(scene.path), content), 0);
    await scene.finish(true);
    assert.equal(flushers(scene), 0);
  });

  it('a thread that has no room to join is done without', async () => {
    const scene = await createScene(1);
    const { words } = scene.instance.node;
    // Every slot but those in use is taken.
    for (let index = 0; index < L.THREADS_MAX; index++) {
      Atomics.compareExchange(words, L.THREADS_AT + index * L.THREAD_WORDS + L.T_OWNER, 0, 99);
    }
    await scene.pool.openFileDaemons(['flusher']);
    assert.equal(flushers(scene), 0);
    const content = contentOf(1);
    scene.space.write(0, content, 0, content.length);
    await writeBackFile(scene.instance.memory, scene.space.inode);
    assert.equal(Buffer.compare(readFileSync(scene.path), content), 0);
    for (let index = 0; index < L.THREADS_MAX; index++) {
      Atomics.compareExchange(words, L.THREADS_AT + index * L.THREAD_WORDS + L.T_OWNER, 99, 0);
    }
    await scene.finish(true);
  });

  for (const threads of [0, 1]) {
    it(`with ${threads} daemon threads old pages are written back without anybody asking`, async () => {
      const scene = await createScene(threads, 30);
      await scene.pool.openFileDaemons(['flusher']);
      assert.equal(flushers(scene), threads);
      const content = contentOf(2);
      scene.space.write(0, content, 0, content.length);
      await until('writeback', () => scene.space.inode[L.I_DIRTY_PAGES] === 0);
      await until('the file', () => Buffer.compare(readFileSync(scene.path), content) === 0);
      await scene.finish(true);
    });
  }
});

describe('a flusher that dies', () => {
  it('is replaced; what it was writing is written by its successor, or the instance says that it failed', async () => {
    const scene = await createScene(1);
    const { memory } = scene.instance;
    const errors = openErrors(scene.space.inode);
    await scene.pool.openFileDaemons(['flusher']);
    let isWhole = true;
    try {
      for (let round = 0; round < 6; round++) {
        const content = contentOf(round);
        scene.space.write(0, content, 0, content.length);
        const done = writeBackFile(memory, scene.space.inode);
        // At different moments of its work.
        await new Promise((resolve) => setTimeout(resolve, round % 3));
        const worker = scene.pool.worker('flusher');
        await worker?.terminate();
        await done;
        assert.equal(Buffer.compare(readFileSync(scene.path), content), 0, `round ${round}`);
        await until('a new flusher', () => flushers(scene) === 1);
        assert.notEqual(scene.pool.worker('flusher'), worker);
      }
      assert.equal(errors.since, scene.space.inode[L.I_ERRSEQ], 'no error of the file');
    } catch (error) {
      // It died inside a node lock.
      assert.ok(error instanceof QuireError && error.code === 'ERR_QUIRE_FAILED', String(error));
      isWhole = false;
    }
    await scene.finish(isWhole);
  });

  it('again and again is not replaced for ever; those who sync do its work, the timer what is old', async () => {
    const scene = await createScene(1, 30);
    await scene.pool.openFileDaemons(['flusher']);
    for (let death = 0; death <= 8; death++) {
      await until('a flusher', () => flushers(scene) === 1);
      // Asleep.
      await new Promise((resolve) => setTimeout(resolve, 20));
      await scene.pool.worker('flusher')?.terminate();
    }
    await until('the end of flushers', () => flushers(scene) === 0);
    const content = contentOf(7);
    scene.space.write(0, content, 0, content.length);
    await writeBackFile(scene.instance.memory, scene.space.inode);
    assert.equal(Buffer.compare(readFileSync(scene.path), content), 0);
    scene.space.write(0, content, 0, 4096);
    await until('writeback', () => scene.space.inode[L.I_DIRTY_PAGES] === 0);
    await scene.finish(true);
  });
});
