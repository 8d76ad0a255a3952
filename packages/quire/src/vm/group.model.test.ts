/** Groups against plain sums: whatever regions of theirs do, the figures are those of a walk, and limits hold. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import * as L from '../arena/layout.ts';
import { frameFromPte, isPresent, isSwapped, PTE_NONE, slotFromPte } from '../arena/pte.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, MIB, PAGE_BYTES } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { GROUP_RESERVE_PAGES, groupAt } from '../reclaim/group.ts';
import { CopyAhead } from '../swap/copy-ahead.ts';
import { slotGroupLocked } from '../swap/slot-group.ts';
import * as W from '../swap/slot-word.ts';
import { peekSlot } from '../swap/swap-table.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, type TestInstance } from '../testing/test-instance.ts';
import { ACCESS_HINTS, setAccess } from './access.ts';
import { closeGroup, openGroup, setGroupLimits, shrinkGroup } from './group-limit.ts';
import { RegionSpace } from './region-space.ts';
import { chunksFor, closeRegion, openRegion } from './region-table.ts';

/** Pages a region may have: two chunks, so that both nodes are used. */
const PAGES = 128;
const REGION_BYTES = 2 * CHUNK_BYTES;
const GROUPS = ['default', 'a', 'b'];

interface Model {
  readonly space: RegionSpace;
  readonly group: number;
  /** Seed of each page that has been written. */
  readonly pages: Map<number, number>;
}

type Operation = readonly [action: number, region: number, page: number, value: number];

const operations = fc.array(
  fc.tuple(fc.nat(11), fc.nat(4), fc.nat(PAGES - 1), fc.nat(1000)) as fc.Arbitrary<Operation>,
  { minLength: 100, maxLength: 400, size: 'max' },
);

class Run {
  readonly instance: TestInstance;
  readonly groups: number[];
  readonly models: Model[] = [];
  private readonly within: boolean[] = GROUPS.map(() => true);
  private readonly copies: CopyAhead[];

  constructor(nodes: number) {
    this.instance = createTestInstance({ bytes: 3 * MIB, nodes });
    this.groups = GROUPS.map((name) => openGroup(this.instance.memory, name));
    this.copies = this.instance.nodes.map((node) => new CopyAhead(node));
    for (let i = 0; i < 5; i++) this.models.push(this.open(i));
  }

  private open(i: number): Model {
    const { memory, nodes } = this.instance;
    const { region } = openRegion(memory, '', chunksFor(REGION_BYTES), GROUPS[i % GROUPS.length]);
    setAccess(nodes[0], region, ACCESS_HINTS[i % ACCESS_HINTS.length]);
    const space = new RegionSpace(memory, region, REGION_BYTES);
    return { space, group: this.groups[i % GROUPS.length], pages: new Map() };
  }

  /** Pages are spread over both chunks. */
  private offset(page: number): number {
    return (page % 2) * CHUNK_BYTES + (page >>> 1) * PAGE_BYTES;
  }

  step([action, which, page, value]: Operation): void {
    const { memory, nodes } = this.instance;
    const model = this.models[which];
    if (action < 5) this.write(model, page, value);
    else if (action < 7) this.read(model, page);
    else if (action === 7) {
      const bytes = ((value % 16) + 1) * PAGE_BYTES;
      const from = this.offset(page & ~1);
      model.space.discard(from, Math.min(bytes, CHUNK_BYTES - from));
      for (let i = 0; i * PAGE_BYTES < bytes; i++) model.pages.delete((page & ~1) + 2 * i);
    } else if (action === 8) memory.reclaimers[value % nodes.length].round(value % 3 === 0, value % 2 === 0);
    else if (action === 9) this.copies[value % nodes.length].copySome();
    else if (action === 10 && value % 20 === 0) this.reopen(which);
    else this.limit(1 + (value % 2), value);
  }

  private write(model: Model, page: number, value: number): void {
    const from = this.offset(page);
    if (value % 4 === 0 && model.pages.has(page)) {
      // In part: the rest stays what it is, so the seed does too.
      const whole = makePage(model.pages.get(page) ?? 0);
      this.attempt(() => model.space.write(from + 100, whole.subarray(100, 200), 0, 100));
    } else if (this.attempt(() => model.space.write(from, makePage(value), 0, PAGE_BYTES)))
      model.pages.set(page, value);
  }

  /** False when a group or all memory is full, which changes nothing. */
  private attempt(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      if (!(error instanceof QuireError)) throw error;
      assert.ok(error.code === 'ERR_QUIRE_OUT_OF_MEMORY' || error.code === 'ERR_QUIRE_SWAP_FULL', error.message);
      return false;
    }
  }

  private read(model: Model, page: number): void {
    const got = new Uint8Array(PAGE_BYTES);
    model.space.read(this.offset(page), got, 0, PAGE_BYTES);
    const seed = model.pages.get(page);
    assert.deepEqual(got, seed === undefined ? new Uint8Array(PAGE_BYTES) : makePage(seed));
  }

  private limit(which: number, value: number): void {
    const { memory } = this.instance;
    const group = this.groups[which];
    const pages = value % 10 === 0 ? Number.POSITIVE_INFINITY : 16 + (value % 60);
    const swapPages = value % 3 === 0 ? value % 80 : value % 7 === 0 ? Number.POSITIVE_INFINITY : undefined;
    setGroupLimits(memory, group, pages, swapPages);
    this.within[which] = shrinkGroup(memory, group);
  }

  private reopen(which: number): void {
    closeRegion(this.instance.memory, this.models[which].space.region);
    this.models[which] = this.open(which);
  }

  /** Figures of each group against its pages one by one. */
  compare(): void {
    const { words } = this.instance.node;
    for (const [i, group] of this.groups.entries()) {
      let resident = 0;
      let slots = 0;
      let pages = 0;
      for (const model of this.models) {
        if (model.group !== group) continue;
        const found = this.count(model);
        assert.equal(found.pages, model.pages.size, 'a page for each that was written');
        resident += found.resident;
        slots += found.slots;
        pages += found.pages;
      }
      const at = groupAt(group);
      assert.equal(words[at + L.G_PAGES], resident, `pages of ${GROUPS[i]}`);
      assert.equal(words[at + L.G_SWAP_PAGES], slots, `slots of ${GROUPS[i]}`);
      assert.ok(resident + slots >= pages, 'each page is somewhere');
      const limit = words[at + L.G_LIMIT_PAGES];
      if (this.within[i] && limit > 0) assert.ok(resident <= limit - 1 + GROUP_RESERVE_PAGES, `limit of ${GROUPS[i]}`);
    }
  }

  private count({ space, group }: Model): { pages: number; resident: number; slots: number } {
    const found = { pages: 0, resident: 0, slots: 0 };
    for (let page = 0; page < PAGES; page++) {
      const place = space.placeOf(this.offset(page));
      const node = this.instance.nodes[place.n];
      const leaf = findLeaf(node, space.region, place.chunk);
      const pte = leaf === 0 ? PTE_NONE : node.words[leaf + place.page];
      if (pte === PTE_NONE) continue;
      found.pages++;
      const isHere = isPresent(pte);
      const slot = isHere ? node.words[node.slotAt + frameFromPte(pte)] - 1 : slotFromPte(pte);
      if (isHere || W.tagOf(peekSlot(node, slot)) === W.SLOT_FRAME) found.resident++;
      if (slot < 0) continue;
      found.slots++;
      assert.equal(slotGroupLocked(node, slot as never), group, 'slot is charged to the group of its page');
      assert.ok(isHere || isSwapped(pte));
    }
    return found;
  }

  finish(): void {
    for (const model of this.models) for (const page of model.pages.keys()) this.read(model, page);
    this.instance.check();
    for (const { space } of this.models) closeRegion(this.instance.memory, space.region);
    const { words } = this.instance.node;
    for (const group of this.groups) {
      assert.equal(words[groupAt(group) + L.G_PAGES], 0);
      assert.equal(words[groupAt(group) + L.G_SWAP_PAGES], 0);
      closeGroup(this.instance.memory, group);
    }
    this.instance.finish();
  }
}

describe('the figures of groups', () => {
  for (const nodes of [1, 2]) {
    it(`are those of a walk over their pages, in ${nodes} nodes`, () => {
      fc.assert(
        fc.property(operations, (sequence) => {
          const run = new Run(nodes);
          for (const operation of sequence) {
            run.step(operation);
            run.compare();
          }
          run.finish();
        }),
        { numRuns: 25 },
      );
    });
  }
});
