/** The flusher as a step machine, over a clock that moves when the test says so. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { CHUNK_BYTES, MIB, PAGE_BYTES } from '../base/units.ts';
import { setDirtyLimits } from '../page-cache/dirty-limits.ts';
import { attachFiles } from '../page-cache/dirty-throttle.ts';
import { FileSpace } from '../page-cache/file-space.ts';
import { closeInode, lockWriteback, openInode, unlockWriteback } from '../page-cache/inode.ts';
import { writeBackFile } from '../page-cache/sync.ts';
import { MemoryFileIo } from '../testing/memory-file-io.ts';
import { createTestInstance, type TestInstance } from '../testing/test-instance.ts';
import { Flusher } from './flusher.ts';

const PAGE = PAGE_BYTES;

interface Scene {
  readonly instance: TestInstance;
  readonly io: MemoryFileIo;
  readonly flusher: Flusher;
  readonly files: readonly FileSpace[];
  /** Steps until it finds nothing to do; how many. */
  run(): number;
  finish(): void;
}

/** Files of descriptor 10, 11, … */
function createScene(count = 1, nodes = 1, bytes = 8 * MIB): Scene {
  const instance = createTestInstance({ nodes, bytes });
  const io = new MemoryFileIo();
  attachFiles(instance.memory, io);
  setDirtyLimits(instance.nodes, {
    dirtyRatio: 20,
    dirtyBackgroundRatio: 10,
    dirtyExpireMs: 30_000,
    dirtyWritebackMs: 5000,
  });
  const files = Array.from({ length: count }, (_, index) => {
    const fd = 10 + index;
    const look = () => ({ size: io.bytes(fd).length, mtimeNs: 1n });
    const opened = openInode(instance.memory, { name: `file:1:${fd}`, readFd: fd, writeFd: fd, look });
    return new FileSpace(instance.memory, opened.region, opened.inode);
  });
  const flusher = new Flusher(instance.memory);
  return {
    instance,
    io,
    flusher,
    files,
    run: () => {
      for (let steps = 0; ; steps++) {
        if (!flusher.step()) return steps;
        assert.ok(steps < 1000, 'it spins');
      }
    },
    finish: () => {
      for (const file of files) closeInode(instance.memory, file.region);
      instance.finish();
    },
  };
}

function write(space: FileSpace, position: number, length: number): void {
  assert.equal(space.write(position, new Uint8Array(length).fill(7), 0, length), length);
}

function dirtyOf({ inode }: FileSpace): number {
  return inode[L.I_DIRTY_PAGES];
}

describe('flusher, by age', () => {
  it('writes pages that have been dirty for 30 s, and looks every 5 s', () => {
    const scene = createScene();
    const [file] = scene.files;
    assert.equal(scene.run(), 0);
    write(file, 0, PAGE);
    scene.io.clock += 10_000;
    write(file, CHUNK_BYTES, PAGE);
    scene.io.clock += 19_999;
    assert.equal(scene.run(), 0);
    assert.equal(dirtyOf(file), 2);
    scene.io.clock += 4999;
    assert.equal(scene.run(), 0, 'it looked 4,999 ms ago');
    assert.equal(scene.flusher.sleepMs(), 1);
    scene.io.clock += 1;
    assert.equal(scene.run(), 1);
    assert.equal(dirtyOf(file), 1, 'the younger leaf stays');
    scene.io.clock += 10_000;
    scene.run();
    assert.equal(dirtyOf(file), 0);
    scene.finish();
  });

  it('the age of a leaf is that of its first dirty page; writing to it again does not make it younger', () => {
    const scene = createScene();
    const [file] = scene.files;
    for (let at = 0; at < 30_000; at += 1000) {
      write(file, 0, PAGE);
      scene.io.clock += 1000;
    }
    scene.run();
    assert.equal(dirtyOf(file), 0);
    scene.finish();
  });

  it('holds over the end of the 31 bits of a stamp', () => {
    const scene = createScene();
    scene.io.clock = 2 ** 31 - 10_000;
    const [file] = scene.files;
    write(file, 0, PAGE);
    scene.io.clock += 29_000;
    scene.run();
    assert.equal(dirtyOf(file), 1);
    scene.io.clock += 6000;
    scene.run();
    assert.equal(dirtyOf(file), 0);
    scene.finish();
  });
});

describe('flusher, by amount', () => {
  it('above the background limit writes until it is met, the oldest first, files in turn', () => {
    const scene = createScene(2, 1, 32 * MIB);
    const { words } = scene.instance.node;
    const [first, second] = scene.files;
    const background = words[L.H_DIRTY_BACKGROUND];
    // Leaves of 50 pages each, to the limit and one more.
    let pages = 0;
    for (let chunk = 0; pages <= background; chunk++) {
      write(chunk % 2 === 0 ? first : second, (chunk >> 1) * CHUNK_BYTES, 50 * PAGE);
      pages += 50;
    }
    const steps = scene.run();
    assert.equal(steps, 1);
    assert.equal(words[L.H_PC_DIRTY], pages - 50);
    write(first, 0, 50 * PAGE);
    write(second, 0, 50 * PAGE);
    assert.equal(scene.run(), 1);
    assert.ok(words[L.H_PC_DIRTY] <= background);
    scene.finish();
  });

  it('each node by itself', () => {
    const scene = createScene(1, 2, 8 * MIB);
    const [file] = scene.files;
    const background = scene.instance.nodes[1].words[L.H_DIRTY_BACKGROUND];
    write(file, CHUNK_BYTES, (background + 1) * PAGE);
    write(file, 0, background * PAGE);
    assert.equal(scene.run(), 1);
    assert.deepEqual(
      scene.instance.nodes.map((node) => node.words[L.H_PC_DIRTY]),
      [background, 0],
    );
    scene.finish();
  });

  it('one batch when reclaim met dirty pages, however few they are', () => {
    const scene = createScene(1, 2);
    const [file] = scene.files;
    write(file, 0, PAGE);
    write(file, CHUNK_BYTES, PAGE);
    write(file, 3 * CHUNK_BYTES, PAGE);
    for (let round = 0; round < 20; round++) scene.instance.memory.reclaimers[1].round(true, false);
    assert.equal(scene.instance.node.words[L.H_FLUSHER_WAKE], 1);
    assert.equal(scene.run(), 1);
    assert.deepEqual(
      scene.instance.nodes.map((node) => node.words[L.H_PC_DIRTY]),
      [1, 1],
    );
    assert.equal(scene.instance.node.words[L.H_FLUSHER_WAKE], 0);
    scene.finish();
  });
});

describe('flusher, for sync', () => {
  it('serves every file that somebody waits for', async () => {
    const scene = createScene(3);
    scene.instance.node.words[L.H_FLUSHERS] = 1;
    for (const file of scene.files) for (let chunk = 0; chunk < 3; chunk++) write(file, chunk * CHUNK_BYTES, PAGE);
    const [first, second, third] = scene.files;
    const waits = [first, third].map(({ inode }) => writeBackFile(scene.instance.memory, inode));
    assert.ok(scene.run() >= 6);
    await Promise.all(waits);
    assert.deepEqual([dirtyOf(first), dirtyOf(second), dirtyOf(third)], [0, 3, 0]);
    scene.finish();
  });

  it('does not wait for a file that another thread writes back; it serves the others and looks again soon', async () => {
    const scene = createScene(2);
    scene.instance.node.words[L.H_FLUSHERS] = 1;
    const [locked, free] = scene.files;
    write(locked, 0, PAGE);
    write(free, 0, PAGE);
    lockWriteback(locked.inode, 60);
    const waits = [locked, free].map(({ inode }) => writeBackFile(scene.instance.memory, inode));
    scene.run();
    await waits[1];
    assert.deepEqual([dirtyOf(locked), dirtyOf(free)], [1, 0]);
    assert.equal(scene.flusher.sleepMs(), 10);
    unlockWriteback(locked.inode, 60);
    scene.run();
    await waits[0];
    scene.finish();
  });
});

describe('flusher, and a disk that refuses', () => {
  it('does not spin: one try, then not before the file’s pause is over', () => {
    const scene = createScene(1, 1, 8 * MIB);
    const [file] = scene.files;
    scene.io.fail('write', 'EIO');
    write(file, 0, (scene.instance.node.words[L.H_DIRTY_BACKGROUND] + 1) * PAGE);
    let requests = 0;
    scene.io.plan = () => {
      requests++;
      return { kind: 'error', code: 'EIO' };
    };
    for (let at = 0; at < 5000; at += 100) {
      assert.ok(scene.run() <= 1);
      scene.io.clock += 100;
    }
    assert.equal(requests, 1);
    scene.run();
    assert.equal(requests, 2);
    scene.io.heal();
    scene.io.clock += 5000;
    scene.run();
    assert.equal(dirtyOf(file), 0);
    scene.finish();
  });

  it('leaves other files their turn', () => {
    const scene = createScene(2, 1, 8 * MIB);
    const [bad, good] = scene.files;
    const pages = scene.instance.node.words[L.H_DIRTY_BACKGROUND] + 1;
    write(bad, 0, pages * PAGE);
    write(good, 0, pages * PAGE);
    scene.io.plan = ({ fd }) => (fd === 10 ? { kind: 'error', code: 'ENOSPC' } : undefined);
    scene.run();
    assert.deepEqual([dirtyOf(bad), dirtyOf(good)], [pages, 0]);
    scene.io.heal();
    scene.finish();
  });
});

describe('flusher without files', () => {
  it('has nothing to do', () => {
    const instance = createTestInstance();
    const flusher = new Flusher(instance.memory);
    assert.equal(flusher.step(), false);
    assert.ok(flusher.sleepMs() > 0);
    instance.finish();
  });
});
