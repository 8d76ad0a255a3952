/**
 * A simulated thread: node views, kernels and thread slot of its own, as a worker would have, but run by the
 * simulation.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { acquire } from '../arena/node-lock.ts';
import { frameFromPte, isPresent, PTE_NONE } from '../arena/pte.ts';
import type { Device } from '../base/port.ts';
import { instantiateKernel } from '../codec/wasm-kernel.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { slotOfEntry } from '../swap/direct-entry.ts';
import { fileOffset } from '../swap/file-devices.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot } from '../swap/swap-table.ts';
import { viewNodes } from '../vm/instance.ts';
import { Memory } from '../vm/memory.ts';
import type { RegionSpace } from '../vm/region-space.ts';
import { attachThread, buryThread, detachThread } from '../vm/thread-slot.ts';
import type { FaultyDevice } from './faulty-device.ts';
import { Blocked, preemptibleKernel } from './preemption.ts';

export class LogicalThread {
  readonly name: string;
  readonly nodes: Node[];
  readonly memory: Memory;
  /** Thread slot. */
  index: number;
  /** On the stack: inside a step. */
  isBusy = false;
  /** Reads of this thread that the device spoilt. */
  faults = 0;

  constructor(
    name: string,
    memories: readonly WebAssembly.Memory[],
    module: WebAssembly.Module,
    device: FaultyDevice | undefined,
  ) {
    this.name = name;
    this.nodes = viewNodes(memories, (memory) => preemptibleKernel(instantiateKernel(module, memory)));
    for (const node of this.nodes) node.lock = () => lockOrBlock(this.nodes, node);
    this.index = attachThread(this.nodes);
    const onFault = (): void => {
      this.faults++;
    };
    const own: Device | undefined = device?.forThread(this.index, onFault);
    this.memory = new Memory(this.nodes, own);
  }

  leave(): void {
    detachThread(this.nodes, this.index);
  }

  /** Dies where it stands; `undertaker` clears up after it, and another takes its place. */
  dieAndReturn(undertaker: LogicalThread): boolean {
    if (!buryThread(undertaker.nodes, this.index)) return false;
    this.index = attachThread(this.nodes);
    return true;
  }
}

/** A lock that is held is held by a thread further down the stack, which cannot go on before this step has ended. */
function lockOrBlock(nodes: readonly Node[], node: Node): void {
  if (isAnyLocked(nodes)) throw new Blocked();
  acquire(node.words, L.H_LOCK, node.thread);
}

export function isAnyLocked(nodes: readonly Node[]): boolean {
  for (const node of nodes) if (node.words[L.H_LOCK] !== 0) return true;
  return false;
}

/** Slot of a swapped page, or of the clean copy of a mapped one; −1 none. */
export function slotOfPage(node: Node, pteAt: number): number {
  const pte = node.words[pteAt];
  if (isPresent(pte)) return node.words[node.slotAt + frameFromPte(pte)] - 1;
  return pte === PTE_NONE ? -1 : slotOfEntry(node, pteAt, pte);
}

/** May the page at `offset` refuse to be read: its object was damaged, or lost with a damaged read? */
export function isPageSpoilt(space: RegionSpace, memory: Memory, device: FaultyDevice, offset: number): boolean {
  const { n, chunk, page } = space.placeOf(offset);
  const node = memory.nodes[n];
  const leaf = findLeaf(node, space.region, chunk);
  const slot = leaf === 0 ? -1 : slotOfPage(node, leaf + page);
  if (slot < 0) return false;
  const word = peekSlot(node, slot) & ~W.SLOT_CACHED;
  if (W.tagOf(word) === W.SLOT_FILE) return device.isDamaged(fileOffset(node, W.payloadOf(word)));
  return W.tagOf(word) === W.SLOT_LOST && device.mayHaveLost(n, slot);
}
