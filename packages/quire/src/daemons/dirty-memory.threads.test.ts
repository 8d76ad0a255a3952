/** Real threads, real files: memory full of dirty pages, a slow device, writers that keep going; and a flusher at work beside them. */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import { MIB } from '../base/units.ts';
import { setDirtyLimits } from '../page-cache/dirty-limits.ts';
import { attachFiles } from '../page-cache/dirty-throttle.ts';
import { FileSpace } from '../page-cache/file-space.ts';
import { closeInode, openInode } from '../page-cache/inode.ts';
import { openErrors, syncFile } from '../page-cache/sync.ts';
import { createTestInstance, type TestInstance } from '../testing/test-instance.ts';
import { sumCounter } from '../vm/thread-slot.ts';
import { NodeFileIo } from './node-file-io.ts';
import type { FileWork } from './testing/file-worker.ts';
import { PIECE_BYTES, pieceOf } from './testing/slow-files.ts';

const WRITERS = 3;
const PIECES = 1200; // 12 MB through 6 MiB of memory

interface Scene {
  readonly instance: TestInstance;
  readonly space: FileSpace;
  readonly path: string;
  /** Resolves when the thread has joined, with what resolves when it has ended. */
  start(role: FileWork['role'], share: number, slowMs: number): Promise<{ readonly ended: Promise<void> }>;
  finish(): void;
}

function createScene(dirtyRatio: number): Scene {
  const folder = mkdtempSync(join(tmpdir(), 'quire-dirty-'));
  const path = join(folder, 'file');
  const fd = openSync(path, 'w+');
  const instance = createTestInstance({ bytes: 6 * MIB, nodes: 1, areas: 6, hasSwap: false });
  attachFiles(instance.memory, new NodeFileIo());
  setDirtyLimits(instance.nodes, {
    dirtyRatio,
    dirtyBackgroundRatio: Math.floor(dirtyRatio / 2),
    dirtyExpireMs: 100,
    dirtyWritebackMs: 50,
  });
  const look = () => ({ size: fstatSync(fd).size, mtimeNs: 1n });
  const opened = openInode(instance.memory, { name: 'file:1:1', readFd: fd, writeFd: fd, look });
  const space = new FileSpace(instance.memory, opened.region, opened.inode);
  const { memories, module } = instance;
  return {
    instance,
    space,
    path,
    start: async (role, share, slowMs) => {
      const shape = { role, share, shares: WRITERS, pieces: PIECES, slowMs };
      const worker = new Worker(new URL('./testing/file-worker.js', import.meta.url), {
        workerData: { memories, module, region: space.region, ...shape } satisfies FileWork,
        execArgv: [],
      });
      const ended = new Promise<void>((resolve, reject) => {
        worker.once('error', reject);
        worker.once('exit', () => resolve());
      });
      await Promise.race([new Promise((resolve) => worker.once('message', resolve)), ended]);
      return { ended };
    },
    finish: () => {
      closeInode(instance.memory, space.region);
      instance.finish();
      closeSync(fd);
      rmSync(folder, { recursive: true });
    },
  };
}

function assertFile(path: string): void {
  const bytes = readFileSync(path);
  assert.equal(bytes.length, PIECES * PIECE_BYTES);
  for (let piece = 0; piece < PIECES; piece++) {
    const at = piece * PIECE_BYTES;
    assert.equal(Buffer.compare(bytes.subarray(at, at + PIECE_BYTES), pieceOf(piece)), 0, `piece ${piece}`);
  }
}

async function stop(scene: Scene, flusher: { readonly ended: Promise<void> }): Promise<void> {
  const { words } = scene.instance.node;
  Atomics.store(words, L.H_STOP, 1);
  Atomics.store(words, L.H_FLUSHER_WAKE, 1);
  Atomics.notify(words, L.H_FLUSHER_WAKE);
  await flusher.ended;
}

describe('writers on a slow device', () => {
  for (const [name, dirtyRatio, hasFlusher] of [
    ['memory full of dirty pages, a flusher', 100, true],
    ['memory full of dirty pages, nobody but the writers', 100, false],
    ['held up at a fifth, a flusher', 20, true],
  ] as const) {
    it(`${name}: all that was written is on disk`, async () => {
      const scene = createScene(dirtyRatio);
      const { instance, space } = scene;
      const flusher = hasFlusher ? await scene.start('flush', 0, 1) : undefined;
      if (hasFlusher) Atomics.store(instance.node.words, L.H_FLUSHERS, 1);
      const writers = await Promise.all([0, 1, 2].map((share) => scene.start('write', share, 1)));
      await Promise.all(writers.map((writer) => writer.ended));
      await syncFile(instance.memory, space.inode, openErrors(space.inode), () => Promise.resolve());
      if (flusher !== undefined) await stop(scene, flusher);
      assert.equal(space.inode[L.I_DIRTY_PAGES], 0);
      assert.ok(sumCounter(instance.node, C.nr_written) >= (PIECES * PIECE_BYTES) / 4096);
      assertFile(scene.path);
      scene.finish();
    });
  }

  it('a flusher alone writes back what is old, without anybody asking', async () => {
    const scene = createScene(20);
    const flusher = await scene.start('flush', 0, 0);
    scene.space.write(0, pieceOf(5), 0, PIECE_BYTES);
    for (let turn = 0; turn < 1000 && scene.space.inode[L.I_DIRTY_PAGES] > 0; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await stop(scene, flusher);
    assert.deepEqual(readFileSync(scene.path), Buffer.from(pieceOf(5)));
    scene.finish();
  });
});
