/**
 * One episode: an instance of random shape and a list of operations, each compared with the model. Nothing depends on
 * anything but the seed and the numbers of the operations that are run, so a failure is replayed by these.
 */
import { armPreemption, Blocked, installPreemption, pausePreemption, preemptNow } from '../simulator/preemption.ts';
import { checkGroups } from '../vm/group-check.ts';
import { checkEmpty, checkNode } from '../vm/instance-check.ts';
import { regionsInUse } from '../vm/region-table.ts';
import { Operations, randomOf } from './operations.ts';
import { describeShape, drawShape, type Shape } from './shape.ts';
import { withOwnState } from './thread-state.ts';
import { World } from './world.ts';

/** Operations between two looks at all structures. */
const STRUCTURES_EVERY = 400;
const DEPTH_MAX = 3;
/** Operations in the middle of one: reclaim that finds nothing would be interrupted thousands of times. */
const NESTED_MAX = 24;
/** Waits in a row that nothing can end, since all others are stopped. */
const WAITS_MAX = 100_000;
const SHAPE_INDEX = 2 ** 20 - 1;

export interface EpisodeResult {
  readonly operations: number;
  readonly nested: number;
  readonly refused: number;
  readonly faulted: number;
  readonly shape: string;
}

/** A failed episode; `cause` is what was wrong. */
export class EpisodeFailure extends Error {
  override readonly name = 'EpisodeFailure';
  readonly index: number;

  constructor(index: number, operation: string, shape: Shape, cause: unknown) {
    super(`operation ${index} (${operation}) failed (${describeShape(shape)})`, { cause });
    this.index = index;
  }
}

/** Runs these operations of the episode of `seed`, closes everything and checks that all came back. */
export function runEpisode(seed: number, indices: Iterable<number>): Promise<EpisodeResult> {
  return new Episode(seed).run(indices);
}

class Episode {
  private readonly seed: number;
  private readonly shape: Shape;
  private readonly world: World;
  private readonly operations: Operations;
  private readonly restore: () => void;
  private waits = 0;
  private nestedLeft = 0;
  private index = -1;

  constructor(seed: number) {
    this.seed = seed;
    const random = randomOf(seed, SHAPE_INDEX);
    this.shape = drawShape(random);
    this.restore = installPreemption(
      () => this.preempt(),
      () => this.wait(),
    );
    try {
      this.world = new World(random, this.shape, () => {
        if (this.world.depth > 0) preemptNow();
      });
      this.operations = new Operations(this.world);
    } catch (error) {
      this.restore();
      throw error;
    }
  }

  async run(indices: Iterable<number>): Promise<EpisodeResult> {
    let count = 0;
    try {
      for (const index of indices) {
        this.runOne(index);
        if (this.world.inFlight > 0 && this.world.random.chance(0.3)) await this.deliver();
        if (++count % STRUCTURES_EVERY === 0) for (const node of this.world.nodes) checkNode(node);
      }
      while (this.world.inFlight > 0) await this.deliver();
      this.finish();
    } catch (error) {
      throw new EpisodeFailure(this.index, this.operations.last, this.shape, error);
    } finally {
      pausePreemption();
      this.restore();
    }
    const { nested, refused, faulted } = this.world;
    return { operations: count, nested, refused, faulted, shape: describeShape(this.shape) };
  }

  private runOne(index: number): void {
    this.index = index;
    this.waits = 0;
    this.nestedLeft = NESTED_MAX;
    const random = randomOf(this.seed, index);
    this.world.random = random;
    this.arm();
    try {
      this.operations.run(random);
    } finally {
      pausePreemption();
    }
    this.world.checkCounts();
  }

  /** An answer of the disk arrives, and who waits for it goes on. */
  private async deliver(): Promise<void> {
    const { world } = this;
    world.disk.deliver();
    await new Promise((resolve) => setImmediate(resolve));
    if (world.failure !== undefined) throw world.failure;
    world.checkCounts();
  }

  private arm(): void {
    const { preemptEvery } = this.shape;
    const isOff = preemptEvery === 0 || this.world.depth >= DEPTH_MAX || this.nestedLeft <= 0;
    armPreemption(isOff ? Number.POSITIVE_INFINITY : this.world.random.gap(preemptEvery));
  }

  /** Others get in between. */
  private preempt(): void {
    pausePreemption();
    const { world } = this;
    if (world.depth > 0 && world.depth < DEPTH_MAX) {
      for (let left = world.random.between(1, 4); left > 0 && this.nestedLeft > 0; left--) {
        this.nestedLeft--;
        try {
          this.arm();
          withOwnState(() => this.operations.runNested(world.random));
        } catch (error) {
          if (!(error instanceof Blocked)) throw error;
        } finally {
          pausePreemption();
        }
      }
    }
    this.arm();
  }

  /** Nobody else runs while an operation waits: what it waits for too long will never come. */
  private wait(): void {
    if (++this.waits > WAITS_MAX) throw new Error('an operation waits for ever');
  }

  private finish(): void {
    const { world } = this;
    this.index = -1;
    this.operations.finish();
    const [first] = world.threads;
    world.ballast.checkAll(first);
    for (const node of world.nodes) checkNode(node);
    checkGroups(world.nodes);
    for (const thread of world.threads) world.ballast.close(thread);
    const left = regionsInUse(world.nodes[0]);
    if (left.length > 0) throw new Error(`regions ${left.join()} are still open`);
    for (const thread of world.threads) thread.logical.leave();
    for (const node of world.nodes) checkEmpty(node);
  }
}
