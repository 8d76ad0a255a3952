import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import * as L from '../arena/layout.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { MemoryFileIo } from '../testing/memory-file-io.ts';
import { createTestInstance, type TestThread } from '../testing/test-instance.ts';
import { forceCloseRegion, regionsInUse } from '../vm/region-table.ts';
import { clearPins } from '../vm/thread-slot.ts';
import { lockFile, unlockFile } from './file-lock.ts';
import { FileSpace } from './file-space.ts';
import {
  closeInode,
  type DiskState,
  lockInode,
  lockWriteback,
  type OpenedInode,
  openInode,
  publishSize,
  rememberMtime,
  sizeOf,
  tryEnterWriteback,
  tryLockWriteback,
  unlockInode,
  unlockWriteback,
} from './inode.ts';
import { createFileScene, FD, patternAt } from './testing/file-scene.ts';

function open(thread: TestThread, fds: [number, number], disk: DiskState, name = 'file:1:1'): OpenedInode {
  return openInode(thread.memory, { name, readFd: fds[0], writeFd: fds[1], look: () => disk });
}

const EMPTY: DiskState = { size: 0, mtimeNs: 0n };

describe('the inode of a file', () => {
  it('is one for all who open the file, and keeps one descriptor of each kind', () => {
    const instance = createTestInstance();
    const other = instance.join();
    const disk = { size: 5000, mtimeNs: 7n };
    const one = open(instance, [3, -1], disk);
    const two = open(other, [4, 5], disk);
    const three = open(other, [6, 7], disk);
    assert.deepEqual([one.keepsReadFd, one.keepsWriteFd], [true, false]);
    assert.deepEqual([two.keepsReadFd, two.keepsWriteFd], [false, true]);
    assert.deepEqual([three.keepsReadFd, three.keepsWriteFd], [false, false]);
    assert.equal(two.region, one.region);
    publishSize(one.inode, 2 ** 40 + 3);
    assert.equal(sizeOf(three.inode), 2 ** 40 + 3);
    assert.notEqual(open(instance, [8, -1], EMPTY, 'file:1:2').region, one.region);
    assert.equal(closeInode(instance.memory, one.region), undefined);
    assert.equal(closeInode(other.memory, one.region), undefined);
    assert.deepEqual(closeInode(other.memory, one.region), { readFd: 3, writeFd: 5 });
    instance.finish();
  });

  it('is new again after the last close', () => {
    const scene = createFileScene({}, patternAt(0, 3 * PAGE_BYTES));
    scene.space.read(0, new Uint8Array(3 * PAGE_BYTES), 0, 3 * PAGE_BYTES);
    const tables = scene.instance.node.words[L.H_TABLE_FRAMES];
    closeInode(scene.instance.memory, scene.space.region);
    assert.equal(scene.instance.node.words[L.H_PC_PAGES], 0);
    assert.ok(scene.instance.node.words[L.H_TABLE_FRAMES] < tables);
    const again = open(scene.instance, [1, -1], { size: 10, mtimeNs: 1n });
    assert.equal(sizeOf(again.inode), 10);
    assert.equal(again.inode[L.I_CONTENT_SEQ], 0);
    closeInode(scene.instance.memory, again.region);
    scene.instance.finish();
  });

  it('drops clean pages when somebody else changed the file, and no dirty ones', () => {
    const scene = createFileScene({}, patternAt(0, 4 * PAGE_BYTES));
    const { memory, node } = scene.instance;
    const target = new Uint8Array(4 * PAGE_BYTES);
    const look = (mtimeNs: bigint): OpenedInode =>
      open(scene.instance, [FD, FD], { size: scene.io.bytes(FD).length, mtimeNs });
    scene.space.read(0, target, 0, target.length);
    look(1n);
    assert.equal(node.words[L.H_PC_PAGES], 4, 'nothing has changed');
    scene.io.put(FD, patternAt(0, 3 * PAGE_BYTES, 9));
    look(2n);
    assert.equal(node.words[L.H_PC_PAGES], 0);
    assert.equal(scene.space.size(), 3 * PAGE_BYTES);
    scene.space.read(0, target, 0, target.length);
    assert.deepEqual(target.subarray(0, 3 * PAGE_BYTES), patternAt(0, 3 * PAGE_BYTES, 9));
    scene.space.write(10, patternAt(10, 5, 3), 0, 5);
    scene.io.put(FD, patternAt(0, 3 * PAGE_BYTES, 8));
    look(3n);
    assert.equal(scene.space.size(), 3 * PAGE_BYTES, 'what is dirty here is newer than anything on disk');
    assert.ok(scene.flush());
    rememberMtime(scene.space.inode, 4n);
    const pages = node.words[L.H_PC_PAGES];
    look(4n);
    assert.equal(node.words[L.H_PC_PAGES], pages, 'a time that was remembered is nobody else’s change');
    for (let i = 0; i < 4; i++) closeInode(memory, scene.space.region);
    scene.check();
    scene.finish();
  });

  it('keeps pinned pages when it drops the others', () => {
    const scene = createFileScene({}, patternAt(0, 4 * PAGE_BYTES));
    const held = scene.space.pin(0, PAGE_BYTES, false);
    scene.space.fill(0, 4, 0);
    open(scene.instance, [FD, FD], { size: 4 * PAGE_BYTES, mtimeNs: 99n });
    assert.equal(scene.instance.node.words[L.H_PC_PAGES], 1);
    assert.deepEqual(held.bytes, patternAt(0, PAGE_BYTES));
    scene.space.unpin(held);
    closeInode(scene.instance.memory, scene.space.region);
    scene.finish();
  });

  it('goes with its dirty pages; those that a dead thread left pinned stay until the instance closes', () => {
    const scene = createFileScene({}, patternAt(0, 4 * PAGE_BYTES));
    const { instance, space } = scene;
    space.write(0, patternAt(0, 2 * PAGE_BYTES), 0, 2 * PAGE_BYTES);
    space.pin(3 * PAGE_BYTES, PAGE_BYTES);
    closeInode(instance.memory, space.region);
    assert.equal(instance.node.words[L.H_PC_PAGES], 1);
    assert.equal(instance.node.words[L.H_PC_DIRTY], 0);
    assert.deepEqual(regionsInUse(instance.node), [space.region], 'its slot stays too');
    clearPins(instance.nodes);
    forceCloseRegion(instance.memory, space.region);
    instance.finish();
  });

  it('is not left behind by an open that fails', () => {
    const instance = createTestInstance();
    const look = (): DiskState => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    };
    assert.throws(() => openInode(instance.memory, { name: 'file:9:9', readFd: 3, writeFd: -1, look }), {
      code: 'EIO',
    });
    assert.deepEqual(regionsInUse(instance.node), []);
    instance.finish();
  });

  it('is refused for a file larger than its address space', () => {
    const instance = createTestInstance();
    const largest = open(instance, [3, 4], { size: 2 ** 45, mtimeNs: 0n });
    assert.equal(sizeOf(largest.inode), 2 ** 45);
    instance.memory.files = new MemoryFileIo();
    const space = new FileSpace(instance.memory, largest.region, largest.inode);
    assert.throws(() => space.append(new Uint8Array(1), 0, 1), { code: 'ERR_QUIRE_RANGE' });
    closeInode(instance.memory, largest.region);
    assert.throws(() => open(instance, [3, 4], { size: 2 ** 45 + 1, mtimeNs: 0n }), { code: 'ERR_QUIRE_UNSUPPORTED' });
    assert.deepEqual(regionsInUse(instance.node), []);
    instance.finish();
  });

  it('needs file access in the thread that uses it', () => {
    const instance = createTestInstance();
    const { region, inode } = open(instance, [3, -1], EMPTY);
    assert.throws(() => new FileSpace(instance.memory, region, inode), { code: 'ERR_QUIRE_UNSUPPORTED' });
    instance.memory.files = new MemoryFileIo();
    assert.equal(new FileSpace(instance.memory, region, inode).size(), 0);
    closeInode(instance.memory, region);
    instance.finish();
  });
});

describe('the writeback lock', () => {
  it('is entered without a handle only while the file is open and nobody has it', () => {
    const instance = createTestInstance();
    const { region, inode } = open(instance, [3, 4], EMPTY);
    const entered = tryEnterWriteback(instance.memory, region);
    assert.equal(entered?.[L.I_READ_FD], 4);
    assert.equal(tryEnterWriteback(instance.memory, region), undefined, 'held');
    unlockWriteback(inode, instance.node.thread);
    closeInode(instance.memory, region);
    assert.equal(tryEnterWriteback(instance.memory, region), undefined, 'closed');
    assert.equal(tryEnterWriteback(instance.memory, region + 1), undefined, 'never open');
    const memoryRegion = instance.space(PAGE_BYTES);
    assert.equal(tryEnterWriteback(instance.memory, memoryRegion.region), undefined, 'no file');
    instance.finish();
  });

  it('and the inode lock belong to one thread, and are not taken twice', () => {
    const instance = createTestInstance();
    const { region, inode } = open(instance, [3, 4], EMPTY);
    const me = instance.node.thread;
    lockInode(inode, me);
    assert.throws(() => lockInode(inode, me), /taken twice/);
    assert.throws(() => unlockInode(inode, me + 1), /released by another/);
    lockInode(inode, me);
    lockWriteback(inode, me);
    assert.equal(tryLockWriteback(inode, me + 1), false);
    unlockWriteback(inode, me);
    unlockInode(inode, me);
    closeInode(instance.memory, region);
    instance.finish();
  });

  it('wakes who sleeps on it', async () => {
    const words = new Int32Array(new SharedArrayBuffer(64));
    lockFile(words, 0, 1);
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.url).then(({ lockFile, unlockFile }) => {
        parentPort.postMessage('ready');
        lockFile(workerData.words, 0, 2);
        Atomics.add(workerData.words, 1, 1);
        unlockFile(workerData.words, 0, 2);
        parentPort.postMessage('done');
      });`;
    const workerData = { words, url: new URL('./file-lock.js', import.meta.url).href };
    const worker = new Worker(source, { eval: true, workerData });
    await new Promise((resolve) => worker.once('message', resolve));
    while ((Atomics.load(words, 0) & 0x100) === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(words[1], 0, 'it waits');
    unlockFile(words, 0, 1);
    await new Promise((resolve) => worker.once('message', resolve));
    assert.equal(words[1], 1);
    assert.equal(words[0], 0);
    await worker.terminate();
  });
});
