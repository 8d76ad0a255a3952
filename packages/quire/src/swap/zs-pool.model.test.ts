/** The compressed pool against a plain Map: contents, straddling objects, compaction. The slot of an object is made up here; only the pool is under test. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { MIB, PAGE_BYTES, type SlotIndex } from '../base/units.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { allocTableFrameLocked, freeTableFrameLocked } from '../page-alloc/table-slab.ts';
import { checkPool } from '../testing/deep-check.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, frameBytes, locked } from '../testing/test-instance.ts';
import { classFor, OBJECT_BYTES_MAX, SIZE_CLASSES } from './size-classes.ts';
import { locationOffsetBytes } from './slot-word.ts';
import {
  forEachObjectLocked,
  gathered,
  OBJECT_HEADER_BYTES,
  sparseVictim,
  zsAllocLocked,
  zsCloneLocked,
  zsFreeLocked,
  zsGather,
  zsWriteLocked,
} from './zs-pool.ts';

const PAYLOAD_MAX = OBJECT_BYTES_MAX - OBJECT_HEADER_BYTES;

interface Stored {
  location: number;
  readonly bytes: Uint8Array;
}

/** The pool and its copy. `source` is a frame that objects are written from. */
class Pool {
  readonly instance = createTestInstance({ bytes: 2 * MIB, areas: 1 });
  readonly node: Node = this.instance.node;
  readonly stored = new Map<number, Stored>();
  private readonly source = locked(this.node, () => allocTableFrameLocked(this.node, GFP_RECLAIM));
  private nextSlot = 1;

  alloc(length: number, seed: number): boolean {
    const { node } = this;
    const slot = this.nextSlot++;
    const bytes = makePage(seed, 'noise').subarray(0, length);
    frameBytes(node, this.source).set(bytes);
    const location = locked(node, () => {
      const at = zsAllocLocked(node, slot as SlotIndex, length, GFP_RECLAIM);
      if (at !== -1) zsWriteLocked(node, at, this.source << 12, length);
      return at;
    });
    if (location === -1) return false;
    this.stored.set(slot, { location, bytes });
    return true;
  }

  free(pick: number): void {
    const slots = [...this.stored.keys()];
    if (slots.length === 0) return;
    const slot = slots[pick % slots.length];
    locked(this.node, () => zsFreeLocked(this.node, (this.stored.get(slot) as Stored).location));
    this.stored.delete(slot);
  }

  /** Moves every object of one sparse zspage, as compaction does. */
  compact(cls: number): void {
    const { node } = this;
    locked(node, () => {
      const head = sparseVictim(node, cls);
      if (head === 0) return;
      const found: [number, number][] = [];
      forEachObjectLocked(node, head, (slot, location) => found.push([slot, location]));
      for (const [slot, location] of found) {
        const record = this.stored.get(slot);
        assert.equal(record?.location, location, 'a walk finds the object where it was put');
        const moved = zsCloneLocked(node, location, slot as SlotIndex);
        if (moved === -1 || record === undefined) return;
        record.location = moved;
        zsFreeLocked(node, location);
      }
    });
  }

  check(): void {
    let bytes = 0;
    for (const { location, bytes: wanted } of this.stored.values()) {
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
    assert.equal(this.node.words[L.H_ZS_OBJECTS], this.stored.size);
    assert.equal(this.node.words[L.H_ZS_BYTES], bytes);
    checkPool(this.node);
  }

  end(): void {
    while (this.stored.size > 0) this.free(0);
    assert.equal(this.node.words[L.H_ZS_FRAMES], 0, 'an empty pool holds no frame');
    locked(this.node, () => freeTableFrameLocked(this.node, this.source));
    this.instance.finish();
  }
}

describe('the compressed pool', () => {
  it('agrees with a plain Map', () => {
    const length = fc.oneof(
      fc.integer({ min: 1, max: PAYLOAD_MAX }),
      fc.integer({ min: 900, max: 1000 }),
      fc.constant(PAYLOAD_MAX),
    );
    const operation = fc.tuple(fc.integer({ min: 0, max: 9 }), length, fc.nat());
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 1200, size: 'max' }), (operations) => {
        const pool = new Pool();
        for (const [choice, bytes, pick] of operations) {
          if (choice < 5) pool.alloc(bytes, pick);
          else if (choice < 9) pool.free(pick);
          else pool.compact(classFor(bytes + OBJECT_HEADER_BYTES));
        }
        pool.check();
        pool.end();
      }),
      { numRuns: 40 },
    );
  });

  it('every class: full zspages, objects over two frames, last ones freed first and last', () => {
    for (let cls = 0; cls < SIZE_CLASSES.length; cls++) {
      const pool = new Pool();
      const { bytes, objects } = SIZE_CLASSES[cls];
      for (let i = 0; i < objects * 2 + 1; i++) assert.ok(pool.alloc(bytes - OBJECT_HEADER_BYTES, i));
      const straddling = [...pool.stored.values()].filter(
        ({ location }) => locationOffsetBytes(location) + bytes > PAGE_BYTES,
      ).length;
      assert.equal(straddling > 0, SIZE_CLASSES[cls].frames > 1 && PAGE_BYTES % bytes !== 0, `class of ${bytes}`);
      pool.check();
      for (let i = 0; i < objects; i++) pool.free(i % 2 === 0 ? 0 : pool.stored.size - 1);
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
        assert.ok(gathered.length > 0 && gathered.length <= PAGE_BYTES);
        assert.ok((at >>> 0) + gathered.length <= node.bytes.length);
      }),
      { numRuns: 5000 },
    );
  });

  it('asserts on an object freed twice', () => {
    const pool = new Pool();
    pool.alloc(100, 1);
    pool.alloc(100, 2);
    const [{ location }] = pool.stored.values();
    pool.free(0);
    locked(pool.node, () => {
      assert.throws(() => zsFreeLocked(pool.node, location), /freed twice/);
    });
  });
});
