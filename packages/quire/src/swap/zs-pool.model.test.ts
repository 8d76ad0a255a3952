/** The compressed pool against a plain Map: contents, straddling objects, compaction. The slot of an object is made up here; only the pool is under test. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { MIB, PAGE_BYTES, type SlotIndex, UNIT_PAGES } from '../base/units.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { checkPool } from '../testing/deep-check.ts';
import { makePages } from '../testing/page-data.ts';
import { createTestInstance, locked } from '../testing/test-instance.ts';
import { classFor, OBJECT_BYTES_MAX, SIZE_CLASSES } from './size-classes.ts';
import { locationOffsetBytes } from './slot-word.ts';
import {
  forEachObjectLocked,
  gathered,
  OBJECT_HEADER_BYTES,
  sparseVictim,
  UNIT_PAYLOAD_MAX,
  zsAllocLocked,
  zsAllocUnitLocked,
  zsCloneLocked,
  zsFreeLocked,
  zsFreeObjectLocked,
  zsGather,
  zsWriteLocked,
} from './zs-pool.ts';

const PAYLOAD_MAX = OBJECT_BYTES_MAX - OBJECT_HEADER_BYTES;

interface Stored {
  location: number;
  readonly bytes: Uint8Array;
  /** Slots whose page is in it: one, or those of a unit that are left. */
  readonly slots: SlotIndex[];
}

/** The pool and its copy. Objects are written from the thread's staging buffer. */
class Pool {
  readonly instance = createTestInstance({ bytes: 2 * MIB, areas: 1 });
  readonly node: Node = this.instance.node;
  readonly stored: Stored[] = [];
  private nextSlot = 0;

  /** A page, or a unit; what no page can be is a unit anyway. */
  alloc(length: number, seed: number, wantsUnit = false): boolean {
    const { node } = this;
    const isUnit = wantsUnit || length > PAYLOAD_MAX;
    const slot = this.nextSlot as SlotIndex;
    this.nextSlot += UNIT_PAGES;
    const bytes = makePages(seed, UNIT_PAGES, 'noise').subarray(0, length);
    const source = node.takeStaging();
    node.bytes.set(bytes, source);
    const location = locked(node, () => {
      const at = (isUnit ? zsAllocUnitLocked : zsAllocLocked)(node, slot, length, GFP_RECLAIM);
      if (at !== -1) zsWriteLocked(node, at, source | 0, length);
      return at;
    });
    if (location === -1) return false;
    const slots = Array.from({ length: isUnit ? UNIT_PAGES : 1 }, (_, i) => (slot + i) as SlotIndex);
    this.stored.push({ location, bytes, slots });
    return true;
  }

  /** One page goes, of a unit any. */
  free(pick: number): void {
    if (this.stored.length === 0) return;
    const object = this.stored[pick % this.stored.length];
    const [slot] = object.slots.splice(pick % object.slots.length, 1);
    locked(this.node, () => zsFreeLocked(this.node, object.location, slot));
    if (object.slots.length === 0) this.stored.splice(this.stored.indexOf(object), 1);
  }

  /** Moves every object of one sparse zspage, as compaction does. */
  compact(cls: number): void {
    const { node } = this;
    locked(node, () => {
      const head = sparseVictim(node, cls);
      if (head === 0) return;
      const found = new Map<number, SlotIndex[]>();
      forEachObjectLocked(node, head, (slot, location) => {
        found.set(location, [...(found.get(location) ?? []), slot]);
      });
      for (const [location, slots] of found) {
        const object = this.stored.find((candidate) => candidate.location === location);
        assert.deepEqual(
          object?.slots.toSorted((a, b) => a - b),
          slots,
          'a walk finds the pages where they were put',
        );
        const moved = zsCloneLocked(node, location);
        if (moved === -1 || object === undefined) return;
        object.location = moved;
        zsFreeObjectLocked(node, location);
      }
    });
  }

  check(): void {
    let bytes = 0;
    let pages = 0;
    for (const { location, bytes: wanted, slots } of this.stored) {
      pages += slots.length;
      const at = zsGather(this.node, location);
      assert.notEqual(at, -1);
      assert.equal(gathered.length, wanted.length);
      assert.equal(
        Buffer.compare(this.node.bytes.subarray(at >>> 0, (at >>> 0) + wanted.length), wanted),
        0,
        `object at ${location}`,
      );
      bytes += wanted.length;
    }
    assert.equal(this.node.words[L.H_ZS_OBJECTS], pages);
    assert.equal(this.node.words[L.H_ZS_BYTES], bytes);
    checkPool(this.node);
  }

  end(): void {
    while (this.stored.length > 0) this.free(0);
    assert.equal(this.node.words[L.H_ZS_FRAMES], 0, 'an empty pool holds no frame');
    this.instance.finish();
  }
}

describe('the compressed pool', () => {
  it('agrees with a plain Map', () => {
    const length = fc.oneof(
      fc.integer({ min: 1, max: PAYLOAD_MAX }),
      fc.integer({ min: 900, max: 1000 }),
      fc.integer({ min: 4000, max: 9000 }),
      fc.constant(UNIT_PAYLOAD_MAX),
      fc.constant(PAYLOAD_MAX),
    );
    const operation = fc.tuple(fc.integer({ min: 0, max: 9 }), length, fc.nat());
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 1200, size: 'max' }), (operations) => {
        const pool = new Pool();
        for (const [choice, bytes, pick] of operations) {
          if (choice < 5) pool.alloc(bytes, pick, choice === 0);
          else if (choice < 9) pool.free(pick);
          else pool.compact(classFor(bytes + OBJECT_HEADER_BYTES));
        }
        pool.check();
        pool.end();
      }),
      { numRuns: 40 },
    );
  });

  it('every class: full zspages, objects over several frames, last ones freed first and last', () => {
    for (let cls = 0; cls < SIZE_CLASSES.length; cls++) {
      const pool = new Pool();
      const { bytes, objects } = SIZE_CLASSES[cls];
      for (let i = 0; i < objects * 2 + 1; i++) assert.ok(pool.alloc(bytes - OBJECT_HEADER_BYTES, i));
      const straddling = pool.stored.filter(
        ({ location }) => locationOffsetBytes(location) + bytes > PAGE_BYTES,
      ).length;
      assert.equal(straddling > 0, SIZE_CLASSES[cls].frames > 1 && PAGE_BYTES % bytes !== 0, `class of ${bytes}`);
      pool.check();
      while (pool.stored.length > objects) pool.free(pool.stored.length % 2 === 0 ? 0 : pool.stored.length - 1);
      pool.check();
      pool.end();
    }
  });

  it('compaction gives frames back and loses nothing', () => {
    const pool = new Pool();
    for (let i = 0; i < 300; i++) pool.alloc(1000, i);
    for (let i = 0; i < 200; i++) pool.free(i * 17);
    const before = pool.node.words[L.H_ZS_FRAMES];
    for (let i = 0; i < 200; i++) pool.compact(classFor(1008));
    pool.check();
    assert.ok(pool.node.words[L.H_ZS_FRAMES] < before * 0.7, `${before} → ${pool.node.words[L.H_ZS_FRAMES]}`);
    pool.end();
  });

  it('says so when there is no frame, and half-made zspages leave nothing behind', () => {
    const pool = new Pool();
    let count = 0;
    while (pool.alloc(3200, count)) count++;
    pool.check();
    assert.ok(count > 300);
    assert.ok(pool.node.words[L.H_FREE_FRAMES] < 4, 'less than a zspage is left');
    pool.free(5);
    assert.ok(pool.alloc(3200, 1), 'a free makes room');
    pool.end();
  });

  it('gathering from a wrong location never leaves the node', () => {
    const { node } = createTestInstance({ bytes: 2 * MIB, areas: 1 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 28 - 1 }), fc.integer(), (location, word) => {
        const pfn = location >>> 8;
        if (pfn > 0 && pfn < node.frames && pfn >= node.firstFree + 40)
          node.words[pfn * 1024 + ((location & 0xff) << 2) + 1] = word;
        const at = zsGather(node, location);
        if (at === -1) return;
        assert.ok(gathered.length > 0 && gathered.length <= (gathered.isUnit ? UNIT_PAYLOAD_MAX : PAGE_BYTES));
        assert.ok((at >>> 0) + gathered.length <= node.bytes.length);
      }),
      { numRuns: 5000 },
    );
  });

  it('asserts on a page of a unit freed twice', () => {
    const pool = new Pool();
    pool.alloc(5000, 1);
    const [{ location, slots }] = pool.stored;
    const [slot] = slots;
    pool.free(0);
    locked(pool.node, () => assert.throws(() => zsFreeLocked(pool.node, location, slot), /freed twice/));
  });

  it('asserts on an object freed twice', () => {
    const pool = new Pool();
    pool.alloc(100, 1);
    pool.alloc(100, 2);
    const [{ location }] = pool.stored;
    pool.free(0);
    locked(pool.node, () => {
      assert.throws(() => zsFreeObjectLocked(pool.node, location), /freed twice/);
    });
  });
});
