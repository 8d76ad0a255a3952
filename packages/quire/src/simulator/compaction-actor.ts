/**
 * Compaction and large folios: runs that stop between any two steps, kcompactd, requests for folios of all orders, some of
 * them held for a while. Now and then the thread dies in the middle of a run.
 */
import { headOf, orderOf } from '../arena/frame.ts';
import { NO_PFN, ORDER_MAX, type Pfn } from '../base/units.ts';
import { allocatedOrder, allocFolio, freeFolio } from '../compaction/alloc-folio.ts';
import { COMPACT_ASYNC, COMPACT_FULL, Compactor } from '../compaction/compactor.ts';
import { Kcompactd } from '../daemons/kcompactd.ts';
import { freeLocked } from '../page-alloc/page-allocator.ts';
import type { LogicalThread } from './logical-thread.ts';
import type { Actor, World } from './world.ts';

interface HeldFolio {
  readonly n: number;
  readonly pfn: Pfn;
}

const HELD_MAX = 6;
/** Folios held at a time hold at most this share of a node: what cannot be reclaimed must not fill it. */
const HELD_SHARE = 8;

export class CompactionActor implements Actor {
  readonly name: string;
  readonly thread: LogicalThread;
  readonly weight = 4;
  readonly isLockFree = false;
  private readonly world: World;
  private readonly undertaker: LogicalThread;
  private daemons: Kcompactd[];
  private readonly held: HeldFolio[] = [];
  private run: Compactor | undefined;
  private n = 0;

  constructor(world: World, thread: LogicalThread, undertaker: LogicalThread) {
    this.world = world;
    this.thread = thread;
    this.undertaker = undertaker;
    this.name = `compaction of ${thread.name}`;
    this.daemons = thread.nodes.map((node) => new Kcompactd(node));
  }

  step(): number {
    const { random } = this.world;
    if (this.run !== undefined)
      return random.chance(0.005) && !this.undertaker.isBusy ? this.die() : this.goOn(this.run);
    const dice = random.below(100);
    if (dice < 30) return this.begin();
    if (dice < 55) return 70 + (this.daemons[random.below(this.daemons.length)].step() ? 1 : 0);
    return this.held.length < HELD_MAX && random.chance(0.5) ? this.take() : this.give();
  }

  private begin(): number {
    const { random } = this.world;
    this.n = random.below(this.thread.nodes.length);
    const node = this.thread.nodes[this.n];
    const order = random.between(1, random.pick([3, 6, ORDER_MAX]));
    node.lock();
    this.run = new Compactor(node, order, random.between(COMPACT_ASYNC, COMPACT_FULL), random.chance(0.3));
    node.unlock();
    return 60;
  }

  private goOn(run: Compactor): number {
    const node = this.thread.nodes[this.n];
    node.lock();
    const step = run.stepLocked();
    if (step !== 'more') this.run = undefined;
    if (step === 'done') {
      if (orderOf(node, run.block) !== run.order || headOf(run.block, run.order) !== run.block)
        throw new Error(`block ${run.block} of order ${run.order} is none`);
      freeLocked(node, run.block);
    }
    node.unlock();
    return 61 + (step === 'done' ? 1 : 0);
  }

  private take(): number {
    const { random } = this.world;
    const n = random.below(this.thread.nodes.length);
    const node = this.thread.nodes[n];
    const wanted = random.between(0, ORDER_MAX);
    const pfn = allocFolio(this.thread.memory, n, wanted, random.chance(0.1) ? Math.min(wanted, 3) : 0);
    if (pfn === NO_PFN) return 63;
    const order = allocatedOrder.value;
    if (order > wanted || orderOf(node, pfn) !== order)
      throw new Error(`folio ${pfn} of order ${order}, wanted ${wanted}`);
    // Nobody else has it: its bytes are ours.
    node.bytes.fill(0xee, pfn * 4096, (pfn + (1 << order)) * 4096);
    if (1 << order > node.frames / HELD_SHARE / HELD_MAX) freeFolio(node, pfn);
    else this.held.push({ n, pfn });
    return 64;
  }

  private give(): number {
    if (this.held.length === 0) return 65;
    const at = this.world.random.below(this.held.length);
    const { n, pfn } = this.held[at];
    const node = this.thread.nodes[n];
    const bytes = node.bytes.subarray(pfn * 4096, (pfn + (1 << orderOf(node, pfn))) * 4096);
    if (!bytes.every((byte) => byte === 0xee)) throw new Error(`somebody wrote into the private folio ${pfn}`);
    freeFolio(node, pfn);
    this.held.splice(at, 1);
    return 66;
  }

  /** What it had taken of a block is freed by the one that clears up; what it held too. */
  private die(): number {
    if (!this.thread.dieAndReturn(this.undertaker)) throw new Error('a thread that holds no lock is buried');
    this.run = undefined;
    this.held.length = 0;
    this.daemons = this.thread.nodes.map((node) => new Kcompactd(node));
    return 67;
  }

  close(): void {
    const run = this.run;
    if (run !== undefined) {
      const node = this.thread.nodes[this.n];
      node.lock();
      run.stopLocked();
      node.unlock();
    }
    this.run = undefined;
    for (const daemon of this.daemons) daemon.stop();
    for (const { n, pfn } of this.held.splice(0)) freeFolio(this.thread.nodes[n], pfn);
  }
}
