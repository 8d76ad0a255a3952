/** Entry of a daemon worker: joins the instance, says so, and runs until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { instantiateKernel } from '../codec/wasm-kernel.ts';
import { attachFiles } from '../page-cache/dirty-throttle.ts';
import { joinInstance } from '../vm/instance.ts';
import { Memory } from '../vm/memory.ts';
import { detachThread, taskOf } from '../vm/thread-slot.ts';
import { FileDevice } from './file-device.ts';
import { Flusher } from './flusher.ts';
import { NodeFileIo } from './node-file-io.ts';
import { nodeTasks } from './node-tasks.ts';
import { nodeZstd } from './node-zstd.ts';
import { attachReaper } from './reaper.ts';
import { runFlusher, runKcompactd, runKcompressd, runKswapd } from './runner.ts';
import type { DaemonJoined, DaemonRole, DaemonStart } from './worker-pool.ts';

const start = workerData as DaemonStart;
const kernel = (memory: WebAssembly.Memory) => instantiateKernel(start.module, memory, nodeZstd(memory));
const { nodes, thread } = joinInstance(start.memories, kernel, nodeTasks);
const memory = new Memory(nodes, new FileDevice(nodes[0]));
attachFiles(memory, new NodeFileIo());
const reaper = attachReaper(memory, nodeTasks);
parentPort?.postMessage({ thread, task: taskOf(nodes[0].words, thread) } satisfies DaemonJoined);
try {
  run(start.role);
  detachThread(nodes, thread);
} catch (error) {
  throw memory.latch(error);
}

function run(role: DaemonRole): void {
  if (role === 'flusher') runFlusher(memory, new Flusher(memory));
  else if (role === 'kcompactd') runKcompactd(memory);
  else if (role === 'kcompressd') runKcompressd(memory);
  else runKswapd(memory, reaper);
}
