/**
 * Regions against a plain copy, with every reclaim step between the operations: on small nodes, so that nearly everything is swapped, compacted, demoted and cleaned all
 * the time. A failure prints the seed and the shortest sequence that fast-check found.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { H_DETACH_MAX } from '../arena/layout.ts';
import { C, type CounterName } from '../base/counters.ts';
import { CHUNK_BYTES, CHUNK_PAGES, MIB, PAGE_BYTES } from '../base/units.ts';
import { daemonsOf } from '../testing/daemon-steps.ts';
import { makePage, makePages } from '../testing/page-data.ts';
import { RegionModel } from '../testing/region-model.ts';
import { createTestInstance, type TestInstance, type TestShape } from '../testing/test-instance.ts';
import { TierSwitch } from '../testing/tier-switch.ts';
import type { Access } from './access.ts';
import { prefetchAsync } from './async-read.ts';
import { RegionSpace } from './region-space.ts';
import { sumCounter } from './thread-slot.ts';

const REGION_BYTES = 64 * MIB;
/** Two runs of pages are used: a small hot one, a large cold one in other chunks. */
const HOT_PAGES = 96;
const COLD_FIRST = 3 * CHUNK_PAGES - 40;

/** One command is a word: its low bits choose the operation, the rest its place and length. */
class Session {
  readonly instance: TestInstance;
  private readonly models: RegionModel[];
  private readonly daemons: { step(): boolean }[];
  private readonly coldPages: number;
  private turn = 0;
  /** Of so many discards one is of a whole chunk. */
  private readonly chunkEvery: number;

  constructor(instance: TestInstance, coldPages: number, access: Access, switchesTiers = false) {
    this.instance = instance;
    this.chunkEvery = instance.node.words[H_DETACH_MAX] > 0 ? 3 : 50;
    this.coldPages = coldPages;
    const space = instance.space(REGION_BYTES, '', access);
    const first = new RegionModel(instance.memory, space);
    const other = instance.join();
    this.models = [
      first,
      new RegionModel(other.memory, new RegionSpace(other.memory, space.region, REGION_BYTES), first),
    ];
    this.daemons = [instance, other].flatMap((thread) => daemonsOf(thread));
    if (switchesTiers) for (let i = 0; i < 3; i++) this.daemons.push(new TierSwitch(instance));
  }

  run(command: number): void | Promise<void> {
    const operation = command % 23;
    const a = Math.floor(command / 23) % 8192;
    const b = Math.floor(command / (23 * 8192));
    const model = this.models[b & 1];
    const page = a % 3 === 0 ? a % HOT_PAGES : COLD_FIRST + (a % this.coldPages);
    const offset = page * PAGE_BYTES;
    const inPage = Math.imul(b, 2654435761) >>> 20;
    if (operation < 4) return model.write(offset + inPage, makePage(command).subarray(0, 1 + (b % 700)));
    if (operation < 7) return model.write(offset, makePages(command, 1 + (b % 12)));
    if (operation < 11) {
      // What is wanted again and again comes into memory.
      for (let touch = operation < 9 ? 2 : 0; touch < 3; touch++) model.read(offset + inPage, 1 + (b % 9000));
      return;
    }
    return this.runRarer(operation, model, offset, inPage, b, command);
  }

  private runRarer(
    operation: number,
    model: RegionModel,
    offset: number,
    inPage: number,
    b: number,
    command: number,
  ): void | Promise<void> {
    switch (operation) {
      case 11:
        return model.fill(offset + (b % 2 === 0 ? 0 : inPage), command & 0xff, 1 + (b % 9000));
      case 12:
        return b % this.chunkEvery === 0
          ? model.discard(offset - (offset % CHUNK_BYTES), CHUNK_BYTES)
          : model.discard(offset + (b % 3 === 0 ? inPage : 0), 1 + (b % 40_000));
      case 13:
        model.unpin(3);
        return model.pin(offset + inPage, 1 + (b % 20_000));
      case 14:
        return b % 2 === 0 ? model.writePinned(makePages(command, 2)) : model.unpin(0);
      case 15:
        return model.readInPlace(offset, 1 + inPage);
      case 16:
        return model.writeInPlace(offset + inPage, makePage(command));
      case 17:
        return model.beginRead(offset + inPage, 1 + (b % 9000));
      case 18:
        return b % 4 === 0 ? model.settle() : this.prefetch(model, offset, b % 9000);
      default:
        for (let i = 0; i <= b % 3; i++) this.daemons[(this.turn++ + b) % this.daemons.length].step();
    }
  }

  private prefetch(model: RegionModel, offset: number, length: number): Promise<void> {
    return prefetchAsync(this.instance.memory, model.space, offset, length, () => undefined);
  }

  counted(name: CounterName): number {
    return this.instance.nodes.reduce((total, node) => total + sumCounter(node, C[name]), 0);
  }

  async end(): Promise<number> {
    const [model] = this.models;
    await model.settle();
    model.unpin(0);
    this.instance.check();
    model.readAll();
    this.instance.finish();
    return model.fullCount;
  }
}

interface Scenario {
  readonly name: string;
  readonly shape: TestShape;
  readonly coldPages: number;
  readonly access?: Access;
  /** Devices of the file tier come and go. */
  readonly switchesTiers?: boolean;
  /** Whether the data can outgrow every tier. */
  readonly mayFill: boolean;
  readonly runs: number;
  /** What must have happened, or the scenario tests nothing. */
  readonly reaches: readonly CounterName[];
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

/** A failing sequence is shortened no longer than this. */
const SHRINK_MS_MAX = 60_000;
const COMMANDS_MIN = 2000;
const COMMANDS_MAX = 4000;

const SCENARIOS: readonly Scenario[] = [
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
  for (const scenario of SCENARIOS) {
    it(scenario.name, async () => {
      const command = fc.integer({ min: 0, max: 2 ** 32 - 1 });
      const commands = fc.array(command, { minLength: COMMANDS_MIN, maxLength: COMMANDS_MAX, size: 'max' });
      let total = 0;
      const seen: Partial<Record<CounterName, number>> = {};
      await fc.assert(
        fc.asyncProperty(commands, async (sequence) => {
          const session = new Session(
            createTestInstance(scenario.shape),
            scenario.coldPages,
            scenario.access ?? 'auto',
            scenario.switchesTiers,
          );
          for (const word of sequence) await session.run(word);
          const full = await session.end();
          assert.ok(scenario.mayFill || full === 0, 'there was room');
          total += sequence.length;
          for (const name of scenario.reaches) seen[name] = (seen[name] ?? 0) + session.counted(name);
        }),
        { numRuns: scenario.runs, interruptAfterTimeLimit: SHRINK_MS_MAX },
      );
      assert.ok(total >= scenario.runs * COMMANDS_MIN);
      for (const name of scenario.reaches) assert.ok((seen[name] ?? 0) > 0, `${name} never happened`);
    });
  }
});
