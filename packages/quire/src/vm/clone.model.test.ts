/** Regions, their clones, and clones of those, against plain copies, with every reclaim step between the operations. */
import { describe } from 'node:test';
import type { CounterName } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_PAGES, MIB, PAGE_BYTES } from '../base/units.ts';
import { RegionModel } from '../testing/region-model.ts';
import { createTestInstance, type TestInstance } from '../testing/test-instance.ts';
import type { Access } from './access.ts';
import { cloneRegion } from './clone.ts';
import { RegionSpace } from './region-space.ts';
import { itAgrees, type Place, RegionSession, type Scenario, type Spot } from './testing/region-session.ts';

const REGION_BYTES = 64 * MIB;
const FAMILY_MAX = 6;
const PINS_MAX = 2;
/** Frames stay with the group that had them first, until another writes them. */
const GROUPS = ['default', 'a', 'b'];
const WEIGHTS = {
  write: 9,
  writePages: 6,
  read: 9,
  fill: 3,
  discard: 3,
  pin: 3,
  usePin: 3,
  beginRead: 2,
  settle: 1,
  writeInPlace: 3,
  readInPlace: 1,
  clone: 1,
  close: 1,
  daemons: 15,
};

class Session extends RegionSession<'discard' | 'clone' | 'close'> {
  clones = 0;
  protected readonly models: RegionModel[];
  private readonly pages: number;
  /** Of regions that are closed, and clones that could not be had. */
  private fullBefore = 0;

  constructor(instance: TestInstance, pages: number, access: Access) {
    super(instance, instance.join(), WEIGHTS, PINS_MAX);
    this.pages = pages;
    this.models = [new RegionModel(instance.memory, instance.space(REGION_BYTES, '', access))];
  }

  get full(): number {
    return this.models.reduce((total, model) => total + model.fullCount, this.fullBefore);
  }

  protected override placeOf(choice: number): Place {
    const size = Math.floor(choice / 64);
    const page = (CHUNK_PAGES - 60 + (size % this.pages)) % (REGION_BYTES / PAGE_BYTES);
    return { model: this.models[choice % this.models.length], page, size };
  }

  protected override playOwn(operation: 'discard' | 'clone' | 'close', { model, offset, inPage, size }: Spot): void {
    if (operation === 'discard') model.discard(offset + (size % 3 === 0 ? inPage : 0), 1 + (size % 400_000));
    else if (operation === 'clone') this.clone(model, size);
    else this.close(model);
  }

  private clone(model: RegionModel, size: number): void {
    if (this.models.length === FAMILY_MAX) return;
    const { memory } = this.instance;
    try {
      const region = cloneRegion(memory, model.space.region, '', GROUPS[size % GROUPS.length]);
      this.models.push(model.cloneFor(new RegionSpace(memory, region, REGION_BYTES)));
      this.clones++;
    } catch (error) {
      if (!(error instanceof QuireError) || error.code !== 'ERR_QUIRE_SWAP_FULL') throw error;
      this.fullBefore++;
    }
  }

  /** The last one stays. */
  private close(model: RegionModel): void {
    if (this.models.length === 1 || !model.isIdle) return;
    this.models.splice(this.models.indexOf(model), 1);
    this.instance.closeSpace(model.space);
    this.fullBefore += model.fullCount;
  }
}

interface CloneScenario extends Scenario {
  readonly pages: number;
}

const SHARED: readonly CounterName[] = ['cow_faults', 'clone_copies', 'zswpout', 'transient_reads'];

const SCENARIOS: readonly CloneScenario[] = [
  {
    name: 'memory tiers, kcompressd',
    shape: { bytes: 4 * MIB, kcompressd: 1 },
    pages: 400,
    mayFill: true,
    runs: 25,
    reaches: [...SHARED, 'swap_rescued', 'swap_copies_ahead', 'swap_clean_copies'],
  },
  {
    name: 'leaves freed later',
    shape: { bytes: 4 * MIB, kcompressd: 1, detaching: 1024 },
    pages: 400,
    mayFill: true,
    runs: 15,
    reaches: [...SHARED, 'leaves_detached', 'swap_rescued'],
  },
  {
    name: 'few pages, many writers of each',
    shape: { bytes: 4 * MIB, kcompressd: 1 },
    pages: 12,
    mayFill: false,
    runs: 20,
    reaches: SHARED,
  },
  {
    name: 'file tier, two nodes',
    shape: { bytes: 3 * MIB, nodes: 2, kcompressd: 1, fileBytes: 64 * MIB, poolShare: 0.2 },
    pages: 1500,
    mayFill: false,
    runs: 25,
    reaches: [...SHARED, 'file_reads', 'zswpwb'],
  },
  {
    name: 'small file: cleaning all the time',
    shape: { bytes: 4 * MIB, fileBytes: 3 * MIB, poolShare: 0.1 },
    pages: 700,
    mayFill: true,
    runs: 15,
    reaches: [...SHARED, 'zswpwb'],
  },
  {
    name: 'units',
    shape: { bytes: 4 * MIB, kcompressd: 1, fileBytes: 16 * MIB, poolShare: 0.3 },
    pages: 500,
    access: 'sequential',
    mayFill: true,
    runs: 20,
    reaches: [...SHARED, 'thp_swpout'],
  },
  {
    name: 'more data than room',
    shape: { bytes: 2 * MIB, areas: 2 },
    pages: 600,
    mayFill: true,
    runs: 12,
    reaches: ['cow_faults', 'swap_full'],
  },
];

const COMMANDS_MIN = 1500;

describe('regions, clones and plain copies agree', () => {
  for (const scenario of SCENARIOS) {
    const { shape, pages, access = 'auto', runs } = scenario;
    const open = () => new Session(createTestInstance(shape), pages, access);
    itAgrees(scenario, COMMANDS_MIN, open, { what: 'clones', min: runs + 1, count: (session) => session.clones });
  }
});
