/** Choosing a file to write a batch of, and reclaim that meets dirty pages. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { reclaimDirect } from '../swap/direct-reclaim.ts';
import { createIsolateResult, isolateLocked } from '../swap/swap-out.ts';
import { MemoryFileIo } from '../testing/memory-file-io.ts';
import { createTestInstance, locked, type TestInstance, type TestThread } from '../testing/test-instance.ts';
import { stampOf } from './dirty-limits.ts';
import { attachFiles } from './dirty-throttle.ts';
import { FileSpace } from './file-space.ts';
import { closeInode, lockWriteback, openInode, unlockWriteback } from './inode.ts';
import { writeSome, wroteSome } from './write-some.ts';
import { ANY_LEAF, NOTHING_TO_WRITE, writeOldestLeaf } from './writeback.ts';

const PAGE = PAGE_BYTES;

interface Scene {
  readonly instance: TestInstance;
  readonly io: MemoryFileIo;
  readonly files: readonly FileSpace[];
  open(thread: TestThread, index: number): FileSpace;
  finish(): void;
}

function createScene(count: number, bytes = 8 * MIB): Scene {
  const instance = createTestInstance({ bytes, hasSwap: false });
  const io = new MemoryFileIo();
  let handles = 0;
  const open = (thread: TestThread, index: number): FileSpace => {
    attachFiles(thread.memory, io);
    const fd = 10 + index;
    const look = () => ({ size: io.bytes(fd).length, mtimeNs: 1n });
    const opened = openInode(thread.memory, { name: `file:1:${fd}`, readFd: fd, writeFd: fd, look });
    handles++;
    return new FileSpace(thread.memory, opened.region, opened.inode);
  };
  const files = Array.from({ length: count }, (_, index) => open(instance, index));
  return {
    instance,
    io,
    files,
    open,
    finish: () => {
      for (const file of files) while (closeInode(instance.memory, file.region) === undefined);
      assert.ok(handles >= count);
      instance.finish();
    },
  };
}

function write(file: FileSpace, pages: number): void {
  assert.equal(file.write(0, new Uint8Array(pages * PAGE).fill(3), 0, pages * PAGE), pages * PAGE);
}

function dirtyOf({ inode }: FileSpace): number {
  return inode[L.I_DIRTY_PAGES];
}

describe('a batch of some file', () => {
  it('is of each file in turn', () => {
    const scene = createScene(3);
    const { memory } = scene.instance;
    for (const file of scene.files) write(file, 2);
    let from = scene.files[1].region;
    const order: number[] = [];
    for (let i = 0; i < 3; i++) {
      const before = scene.files.map(dirtyOf);
      assert.equal(writeSome(memory, 0, from), 2);
      from = wroteSome.nextRegion;
      order.push(scene.files.findIndex((file, index) => dirtyOf(file) !== before[index]));
    }
    assert.deepEqual(order, [1, 2, 0]);
    assert.equal(writeSome(memory, 0, from), NOTHING_TO_WRITE);
    scene.finish();
  });

  it('passes over files that are locked, in their pause, or closed', () => {
    const scene = createScene(3);
    const { memory, node } = scene.instance;
    const [locked, paused, free] = scene.files;
    for (const file of scene.files) write(file, 1);
    lockWriteback(locked.inode, 60);
    paused.inode[L.I_RETRY_MS] = stampOf(scene.io.clock + 1);
    assert.equal(writeSome(memory, 0, locked.region), 1);
    assert.deepEqual(scene.files.map(dirtyOf), [1, 1, 0]);
    assert.equal(dirtyOf(free), 0);
    assert.equal(writeSome(memory, 0, locked.region), NOTHING_TO_WRITE);
    scene.io.clock += 2;
    assert.equal(writeSome(memory, 0, locked.region), 1);
    unlockWriteback(locked.inode, 60);
    assert.equal(writeSome(memory, 0, locked.region), 1);
    assert.equal(node.words[L.H_PC_DIRTY], 0);
    scene.finish();
  });

  it('0 says that the system refused; it is not asked again before the pause is over', () => {
    const scene = createScene(1);
    const { memory } = scene.instance;
    write(scene.files[0], 1);
    scene.io.fail('write', 'EIO');
    assert.equal(writeSome(memory, 0, 0), 0);
    assert.equal(writeSome(memory, 0, 0), NOTHING_TO_WRITE);
    scene.io.heal();
    scene.io.clock += 5000;
    assert.equal(writeSome(memory, 0, 0), 1);
    scene.finish();
  });
});

/** Fills memory with dirty pages of the file. */
function fillWithDirty(file: FileSpace, instance: TestInstance): number {
  const { node } = instance;
  let pages = 0;
  while (node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_MIN] + 8) {
    file.write(pages * PAGE, new Uint8Array(PAGE).fill(1), 0, PAGE);
    pages++;
  }
  return pages;
}

describe('direct reclaim', () => {
  it('that meets nothing but dirty pages writes some back and takes them', () => {
    const scene = createScene(1, 4 * MIB);
    const { node, memory } = scene.instance;
    const pages = fillWithDirty(scene.files[0], scene.instance);
    assert.equal(node.words[L.H_PC_DIRTY], pages);
    assert.ok(reclaimDirect(memory.reclaimers[0], 64));
    assert.ok(scene.io.writes > 0);
    assert.equal(node.words[L.H_FLUSH_WANTED], 1, 'and asks the flusher to go on');
    scene.finish();
  });

  it('writes nothing while enough clean pages are left', () => {
    const scene = createScene(1, 4 * MIB);
    const { memory } = scene.instance;
    const [file] = scene.files;
    const pages = fillWithDirty(file, scene.instance);
    while (writeSome(memory, 0, 0) > 0);
    const { writes } = scene.io;
    for (let page = 0; page < pages / 10; page++) file.write(page * PAGE, new Uint8Array(10), 0, 10);
    assert.ok(reclaimDirect(memory.reclaimers[0], 32));
    assert.equal(scene.io.writes, writes);
    scene.finish();
  });

  it('waits for the batch of another thread, and gives up when none ends', () => {
    const scene = createScene(1, 4 * MIB);
    const { instance } = scene;
    const other = instance.join();
    const theirs = scene.open(other, 0);
    fillWithDirty(scene.files[0], instance);
    let isFree: boolean | undefined;
    // In the middle of their write: the pages are neither dirty nor clean, and the lock is theirs.
    scene.io.during = () => {
      scene.io.during = undefined;
      const wait = Atomics.wait;
      let waits = 0;
      Atomics.wait = ((_words: Int32Array, at: number) => {
        if (at === L.H_PC_WRITEBACK) waits++;
        return 'timed-out';
      }) as unknown as typeof Atomics.wait;
      isFree = reclaimDirect(instance.memory.reclaimers[0], 64);
      Atomics.wait = wait;
      assert.ok(waits >= 1000, `${waits}`);
    };
    lockWriteback(theirs.inode, other.nodes[0].thread);
    const written = writeOldestLeaf(other.memory, theirs.inode, 0, ANY_LEAF);
    unlockWriteback(theirs.inode, other.nodes[0].thread);
    assert.equal(isFree, false);
    assert.ok(written > 64);
    assert.ok(reclaimDirect(instance.memory.reclaimers[0], 64), 'now they can go');
    scene.finish();
  });
});

describe('dirty pages that cannot be written now', () => {
  it('do not hide clean ones behind them', () => {
    const scene = createScene(2, 4 * MIB);
    const { node, memory } = scene.instance;
    const [dirty, clean] = scene.files;
    const byte = new Uint8Array(1);
    for (let page = 0; page < 200; page++) clean.write(page * PAGE, new Uint8Array(PAGE).fill(1), 0, PAGE);
    while (writeSome(memory, 0, 0) > 0);
    // Read again between two looks: on the active list, and idle since.
    for (let looks = 0; looks < 2; looks++) {
      for (let page = 0; page < 200; page++) clean.read(page * PAGE, byte, 0, 1);
      locked(node, () => isolateLocked(node, 64, new Int32Array(64), createIsolateResult()));
    }
    fillWithDirty(dirty, scene.instance);
    scene.io.fail('write', 'EIO');
    assert.equal(writeSome(memory, 0, 0), 0, 'the file is let alone for a while');
    const before = node.words[L.H_PC_PAGES];
    assert.ok(reclaimDirect(memory.reclaimers[0], 64));
    assert.ok(node.words[L.H_PC_PAGES] <= before - 64 + 8, `${node.words[L.H_PC_PAGES]} of ${before}`);
    scene.io.heal();
    scene.io.clock += 5000;
    while (writeSome(memory, 0, 0) > 0);
    scene.finish();
  });

  it('are waited for while another thread has their file in hand', () => {
    const scene = createScene(1, 4 * MIB);
    const { node, memory } = scene.instance;
    const [file] = scene.files;
    fillWithDirty(file, scene.instance);
    const wait = Atomics.wait;
    let waits = 0;
    // Not one page is under writeback yet: it is between taking the lock and its first batch, or busy in another node.
    lockWriteback(file.inode, 60);
    Atomics.wait = ((words: Int32Array, at: number) => {
      assert.equal(words[L.H_PC_WRITEBACK], 0);
      if (at === L.H_PC_WRITEBACK && ++waits === 5) unlockWriteback(file.inode, 60);
      return 'timed-out';
    }) as unknown as typeof Atomics.wait;
    try {
      assert.ok(reclaimDirect(memory.reclaimers[0], 64));
    } finally {
      Atomics.wait = wait;
    }
    assert.equal(waits, 5);
    assert.ok(node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_MIN]);
    scene.finish();
  });
});
