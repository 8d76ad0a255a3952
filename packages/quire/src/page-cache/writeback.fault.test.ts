/** Writeback and a disk that refuses, takes less than asked, is full, or lies; and writers that die. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, MIB, PAGE_BYTES } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { sumCounter } from '../vm/thread-slot.ts';
import { isPaused } from './dirty-limits.ts';
import { attachFiles } from './dirty-throttle.ts';
import { fileLockOwner } from './file-lock.ts';
import { lockWriteback, tryLockWriteback, unlockWriteback } from './inode.ts';
import { openErrors, serveSync, syncFile, syncFileNow, writeBackFile, writeBackFileNow } from './sync.ts';
import { createFileScene, FD, type FileScene, patternAt } from './testing/file-scene.ts';
import { ANY_LEAF, buryWriteback, NOTHING_TO_WRITE, writeOldestLeaf } from './writeback.ts';

const PAGE = PAGE_BYTES;

function write(scene: FileScene, position: number, length: number, seed = 0): void {
  assert.equal(scene.space.write(position, patternAt(position, length, seed), 0, length), length);
}

function assertReads(scene: FileScene, position: number, length: number, seed = 0): void {
  const got = new Uint8Array(length);
  assert.equal(scene.space.read(position, got, 0, length), length);
  assert.deepEqual(got, patternAt(position, length, seed));
}

function oneBatch(scene: FileScene): number {
  const { memory } = scene.instance;
  const { inode } = scene.space;
  lockWriteback(inode, memory.nodes[0].thread);
  try {
    return writeOldestLeaf(memory, inode, 0, ANY_LEAF);
  } finally {
    unlockWriteback(inode, memory.nodes[0].thread);
  }
}

function dirtyPages(scene: FileScene): number[] {
  const { node } = scene.instance;
  const leaf = findLeaf(node, scene.space.region, 0);
  const pages: number[] = [];
  for (let page = 0; page < 512; page++) {
    if ((node.words[leaf + L.FL_DIRTY + (page >>> 5)] >>> (page & 31)) & 1) pages.push(page);
    assert.equal((node.words[leaf + L.FL_WRITEBACK + (page >>> 5)] >>> (page & 31)) & 1, 0, 'nothing is being written');
  }
  assert.equal(node.words[L.H_PC_DIRTY], pages.length);
  assert.equal(scene.space.inode[L.I_DIRTY_PAGES], pages.length);
  assert.equal(node.words[L.H_PC_WRITEBACK], 0);
  assert.equal(node.words[leaf + L.FL_LISTED], pages.length > 0 ? 1 : 0);
  return pages;
}

const noDevice = (): Promise<void> => Promise.resolve();

function withCause(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof QuireError, String(error));
    assert.equal(error.code, 'ERR_QUIRE_IO');
    assert.equal((error.cause as NodeJS.ErrnoException).code, code);
    return true;
  };
}

describe('a run that the disk refuses', () => {
  it('stays dirty and readable; the others are written; a later batch succeeds', () => {
    const scene = createFileScene();
    write(scene, 0, 2 * PAGE);
    write(scene, 4 * PAGE, 3 * PAGE);
    write(scene, 10 * PAGE, PAGE);
    scene.io.plan = ({ position }) => (position === 4 * PAGE ? { kind: 'error', code: 'EIO' } : undefined);
    assert.equal(oneBatch(scene), 3);
    assert.deepEqual(dirtyPages(scene), [4, 5, 6]);
    assertReads(scene, 4 * PAGE, 3 * PAGE);
    assert.equal(scene.instance.node.counters[C.writeback_errors], 1);
    scene.io.heal();
    assert.equal(oneBatch(scene), 3);
    assert.deepEqual(dirtyPages(scene), []);
    assert.deepEqual(scene.io.bytes(FD).subarray(4 * PAGE, 7 * PAGE), patternAt(4 * PAGE, 3 * PAGE));
    scene.finish();
  });

  it('is not evicted, whatever reclaim does', () => {
    const scene = createFileScene({ bytes: 4 * MIB });
    attachFiles(scene.instance.memory, scene.io);
    write(scene, 0, 16 * PAGE);
    scene.io.fail('write', 'EIO');
    assert.equal(oneBatch(scene), 0);
    const [reclaimer] = scene.instance.memory.reclaimers;
    for (let round = 0; round < 100; round++) reclaimer.round(false, true);
    assert.equal(dirtyPages(scene).length, 16);
    assertReads(scene, 0, 16 * PAGE);
    scene.finish();
  });

  it('a page written to while its write failed is counted once', () => {
    const scene = createFileScene();
    const other = scene.open(scene.instance.join());
    write(scene, 0, 2 * PAGE);
    scene.io.plan = () => {
      scene.io.plan = undefined;
      other.write(0, patternAt(0, 100, 3), 0, 100);
      return { kind: 'error', code: 'EIO' };
    };
    assert.equal(oneBatch(scene), 0);
    assert.deepEqual(dirtyPages(scene), [0, 1]);
    assertReads(scene, 0, 100, 3);
    scene.finish();
  });
});

describe('a short write', () => {
  it('is continued where it ended, in the middle of a page too', () => {
    const scene = createFileScene();
    write(scene, 0, 5 * PAGE + 100);
    const lengths: number[] = [];
    scene.io.plan = ({ length }) => {
      lengths.push(length);
      return { kind: 'short', bytes: 3000 };
    };
    assert.equal(oneBatch(scene), 6);
    assert.deepEqual(lengths.slice(0, 3), [5 * PAGE + 100, 5 * PAGE - 2900, 5 * PAGE - 5900]);
    assert.deepEqual(scene.io.bytes(FD), patternAt(0, 5 * PAGE + 100));
    scene.finish();
  });

  it('followed by an error: what was taken whole is clean, the rest is not', () => {
    const scene = createFileScene();
    write(scene, 0, 6 * PAGE);
    let calls = 0;
    scene.io.plan = () => (calls++ === 0 ? { kind: 'short', bytes: 2 * PAGE + 5 } : { kind: 'error', code: 'ENOSPC' });
    assert.equal(oneBatch(scene), 2);
    assert.deepEqual(dirtyPages(scene), [2, 3, 4, 5]);
    scene.io.heal();
    assert.ok(scene.flush());
    assert.deepEqual(scene.io.bytes(FD), patternAt(0, 6 * PAGE));
    scene.finish();
  });

  it('of nothing at all is an error, not a loop', async () => {
    const scene = createFileScene();
    write(scene, 0, PAGE);
    scene.io.plan = () => ({ kind: 'short', bytes: 0 });
    assert.equal(oneBatch(scene), 0);
    await assert.rejects(
      syncFile(scene.instance.memory, scene.space.inode, openErrors(scene.space.inode), noDevice),
      withCause('EIO'),
    );
    scene.io.heal();
    scene.finish();
  });
});

describe('an error of writeback', () => {
  it('reaches every open handle exactly once, with the code of the system', async () => {
    const scene = createFileScene();
    const { memory } = scene.instance;
    const { inode } = scene.space;
    const handles = [0, 1, 2].map(() => openErrors(inode));
    write(scene, 0, PAGE);
    scene.io.fail('write', 'ENOSPC');
    assert.equal(oneBatch(scene), 0);
    scene.io.heal();
    for (const handle of handles) {
      await assert.rejects(syncFile(memory, inode, handle, noDevice), withCause('ENOSPC'));
      await syncFile(memory, inode, handle, noDevice);
    }
    assert.deepEqual(dirtyPages(scene), [], 'the first sync wrote it');
    await syncFile(memory, inode, openErrors(inode), noDevice);
    // The next one is news for all of them again.
    write(scene, 0, PAGE, 1);
    scene.io.fail('write', 'EIO');
    for (const handle of handles) {
      await assert.rejects(syncFile(memory, inode, handle, noDevice), withCause('EIO'));
    }
    scene.io.heal();
    // Each sync tried again, and failed again: two more errors for the first, one for the second, none for the last.
    assert.throws(() => syncFileNow(memory, inode, handles[0], () => undefined), withCause('EIO'));
    assert.throws(() => syncFileNow(memory, inode, handles[1], () => undefined), withCause('EIO'));
    for (const handle of handles) syncFileNow(memory, inode, handle, () => undefined);
    scene.finish();
  });

  it('of the device flush is the file’s too; another exception is the caller’s', async () => {
    const scene = createFileScene();
    const { memory } = scene.instance;
    const { inode } = scene.space;
    const first = openErrors(inode);
    const second = openErrors(inode);
    const failing = (): Promise<void> => Promise.reject(Object.assign(new Error('EIO: fsync'), { code: 'EIO' }));
    await assert.rejects(syncFile(memory, inode, first, failing), withCause('EIO'));
    await assert.rejects(syncFile(memory, inode, second, noDevice), withCause('EIO'));
    await syncFile(memory, inode, first, noDevice);
    await assert.rejects(
      syncFile(memory, inode, first, () => Promise.reject(new TypeError('a bug'))),
      TypeError,
    );
    scene.finish();
  });

  it('pauses background writeback of the file, and a success ends the pause', () => {
    const scene = createFileScene();
    const { inode } = scene.space;
    write(scene, 0, PAGE);
    scene.io.fail('write', 'EIO');
    oneBatch(scene);
    assert.ok(isPaused(inode[L.I_RETRY_MS], scene.io.clock + 4999));
    assert.ok(!isPaused(inode[L.I_RETRY_MS], scene.io.clock + 5000));
    scene.io.heal();
    oneBatch(scene);
    assert.equal(inode[L.I_RETRY_MS], 0);
    scene.finish();
  });
});

describe('an exception that is no error of the system', () => {
  it('goes to who called; the batch is undone and the file is as before', () => {
    const scene = createFileScene();
    write(scene, 0, 3 * PAGE);
    scene.io.plan = () => {
      throw new RangeError('a bug');
    };
    assert.throws(() => oneBatch(scene), RangeError);
    assert.deepEqual(dirtyPages(scene), [0, 1, 2]);
    assert.equal(scene.space.inode[L.I_ERRSEQ], 0);
    scene.io.heal();
    assert.equal(oneBatch(scene), 3);
    scene.finish();
  });

  it('and a sync that was under way still writes that leaf', () => {
    const scene = createFileScene();
    const { memory } = scene.instance;
    const { inode } = scene.space;
    for (let chunk = 0; chunk < 3; chunk++) write(scene, chunk * CHUNK_BYTES, PAGE);
    let calls = 0;
    scene.io.plan = () => {
      if (calls++ === 1) throw new RangeError('a bug');
      return undefined;
    };
    assert.throws(() => writeBackFileNow(memory, inode), RangeError);
    // Whoever else waited for the same sync.
    lockWriteback(inode, scene.instance.node.thread);
    while (inode[L.I_SYNC_DONE] !== inode[L.I_SYNC_WANTED]) serveSync(memory, inode);
    unlockWriteback(inode, scene.instance.node.thread);
    assert.equal(inode[L.I_DIRTY_PAGES], 0);
    scene.finish();
  });
});

describe('memory full of dirty pages', () => {
  it('is no dead end: reclaim writes them back, without a frame', () => {
    const scene = createFileScene({ bytes: 4 * MIB, hasSwap: false });
    attachFiles(scene.instance.memory, scene.io);
    const bytes = 16 * MIB;
    for (let at = 0; at < bytes; at += 64 * 1024) write(scene, at, 64 * 1024);
    assert.ok(scene.io.bytesWritten > bytes / 2);
    for (let at = 0; at < bytes; at += MIB) assertReads(scene, at + 1000, 5000);
    assert.ok(scene.flush());
    assert.deepEqual(scene.io.bytes(FD), patternAt(0, bytes));
    scene.finish();
  });

  it('and a disk that refuses: new pages are refused, in bounded time; nothing is lost', () => {
    const scene = createFileScene({ bytes: 4 * MIB, hasSwap: false });
    attachFiles(scene.instance.memory, scene.io);
    scene.io.fail('write', 'ENOSPC');
    let written = 0;
    assert.throws(
      () => {
        for (; written < 16 * MIB; written += PAGE) write(scene, written, PAGE);
      },
      (error: QuireError) => error.code === 'ERR_QUIRE_OUT_OF_MEMORY',
    );
    assert.ok(written > 2 * MIB, `${written}`);
    const requests = scene.io.writes;
    assertReads(scene, 0, written);
    // A page that is there can still be changed.
    write(scene, PAGE, 100, 5);
    scene.io.heal();
    scene.io.clock += 5001;
    for (; written < 8 * MIB; written += PAGE) write(scene, written, PAGE);
    assert.ok(scene.io.writes > requests);
    write(scene, PAGE, 100);
    assert.ok(scene.flush());
    assert.deepEqual(scene.io.bytes(FD), patternAt(0, 8 * MIB));
    scene.finish();
  });
});

describe('a thread that dies while it writes back', () => {
  it('is buried: its pages are dirty and unpinned, the lock is free, the sync it served begins again', async () => {
    const scene = createFileScene();
    const { instance, space } = scene;
    const { inode } = space;
    write(scene, 0, 20 * PAGE);
    write(scene, CHUNK_BYTES, PAGE);
    instance.node.words[L.H_FLUSHERS] = 1;
    const synced = writeBackFile(instance.memory, inode);
    const worker = new Worker(new URL('./testing/stuck-writer.js', import.meta.url), {
      workerData: { memories: instance.memories, module: instance.module, region: space.region },
      execArgv: [],
    });
    const thread = await new Promise<number>((resolve) => worker.on('message', resolve));
    assert.equal(fileLockOwner(inode, L.I_WB_LOCK), thread + 1);
    assert.ok(!tryLockWriteback(inode, instance.node.thread));
    assert.equal(instance.node.words[L.H_PC_WRITEBACK], 20);
    // Writers are not held off by it.
    write(scene, PAGE, 50, 4);
    await worker.terminate();
    const sequence = inode[L.I_CONTENT_SEQ];
    buryWriteback(instance.memory, thread);
    assert.ok(inode[L.I_CONTENT_SEQ] > sequence, 'some of it may have been written');
    assert.equal(inode[L.I_BATCH_LEAF], 0);
    assert.equal(instance.node.words[L.H_PC_WRITEBACK], 0);
    assert.equal(instance.node.words[L.H_PC_DIRTY], 21);
    // Nobody runs a flusher any more: who waits goes on.
    instance.node.words[L.H_FLUSHERS] = 0;
    await synced;
    assert.equal(inode[L.I_DIRTY_PAGES], 0);
    assert.equal(oneBatch(scene), NOTHING_TO_WRITE);
    assert.deepEqual(scene.io.bytes(FD).subarray(PAGE, PAGE + 50), patternAt(PAGE, 50, 4));
    // Unpinned: all of it can be evicted.
    for (let round = 0; round < 200; round++) instance.memory.reclaimers[0].round(false, false);
    assert.equal(instance.node.words[L.H_PC_PAGES], 0);
    assert.equal(sumCounter(instance.node, C.nr_written), 21);
    scene.finish();
  });
});
