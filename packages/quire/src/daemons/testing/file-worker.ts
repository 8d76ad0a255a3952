/**
 * A thread for tests of files with real threads: it writes its share of a file, or runs the flusher, on a disk that takes its
 * time. Says when it has joined, and when it has written.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { instantiateKernel } from '../../codec/wasm-kernel.ts';
import { attachFiles, balanceDirty } from '../../page-cache/dirty-throttle.ts';
import { FileSpace } from '../../page-cache/file-space.ts';
import { inodeOf } from '../../page-cache/inode.ts';
import { joinInstance } from '../../vm/instance.ts';
import { Memory } from '../../vm/memory.ts';
import { detachThread } from '../../vm/thread-slot.ts';
import { Flusher } from '../flusher.ts';
import { NodeFileIo } from '../node-file-io.ts';
import { runFlusher } from '../runner.ts';
import { PIECE_BYTES, pieceOf, SlowFileIo } from './slow-files.ts';

export interface FileWork {
  readonly memories: readonly WebAssembly.Memory[];
  readonly module: WebAssembly.Module;
  readonly region: number;
  readonly role: 'flush' | 'write';
  /** Of pieces: those with number ≡ share modulo shares. */
  readonly share: number;
  readonly shares: number;
  readonly pieces: number;
  readonly slowMs: number;
}

const work = workerData as FileWork;
const { nodes, thread } = joinInstance(work.memories, (memory) => instantiateKernel(work.module, memory));
const memory = new Memory(nodes, undefined);
attachFiles(memory, work.slowMs > 0 ? new SlowFileIo(work.slowMs) : new NodeFileIo());
parentPort?.postMessage('joined');
if (work.role === 'flush') runFlusher(memory, new Flusher(memory));
else {
  const space = new FileSpace(memory, work.region, inodeOf(memory, work.region), {
    balance: () => balanceDirty(memory, work.region),
  });
  for (let piece = work.share; piece < work.pieces; piece += work.shares) {
    space.write(piece * PIECE_BYTES, pieceOf(piece), 0, PIECE_BYTES);
  }
  space.close();
  parentPort?.postMessage('written');
}
detachThread(nodes, thread);
