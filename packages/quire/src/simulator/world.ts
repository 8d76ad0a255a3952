/**
 * What the actors of one episode share: the instance, its threads, the models, and the stack of steps that are under
 * way.
 */
import type { Region } from '../api/region.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../base/units.ts';
import { compileKernel, instantiateKernel } from '../codec/wasm-kernel.ts';
import { setDetaching } from '../swap/detached-leaves.ts';
import { addDevice } from '../swap/file-devices.ts';
import { setIncompressible } from '../swap/incompressible.ts';
import type { Access } from '../vm/access.ts';
import { isWithinLimit } from '../vm/group-check.ts';
import { formatInstance } from '../vm/instance.ts';
import type { RegionSpace } from '../vm/region-space.ts';
import { Content } from './content.ts';
import { FaultyDevice } from './faulty-device.ts';
import type { GroupPlan } from './group-actor.ts';
import { isPageSpoilt, LogicalThread } from './logical-thread.ts';
import { forEachPage, type RegionModel } from './page-model.ts';
import { armPreemption, pausePreemption } from './preemption.ts';
import type { Random } from './random.ts';
import type { Shape } from './shape.ts';
import { Trace } from './trace.ts';

/** What a step may do. */
export interface StepMode {
  /** Another thread is inside the core, further down the stack. */
  readonly isNested: boolean;
  /** One of them holds a node lock: only what needs no lock can run. */
  readonly isLockHeld: boolean;
}

/** One of the things that take turns. Bound to a thread: while that is on the stack, none of its actors runs. */
export interface Actor {
  readonly name: string;
  readonly thread: LogicalThread;
  readonly weight: number;
  /** Has steps that take no lock. */
  readonly isLockFree: boolean;
  /**
   * Returns a number for the trace. Throws Blocked when it would have to wait, anything else when something is wrong.
   */
  step(mode: StepMode): number;
  /** Gives back everything it holds. */
  close(): void;
}

/** A region that several threads know by name. Pages lie in groups, which lie `groupChunks` chunks apart. */
export interface RegionPlan {
  readonly name: string;
  readonly pages: number;
  readonly groupPages: number;
  readonly groupChunks: number;
  readonly size: number;
  readonly access: Access;
  readonly group: string;
  /** It is made as a clone of this one, of the same shape. */
  readonly source: RegionPlan | undefined;
  model: RegionModel;
  /** Its last user is closing it. */
  isClosing: boolean;
  /** Threads that are about to use it: the core may or may not have counted them yet. */
  opening: number;
}

export interface OpenedRegion {
  readonly plan: RegionPlan;
  readonly model: RegionModel;
  readonly region: Region;
  readonly space: RegionSpace;
}

const KERNEL = compileKernel();

export class World {
  readonly random: Random;
  readonly shape: Shape;
  readonly trace = new Trace();
  readonly content: Content;
  readonly device: FaultyDevice | undefined;
  readonly memories: WebAssembly.Memory[];
  readonly plans: RegionPlan[] = [];
  readonly groups: GroupPlan[] = [];
  readonly threads: LogicalThread[] = [];
  tick = 0;
  /** Where the steps under way are at work: others that get in between often go there too. */
  focus: { readonly plan: RegionPlan; readonly index: number } | undefined;
  /** What went wrong first; nothing runs after it. */
  failure: unknown;
  /** Threads with work in microtasks. */
  readonly asyncThreads = new Set<LogicalThread>();
  /** Operations of the map that are under way, and those of them that change it. */
  mapOperations = 0;
  mapChanges = 0;

  constructor(random: Random, shape: Shape, interrupt: () => void) {
    this.random = random;
    this.shape = shape;
    this.content = new Content(random, shape.randomShare);
    const pages = Math.floor(shape.budgetBytes / shape.nodes / 65_536);
    this.memories = Array.from(
      { length: shape.nodes },
      () => new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }),
    );
    const hasFile = shape.fileBytes > 0;
    this.device = hasFile ? new FaultyDevice(random, shape.faults, shape.nodes, interrupt, () => this.tick) : undefined;
    const nodes = formatInstance(this.memories, (memory) => instantiateKernel(KERNEL, memory), {
      hasSwap: shape.hasSwap,
      poolShare: shape.poolShare,
      kswapd: 0,
      kcompressd: shape.kcompressd,
      areas: shape.workers + 7 + shape.kcompressd,
      isVirtual: shape.isVirtual,
    });
    if (shape.hasSwap && shape.slotsShare > 0) {
      for (const node of nodes) node.words[L.H_SLOTS_MAX] = Math.floor(shape.slotsShare * node.frames);
    }
    setDetaching(nodes, shape.detaching);
    setIncompressible(nodes, shape.incompressible);
  }

  addThread(name: string): LogicalThread {
    const thread = new LogicalThread(name, this.memories, KERNEL, this.device);
    if (this.threads.length === 0) this.addDevices(thread);
    this.threads.push(thread);
    return thread;
  }

  private addDevices(thread: LogicalThread): void {
    const count = this.shape.devices.length;
    for (const priority of this.shape.devices) addDevice(thread.nodes, -1, this.shape.fileBytes / count, priority);
  }

  get nodes(): readonly Node[] {
    return this.threads[0].nodes;
  }

  get nowMs(): number {
    return 1_700_000_000_000 + this.tick;
  }

  frames(): number {
    return this.nodes.reduce((sum, node) => sum + node.frames - node.firstFree, 0);
  }

  /** Runs `check` while nothing can come in between and the device behaves. */
  undisturbed<T>(check: () => T): T {
    const left = pausePreemption();
    if (this.device !== undefined) this.device.faultsOn = false;
    try {
      return check();
    } finally {
      if (this.device !== undefined) this.device.faultsOn = true;
      armPreemption(left);
    }
  }

  /** May an operation of `thread` on these bytes fail with this error? `faults` is its count of spoilt reads before. */
  isExcused(
    error: unknown,
    opened: OpenedRegion,
    thread: LogicalThread,
    faults: number,
    offset: number,
    length: number,
  ): boolean {
    if (!(error instanceof QuireError) || (error.code !== 'ERR_QUIRE_IO' && error.code !== 'ERR_QUIRE_CORRUPT'))
      return false;
    if (this.device === undefined) return false;
    if (thread.faults !== faults) return true;
    const device = this.device;
    let spoilt = false;
    this.undisturbed(() =>
      forEachPage(offset, length, (number) => {
        if (isPageSpoilt(opened.space, thread.memory, device, number * PAGE_BYTES)) spoilt = true;
      }),
    );
    return spoilt;
  }

  /** Every tier full is an outcome, at any time. */
  isFull(error: unknown): boolean {
    if (!(error instanceof QuireError)) return false;
    return error.code === 'ERR_QUIRE_SWAP_FULL' || error.code === 'ERR_QUIRE_OUT_OF_MEMORY';
  }

  /** Cheap checks, after every step. Nobody is inside the core. */
  checkCounts(): void {
    for (const plan of this.groups) {
      const isWithin = isWithinLimit(this.nodes[0], plan.group);
      if (plan.isWithin && !isWithin) throw new Error(`group ${plan.name} is above its limit`);
      plan.isWithin = isWithin;
    }
    for (const node of this.nodes) {
      const { words } = node;
      if (words[L.H_LOCK] !== 0) throw new Error(`node lock is held by thread ${words[L.H_LOCK]} after its step`);
      if (words[L.H_STATE] !== L.STATE_OPEN) throw new Error(`the instance is in state ${words[L.H_STATE]}`);
      const free = words[L.H_FREE_FRAMES];
      if (free < 0 || free > node.frames - node.firstFree) throw new Error(`free frames: ${free}`);
      const used =
        words[L.H_REGION_PAGES] +
        words[L.H_INFLIGHT] +
        words[L.H_ZS_FRAMES] +
        words[L.H_RAW_FRAMES] +
        words[L.H_TABLE_FRAMES];
      if (used + free > node.frames - node.firstFree)
        throw new Error(`${used} frames used and ${free} free are more than there are`);
      for (const at of [
        L.H_REGION_PAGES,
        L.H_INFLIGHT,
        L.H_CLEAN_COPIES,
        L.H_SLOTS_USED,
        L.H_FILE_SLOTS,
        L.H_SAME_SLOTS,
      ]) {
        if (words[at] < 0) throw new Error(`count at header word ${at} is ${words[at]}`);
      }
      if (words[L.H_CLEAN_COPIES] > words[L.H_REGION_PAGES]) throw new Error('more clean copies than resident pages');
    }
  }

  /** Byte offset of a page of the plan. */
  pageOffset(plan: RegionPlan, index: number): number {
    return (
      Math.floor(index / plan.groupPages) * plan.groupChunks * CHUNK_BYTES + (index % plan.groupPages) * PAGE_BYTES
    );
  }
}
