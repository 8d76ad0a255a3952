/** What one episode looks like, drawn from its seed. */
import { CHUNK_BYTES, KIB, MIB } from '../base/units.ts';
import { COMPACTION_POLICIES, type CompactionPolicy } from '../compaction/policy.ts';
import type { Random } from '../simulator/random.ts';
import type { FileFaults } from './faulty-files.ts';

export interface Shape {
  readonly budgetBytes: number;
  readonly nodes: number;
  readonly hasSwap: boolean;
  readonly threads: number;
  readonly files: number;
  /** Operations stay below this, and mostly near it. */
  readonly fileBytesMax: number;
  /** Where most of the work on a file lies; above it there may be a hole below. */
  readonly baseBytes: number;
  /** Pages of the region that presses on the memory, 0 none. */
  readonly ballastPages: number;
  readonly lengthMax: number;
  readonly faults: FileFaults;
  /** Atomic operations between two preemptions, on average; 0: only slow I/O lets others run. */
  readonly preemptEvery: number;
  readonly policy: CompactionPolicy;
  readonly dirty: { readonly dirtyRatio: number; readonly dirtyBackgroundRatio: number };
}

export function drawShape(random: Random): Shape {
  const nodes = random.chance(0.25) ? 2 : 1;
  const budgetBytes = nodes * random.pick([3, 4, 6, 10]) * MIB;
  const isFaulty = random.chance(0.5);
  const frames = budgetBytes / (4 * KIB);
  const fileBytesMax = random.pick([16 * KIB, 100_000, 700_000, 2 * CHUNK_BYTES, budgetBytes * 1.5]);
  return {
    budgetBytes,
    nodes,
    hasSwap: random.chance(0.7),
    threads: random.between(1, 3),
    files: random.between(1, 3),
    fileBytesMax: Math.floor(fileBytesMax),
    baseBytes: random.chance(0.15) ? random.pick([CHUNK_BYTES - 20_000, 5e9, 2 ** 40]) : 0,
    ballastPages: random.chance(0.6) ? Math.floor(frames * random.pick([0.2, 0.5, 0.8])) : 0,
    lengthMax: random.pick([3000, 20_000, 70_000, 300_000]),
    faults: {
      read: isFaulty ? random.pick([0, 0.01, 0.1]) : 0,
      write: isFaulty ? random.pick([0, 0.01, 0.2]) : 0,
      short: random.pick([0, 0.05, 0.5]),
      slow: random.pick([0, 0.1, 0.5]),
    },
    preemptEvery: random.pick([0, 0, 0, 150, 1000]),
    policy: random.pick(COMPACTION_POLICIES),
    dirty: random.pick([
      { dirtyRatio: 20, dirtyBackgroundRatio: 10 },
      { dirtyRatio: 3, dirtyBackgroundRatio: 1 },
      { dirtyRatio: 100, dirtyBackgroundRatio: 99 },
    ]),
  };
}

export function describeShape(shape: Shape): string {
  const { faults } = shape;
  return (
    `${shape.budgetBytes / MIB} MiB in ${shape.nodes} nodes, ${shape.hasSwap ? 'swap' : 'no swap'}, ` +
    `${shape.threads} threads, ${shape.files} files to ${shape.fileBytesMax} at ${shape.baseBytes}, ` +
    `ballast ${shape.ballastPages} pages, lengths to ${shape.lengthMax}, ` +
    `faults read ${faults.read} write ${faults.write} short ${faults.short} slow ${faults.slow}, ` +
    `preempted every ${shape.preemptEvery}, policy ${shape.policy}, dirty to ${shape.dirty.dirtyRatio} %`
  );
}
