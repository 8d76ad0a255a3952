/**
 * An instance in memory: made once by its owner (format), joined by any thread (join). Pure: memories and kernels
 * come from outside.
 */
import * as L from '../arena/layout.ts';
import { formatNode, Node } from '../arena/node.ts';
import type { Tasks } from '../base/port.ts';
import type { Kernel } from '../codec/kernel.ts';
import { formatBuddy } from '../page-alloc/buddy.ts';
import { watermarksFor } from '../page-alloc/watermarks.ts';
import { formatGroups } from '../reclaim/group-table.ts';
import { ringEntriesFor } from '../swap/ring.ts';
import { POOL_OFF, POOL_ON } from '../swap/tiers.ts';
import { attachThread, reserveAreas } from './thread-slot.ts';

export interface InstanceShape {
  /** Swap slots may exist: some tier is configured. */
  readonly hasSwap: boolean;
  /** The compressed tier is on. Default: as `hasSwap`. */
  readonly hasPool?: boolean;
  /** Share of a node's frames the compressed pool may fill before it is demoted, 0…1. */
  readonly poolShare: number;
  /** kswapd threads, 0 or 1. */
  readonly kswapd: number;
  /** kcompressd threads that will drain the rings, beside kswapd. */
  readonly kcompressd: number;
  /** Thread areas to set aside. */
  readonly areas: number;
  /** Default true: page tables hold slots. False: direct mode (swap/direct-entry.ts), without a file tier. */
  readonly isVirtual?: boolean;
}

export type KernelFactory = (memory: WebAssembly.Memory) => Kernel;

/** Formats fresh memories as the nodes of one instance. It has no file tier yet: see `addDevice`. */
export function formatInstance(
  memories: readonly WebAssembly.Memory[],
  kernel: KernelFactory,
  shape: InstanceShape,
): Node[] {
  for (let i = 0; i < memories.length; i++) formatNode(memories[i], i, memories.length, shape.isVirtual);
  const nodes = viewNodes(memories, kernel);
  for (const node of nodes) {
    const { words } = node;
    const managed = node.frames - node.firstFree;
    const marks = watermarksFor(managed);
    words[L.H_WMARK_MIN] = marks.min;
    words[L.H_WMARK_LOW] = marks.low;
    words[L.H_WMARK_HIGH] = marks.high;
    words[L.H_WMARK_COPY] = marks.copy;
    words[L.H_RING_ENTRIES] = ringEntriesFor(node.frames);
    words[L.H_KSWAPDS] = shape.kswapd;
    words[L.H_DETACH_MAX] = shape.kswapd > 0 ? L.DETACHED_MAX : 0;
    words[L.H_KCOMPRESSD] = shape.kcompressd;
    words[L.H_SLOTS_MAX] = shape.hasSwap ? L.SLOTS_MAX : 0;
    words[L.H_POOL_FRAMES_MAX] = Math.floor(managed * shape.poolShare);
    node.kernel.crc32cInit(L.CRC_TABLE_AT * 4);
    formatBuddy(node);
  }
  nodes[0].words[L.H_POOL_STATE] = (shape.hasPool ?? shape.hasSwap) ? POOL_ON : POOL_OFF;
  formatGroups(nodes[0]);
  reserveAreas(nodes, shape.areas);
  return nodes;
}

/** Views of an instance that exists, not bound to a thread slot yet. */
export function viewNodes(memories: readonly WebAssembly.Memory[], kernel: KernelFactory): Node[] {
  const nodes = memories.map((memory) => new Node(memory, kernel(memory)));
  for (const node of nodes) node.home = nodes[0].words;
  return nodes;
}

/** Joins an instance: views bound to a thread slot of its own. Throws ERR_QUIRE_OUT_OF_MEMORY when none is left. */
export function joinInstance(
  memories: readonly WebAssembly.Memory[],
  kernel: KernelFactory,
  tasks?: Tasks,
): { nodes: Node[]; thread: number } {
  const nodes = viewNodes(memories, kernel);
  return { nodes, thread: attachThread(nodes, tasks) };
}
