/**
 * The daemons as actors: the very step machines that workers run, and a swap-out that stops between any two of its
 * phases.
 */
import { UNIT_PAGES } from '../base/units.ts';
import type { Daemon } from '../daemons/daemon.ts';
import { Kcompressd } from '../daemons/kcompressd.ts';
import { Kcopyd } from '../daemons/kcopyd.ts';
import { Kswapd } from '../daemons/kswapd.ts';
import { Compressor } from '../swap/compressor.ts';
import { beginCopiesLocked, createCopyBatch, endCopyLocked } from '../swap/copy-ahead.ts';
import { compactPool } from '../swap/pool-compactor.ts';
import { fillByteOf } from '../swap/reclaimer.ts';
import { COMPRESS_BATCH, compressBatch, createIsolateResult, isolateLocked } from '../swap/swap-out.ts';
import type { LogicalThread } from './logical-thread.ts';
import type { Actor, World } from './world.ts';

export class DaemonActor implements Actor {
  readonly name: string;
  readonly thread: LogicalThread;
  readonly weight = 3;
  readonly isLockFree = false;
  private readonly daemons: Daemon[];

  constructor(thread: LogicalThread, daemons: Daemon[]) {
    this.thread = thread;
    this.name = thread.name;
    this.daemons = daemons;
  }

  step(): number {
    let done = 0;
    for (const daemon of this.daemons) if (daemon.step()) done++;
    return done;
  }

  close(): void {}
}

export function kswapdActor(thread: LogicalThread): DaemonActor {
  return new DaemonActor(
    thread,
    thread.memory.reclaimers.map((reclaimer) => new Kswapd(reclaimer)),
  );
}

export function kcompressdActor(thread: LogicalThread): DaemonActor {
  return new DaemonActor(
    thread,
    thread.memory.reclaimers.map((reclaimer) => new Kcompressd(reclaimer)),
  );
}

export function kcopydActor(thread: LogicalThread): DaemonActor {
  return new DaemonActor(
    thread,
    thread.nodes.map((node) => new Kcopyd(node)),
  );
}

/** Demotion, cleaning and compaction without a shortage that asks for them. */
export class TierActor implements Actor {
  readonly name: string;
  readonly thread: LogicalThread;
  readonly weight = 2;
  readonly isLockFree = false;
  private readonly world: World;

  constructor(world: World, thread: LogicalThread) {
    this.world = world;
    this.thread = thread;
    this.name = `tiers of ${thread.name}`;
  }

  step(): number {
    const n = this.world.random.below(this.thread.nodes.length);
    if (this.world.random.chance(0.5)) return compactPool(this.thread.nodes[n], 64);
    return this.thread.memory.reclaimers[n].demote() ? 1 : 0;
  }

  close(): void {}
}

const BATCH = 8;
const IDLE = 0;
const ISOLATED = 1;
const CLAIMED = 2;
const COMPRESSED = 3;

/** Swap-out with any number of other steps between its phases; now and then the thread dies in the middle. */
export class SwapOutActor implements Actor {
  readonly name: string;
  readonly thread: LogicalThread;
  readonly weight = 3;
  readonly isLockFree = false;
  private readonly world: World;
  private readonly undertaker: LogicalThread;
  private state = IDLE;
  private n = 0;
  private count = 0;
  /** Three more for a unit. */
  private readonly pfns = new Int32Array(BATCH + UNIT_PAGES - 1);
  private next = 0;
  private readonly compressors: readonly Compressor[];
  private readonly result = createIsolateResult();

  constructor(world: World, thread: LogicalThread, undertaker: LogicalThread) {
    this.world = world;
    this.thread = thread;
    this.undertaker = undertaker;
    this.compressors = thread.nodes.map((node) => new Compressor(node, false));
    this.name = `swap-out of ${thread.name}`;
  }

  step(): number {
    const phase = this.state;
    if (phase === CLAIMED && this.world.random.chance(0.02) && !this.undertaker.isBusy) return this.die();
    if (phase === IDLE) this.isolate();
    else if (phase === ISOLATED) this.claim();
    else if (phase === CLAIMED) this.compress();
    else this.publish();
    return 40 + phase;
  }

  private isolate(): void {
    this.n = this.world.random.below(this.thread.nodes.length);
    const node = this.thread.nodes[this.n];
    node.lock();
    isolateLocked(node, BATCH, this.pfns, this.result);
    node.unlock();
    this.count = this.result.isolated;
    this.next = 0;
    this.state = this.count === 0 ? IDLE : ISOLATED;
  }

  private claim(): void {
    this.next = this.compressors[this.n].claim(this.pfns.subarray(0, this.count), this.next, true);
    this.state = CLAIMED;
  }

  private compress(): void {
    this.compressors[this.n].compress();
    this.state = COMPRESSED;
  }

  /** What is left of units goes at once: nobody else knows of it. */
  private publish(): void {
    const compressor = this.compressors[this.n];
    compressor.publish();
    compressor.runLoose();
    this.state = this.next < this.count ? ISOLATED : IDLE;
  }

  private die(): number {
    this.state = IDLE;
    if (!this.thread.dieAndReturn(this.undertaker)) throw new Error('a thread died with a lock outside its step');
    return 49;
  }

  close(): void {
    while (this.state !== IDLE) this.step();
  }
}

/** Copies ahead, whether wanted or not, with any number of other steps between the phases; the thread may die there. */
export class CopyActor implements Actor {
  readonly name: string;
  readonly thread: LogicalThread;
  readonly weight = 2;
  readonly isLockFree = false;
  private readonly world: World;
  private readonly undertaker: LogicalThread;
  private state = IDLE;
  private n = 0;
  private readonly batch = createCopyBatch();
  private readonly lengths = new Int32Array(COMPRESS_BATCH);
  private readonly places = new Int32Array(COMPRESS_BATCH);
  private readonly fills = new Int32Array(COMPRESS_BATCH);

  constructor(world: World, thread: LogicalThread, undertaker: LogicalThread) {
    this.world = world;
    this.thread = thread;
    this.undertaker = undertaker;
    this.name = `copies of ${thread.name}`;
  }

  step(): number {
    const phase = this.state;
    if (phase === CLAIMED && this.world.random.chance(0.02) && !this.undertaker.isBusy) return this.die();
    if (phase === IDLE) this.begin();
    else if (phase === CLAIMED) this.compress();
    else this.end();
    return 50 + phase;
  }

  private begin(): void {
    this.n = this.world.random.below(this.thread.nodes.length);
    const node = this.thread.nodes[this.n];
    node.lock();
    beginCopiesLocked(node, this.batch);
    node.unlock();
    if (this.batch.count > 0) this.state = CLAIMED;
  }

  private compress(): void {
    const { batch, lengths, places, fills } = this;
    const node = this.thread.nodes[this.n];
    compressBatch(node, batch.pfns, batch.count, lengths, places);
    for (let i = 0; i < batch.count; i++) fills[i] = fillByteOf(node, batch.pfns[i]);
    this.state = COMPRESSED;
  }

  private end(): void {
    const { batch, lengths, places, fills } = this;
    const node = this.thread.nodes[this.n];
    node.lock();
    for (let i = 0; i < batch.count; i++) endCopyLocked(node, batch, i, fills[i], places[i], lengths[i]);
    node.unlock();
    this.state = IDLE;
  }

  private die(): number {
    this.state = IDLE;
    if (!this.thread.dieAndReturn(this.undertaker)) throw new Error('a thread died with a lock outside its step');
    return 59;
  }

  close(): void {
    while (this.state !== IDLE) this.step();
  }
}
