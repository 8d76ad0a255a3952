/** A worker that serves a sync of a file, on a disk that never answers; it says when, and waits to be ended. */
import { parentPort, workerData } from 'node:worker_threads';
import type { FileIo } from '../../base/port.ts';
import { instantiateKernel } from '../../codec/wasm-kernel.ts';
import { joinInstance } from '../../vm/instance.ts';
import { Memory } from '../../vm/memory.ts';
import { inodeOf, lockWriteback } from '../inode.ts';
import { serveSync } from '../sync.ts';

interface Start {
  readonly memories: readonly WebAssembly.Memory[];
  readonly module: WebAssembly.Module;
  readonly region: number;
}

const start = workerData as Start;
const { nodes, thread } = joinInstance(start.memories, (memory) => instantiateKernel(start.module, memory));
const memory = new Memory(nodes, undefined);

const stuck: FileIo = {
  readv: () => 0,
  readvAsync: () => Promise.resolve(0),
  truncate: () => undefined,
  now: () => 0,
  pause: () => Promise.resolve(),
  writev: () => {
    parentPort?.postMessage(thread);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    return 0;
  },
};

memory.files = stuck;
const inode = inodeOf(memory, start.region);
lockWriteback(inode, nodes[0].thread);
serveSync(memory, inode);
