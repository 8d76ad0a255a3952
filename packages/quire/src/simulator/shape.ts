/** What one episode looks like, drawn from its seed. */
import { DETACHED_MAX } from '../arena/layout.ts';
import { MIB } from '../base/units.ts';
import { COMPACTION_POLICIES, type CompactionPolicy } from '../compaction/policy.ts';
import { RECLAIM_POLICIES, type ReclaimPolicyName } from '../reclaim/policy.ts';
import { INCOMPRESSIBLE_POLICIES, type IncompressiblePolicy } from '../swap/incompressible.ts';
import type { FaultRates } from './faulty-device.ts';
import type { Random } from './random.ts';

export interface Shape {
  readonly budgetBytes: number;
  readonly nodes: number;
  readonly hasSwap: boolean;
  readonly fileBytes: number;
  /** Priorities of the devices that share them. */
  readonly devices: readonly number[];
  readonly poolShare: number;
  /** Slots of a node, as a share of its frames; 0: as many as there may be. */
  readonly slotsShare: number;
  readonly kcompressd: number;
  readonly workers: number;
  readonly hasMap: boolean;
  /** Pages the workload uses, as a share of the frames. */
  readonly pagesShare: number;
  readonly regions: number;
  /** Groups with limits that the regions are charged to. */
  readonly groups: number;
  /** Regions that are made as clones of others. */
  readonly clones: number;
  readonly faults: FaultRates;
  /** Points between two preemptions, on average; 0: none. */
  readonly preemptEvery: number;
  readonly depthMax: number;
  /** Steps of others at one preemption, at most. */
  readonly burstMax: number;
  /** Share of steps that discard whole chunks. */
  readonly discardShare: number;
  /** Share of pages that do not compress. */
  readonly randomShare: number;
  readonly incompressible: IncompressiblePolicy;
  /** Large folios are asked for and compaction runs, under this policy. */
  readonly compacts: boolean;
  /** False: page tables hold no slots but what slots lead to. */
  readonly isVirtual: boolean;
  readonly compaction: CompactionPolicy;
  readonly reclaim: ReclaimPolicyName;
  /** Leaves of a node that may wait to be freed later; 0: none. */
  readonly detaching: number;
}

export function drawShape(random: Random): Shape {
  const nodes = random.chance(0.35) ? 2 : 1;
  const budgetBytes = nodes === 2 ? random.between(10, 20) * MIB : random.between(8, 16) * MIB;
  const hasSwap = !random.chance(0.04);
  const isVirtual = !random.chance(0.15);
  const hasFile = hasSwap && isVirtual && random.chance(0.7);
  const fileBytes = hasFile ? random.between(4, 40) * MIB : 0;
  const isFaulty = hasFile && random.chance(0.6);
  const room = 1 + (hasSwap ? 0.3 : -0.4) + (hasFile ? Math.min(2, fileBytes / budgetBytes) : 0);
  return {
    budgetBytes,
    nodes,
    hasSwap,
    fileBytes,
    devices: hasFile ? random.pick([[0], [0, 0], [2, 1], [1, 1, 0]]) : [],
    poolShare: hasFile ? random.pick([0.05, 0.2, 0.5, 0.8]) : 1,
    slotsShare: random.pick([0, 0, 0, 0.3, 1]),
    kcompressd: random.between(0, 2),
    workers: random.between(1, 3),
    hasMap: random.chance(0.7),
    pagesShare: room * random.pick([0.5, 0.8, 1, 1.1]),
    regions: random.between(2, 5),
    groups: random.pick([0, 0, 1, 2, 3]),
    faults: {
      read: isFaulty ? random.pick([0.002, 0.02, 0.1]) : 0,
      write: isFaulty ? random.pick([0.005, 0.05, 0.3]) : 0,
      ticksMax: random.pick([1, 10, 200]),
    },
    preemptEvery: random.pick([0, 20, 60, 200, 1000]),
    depthMax: random.between(2, 4),
    burstMax: random.pick([1, 3, 20]),
    discardShare: random.pick([0.01, 0.01, 0.15]),
    randomShare: random.pick([0, 0.1, 0.5]),
    incompressible: random.pick(INCOMPRESSIBLE_POLICIES),
    compacts: random.chance(0.8),
    compaction: random.pick(COMPACTION_POLICIES),
    isVirtual,
    reclaim: random.pick(RECLAIM_POLICIES),
    clones: isVirtual ? random.pick([0, 1, 2, 4]) : 0,
    detaching: random.pick([0, 1, 3, DETACHED_MAX]),
  };
}

export function describeShape(shape: Shape): string {
  const file =
    shape.fileBytes === 0
      ? 'no file'
      : `file ${shape.fileBytes / MIB} MiB on ${shape.devices.length}, pool ${shape.poolShare}`;
  const faults = `read faults ${shape.faults.read}, write faults ${shape.faults.write}`;
  return (
    `${shape.budgetBytes / MIB} MiB in ${shape.nodes} nodes, ${shape.hasSwap ? file : 'no swap'}, ${shape.slotsShare === 0 ? '' : `slots × ${shape.slotsShare}, `}${shape.kcompressd} kcompressd, ` +
    `${shape.workers} workers, ${shape.clones} clones, ${shape.detaching} leaves detached, ${shape.hasMap ? 'map' : 'no map'}, ${shape.groups} groups, ${shape.isVirtual ? '' : 'direct mode, '}${shape.compacts ? `compaction ${shape.compaction}` : 'no compaction'}, data × ${shape.pagesShare.toFixed(1)}, ${faults}, ` +
    `reclaim ${shape.reclaim}, incompressible: ${shape.incompressible}, preempted every ${shape.preemptEvery}`
  );
}
