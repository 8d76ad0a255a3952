/**
 * A small instance without daemons: the core as one thread drives it, step by step. `join` gives a further thread's view of the same memories, so that one test can
 * play several threads.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import type { Device } from '../base/port.ts';
import { MIB, type Pfn } from '../base/units.ts';
import { compileKernel, instantiateKernel } from '../codec/wasm-kernel.ts';
import { setCodecs } from '../swap/block-codec.ts';
import { freeDetached, setDetaching } from '../swap/detached-leaves.ts';
import { addDevice } from '../swap/file-devices.ts';
import { type IncompressiblePolicy, setIncompressible } from '../swap/incompressible.ts';
import { type Access, setAccess } from '../vm/access.ts';
import { checkGroups } from '../vm/group-check.ts';
import { formatInstance, joinInstance } from '../vm/instance.ts';
import { checkEmpty, checkNode } from '../vm/instance-check.ts';
import { Memory } from '../vm/memory.ts';
import { RegionSpace } from '../vm/region-space.ts';
import { chunksFor, closeRegion, openRegion, regionsInUse } from '../vm/region-table.ts';
import { attachThread } from '../vm/thread-slot.ts';
import { deepCheck } from './deep-check.ts';
import { MemoryDevice } from './memory-device.ts';
import { testZstd } from './stand-in-zstd.ts';

export interface TestShape {
  /** Bytes of each node, whole 64 KiB. Default 8 MiB. */
  readonly bytes?: number;
  readonly nodes?: number;
  /** Default true: the compressed tier is there. */
  readonly hasSwap?: boolean;
  /** Share of the frames the pool may take before it is demoted. Default 1. */
  readonly poolShare?: number;
  /** Bytes of the file tier over all nodes, default 0: none. */
  readonly fileBytes?: number;
  /** What stands for the file; default a MemoryDevice when there is a file tier. */
  readonly device?: Device;
  /** kcompressd threads reclaim believes in; 1 makes it use the ring. Default 0. */
  readonly kcompressd?: number;
  readonly areas?: number;
  /** Default true. False: direct mode (swap/direct-entry.ts). */
  readonly isVirtual?: boolean;
  /** Leaves that may wait to be freed later (swap/detached-leaves.ts). Default 0. */
  readonly detaching?: number;
  /** Slots of each node, default as many as there may be. */
  readonly slots?: number;
  /** zstd levels of the pool and the file tier, default 0: LZ4. Where Node has no zstd something stands for it. */
  readonly poolZstd?: number;
  readonly fileZstd?: number;
  /** Default 'keep'. */
  readonly incompressible?: IncompressiblePolicy;
}

/** One thread's view. */
export interface TestThread {
  readonly nodes: readonly Node[];
  readonly memory: Memory;
  /** Slot number in the thread table. */
  readonly thread: number;
}

export interface TestInstance extends TestThread {
  /** The first node. */
  readonly node: Node;
  readonly memories: readonly WebAssembly.Memory[];
  readonly module: WebAssembly.Module;
  /** The device as MemoryDevice; throws when another was given. */
  readonly device: MemoryDevice;
  /** A region of `size` bytes. */
  space(size: number, name?: string, access?: Access): RegionSpace;
  closeSpace(space: RegionSpace): void;
  /** Another thread of the same instance, in this one. */
  join(): TestThread;
  /** Every structure of every node. */
  check(): void;
  /** Closes all regions and checks that every frame and slot came back. */
  finish(): void;
}

let compiled: WebAssembly.Module | undefined;

/** The kernels, compiled once a process. */
export function testKernelModule(): WebAssembly.Module {
  compiled ??= compileKernel();
  return compiled;
}

export function createTestInstance(shape: TestShape = {}): TestInstance {
  const module = testKernelModule();
  const kernel = (memory: WebAssembly.Memory) => instantiateKernel(module, memory, testZstd(memory));
  const pages = (shape.bytes ?? 8 * MIB) / 65_536;
  const memories = Array.from(
    { length: shape.nodes ?? 1 },
    () => new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }),
  );
  const fileBytes = shape.fileBytes ?? 0;
  const device = shape.device ?? (fileBytes > 0 ? new MemoryDevice() : undefined);
  const hasSwap = shape.hasSwap ?? true;
  const nodes = formatInstance(memories, kernel, {
    hasSwap,
    poolShare: shape.poolShare ?? 1,
    kswapd: 0,
    kcompressd: shape.kcompressd ?? 0,
    areas: shape.areas ?? 3,
    isVirtual: shape.isVirtual ?? true,
  });
  if (shape.slots !== undefined) for (const node of nodes) node.words[L.H_SLOTS_MAX] = shape.slots;
  setDetaching(nodes, shape.detaching ?? 0);
  setCodecs(nodes, shape.poolZstd ?? 0, shape.fileZstd ?? 0);
  setIncompressible(nodes, shape.incompressible ?? 'keep');
  const thread = attachThread(nodes);
  if (fileBytes > 0) addDevice(nodes, -1, fileBytes, 0);
  const memory = new Memory(nodes, device);
  const check = (): void => {
    for (const node of nodes) checkNode(node);
    checkGroups(nodes);
    deepCheck(nodes);
  };
  return {
    node: nodes[0],
    nodes,
    memory,
    thread,
    memories,
    module,
    check,
    get device(): MemoryDevice {
      if (!(device instanceof MemoryDevice)) throw new TypeError('this instance has no MemoryDevice');
      return device;
    },
    space: (size, name = '', access = 'auto') => {
      const { region } = openRegion(memory, name, chunksFor(size));
      setAccess(nodes[0], region, access);
      return new RegionSpace(memory, region, size);
    },
    closeSpace: (space) => {
      closeRegion(memory, space.region);
    },
    join: () => {
      const joined = joinInstance(memories, kernel);
      return { ...joined, memory: new Memory(joined.nodes, device) };
    },
    finish: () => {
      check();
      for (const region of regionsInUse(nodes[0])) closeRegion(memory, region);
      freeDetached(nodes);
      for (const node of nodes) checkEmpty(node);
      checkGroups(nodes);
    },
  };
}

/** Runs `work` under the node lock. */
export function locked<T>(node: Node, work: () => T): T {
  node.lock();
  try {
    return work();
  } finally {
    node.unlock();
  }
}

/** The bytes of a frame, as they are now. */
export function frameBytes(node: Node, pfn: Pfn): Uint8Array {
  return node.bytes.subarray(pfn * 4096, (pfn + 1) * 4096);
}
