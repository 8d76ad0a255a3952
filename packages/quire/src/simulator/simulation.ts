/**
 * One episode: an instance of random shape, its threads, and a scheduler that gives them steps in an order drawn from
 * the seed. Time is the number of steps. Nothing here depends on anything but the seed, so a failure is replayed by
 * its seed and its number of steps.
 */
import { setCompaction } from '../compaction/policy.ts';
import { DEFAULT_GROUP_NAME } from '../reclaim/group-table.ts';
import { setReclaimPolicy } from '../reclaim/policy.ts';
import { freeDetached } from '../swap/detached-leaves.ts';
import { ACCESS_HINTS } from '../vm/access.ts';
import { checkGroups } from '../vm/group-check.ts';
import { checkEmpty } from '../vm/instance-check.ts';
import { regionsInUse } from '../vm/region-table.ts';
import { checkMap, checkRegions, checkStructures } from './checks.ts';
import { CompactionActor } from './compaction-actor.ts';
import { CopyActor, kcompressdActor, kcopydActor, kswapdActor, SwapOutActor, TierActor } from './daemon-actors.ts';
import { GroupActor } from './group-actor.ts';
import { isAnyLocked, type LogicalThread } from './logical-thread.ts';
import { MapModel } from './map-model.ts';
import { MapWorker } from './map-worker.ts';
import { RegionModel } from './page-model.ts';
import { armPreemption, Blocked, installPreemption, pausePreemption, preemptNow } from './preemption.ts';
import { Random } from './random.ts';
import { RegionWorker } from './region-worker.ts';
import { describeShape, drawShape, type Shape } from './shape.ts';
import { SwapoffActor } from './swapoff-actor.ts';
import { type Actor, World } from './world.ts';

/** Steps between two looks at all structures, and between two comparisons of all bytes. */
const STRUCTURES_EVERY = 500;
const CONTENTS_EVERY = 5000;

export interface EpisodeResult {
  readonly seed: number;
  readonly steps: number;
  readonly nested: number;
  readonly blocked: number;
  readonly hash: number;
  readonly shape: string;
}

/** A failed episode; `cause` is what the checkers or the core said. */
export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure';
  readonly seed: number;
  readonly step: number;

  constructor(seed: number, step: number, shape: string, cause: unknown) {
    super(`seed ${seed} failed at step ${step} (${shape})`, { cause });
    this.seed = seed;
    this.step = step;
  }
}

/**
 * Runs `steps` steps of the episode of `seed`, closes everything and checks that all came back. Throws
 * SimulationFailure.
 */
export async function runEpisode(seed: number, steps: number): Promise<EpisodeResult> {
  const random = new Random(seed);
  const shape = drawShape(random);
  const simulation = new Simulation(random, shape);
  try {
    await simulation.run(steps);
  } catch (error) {
    throw new SimulationFailure(seed, simulation.steps, describeShape(shape), error);
  } finally {
    simulation.dispose();
  }
  const { nested, blocked } = simulation;
  return {
    seed,
    steps: simulation.steps,
    nested,
    blocked,
    hash: simulation.world.trace.value,
    shape: describeShape(shape),
  };
}

class Simulation {
  readonly world: World;
  steps = 0;
  nested = 0;
  blocked = 0;
  private stepsMax = 0;
  private readonly random: Random;
  private readonly shape: Shape;
  private readonly actors: Actor[] = [];
  private readonly checker: LogicalThread;
  private readonly mapModel = new MapModel();
  private readonly mapWorkers: MapWorker[] = [];
  private readonly restore: () => void;
  private depth = 0;
  private isDraining = false;
  private nextStructures = STRUCTURES_EVERY;
  private nextContents = CONTENTS_EVERY;

  constructor(random: Random, shape: Shape) {
    this.random = random;
    this.shape = shape;
    this.world = new World(random, shape, () => {
      if (this.depth > 0) preemptNow();
    });
    this.restore = installPreemption(
      () => this.preempt(),
      () => this.preempt(),
    );
    try {
      this.checker = this.world.addThread('checker');
      setCompaction(this.world.nodes, shape.compaction);
      if (shape.groups > 0) this.actors.push(new GroupActor(this.world, this.world.addThread('groups'), shape.groups));
      setReclaimPolicy(this.world.nodes, shape.reclaim);
      this.planRegions();
      this.addActors();
    } catch (error) {
      this.restore();
      throw error;
    }
  }

  private planRegions(): void {
    const { random, shape, world } = this;
    const pages = Math.floor((world.frames() * shape.pagesShare) / shape.regions);
    for (let i = 0; i < shape.regions; i++) {
      const isSparse = random.chance(0.3);
      const groupPages = isSparse ? random.between(16, 256) : 512;
      const groupChunks = isSparse ? random.between(2, 1 << 14) : 1;
      const size = Math.ceil(pages / groupPages) * groupChunks * 2 ** 21;
      const name = `r${i}`;
      world.plans.push({
        name,
        pages,
        groupPages,
        groupChunks,
        size,
        access: random.pick(ACCESS_HINTS),
        group: random.pick([DEFAULT_GROUP_NAME, ...world.groups.map((group) => group.name)]),
        source: undefined,
        model: new RegionModel(name, size),
        isClosing: false,
        opening: 0,
      });
    }
    for (let i = 0; i < shape.clones; i++) {
      const name = `c${i}`;
      const source = random.pick(world.plans); // or a clone
      world.plans.push({ ...source, name, source, model: new RegionModel(name, source.size) });
    }
  }

  private addActors(): void {
    const { world, shape, random, actors } = this;
    for (let i = 0; i < shape.workers; i++) {
      const thread = world.addThread(`worker ${i}`);
      actors.push(new RegionWorker(world, thread));
      if (!shape.hasMap) continue;
      const maxBytes = random.chance(0.5) ? Number.POSITIVE_INFINITY : random.between(100_000, 2_000_000);
      const worker = new MapWorker(world, thread, this.mapModel, maxBytes);
      this.mapWorkers.push(worker);
      actors.push(worker);
    }
    const kswapd = world.addThread('kswapd');
    actors.push(kswapdActor(kswapd), new TierActor(world, kswapd));
    actors.push(new SwapOutActor(world, world.addThread('swap-out'), this.checker));
    actors.push(new CopyActor(world, world.addThread('copies'), this.checker));
    actors.push(kcopydActor(world.addThread('kcopyd')));
    if (world.device !== undefined) actors.push(new SwapoffActor(world, world.addThread('swapoff')));
    if (shape.compacts) actors.push(new CompactionActor(world, world.addThread('compaction'), this.checker));
    for (let i = 0; i < shape.kcompressd; i++) actors.push(kcompressdActor(world.addThread(`kcompressd ${i}`)));
  }

  async run(steps: number): Promise<void> {
    this.stepsMax = steps;
    while (this.steps < steps) {
      this.runActor(this.pick(this.actors), false);
      await this.deliver();
      this.check();
    }
    await this.finish();
  }

  private check(): void {
    const { world, checker } = this;
    if (world.failure !== undefined) throw world.failure;
    world.undisturbed(() => {
      world.checkCounts();
      const isFull = this.steps >= this.nextContents;
      checkRegions(world, checker, isFull);
      if (isFull) {
        this.nextContents = this.steps + CONTENTS_EVERY;
        if (this.mapWorkers.length > 0) checkMap(world, this.mapWorkers[0], this.mapModel);
      }
      if (this.steps < this.nextStructures) return;
      this.nextStructures = this.steps + STRUCTURES_EVERY;
      checkStructures(world, checker);
    });
  }

  /** Answers of the device that are due, one at a time, and the work that waits for them. */
  private async deliver(): Promise<void> {
    const { world } = this;
    if (world.asyncThreads.size > 0) await this.drain();
    const pending = world.device?.pending ?? [];
    for (let at = 0; at < pending.length && world.failure === undefined; ) {
      if (pending[at].due > world.tick) {
        at++;
        continue;
      }
      const [read] = pending.splice(at, 1);
      const thread = world.threads.find((candidate) => candidate.index === read.thread);
      if (thread !== undefined) world.asyncThreads.add(thread);
      read.finish();
      await this.drain();
      at = 0;
    }
  }

  /** Runs microtasks: they belong to the threads that have something to go on with, which are then inside the core. */
  private async drain(): Promise<void> {
    const threads = [...this.world.asyncThreads];
    this.world.asyncThreads.clear();
    for (const thread of threads) thread.isBusy = true;
    this.depth++;
    this.isDraining = true;
    this.arm();
    await new Promise((resolve) => setImmediate(resolve));
    pausePreemption();
    this.isDraining = false;
    this.depth--;
    for (const thread of threads) thread.isBusy = false;
  }

  private arm(): void {
    const { preemptEvery, depthMax } = this.shape;
    const isOff = preemptEvery === 0 || this.depth > depthMax || this.world.failure !== undefined;
    armPreemption(isOff ? Number.POSITIVE_INFINITY : this.random.gap(preemptEvery));
  }

  /** Another thread gets in between. */
  private preempt(): void {
    pausePreemption();
    if (this.depth > 0 && this.depth <= this.shape.depthMax && this.world.failure === undefined) {
      const isLockHeld = isAnyLocked(this.world.nodes);
      for (let left = this.random.between(1, this.shape.burstMax); left > 0; left--) {
        const free = this.actors.filter((actor) => this.isFree(actor, isLockHeld));
        if (free.length === 0) break;
        this.nested++;
        this.runActor(this.pick(free), true);
      }
    }
    this.arm();
  }

  /** What a thread started while microtasks run may go on among them at any moment: then it is inside the core too. */
  private isFree(actor: Actor, isLockHeld: boolean): boolean {
    if (actor.thread.isBusy || (this.isDraining && this.world.asyncThreads.has(actor.thread))) return false;
    return !isLockHeld || actor.isLockFree;
  }

  private pick(actors: readonly Actor[]): Actor {
    let left = this.random.below(actors.reduce((sum, actor) => sum + actor.weight, 0));
    return actors.find((actor) => (left -= actor.weight) < 0) as Actor;
  }

  private runActor(actor: Actor, isNested: boolean): void {
    const { world } = this;
    if (world.failure !== undefined) return;
    this.steps++;
    world.tick++;
    actor.thread.isBusy = true;
    this.depth++;
    this.arm();
    try {
      const result = actor.step({ isNested, isLockHeld: isNested && isAnyLocked(world.nodes) });
      world.trace.add(world.tick * 64 + result);
    } catch (error) {
      if (error instanceof Blocked && isNested) this.blocked++;
      else world.failure ??= new Error(`${actor.name} at step ${this.steps} of ${this.stepsMax}`, { cause: error });
    } finally {
      pausePreemption();
      this.depth--;
      actor.thread.isBusy = false;
    }
  }

  /** Everything is closed; all frames and slots must be back. */
  private async finish(): Promise<void> {
    const { world, checker } = this;
    for (const actor of this.actors) if (actor instanceof SwapOutActor) actor.close();
    while ((world.device?.pending.length ?? 0) > 0) {
      world.tick += 1000;
      await this.deliver();
      this.check();
    }
    world.undisturbed(() => {
      checkRegions(world, checker, true);
      checkStructures(world, checker);
      if (this.mapWorkers.length > 0) checkMap(world, this.mapWorkers[0], this.mapModel);
      for (const actor of this.actors) actor.close();
      for (const thread of world.threads) if (thread !== checker) thread.leave();
      const left = regionsInUse(checker.nodes[0]);
      if (left.length > 0) throw new Error(`regions ${left.join()} are still open`);
      freeDetached(checker.nodes);
      checker.leave();
      for (const node of checker.nodes) checkEmpty(node);
      checkGroups(checker.nodes);
    });
  }

  dispose(): void {
    this.restore();
  }
}
