/**
 * What a writer does, from its seed alone: it carries the plan out, and whoever killed it goes through the same plan
 * to know what must be there.
 */
import { Random } from '../simulator/random.ts';

export const FILES = 2;
/** 3 MiB a file: more than one leaf, more than fits the writer's memory beside its region. */
const SECTORS_MAX = 6144;
const RUN_MAX = 200;
/** Versions of one round; those of the next are larger. */
export const VERSIONS_A_ROUND = 1 << 20;

export interface Step {
  readonly kind: 'write' | 'append' | 'truncate' | 'sync' | 'press' | 'read';
  readonly file: number;
  /** Sectors: first of the run, and how many; of a truncate, the new size. */
  readonly first: number;
  readonly count: number;
  readonly version: number;
  /** How it is to be done where there are several ways. */
  readonly way: number;
}

export class Plan {
  /** Sectors of each file, as the plan sees them. */
  readonly sizes: number[];
  private readonly random: Random;
  private version: number;

  constructor(seed: number, round: number, sizes: readonly number[]) {
    this.random = new Random(seed * 1000 + round);
    this.sizes = [...sizes];
    this.version = round * VERSIONS_A_ROUND;
  }

  next(): Step {
    const { random } = this;
    const file = random.below(FILES);
    const dice = random.below(100);
    const way = random.below(4);
    this.version++;
    const { version } = this;
    const count = 1 + random.below(random.chance(0.1) ? RUN_MAX : 12);
    if (dice < 50) return this.write({ kind: 'write', file, first: this.place(file, count), count, version, way });
    if (dice < 65 && this.sizes[file] + count <= SECTORS_MAX)
      return this.write({ kind: 'append', file, first: this.sizes[file], count, version, way });
    if (dice < 69) return this.truncate(file, version, way);
    if (dice < 76) return { kind: 'press', file, first: random.below(1024), count, version, way };
    if (dice < 84) return { kind: 'read', file, first: this.place(file, count), count, version, way };
    return { kind: 'sync', file, first: 0, count: 0, version, way };
  }

  private write(step: Step): Step {
    this.sizes[step.file] = Math.max(this.sizes[step.file], step.first + step.count);
    return step;
  }

  private truncate(file: number, version: number, way: number): Step {
    const { random } = this;
    const size = this.sizes[file];
    const sectors = random.chance(0.7) ? random.between(Math.floor(size / 2), size) : random.below(SECTORS_MAX + 1);
    this.sizes[file] = sectors;
    return { kind: 'truncate', file, first: sectors, count: 0, version, way };
  }

  private place(file: number, count: number): number {
    const limit = this.random.chance(0.85) ? Math.min(this.sizes[file] + 8, SECTORS_MAX) : SECTORS_MAX;
    return this.random.below(Math.max(1, limit - count + 1));
  }
}
