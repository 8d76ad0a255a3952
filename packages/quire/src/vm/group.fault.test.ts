/** Groups when something is missing: frames, slots, a thread that died, room in the table. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { QuireError } from '../base/errors.ts';
import { MIB, NO_PFN, PAGE_BYTES } from '../base/units.ts';
import { GFP_USER } from '../page-alloc/gfp.ts';
import { allocPageLocked, groupAt, OVER_LIMIT } from '../reclaim/group.ts';
import { claimLocked, createIsolateResult, isolateLocked } from '../swap/swap-out.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, locked, type TestInstance } from '../testing/test-instance.ts';
import { checkGroups } from './group-check.ts';
import { closeGroup, openGroup, setGroupLimits } from './group-limit.ts';
import { RegionSpace } from './region-space.ts';
import { chunksFor, closeRegion, openRegion } from './region-table.ts';
import { buryThread } from './thread-slot.ts';

const SIZE = 16 * MIB;

let instance: TestInstance;
let group: number;

beforeEach(() => {
  instance = createTestInstance({ bytes: 3 * MIB });
  group = openGroup(instance.memory, 'a');
});

afterEach(() => {
  closeGroup(instance.memory, group);
  instance.finish();
});

function regionOf(name: string): RegionSpace {
  const { region } = openRegion(instance.memory, '', chunksFor(SIZE), name);
  return new RegionSpace(instance.memory, region, SIZE);
}

function charged(): number {
  return instance.node.words[groupAt(group) + L.G_PAGES];
}

function write(space: RegionSpace, page: number): void {
  space.write(page * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
}

describe('a charge is given back', () => {
  it('when there is no frame', () => {
    const { node } = instance;
    const free = node.words[L.H_FREE_FRAMES];
    node.words[L.H_FREE_FRAMES] = 0;
    assert.equal(
      locked(node, () => allocPageLocked(node, group, GFP_USER)),
      NO_PFN,
    );
    node.words[L.H_FREE_FRAMES] = free;
    assert.equal(charged(), 0);
    setGroupLimits(instance.memory, group, 0, undefined);
    assert.equal(
      locked(node, () => allocPageLocked(node, group, GFP_USER)),
      OVER_LIMIT,
    );
    assert.equal(node.words[L.H_FREE_FRAMES], free, 'nothing was taken for it');
  });

  it('by the burial of a thread that died while it was bringing a page in', () => {
    const dead = instance.join();
    const [node] = dead.nodes;
    for (let i = 0; i < 5; i++) assert.ok(locked(node, () => allocPageLocked(node, group, GFP_USER)) > 0);
    assert.equal(charged(), 5);
    checkGroups(instance.nodes);
    assert.ok(buryThread(instance.nodes, dead.thread));
    assert.equal(charged(), 0);
    instance.check();
  });

  it('or kept, when it was compressing: the pages are mapped again', () => {
    const space = regionOf('a');
    for (let page = 0; page < 50; page++) write(space, page);
    const dead = instance.join();
    const [node] = dead.nodes;
    const out = new Int32Array(64);
    const result = createIsolateResult();
    locked(node, () => {
      isolateLocked(node, 20, out, result, group);
      for (let i = 0; i < 10; i++) claimLocked(node, out[i] as never);
    });
    assert.ok(result.isolated >= 20);
    assert.equal(charged(), 50, 'a page in flight has its frame');
    assert.equal(node.words[groupAt(group) + L.G_SWAP_PAGES], result.isolated, 'and a slot');
    instance.check();
    assert.ok(buryThread(instance.nodes, dead.thread));
    assert.equal(charged(), 50);
    assert.equal(node.words[groupAt(group) + L.G_SWAP_PAGES], 0);
    instance.check();
  });

  it('of each page, when all memory is full', () => {
    // Nothing can go anywhere, but for one page.
    instance.node.words[L.H_SLOTS_MAX] = 1;
    const space = regionOf('a');
    const other = regionOf('b');
    let written = 0;
    const isFull = (error: unknown): boolean => error instanceof QuireError && error.code === 'ERR_QUIRE_SWAP_FULL';
    assert.throws(() => {
      for (; ; written++) write(written % 2 === 0 ? space : other, written);
    }, isFull);
    const before = charged();
    for (let i = 0; i < 20; i++) assert.throws(() => write(space, 3000 + i), isFull);
    assert.equal(charged(), before);
    instance.check();
    instance.node.words[L.H_SLOTS_MAX] = L.SLOTS_MAX;
  });
});

describe('a slot of the table', () => {
  it('is not taken again while something is charged to it', () => {
    const { node } = instance;
    const old = openGroup(instance.memory, 'old');
    const pfn = locked(node, () => allocPageLocked(node, old, GFP_USER));
    closeGroup(instance.memory, old);
    const next = openGroup(instance.memory, 'new');
    assert.notEqual(next, old, 'a read under way still has a frame');
    const dead = instance.join();
    node.words[node.prevAt + pfn] = dead.thread + 1;
    assert.ok(buryThread(instance.nodes, dead.thread));
    const again = openGroup(instance.memory, 'third');
    assert.equal(again, old);
    for (const each of [next, again]) closeGroup(instance.memory, each);
  });

  it('comes back with the last region of a group that nobody holds', () => {
    const spaces = Array.from({ length: 62 }, (_, i) => regionOf(`g${i}`));
    assert.throws(() => regionOf('one more'), { code: 'ERR_QUIRE_OUT_OF_MEMORY' });
    assert.equal(instance.memory.nodes[0].words[groupAt(group) + L.G_USES], 1);
    write(spaces[30], 5);
    closeRegion(instance.memory, spaces[30].region);
    const more = regionOf('one more');
    write(more, 0);
    assert.throws(() => regionOf('g30'), { code: 'ERR_QUIRE_OUT_OF_MEMORY' });
    instance.check();
  });
});

describe('the check', () => {
  it('finds a charge too many, too few, and on the wrong frame', () => {
    const space = regionOf('a');
    for (let page = 0; page < 5; page++) write(space, page);
    const { words } = instance.node;
    for (const by of [1, -1]) {
      words[groupAt(group) + L.G_PAGES] += by;
      assert.throws(() => checkGroups(instance.nodes), /pages of a group/);
      words[groupAt(group) + L.G_PAGES] -= by;
      words[groupAt(group) + L.G_SWAP_PAGES] += by;
      assert.throws(() => checkGroups(instance.nodes), /slots of a group/);
      words[groupAt(group) + L.G_SWAP_PAGES] -= by;
    }
    const pfn = Array.from({ length: instance.node.frames }, (_, i) => i).find(
      (i) => (words[instance.node.kindAt + i] & 0xf) === 5,
    );
    assert.ok(pfn !== undefined);
    words[instance.node.kindAt + pfn] ^= 1 << 17;
    assert.throws(() => checkGroups(instance.nodes), /charged/);
    words[instance.node.kindAt + pfn] ^= 1 << 17;
    checkGroups(instance.nodes);
  });
});
