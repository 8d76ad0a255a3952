/** A small instance with one file in it, whose disk is a MemoryFileIo: the page cache as one thread drives it. */
import assert from 'node:assert/strict';
import * as L from '../../arena/layout.ts';
import type { WordIndex } from '../../base/units.ts';
import { findLeaf } from '../../page-table/page-table.ts';
import { MemoryFileIo } from '../../testing/memory-file-io.ts';
import { createTestInstance, type TestInstance, type TestShape, type TestThread } from '../../testing/test-instance.ts';
import type { FileMap } from '../file-map.ts';
import { FileSpace, type FileSpaceOptions } from '../file-space.ts';
import { closeInode, lockWriteback, openInode, tryLockWriteback, unlockWriteback } from '../inode.ts';
import { ANY_LEAF, writeOldestLeaf } from '../writeback.ts';

/** Descriptor of the scene's file: reading and writing have one number each, of one file. */
export const FD = 7;

export interface FileScene {
  readonly instance: TestInstance;
  readonly io: MemoryFileIo;
  readonly space: FileSpace;
  /** The file as another thread's handle has it. */
  open(thread: TestThread, options?: FileSpaceOptions): FileSpace;
  /** Writes everything dirty to the disk. False when the disk refused some of it. */
  flush(): boolean;
  /** Writes one batch, as direct reclaim does, if nobody is writing. */
  writeSome(): boolean;
  /** All checks of the instance. */
  check(): void;
  /** Closes what was opened and checks that every frame came back. */
  finish(): void;
}

export function createFileScene(
  shape: TestShape = {},
  content: Uint8Array = new Uint8Array(0),
  options?: FileSpaceOptions,
): FileScene {
  const io = new MemoryFileIo();
  io.put(FD, content);
  const instance = createTestInstance(shape);
  const open = (thread: TestThread, own?: FileSpaceOptions): FileSpace => {
    thread.memory.files = io;
    const look = () => ({ size: io.bytes(FD).length, mtimeNs: 1n });
    const opened = openInode(thread.memory, { name: 'file:1:1', readFd: FD, writeFd: FD, look });
    return new FileSpace(thread.memory, opened.region, opened.inode, own);
  };
  const space = open(instance, options);
  let handles = 1;
  return {
    instance,
    io,
    space,
    open: (thread, own) => {
      handles++;
      return open(thread, own);
    },
    flush: () => flush(space.map),
    writeSome: () => writeSome(space.map),
    check: () => instance.check(),
    finish: () => {
      instance.check();
      for (; handles > 0; handles--) {
        const left = closeInode(instance.memory, space.region);
        assert.deepEqual(left, handles === 1 ? { readFd: FD, writeFd: FD } : undefined);
      }
      for (const node of instance.nodes) {
        assert.equal(node.words[L.H_PC_PAGES], 0, 'no page is cached any more');
        assert.equal(node.words[L.H_PC_DIRTY], 0, 'no page is dirty any more');
      }
      instance.finish();
    },
  };
}

/** Writes everything dirty back. False when the disk refused some of it. */
export function flush(map: FileMap): boolean {
  lockWriteback(map.inode, map.me);
  try {
    for (let n = 0; n < map.nodes.length; n++) {
      for (let written = 1; written >= 0; ) {
        written = writeOldestLeaf(map.memory, map.inode, n, ANY_LEAF);
        if (written === 0) return false;
      }
    }
    return map.inode[L.I_DIRTY_PAGES] === 0;
  } finally {
    unlockWriteback(map.inode, map.me);
  }
}

/** Writes one batch, if nobody else writes. */
export function writeSome(map: FileMap): boolean {
  if (!tryLockWriteback(map.inode, map.me)) return false;
  try {
    return map.nodes.some((_, n) => writeOldestLeaf(map.memory, map.inode, n, ANY_LEAF) > 0);
  } finally {
    unlockWriteback(map.inode, map.me);
  }
}

/** Bytes that tell where they belong: a function of position and `seed`. */
export function patternAt(position: number, length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const at = position + i + seed * 7919;
    bytes[i] = (at ^ (at >>> 8) ^ (at >>> 16)) * 31 + seed;
  }
  return bytes;
}

/** The whole file, and a look that nothing comes behind it. */
export function readAll(scene: FileScene): Buffer {
  const target = Buffer.alloc(scene.space.size() + 1);
  const got = scene.space.read(0, target, 0, target.length);
  assert.equal(got, target.length - 1);
  return target.subarray(0, got);
}

/** The leaf of a chunk of the first node, 0 when there is none. */
export function leafOf(scene: FileScene, chunk = 0): WordIndex {
  return findLeaf(scene.instance.node, scene.space.region, chunk);
}

/** Everything leaves memory; all of it is clean. */
export function evictAll(scene: FileScene): void {
  for (const [n, node] of scene.instance.nodes.entries()) {
    for (let round = 0; round < 500 && node.words[L.H_PC_PAGES] > 0; round++) {
      scene.instance.memory.reclaimers[n].round(false, false);
    }
    assert.equal(node.words[L.H_PC_PAGES], 0, 'clean pages can all go');
  }
}

/** Not a divisor of the page: cells of several threads lie in one block, and some across two. */
export const CELL_BYTES = 1000;

/** What a cell holds after its owner's step `step`. */
export function cellBytes(cell: number, step: number): Uint8Array {
  const bytes = patternAt(cell * CELL_BYTES, CELL_BYTES, step & 0xff);
  new DataView(bytes.buffer).setUint32(0, cell + 1);
  return bytes;
}
