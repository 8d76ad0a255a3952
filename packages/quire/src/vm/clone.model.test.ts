/**
 * Regions, their clones, and clones of those, against plain copies, with every reclaim step between the operations. A
 * failure prints the seed and the shortest sequence that fast-check found.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { C, type CounterName } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_PAGES, MIB, PAGE_BYTES } from '../base/units.ts';
import { daemonsOf } from '../testing/daemon-steps.ts';
import { makePage, makePages } from '../testing/page-data.ts';
import { RegionModel } from '../testing/region-model.ts';
import { createTestInstance, type TestInstance, type TestShape } from '../testing/test-instance.ts';
import type { Access } from './access.ts';
import { cloneRegion } from './clone.ts';
import { RegionSpace } from './region-space.ts';
import { sumCounter } from './thread-slot.ts';

const REGION_BYTES = 64 * MIB;
const FAMILY_MAX = 6;
const OPERATIONS = 20;
/** Frames stay with the group that had them first, until another writes them. */
const GROUPS = ['default', 'a', 'b'];

/** One command is a word: operation, whose, where, how much. */
class Session {
  readonly instance: TestInstance;
  clones = 0;
  full = 0;
  private readonly family: RegionModel[] = [];
  private readonly daemons: { step(): boolean }[];
  private readonly pages: number;
  private turn = 0;

  constructor(instance: TestInstance, pages: number, access: Access) {
    this.instance = instance;
    this.pages = pages;
    this.daemons = [instance, instance.join()].flatMap((thread) => daemonsOf(thread));
    this.family.push(new RegionModel(instance.memory, instance.space(REGION_BYTES, '', access)));
  }

  run(command: number): void | Promise<void> {
    const operation = command % OPERATIONS;
    const a = Math.floor(command / OPERATIONS);
    const model = this.family[a % this.family.length];
    const b = Math.floor(a / 64);
    const page = (CHUNK_PAGES - 60 + (b % this.pages)) % (REGION_BYTES / PAGE_BYTES);
    const offset = page * PAGE_BYTES;
    const inPage = Math.imul(b, 2654435761) >>> 20;
    if (operation < 3) return model.write(offset + inPage, makePage(command).subarray(0, 1 + (b % 700)));
    if (operation < 5) return model.write(offset, makePages(command, 1 + (b % 12)));
    if (operation < 8) return model.read(offset + inPage, 1 + (b % 9000));
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
      case 8:
        return model.fill(offset + (b % 2 === 0 ? 0 : inPage), command & 0xff, 1 + (b % 9000));
      case 9:
        return model.discard(offset + (b % 3 === 0 ? inPage : 0), 1 + (b % 400_000));
      case 10:
        model.unpin(1);
        return model.pin(offset + inPage, 1 + (b % 9000));
      case 11:
        return b % 2 === 0 ? model.writePinned(makePages(command, 2)) : model.unpin(0);
      case 12:
        return b % 4 === 0 ? model.settle() : model.beginRead(offset + inPage, 1 + (b % 9000));
      case 13:
        return model.writeInPlace(offset + inPage, makePage(command));
      case 14:
        return b % 3 === 0
          ? this.clone(model)
          : b % 3 === 1
            ? this.close(model)
            : model.readInPlace(offset, 1 + inPage);
      default:
        for (let i = 0; i <= b % 3; i++) this.daemons[(this.turn++ + b) % this.daemons.length].step();
    }
  }

  private clone(model: RegionModel): void {
    if (this.family.length === FAMILY_MAX) return;
    const { memory } = this.instance;
    try {
      const region = cloneRegion(memory, model.space.region, '', GROUPS[(this.turn + this.clones) % GROUPS.length]);
      this.family.push(model.cloneFor(new RegionSpace(memory, region, REGION_BYTES)));
      this.clones++;
    } catch (error) {
      if (!(error instanceof QuireError) || error.code !== 'ERR_QUIRE_SWAP_FULL') throw error;
      this.full++;
    }
  }

  /** The last one stays. */
  private close(model: RegionModel): void {
    if (this.family.length === 1 || !model.isIdle) return;
    this.family.splice(this.family.indexOf(model), 1);
    this.instance.closeSpace(model.space);
    this.full += model.fullCount;
  }

  counted(name: CounterName): number {
    return this.instance.nodes.reduce((total, node) => total + sumCounter(node, C[name]), 0);
  }

  async end(): Promise<number> {
    for (const model of this.family) {
      await model.settle();
      model.unpin(0);
    }
    this.instance.check();
    for (const model of this.family) model.readAll();
    this.instance.finish();
    return this.family.reduce((total, model) => total + model.fullCount, this.full);
  }
}

interface Scenario {
  readonly name: string;
  readonly shape: TestShape;
  readonly pages: number;
  readonly access?: Access;
  readonly mayFill: boolean;
  readonly runs: number;
  readonly reaches: readonly CounterName[];
}

const SHARED: readonly CounterName[] = ['cow_faults', 'clone_copies', 'zswpout', 'transient_reads'];

const SCENARIOS: readonly Scenario[] = [
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

/** A failing sequence is shortened no longer than this. */
const SHRINK_MS_MAX = 60_000;
const COMMANDS_MIN = 1500;
const COMMANDS_MAX = 3000;

describe('regions, clones and plain copies agree', () => {
  for (const scenario of SCENARIOS) {
    it(scenario.name, async () => {
      const command = fc.integer({ min: 0, max: 2 ** 32 - 1 });
      const commands = fc.array(command, { minLength: COMMANDS_MIN, maxLength: COMMANDS_MAX, size: 'max' });
      let clones = 0;
      const seen: Partial<Record<CounterName, number>> = {};
      await fc.assert(
        fc.asyncProperty(commands, async (sequence) => {
          const session = new Session(createTestInstance(scenario.shape), scenario.pages, scenario.access ?? 'auto');
          for (const word of sequence) await session.run(word);
          const full = await session.end();
          assert.ok(scenario.mayFill || full === 0, 'there was room');
          clones += session.clones;
          for (const name of scenario.reaches) seen[name] = (seen[name] ?? 0) + session.counted(name);
        }),
        { numRuns: scenario.runs, interruptAfterTimeLimit: SHRINK_MS_MAX },
      );
      assert.ok(clones > scenario.runs, `${clones} clones`);
      for (const name of scenario.reaches) assert.ok((seen[name] ?? 0) > 0, `${name} never happened`);
    });
  }
});
