import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import { CHUNK_BYTES, MIB, PAGE_BYTES } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import type { FileRequest } from '../testing/memory-file-io.ts';
import { locked } from '../testing/test-instance.ts';
import { listedLeavesLocked } from './block-state.ts';
import { lockWriteback, unlockWriteback } from './inode.ts';
import { createFileScene, FD, type FileScene, patternAt } from './testing/file-scene.ts';
import { ANY_LEAF, NOTHING_TO_WRITE, writeOldestLeaf } from './writeback.ts';

const PAGE = PAGE_BYTES;

function write(scene: FileScene, position: number, length: number, seed = 0): void {
  assert.equal(scene.space.write(position, patternAt(position, length, seed), 0, length), length);
}

/** The requests that writing everything back makes. */
function requestsOf(scene: FileScene): FileRequest[] {
  const requests: FileRequest[] = [];
  scene.io.during = (request) => requests.push(request);
  assert.ok(scene.flush());
  scene.io.during = undefined;
  return requests;
}

function oneBatch(scene: FileScene, n = 0): number {
  const { memory } = scene.instance;
  lockWriteback(scene.space.inode, memory.nodes[0].thread);
  try {
    return writeOldestLeaf(memory, scene.space.inode, n, ANY_LEAF);
  } finally {
    unlockWriteback(scene.space.inode, memory.nodes[0].thread);
  }
}

describe('a batch', () => {
  it('writes neighbouring pages with one writev, whatever folios they are in', () => {
    const scene = createFileScene();
    for (let page = 0; page < 8; page++) write(scene, page * PAGE, PAGE);
    write(scene, 8 * PAGE, 8 * PAGE);
    write(scene, 20 * PAGE, PAGE);
    const requests = requestsOf(scene);
    assert.deepEqual(
      requests.map(({ position, length }) => [position, length]),
      [
        [0, 16 * PAGE],
        [20 * PAGE, PAGE],
      ],
    );
    assert.deepEqual(scene.io.bytes(FD).subarray(0, 16 * PAGE), patternAt(0, 16 * PAGE));
    assert.deepEqual(scene.io.bytes(FD).subarray(16 * PAGE, 20 * PAGE), new Uint8Array(4 * PAGE));
    scene.finish();
  });

  it('is cut off at the end of the file', () => {
    const scene = createFileScene();
    write(scene, 0, 2 * PAGE + 17);
    assert.deepEqual(
      requestsOf(scene).map(({ length }) => length),
      [2 * PAGE + 17],
    );
    assert.equal(scene.io.bytes(FD).length, 2 * PAGE + 17);
    scene.finish();
  });

  it('takes one leaf at a time, the one that became dirty first, and finds its place in the file on several nodes', () => {
    const scene = createFileScene({ nodes: 2 });
    const chunks = [3, 0, 2, 1, 5];
    for (const chunk of chunks) write(scene, chunk * CHUNK_BYTES + chunk * PAGE, 100, chunk);
    const seen: number[] = [];
    scene.io.during = ({ position }) => seen.push(Math.floor(position / CHUNK_BYTES));
    for (let n = 0; n < 2; n++) while (oneBatch(scene, n) !== NOTHING_TO_WRITE);
    assert.deepEqual(seen, [0, 2, 3, 1, 5]);
    for (const chunk of chunks) {
      const at = chunk * CHUNK_BYTES + chunk * PAGE;
      assert.deepEqual(scene.io.bytes(FD).subarray(at, at + 100), patternAt(at, 100, chunk));
    }
    scene.finish();
  });

  it('moves the content sequence, leaves its pages clean and unpinned, and counts them', () => {
    const scene = createFileScene();
    const { node } = scene.instance;
    const { inode } = scene.space;
    write(scene, 0, 40 * PAGE);
    write(scene, 0, PAGE);
    assert.deepEqual([node.words[L.H_PC_DIRTY], inode[L.I_DIRTY_PAGES]], [40, 40]);
    const sequence = inode[L.I_CONTENT_SEQ];
    let during: number[] = [];
    scene.io.during = () => {
      during = [node.words[L.H_PC_DIRTY], node.words[L.H_PC_WRITEBACK], inode[L.I_BATCH_LEAF]];
    };
    assert.equal(oneBatch(scene), 40);
    const leaf = findLeaf(node, scene.space.region, 0);
    assert.deepEqual(during, [0, 40, leaf]);
    assert.ok(inode[L.I_CONTENT_SEQ] > sequence);
    assert.deepEqual([node.words[L.H_PC_DIRTY], node.words[L.H_PC_WRITEBACK], inode[L.I_BATCH_LEAF]], [0, 0, 0]);
    for (let word = 0; word < 16; word++) {
      assert.equal(node.words[leaf + L.FL_DIRTY + word] | node.words[leaf + L.FL_WRITEBACK + word], 0);
    }
    assert.deepEqual(
      [node.counters[C.nr_dirtied], node.counters[C.nr_written], node.counters[C.pgpgout]],
      [40, 40, 160],
    );
    assert.equal(oneBatch(scene), NOTHING_TO_WRITE);
    scene.finish();
  });

  it('a page that is written to meanwhile is dirty again, and goes out with the next batch', () => {
    const scene = createFileScene();
    const thread = scene.instance.join();
    const other = scene.open(thread);
    write(scene, 0, 3 * PAGE);
    let isOnce = true;
    scene.io.during = () => {
      if (!isOnce) return;
      isOnce = false;
      other.write(PAGE, patternAt(PAGE, 10, 9), 0, 10);
      other.write(3 * PAGE, patternAt(3 * PAGE, 10, 9), 0, 10);
    };
    assert.equal(oneBatch(scene), 3);
    assert.equal(scene.space.inode[L.I_DIRTY_PAGES], 2);
    assert.equal(scene.io.bytes(FD).length, 3 * PAGE);
    assert.equal(oneBatch(scene), 2);
    assert.deepEqual(scene.io.bytes(FD).subarray(PAGE, PAGE + 10), patternAt(PAGE, 10, 9));
    assert.equal(scene.io.bytes(FD).length, 3 * PAGE + 10);
    scene.finish();
  });

  it('pins what it writes: nothing is evicted under the system', () => {
    const scene = createFileScene({ bytes: 4 * MIB });
    write(scene, 0, 64 * PAGE);
    scene.io.during = () => {
      const { reclaimers } = scene.instance.memory;
      for (let round = 0; round < 50; round++) reclaimers[0].round(false, false);
      assert.equal(scene.instance.node.words[L.H_PC_PAGES], 64);
    };
    assert.equal(oneBatch(scene), 64);
    scene.io.during = undefined;
    scene.finish();
  });

  it('allocates no frame', () => {
    const scene = createFileScene();
    for (let page = 0; page < 300; page += 2) write(scene, page * PAGE, PAGE);
    const before = scene.instance.node.words[L.H_FREE_FRAMES];
    scene.io.during = () => assert.equal(scene.instance.node.words[L.H_FREE_FRAMES], before);
    assert.equal(oneBatch(scene), 150);
    assert.equal(scene.instance.node.words[L.H_FREE_FRAMES], before);
    scene.finish();
  });

  it('asks for the writeback lock', () => {
    const scene = createFileScene();
    write(scene, 0, 10);
    assert.throws(
      () => writeOldestLeaf(scene.instance.memory, scene.space.inode, 0, ANY_LEAF),
      /writeback lock is held/,
    );
    scene.finish();
  });
});

describe('the list of dirty leaves', () => {
  it('keeps the order of listing; a leaf that leaves it from anywhere leaves a ring', () => {
    const scene = createFileScene();
    const { node } = scene.instance;
    const { inode, region } = scene.space;
    for (let chunk = 0; chunk < 5; chunk++) write(scene, chunk * CHUNK_BYTES, 10);
    const leaves = [0, 1, 2, 3, 4].map((chunk) => findLeaf(node, region, chunk));
    assert.deepEqual(listedLeavesLocked(node, inode), leaves);
    // Chunks 3 and 4 are cut off, then come again.
    scene.space.truncate(3 * CHUNK_BYTES);
    assert.deepEqual(listedLeavesLocked(node, inode), leaves.slice(0, 3));
    write(scene, 4 * CHUNK_BYTES, 10);
    assert.equal(oneBatch(scene), 1);
    write(scene, 10, 10);
    const last = findLeaf(node, region, 4);
    assert.deepEqual(
      locked(node, () => listedLeavesLocked(node, inode)),
      [leaves[1], leaves[2], last, leaves[0]],
    );
    const serials = [leaves[1], leaves[2], last, leaves[0]].map((leaf) => node.words[leaf + L.FL_LIST_SERIAL]);
    assert.deepEqual(
      serials,
      [...serials].sort((a, b) => a - b),
    );
    scene.finish();
  });
});
