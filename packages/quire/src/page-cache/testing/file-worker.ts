/** One thread of file-space.threads.test.ts: writes cells of its own, reads those of others, writes back when it may. */
import assert from 'node:assert/strict';
import { parentPort, workerData } from 'node:worker_threads';
import { instantiateKernel } from '../../codec/wasm-kernel.ts';
import { NodeFileIo } from '../../daemons/node-file-io.ts';
import { joinInstance } from '../../vm/instance.ts';
import { Memory } from '../../vm/memory.ts';
import { detachThread } from '../../vm/thread-slot.ts';
import { attachFiles } from '../dirty-throttle.ts';
import { FileSpace } from '../file-space.ts';
import { closeInode, openInode } from '../inode.ts';
import { CELL_BYTES, cellBytes, writeSome } from './file-scene.ts';

export interface FileWork {
  readonly memories: readonly WebAssembly.Memory[];
  readonly module: WebAssembly.Module;
  readonly fd: number;
  readonly index: number;
  readonly threads: number;
  readonly cells: number;
  readonly steps: number;
}

const work = workerData as FileWork;
const { nodes, thread } = joinInstance(work.memories, (memory) => instantiateKernel(work.module, memory));
const memory = new Memory(nodes, undefined);
attachFiles(memory, new NodeFileIo());
const look = () => ({ size: 0, mtimeNs: 1n });
const { region, inode } = openInode(memory, { name: 'file:1:1', readFd: work.fd, writeFd: work.fd, look });
const space = new FileSpace(memory, region, inode);

const own = new Map<number, number>();
const target = new Uint8Array(CELL_BYTES);
let seed = work.index * 77_777 + 1;

function random(below: number): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
  return (seed >>> 8) % below;
}

for (let step = 1; step <= work.steps; step++) {
  const cell = random(work.cells / work.threads) * work.threads + work.index;
  const choice = random(10);
  if (choice < 5) {
    const bytes = cellBytes(cell, step);
    assert.equal(space.write(cell * CELL_BYTES, bytes, 0, CELL_BYTES), CELL_BYTES);
    own.set(cell, step);
  } else if (choice < 7) {
    target.fill(0);
    space.read(cell * CELL_BYTES, target, 0, CELL_BYTES);
    const last = own.get(cell);
    const expected = last === undefined ? new Uint8Array(CELL_BYTES) : cellBytes(cell, last);
    assert.ok(Buffer.from(target).equals(expected), `cell ${cell} of this thread, step ${step}`);
  } else if (choice < 9) {
    const other = random(work.cells);
    const got = space.read(other * CELL_BYTES, target, 0, CELL_BYTES);
    // Its first four bytes never change once written: whatever else is torn, they are no other page's.
    const number = new DataView(target.buffer).getUint32(0);
    if (got === CELL_BYTES) assert.ok(number === other + 1 || number === 0, `cell ${other} reads as ${number - 1}`);
  } else if (random(20) === 0) writeSome(space.map);
}
closeInode(memory, region);
detachThread(nodes, thread);
parentPort?.postMessage([...own]);
