/** Clones across groups: to whom shared frames, copies and slots are charged. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { C, type CounterName } from '../base/counters.ts';
import { CHUNK_BYTES, MIB, PAGE_BYTES } from '../base/units.ts';
import { DEFAULT_GROUP, groupAt, groupOfRegion } from '../reclaim/group.ts';
import { makePage, type PageKind } from '../testing/page-data.ts';
import { createTestInstance, type TestInstance, type TestShape } from '../testing/test-instance.ts';
import { cloneRegion } from './clone.ts';
import { closeGroup, openGroup, setGroupLimits } from './group-limit.ts';
import { RegionSpace } from './region-space.ts';
import { openRegion } from './region-table.ts';
import { sumCounter } from './thread-slot.ts';

const REGION_BYTES = 64 * MIB;
let instance: TestInstance;
let space: RegionSpace;

function start(shape: TestShape = {}): void {
  instance = createTestInstance({ bytes: 8 * MIB, ...shape });
  space = instance.space(REGION_BYTES, '', 'random');
}

beforeEach(() => start());
afterEach(() => instance.finish());

function write(page: number, seed: number, kind?: PageKind, to = space): void {
  to.write(page * PAGE_BYTES, makePage(seed, kind), 0, PAGE_BYTES);
}

function assertPage(of: RegionSpace, page: number, expected: Uint8Array): void {
  const got = new Uint8Array(PAGE_BYTES);
  of.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
  assert.ok(Buffer.compare(got, expected) === 0, `page ${page} of region ${of.region}`);
}

function counted(name: CounterName): number {
  return sumCounter(instance.node, C[name]);
}

function gauge(at: number): number {
  return instance.node.words[at];
}

describe('groups', () => {
  const pagesOf = (group: number): number => gauge(groupAt(group) + L.G_PAGES);
  const inGroup = (name: string): { copy: RegionSpace; group: number } => {
    const region = cloneRegion(instance.memory, space.region, '', name);
    return {
      copy: new RegionSpace(instance.memory, region, space.size),
      group: groupOfRegion(instance.node, region),
    };
  };

  it('a shared frame stays with the group that had it first, until the last one of another writes it', () => {
    for (let page = 0; page < 10; page++) write(page, page);
    const { copy, group } = inGroup('other');
    assert.deepEqual([pagesOf(DEFAULT_GROUP), pagesOf(group)], [10, 0]);
    write(0, 100, undefined, copy);
    assert.deepEqual([pagesOf(DEFAULT_GROUP), pagesOf(group)], [10, 1]);
    instance.closeSpace(space);
    instance.check();
    assert.deepEqual([pagesOf(DEFAULT_GROUP), pagesOf(group)], [9, 1], 'the source’s page 0 went with it');
    write(1, 101, undefined, copy);
    copy.fill(2 * PAGE_BYTES, 1, 5);
    assert.deepEqual([pagesOf(DEFAULT_GROUP), pagesOf(group)], [7, 3]);
    instance.check();
    for (let page = 3; page < 10; page++) assertPage(copy, page, makePage(page));
    assertPage(copy, 1, makePage(101));
    space = copy;
  });

  it('at its limit a clone’s group refuses copies and writes, and nothing has changed', () => {
    instance.finish();
    start({ hasSwap: false });
    for (let page = 0; page < 20; page++) write(page, page);
    const held = openGroup(instance.memory, 'small');
    setGroupLimits(instance.memory, held, 8, undefined);
    assert.throws(() => cloneRegion(instance.memory, space.region, '', 'small'), { code: 'ERR_QUIRE_OUT_OF_MEMORY' });
    assert.equal(pagesOf(held), 0);
    instance.check();
    closeGroup(instance.memory, held);
    for (let page = 0; page < 20; page++) assertPage(space, page, makePage(page));
  });

  it('what finds no slot within the swap limit is copied, in the clone’s group', () => {
    const held = openGroup(instance.memory, 'few slots');
    setGroupLimits(instance.memory, held, undefined, 4);
    const { region } = openRegion(instance.memory, '', REGION_BYTES / CHUNK_BYTES, 'few slots');
    const source = new RegionSpace(instance.memory, region, REGION_BYTES);
    for (let page = 0; page < 10; page++) write(page, page, undefined, source);
    const cloned = cloneRegion(instance.memory, source.region, '', 'default');
    const copy = new RegionSpace(instance.memory, cloned, source.size);
    assert.equal(gauge(groupAt(held) + L.G_SWAP_PAGES), 4);
    assert.equal(counted('clone_copies'), 6);
    assert.deepEqual([pagesOf(held), pagesOf(DEFAULT_GROUP)], [10, 6]);
    write(0, 50, undefined, source);
    for (let page = 0; page < 10; page++) assertPage(copy, page, makePage(page));
    instance.closeSpace(source);
    for (let page = 0; page < 10; page++) assertPage(copy, page, makePage(page));
    assert.equal(gauge(groupAt(held) + L.G_SWAP_PAGES), 4, 'the slots stay with the group they were taken for');
    instance.closeSpace(copy);
    assert.equal(gauge(groupAt(held) + L.G_SWAP_PAGES), 0);
    closeGroup(instance.memory, held);
  });

  it('the last one that writes shared pages takes them within the limit of its own group', () => {
    for (let page = 0; page < 40; page++) write(page, page, 'text');
    const { copy, group } = inGroup('small');
    setGroupLimits(instance.memory, group, 8, undefined);
    instance.closeSpace(space);
    assert.equal(pagesOf(DEFAULT_GROUP), 40);
    for (let page = 0; page < 40; page++) {
      copy.fill(page * PAGE_BYTES, 7, 100);
      assert.ok(pagesOf(group) <= 8, `${pagesOf(group)} pages after ${page}`);
      assert.equal(pagesOf(DEFAULT_GROUP), 39 - page);
    }
    instance.check();
    for (let page = 0; page < 40; page++) assertPage(copy, page, makePage(page, 'text').fill(7, 0, 100));
    space = copy;
  });
});
