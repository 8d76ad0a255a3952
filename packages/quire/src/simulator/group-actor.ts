/** Groups with limits that change all the time, down to less than what is in memory. */
import { closeGroup, openGroup, setGroupLimits, shrinkGroup } from '../vm/group-limit.ts';
import type { LogicalThread } from './logical-thread.ts';
import type { Actor, World } from './world.ts';

const PAGES_MIN = 16;

/** What regions of the episode are charged to. */
export interface GroupPlan {
  readonly name: string;
  readonly group: number;
  /** It has been within its limit since that was set: then it stays so. */
  isWithin: boolean;
}

export class GroupActor implements Actor {
  readonly name = 'groups';
  readonly thread: LogicalThread;
  readonly weight = 1;
  readonly isLockFree = false;
  private readonly world: World;

  constructor(world: World, thread: LogicalThread, groups: number) {
    this.world = world;
    this.thread = thread;
    for (let i = 0; i < groups; i++) {
      world.groups.push({ name: `g${i}`, group: openGroup(thread.memory, `g${i}`), isWithin: true });
      this.limit(world.groups[i]);
    }
  }

  step(): number {
    const { random, groups } = this.world;
    const plan = random.pick(groups);
    if (random.chance(0.7)) return 0;
    this.limit(plan);
    return shrinkGroup(this.thread.memory, plan.group) ? 1 : 2;
  }

  private limit(plan: GroupPlan): void {
    const { random } = this.world;
    const most = Math.max(PAGES_MIN, Math.floor(this.world.frames() * random.pick([0.05, 0.2, 0.6])));
    const pages = random.chance(0.1) ? Number.POSITIVE_INFINITY : random.between(PAGES_MIN, most);
    const swapPages = random.chance(0.7) ? Number.POSITIVE_INFINITY : random.between(0, 2 * most);
    plan.isWithin = false;
    setGroupLimits(this.thread.memory, plan.group, pages, swapPages);
  }

  close(): void {
    for (const { group } of this.world.groups) closeGroup(this.thread.memory, group);
  }
}
