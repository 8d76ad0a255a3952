/** Several threads on one file, in too little memory: writes, reads, eviction and writeback at once. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { C } from '../base/counters.ts';
import { MIB } from '../base/units.ts';
import { NodeFileIo } from '../daemons/node-file-io.ts';
import { createTestInstance } from '../testing/test-instance.ts';
import { sumCounter } from '../vm/thread-slot.ts';
import { FileSpace } from './file-space.ts';
import { closeInode, openInode } from './inode.ts';
import { CELL_BYTES, cellBytes, flush } from './testing/file-scene.ts';
import type { FileWork } from './testing/file-worker.ts';

function run(work: FileWork): Promise<[number, number][]> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./testing/file-worker.js', import.meta.url), { workerData: work });
    worker.on('message', resolve);
    worker.on('error', reject);
  });
}

for (const nodes of [1, 2]) {
  test(`each thread reads what it wrote, nobody another page's bytes, the disk gets all (${nodes} nodes)`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quire-threads-'));
    const path = join(folder, 'cells');
    const fd = openSync(path, 'w+');
    try {
      const instance = createTestInstance({ nodes, bytes: (4 / nodes + 1) * MIB, areas: 4 });
      instance.memory.files = new NodeFileIo();
      const look = () => ({ size: 0, mtimeNs: 1n });
      const { region, inode } = openInode(instance.memory, { name: 'file:1:1', readFd: fd, writeFd: fd, look });
      const space = new FileSpace(instance.memory, region, inode);
      const threads = 3;
      const cells = threads * 2500;
      const { memories, module } = instance;
      const works = Array.from({ length: threads }, (_, index) =>
        run({ memories, module, fd, index, threads, cells, steps: 15_000 }),
      );
      const owned = (await Promise.all(works)).flat();
      instance.check();
      const stolen = instance.nodes.reduce((sum, node) => sum + sumCounter(node, C.pgsteal_file), 0);
      assert.ok(stolen > cells / 10, `pages came and went: ${stolen}`);
      assert.ok(flush(space.map));
      const disk = readFileSync(path);
      assert.ok(owned.length > cells / 3, 'many cells were written');
      for (const [cell, step] of owned) {
        const at = cell * CELL_BYTES;
        assert.ok(disk.subarray(at, at + CELL_BYTES).equals(cellBytes(cell, step)), `cell ${cell} on disk`);
      }
      closeInode(instance.memory, region);
      instance.finish();
    } finally {
      closeSync(fd);
      rmSync(folder, { recursive: true });
    }
  });
}
