import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import type { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../base/units.ts';
import { lockWriteback, unlockWriteback } from './inode.ts';
import { openErrors, serveSync, syncFile, writeBackFile, writeBackFileNow } from './sync.ts';
import { createFileScene, FD, type FileScene, patternAt } from './testing/file-scene.ts';
import { ANY_LEAF, writeOldestLeaf } from './writeback.ts';

const PAGE = PAGE_BYTES;

function write(scene: FileScene, position: number, length: number, seed = 0): void {
  assert.equal(scene.space.write(position, patternAt(position, length, seed), 0, length), length);
}

/** As the flusher does it: one batch, if somebody waits. */
function serve(scene: FileScene): boolean {
  const { memory } = scene.instance;
  lockWriteback(scene.space.inode, memory.nodes[0].thread);
  try {
    return serveSync(memory, scene.space.inode);
  } finally {
    unlockWriteback(scene.space.inode, memory.nodes[0].thread);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a thread that died while it wrote a file back', () => {
  for (const flushers of [0, 1]) {
    it(`does not keep a sync waiting for ever (${flushers} flushers)`, async () => {
      const scene = createFileScene();
      const { inode, map } = scene.space;
      scene.space.write(0, new Uint8Array(10), 0, 10);
      scene.instance.node.words[L.H_FLUSHERS] = flushers;
      Atomics.store(inode, L.I_WB_LOCK, map.me + 3);
      scene.io.now = () => (scene.io.clock += 1000);
      await assert.rejects(writeBackFile(scene.instance.memory, inode), { code: 'ERR_QUIRE_FAILED' });
      Atomics.store(inode, L.I_WB_LOCK, 0);
      scene.instance.node.words[L.H_FLUSHERS] = 0;
      await writeBackFile(scene.instance.memory, inode);
      scene.finish();
    });
  }
});

describe('writing a file back', () => {
  for (const [name, run] of [
    ['a batch a turn', writeBackFile],
    ['at once', (memory, inode) => Promise.resolve(writeBackFileNow(memory, inode))],
  ] as const satisfies readonly (readonly [string, typeof writeBackFile])[]) {
    it(`${name}: what was dirty is on disk, of all nodes`, async () => {
      const scene = createFileScene({ nodes: 3 });
      for (let chunk = 0; chunk < 7; chunk++) write(scene, chunk * CHUNK_BYTES + 77, 3 * PAGE, chunk);
      await run(scene.instance.memory, scene.space.inode);
      assert.equal(scene.space.inode[L.I_DIRTY_PAGES], 0);
      for (let chunk = 0; chunk < 7; chunk++) {
        const at = chunk * CHUNK_BYTES + 77;
        assert.deepEqual(scene.io.bytes(FD).subarray(at, at + 3 * PAGE), patternAt(at, 3 * PAGE, chunk));
      }
      scene.finish();
    });

    it(`${name}: ends although others dirty it all the time, each leaf being written once`, async () => {
      const scene = createFileScene();
      const other = scene.open(scene.instance.join());
      for (let chunk = 0; chunk < 4; chunk++) write(scene, chunk * CHUNK_BYTES, PAGE);
      let batches = 0;
      scene.io.during = ({ op }) => {
        if (op !== 'write') return;
        batches++;
        for (let chunk = 0; chunk < 5; chunk++) other.write(chunk * CHUNK_BYTES + PAGE, patternAt(0, 10), 0, 10);
      };
      await run(scene.instance.memory, scene.space.inode);
      assert.equal(batches, 4);
      assert.ok(scene.space.inode[L.I_DIRTY_PAGES] > 0);
      scene.io.during = undefined;
      assert.ok(scene.flush());
      scene.finish();
    });

    it(`${name}: tries what the disk refuses once`, async () => {
      const scene = createFileScene();
      for (let chunk = 0; chunk < 3; chunk++) write(scene, chunk * CHUNK_BYTES, PAGE);
      let requests = 0;
      scene.io.plan = () => {
        requests++;
        return { kind: 'error', code: 'EIO' };
      };
      await run(scene.instance.memory, scene.space.inode);
      assert.equal(requests, 3);
      assert.equal(scene.space.inode[L.I_DIRTY_PAGES], 3);
      scene.io.heal();
      await run(scene.instance.memory, scene.space.inode);
      assert.equal(scene.space.inode[L.I_DIRTY_PAGES], 0);
      scene.finish();
    });

    it(`${name}: nothing dirty, nothing written`, async () => {
      const scene = createFileScene({}, patternAt(0, 100));
      await run(scene.instance.memory, scene.space.inode);
      assert.equal(scene.io.writes, 0);
      scene.finish();
    });
  }

  it('waits for a batch that somebody else began', async () => {
    const scene = createFileScene();
    const { memory } = scene.instance;
    write(scene, 0, PAGE);
    const { inode } = scene.space;
    lockWriteback(inode, 60);
    let isDone = false;
    const done = writeBackFile(memory, inode).then(() => {
      isDone = true;
    });
    for (let turns = 0; turns < 20; turns++) await turn();
    assert.ok(!isDone);
    unlockWriteback(inode, 60);
    await done;
    assert.equal(inode[L.I_DIRTY_PAGES], 0);
    scene.finish();
  });

  it('an instance that failed refuses', async () => {
    const scene = createFileScene();
    write(scene, 0, PAGE);
    Atomics.store(scene.instance.node.words, L.H_STATE, L.STATE_FAILED);
    await assert.rejects(
      writeBackFile(scene.instance.memory, scene.space.inode),
      (error: QuireError) => error.code === 'ERR_QUIRE_FAILED',
    );
    assert.equal(scene.io.writes, 0);
  });
});

describe('sync tickets', () => {
  it('several waiters are served by one pass that began after the last of them asked', async () => {
    const scene = createFileScene();
    const { inode } = scene.space;
    scene.instance.node.words[L.H_FLUSHERS] = 1;
    const threads = [scene.instance, scene.instance.join(), scene.instance.join()];
    for (const thread of threads.slice(1)) scene.open(thread);
    for (let chunk = 0; chunk < 3; chunk++) write(scene, chunk * CHUNK_BYTES, PAGE);
    const served: number[] = [];
    const waits = threads.map(async ({ memory }, index) => {
      await writeBackFile(memory, inode);
      served.push(index);
    });
    assert.equal(inode[L.I_SYNC_WANTED], 3);
    while (serve(scene));
    await Promise.all(waits);
    assert.equal(served.length, 3);
    assert.deepEqual([inode[L.I_SYNC_DONE], scene.io.writes], [3, 3]);
    scene.finish();
  });

  it('who asks in the middle of a pass waits for the next one, which writes what came in between', async () => {
    const scene = createFileScene();
    const { memory } = scene.instance;
    const { inode } = scene.space;
    scene.instance.node.words[L.H_FLUSHERS] = 1;
    for (let chunk = 0; chunk < 3; chunk++) write(scene, chunk * CHUNK_BYTES, PAGE);
    const first = writeBackFile(memory, inode);
    assert.ok(serve(scene));
    write(scene, 3 * CHUNK_BYTES, PAGE);
    const second = writeBackFile(memory, inode);
    while (inode[L.I_SYNC_DONE] < 1) serve(scene);
    await first;
    assert.equal(scene.io.writes, 3, 'the first pass leaves what came later');
    while (serve(scene));
    await second;
    assert.equal(scene.io.writes, 4);
    scene.finish();
  });

  it('batches of others count: a leaf that reclaim wrote need not be written again', async () => {
    const scene = createFileScene();
    const { memory } = scene.instance;
    const { inode } = scene.space;
    scene.instance.node.words[L.H_FLUSHERS] = 1;
    for (let chunk = 0; chunk < 4; chunk++) write(scene, chunk * CHUNK_BYTES, PAGE);
    const done = writeBackFile(memory, inode);
    serve(scene);
    lockWriteback(inode, 1);
    assert.equal(writeOldestLeaf(memory, inode, 0, ANY_LEAF), 1);
    unlockWriteback(inode, 1);
    while (serve(scene));
    await done;
    assert.equal(scene.io.writes, 4);
    scene.finish();
  });

  it('a flusher that ends leaves the work to those who wait', async () => {
    const scene = createFileScene();
    const { words } = scene.instance.node;
    words[L.H_FLUSHERS] = 1;
    for (let chunk = 0; chunk < 3; chunk++) write(scene, chunk * CHUNK_BYTES, PAGE);
    const done = syncFile(scene.instance.memory, scene.space.inode, openErrors(scene.space.inode), turn);
    serve(scene);
    assert.equal(words[L.H_FLUSHER_WAKE], 1, 'it was asked');
    Atomics.store(words, L.H_FLUSHERS, 0);
    await done;
    assert.equal(scene.io.writes, 3);
    scene.finish();
  });

  it('go round', async () => {
    const scene = createFileScene();
    const { inode } = scene.space;
    for (const at of [L.I_SYNC_WANTED, L.I_SYNC_DONE, L.I_SYNC_TICKET, L.I_LIST_SERIAL]) inode[at] = 0x7fff_ffff;
    for (let round = 0; round < 3; round++) {
      write(scene, round * CHUNK_BYTES, PAGE);
      await writeBackFile(scene.instance.memory, inode);
      assert.equal(inode[L.I_DIRTY_PAGES], 0);
    }
    assert.equal(inode[L.I_SYNC_DONE], -0x8000_0000 + 2);
    scene.finish();
  });
});
