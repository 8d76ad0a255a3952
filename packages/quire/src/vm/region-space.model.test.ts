/**
 * Regions against a plain copy, with every reclaim step between the operations: on small nodes, so that nearly everything is swapped, compacted, demoted and cleaned all
 * the time.
 */
import { describe } from 'node:test';
import { H_DETACH_MAX } from '../arena/layout.ts';
import type { CounterName } from '../base/counters.ts';
import { CHUNK_BYTES, CHUNK_PAGES, MIB } from '../base/units.ts';
import { RegionModel } from '../testing/region-model.ts';
import { createTestInstance, type TestInstance, type TestThread } from '../testing/test-instance.ts';
import { TierSwitch } from '../testing/tier-switch.ts';
import { prefetchAsync } from './async-read.ts';
import { RegionSpace } from './region-space.ts';
import { itAgrees, type Place, RegionSession, type Scenario, type Spot } from './testing/region-session.ts';

const REGION_BYTES = 64 * MIB;
/** Two runs of pages are used: a small hot one, a large cold one in other chunks. */
const HOT_PAGES = 96;
const COLD_FIRST = 3 * CHUNK_PAGES - 40;
const PINS_MAX = 4;
const PLACES = 8192;
const WEIGHTS = {
  write: 16,
  writePages: 12,
  read: 8,
  readOften: 8,
  fill: 4,
  discard: 4,
  pin: 4,
  usePin: 4,
  readInPlace: 4,
  writeInPlace: 4,
  beginRead: 4,
  settle: 1,
  prefetch: 3,
  daemons: 16,
};

/** Two threads over one region. */
class Session extends RegionSession<'readOften' | 'discard' | 'prefetch'> {
  protected readonly models: readonly RegionModel[];
  private readonly coldPages: number;
  /** Of so many discards one is of a whole chunk. */
  private readonly chunkEvery: number;

  constructor(instance: TestInstance, scenario: RegionScenario, other: TestThread = instance.join()) {
    super(instance, other, WEIGHTS, PINS_MAX);
    this.chunkEvery = instance.node.words[H_DETACH_MAX] > 0 ? 3 : 50;
    this.coldPages = scenario.coldPages;
    const space = instance.space(REGION_BYTES, '', scenario.access ?? 'auto');
    const first = new RegionModel(instance.memory, space);
    const second = new RegionSpace(other.memory, space.region, REGION_BYTES);
    this.models = [first, new RegionModel(other.memory, second, first)];
    if (scenario.switchesTiers === true) for (let i = 0; i < 3; i++) this.daemons.push(new TierSwitch(instance));
  }

  get full(): number {
    return this.models[0].fullCount + this.models[1].fullCount;
  }

  protected override placeOf(choice: number): Place {
    const at = choice % PLACES;
    const size = Math.floor(choice / PLACES);
    const page = at % 3 === 0 ? at % HOT_PAGES : COLD_FIRST + (at % this.coldPages);
    return { model: this.models[size & 1], page, size };
  }

  protected override playOwn(
    operation: 'readOften' | 'discard' | 'prefetch',
    { model, offset, inPage, size }: Spot,
  ): void | Promise<void> {
    if (operation === 'prefetch')
      return prefetchAsync(this.instance.memory, model.space, offset, size % 9000, () => undefined);
    if (operation === 'readOften') {
      // What is wanted again and again comes into memory.
      for (let touch = 0; touch < 3; touch++) model.read(offset + inPage, 1 + (size % 9000));
    } else if (size % this.chunkEvery === 0) model.discard(offset - (offset % CHUNK_BYTES), CHUNK_BYTES);
    else model.discard(offset + (size % 3 === 0 ? inPage : 0), 1 + (size % 40_000));
  }
}

interface RegionScenario extends Scenario {
  readonly coldPages: number;
  /** Devices of the file tier come and go. */
  readonly switchesTiers?: boolean;
}

const MEMORY_TIERS: readonly CounterName[] = [
  'zswpout',
  'zswpin',
  'swpout_zero',
  'zs_incompressible',
  'swap_clean_copies',
  'swap_copies_ahead',
  'transient_reads',
  'zs_compacted',
];
const RING: readonly CounterName[] = ['swap_rescued', 'swap_cancelled', 'kcompressd_pages'];
const UNITS: readonly CounterName[] = ['thp_swpout', 'thp_swpin'];
/** Direct mode knows no copies of mapped pages. */
const DIRECT = MEMORY_TIERS.filter((name) => !name.startsWith('swap_cop') && name !== 'swap_clean_copies');
const FILE: readonly CounterName[] = ['zswpwb', 'file_reads', 'file_writes'];

const COMMANDS_MIN = 2000;

const SCENARIOS: readonly RegionScenario[] = [
  {
    name: 'compressed tier alone',
    shape: { bytes: 4 * MIB, kcompressd: 1 },
    coldPages: 2000,
    mayFill: true,
    runs: 25,
    reaches: [...MEMORY_TIERS, ...RING],
  },
  {
    name: 'no kcompressd: reclaim compresses for itself',
    shape: { bytes: 4 * MIB },
    coldPages: 2000,
    mayFill: true,
    runs: 15,
    reaches: MEMORY_TIERS,
  },
  {
    name: 'file tier behind the pool',
    shape: { bytes: 4 * MIB, kcompressd: 1, fileBytes: 64 * MIB, poolShare: 0.3 },
    coldPages: 4000,
    mayFill: false,
    runs: 30,
    reaches: [...MEMORY_TIERS, ...RING, ...FILE],
  },
  {
    name: 'small file: cleaning all the time',
    shape: { bytes: 4 * MIB, fileBytes: 3 * MIB, poolShare: 0.1 },
    coldPages: 2200,
    mayFill: true,
    runs: 20,
    reaches: [...FILE, 'file_segments_cleaned'],
  },
  {
    name: 'devices come and go',
    shape: { bytes: 4 * MIB, nodes: 2, kcompressd: 1, fileBytes: 8 * MIB, poolShare: 0.2 },
    coldPages: 5000,
    switchesTiers: true,
    mayFill: true,
    runs: 20,
    reaches: [...FILE, 'swap_clean_copies'],
  },
  {
    name: 'leaves freed later',
    shape: { bytes: 4 * MIB, kcompressd: 1, detaching: 1024 },
    coldPages: 2000,
    mayFill: true,
    runs: 20,
    reaches: ['leaves_detached', 'zswpout', 'zswpin', ...RING],
  },
  {
    name: 'leaves freed later, two nodes, devices come and go',
    shape: { bytes: 4 * MIB, nodes: 2, kcompressd: 1, fileBytes: 8 * MIB, poolShare: 0.2, detaching: 2 },
    coldPages: 5000,
    switchesTiers: true,
    mayFill: true,
    runs: 12,
    reaches: ['leaves_detached', ...FILE],
  },
  {
    name: 'leaves freed later, direct mode, units',
    shape: { bytes: 4 * MIB, isVirtual: false, detaching: 3 },
    coldPages: 2000,
    access: 'sequential',
    mayFill: true,
    runs: 10,
    reaches: ['leaves_detached', ...UNITS],
  },
  {
    name: 'two nodes',
    shape: { bytes: 4 * MIB, nodes: 2, kcompressd: 1, fileBytes: 32 * MIB, poolShare: 0.2 },
    coldPages: 8000,
    mayFill: true,
    runs: 25,
    reaches: [...MEMORY_TIERS, ...RING, ...FILE],
  },
  {
    name: 'three nodes, compressed tier alone',
    shape: { bytes: 3 * MIB, nodes: 3 },
    coldPages: 2500,
    mayFill: true,
    runs: 10,
    reaches: MEMORY_TIERS,
  },
  {
    name: 'more data than room',
    shape: { bytes: 2 * MIB, areas: 2 },
    coldPages: 2000,
    mayFill: true,
    runs: 8,
    reaches: ['zswpout', 'zswpin', 'swap_full'],
  },
  {
    name: 'few slots: clean copies give theirs up',
    shape: { bytes: 4 * MIB, kcompressd: 1, slots: 600 },
    coldPages: 2000,
    mayFill: true,
    runs: 12,
    reaches: ['zswpout', 'zswpin', 'swap_clean_copies', 'swap_cache_reclaimed', 'swap_full'],
  },
  {
    name: 'few slots, units',
    shape: { bytes: 4 * MIB, slots: 600 },
    coldPages: 2000,
    access: 'sequential',
    mayFill: true,
    runs: 8,
    reaches: [...UNITS, 'swap_cache_reclaimed', 'swap_full'],
  },
  {
    name: 'more data than room and file',
    shape: { bytes: 2 * MIB, areas: 2, fileBytes: MIB, poolShare: 0.2 },
    coldPages: 6000,
    mayFill: true,
    runs: 12,
    reaches: [...FILE, 'swap_full'],
  },
  {
    name: 'units, compressed tier alone',
    shape: { bytes: 4 * MIB, kcompressd: 1 },
    coldPages: 2000,
    access: 'sequential',
    mayFill: true,
    runs: 20,
    reaches: [...MEMORY_TIERS.filter((name) => name !== 'swap_copies_ahead'), ...RING, ...UNITS],
  },
  {
    name: 'units, no kcompressd',
    shape: { bytes: 4 * MIB },
    coldPages: 2000,
    access: 'sequential',
    mayFill: true,
    runs: 15,
    reaches: UNITS,
  },
  {
    name: 'units and file, two nodes',
    shape: { bytes: 4 * MIB, nodes: 2, kcompressd: 1, fileBytes: 32 * MIB, poolShare: 0.2 },
    coldPages: 8000,
    access: 'sequential',
    mayFill: true,
    runs: 20,
    reaches: [...RING, ...FILE, ...UNITS],
  },
  {
    name: 'units and a small file',
    shape: { bytes: 4 * MIB, fileBytes: 3 * MIB, poolShare: 0.1 },
    coldPages: 2200,
    access: 'sequential',
    mayFill: true,
    runs: 12,
    reaches: [...FILE, ...UNITS, 'file_segments_cleaned'],
  },
  {
    name: 'direct mode',
    shape: { bytes: 4 * MIB, kcompressd: 1, isVirtual: false },
    coldPages: 2000,
    mayFill: true,
    runs: 20,
    reaches: [...DIRECT, ...RING],
  },
  {
    name: 'direct mode, units, two nodes',
    shape: { bytes: 4 * MIB, nodes: 2, isVirtual: false },
    coldPages: 4000,
    access: 'sequential',
    mayFill: true,
    runs: 15,
    reaches: [...DIRECT, ...UNITS],
  },
  {
    name: 'a second codec, all tiers',
    shape: {
      bytes: 4 * MIB,
      kcompressd: 1,
      fileBytes: 64 * MIB,
      poolShare: 0.3,
      poolZstd: 1,
      incompressible: 'demote',
    },
    coldPages: 4000,
    mayFill: false,
    runs: 6,
    reaches: [...MEMORY_TIERS.filter((name) => name !== 'zs_compacted'), ...RING, ...FILE],
  },
  {
    name: 'units and a file of a second codec',
    shape: { bytes: 4 * MIB, fileBytes: 8 * MIB, poolShare: 0.1, fileZstd: 1, incompressible: 'activate' },
    coldPages: 2200,
    access: 'sequential',
    mayFill: true,
    runs: 6,
    reaches: [...FILE, ...UNITS, 'file_recompressed'],
  },
  {
    name: '12 MiB',
    shape: { bytes: 12 * MIB, kcompressd: 1 },
    coldPages: 6000,
    mayFill: true,
    runs: 6,
    reaches: [...MEMORY_TIERS, ...RING],
  },
];

describe('a region and a plain copy agree', () => {
  for (const scenario of SCENARIOS)
    itAgrees(scenario, COMMANDS_MIN, () => new Session(createTestInstance(scenario.shape), scenario));
});
