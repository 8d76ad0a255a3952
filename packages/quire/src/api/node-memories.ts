/** The memories of an instance: made by its owner, with room for its threads, found again in the handle by others. */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { invalidArg, outOfRange, QuireError } from '../base/errors.ts';
import { instantiateKernel } from '../codec/wasm-kernel.ts';
import { FileDevice } from '../daemons/file-device.ts';
import { nodeTasks } from '../daemons/node-tasks.ts';
import { nodeZstd } from '../daemons/node-zstd.ts';
import { attachReaper } from '../daemons/reaper.ts';
import { viewNodes } from '../vm/instance.ts';
import { Memory } from '../vm/memory.ts';
import { attachThread } from '../vm/thread-slot.ts';
import type { ResolvedOptions } from './options.ts';
import { resolveTriggers } from './pressure-watch.ts';
import type { QuireHandle } from './quire.ts';

/** What `Quire.attach` joins with. Throws as it says. */
export function joinHandle(handle: QuireHandle): { readonly memory: Memory; readonly thread: number } {
  const nodes = viewHandle(handle);
  const memory = new Memory(nodes, new FileDevice(nodes[0]));
  memory.checkAlive();
  try {
    const reaper = attachReaper(memory, nodeTasks);
    return { memory, thread: attachThread(nodes, nodeTasks, () => reaper.makeRoom()) };
  } catch (error) {
    throw memory.latch(error);
  }
}

/** Views of the nodes that a handle names. Throws ERR_QUIRE_INVALID_ARG for anything that is none. */
function viewHandle(handle: QuireHandle): Node[] {
  try {
    const memories = [...handle.memories];
    if (memories.length === 0) throw new TypeError('no memories');
    if (!Number.isInteger(handle.readaheadBytes) || typeof handle.channel !== 'string') {
      throw new TypeError('nothing about files');
    }
    resolveTriggers(handle.pressure);
    return viewNodes(memories, (memory) => instantiateKernel(handle.module, memory, nodeZstd(memory)));
  } catch (error) {
    throw Object.assign(invalidArg('handle', "the 'handle' of an open Quire", handle), { cause: error });
  }
}

/** As few nodes as hold the budget, all the same size. */
export function makeMemories(budgetBytes: number): WebAssembly.Memory[] {
  const count = Math.ceil(budgetBytes / L.NODE_BYTES_MAX);
  if (count > L.NODES_MAX) throw outOfRange('budget', `at most ${L.NODES_MAX * L.NODE_BYTES_MAX}`, budgetBytes);
  const pages = Math.floor(budgetBytes / count / 65_536);
  try {
    return Array.from(
      { length: count },
      () => new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }),
    );
  } catch (error) {
    throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'the machine refuses the memory of the budget', { cause: error });
  }
}

/**
 * Areas set aside: the owner, the daemons, those that files will need, and some for attached threads as the budget allows
 * (an area is 128 KiB).
 */
export function areasFor(shape: ResolvedOptions, fileDaemons: number): number {
  const spare = Math.max(1, Math.min(8, Math.floor(shape.budgetBytes / (64 * 128 * 1024))));
  return 1 + shape.threads + (shape.threads > 0 ? fileDaemons : 0) + spare;
}
