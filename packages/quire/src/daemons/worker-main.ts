/** Entry of a daemon worker: joins the instance, says so, and runs until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { instantiateKernel } from '../codec/wasm-kernel.ts';
import { joinInstance } from '../vm/instance.ts';
import { Memory } from '../vm/memory.ts';
import { detachThread } from '../vm/thread-slot.ts';
import { FileDevice } from './file-device.ts';
import { runDaemons } from './runner.ts';
import type { DaemonStart } from './worker-pool.ts';

const start = workerData as DaemonStart;
const { nodes, thread } = joinInstance(start.memories, (memory) => instantiateKernel(start.module, memory));
const memory = new Memory(nodes, start.fd === -1 ? undefined : new FileDevice(start.fd), true);
parentPort?.postMessage({ thread });
try {
  runDaemons(memory, start.scan);
  detachThread(nodes, thread);
} catch (error) {
  throw memory.latch(error);
}
