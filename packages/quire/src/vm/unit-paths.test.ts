/** The ways of a unit: four pages out together, read one by one, split, moved, sent to the file, and every way in which it does not come about. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FRAME_SEQUENTIAL, KIND_NEW, tryPin, unpin } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { frameFromPte, isPresent, slotFromPte } from '../arena/pte.ts';
import { C, type CounterName } from '../base/counters.ts';
import { CHUNK_PAGES, MIB, PAGE_BYTES, type Pfn, UNIT_PAGES } from '../base/units.ts';
import { migrateLocked } from '../compaction/migrate.ts';
import { GFP_RECLAIM } from '../page-alloc/gfp.ts';
import { allocLocked, freeLocked } from '../page-alloc/page-allocator.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { Compressor } from '../swap/compressor.ts';
import { Demoter } from '../swap/demoter.ts';
import { compactPool } from '../swap/pool-compactor.ts';
import { Reclaimer } from '../swap/reclaimer.ts';
import * as W from '../swap/slot-word.ts';
import { createIsolateResult, isolateLocked } from '../swap/swap-out.ts';
import { peekSlot } from '../swap/swap-table.ts';
import { makePage, type PageKind } from '../testing/page-data.ts';
import { createTestInstance, locked, type TestInstance, type TestShape } from '../testing/test-instance.ts';
import type { Access } from './access.ts';
import type { RegionSpace } from './region-space.ts';
import { sumCounter } from './thread-slot.ts';

const REGION_BYTES = 64 * MIB;

/** A region and what it must hold. */
class Scene {
  readonly instance: TestInstance;
  readonly space: RegionSpace;
  private readonly pages = new Map<number, Uint8Array>();

  constructor(access: Access = 'sequential', shape: TestShape = {}) {
    this.instance = createTestInstance({ bytes: 8 * MIB, ...shape });
    this.space = this.instance.space(REGION_BYTES, '', access);
  }

  write(page: number, kind: PageKind = 'text', seed = page): void {
    const bytes = makePage(seed, kind);
    this.space.write(page * PAGE_BYTES, bytes, 0, PAGE_BYTES);
    this.pages.set(page, bytes);
  }

  fill(first: number, count: number, kind: PageKind = 'text'): void {
    for (let page = first; page < first + count; page++) this.write(page, kind);
  }

  discard(page: number): void {
    this.space.discard(page * PAGE_BYTES, PAGE_BYTES);
    this.pages.delete(page);
  }

  read(page: number): void {
    const got = new Uint8Array(PAGE_BYTES);
    this.space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
    assert.deepEqual(got, this.pages.get(page) ?? new Uint8Array(PAGE_BYTES), `page ${page}`);
  }

  /** Everything resident goes out. What is read afterwards was not wanted lately. */
  evict(): void {
    const { node } = this.instance;
    const reclaimer = new Reclaimer(node, undefined);
    for (let round = 0; round < 2000 && node.words[L.H_REGION_PAGES] + node.words[L.H_INFLIGHT] > 0; round++)
      reclaimer.round(false, true);
    assert.equal(node.words[L.H_REGION_PAGES], 0);
    node.words[L.H_AGE] += node.frames;
  }

  entry(page: number): number {
    const { node } = this.instance;
    return node.words[findLeaf(node, this.space.region, Math.floor(page / CHUNK_PAGES)) + (page % CHUNK_PAGES)];
  }

  slot(page: number): number {
    assert.ok(!isPresent(this.entry(page)), `page ${page} is swapped`);
    return slotFromPte(this.entry(page));
  }

  frame(page: number): Pfn {
    assert.ok(isPresent(this.entry(page)), `page ${page} is resident`);
    return frameFromPte(this.entry(page));
  }

  word(page: number): number {
    return peekSlot(this.instance.node, this.slot(page));
  }

  counted(name: CounterName): number {
    return sumCounter(this.instance.node, C[name]);
  }

  gauge(at: number): number {
    return this.instance.node.words[at];
  }

  /** Takes up to `limit` pages out of the page table, as reclaim does. */
  isolate(limit: number): Int32Array {
    const { node } = this.instance;
    const out = new Int32Array(limit + UNIT_PAGES - 1);
    const result = createIsolateResult();
    for (let pfn = node.firstFree; pfn < node.frames; pfn++) node.words[node.touchAt + pfn] = 0;
    locked(node, () => isolateLocked(node, limit, out, result));
    return out.subarray(0, result.isolated);
  }

  end(): void {
    this.instance.check();
    for (const page of this.pages.keys()) this.read(page);
    this.instance.finish();
  }
}

describe('a unit', () => {
  it('is four aligned neighbours: one object behind a run of slots', () => {
    const scene = new Scene();
    scene.fill(0, 42);
    scene.evict();
    assert.equal(scene.counted('thp_swpout'), 10);
    for (let first = 0; first < 40; first += UNIT_PAGES) {
      const base = scene.slot(first);
      assert.equal(base % UNIT_PAGES, 0);
      for (let i = 1; i < UNIT_PAGES; i++) {
        assert.equal(scene.slot(first + i), base + i);
        assert.equal(scene.word(first + i), scene.word(first), 'all name one object');
      }
    }
    assert.notEqual(scene.word(40), scene.word(41));
    assert.equal(scene.gauge(L.H_ZS_OBJECTS), 42);
    scene.end();
  });

  it('takes less than its pages one by one', () => {
    const bytes = (['sequential', 'random'] as const).map((access) => {
      const scene = new Scene(access);
      scene.fill(0, 400);
      scene.evict();
      scene.end();
      return scene.gauge(L.H_ZS_BYTES) === 0 ? scene.counted('thp_swpout') : -1;
    });
    assert.deepEqual(bytes, [100, 0], 'units only where the hint says so');
    const frames = (['sequential', 'random'] as const).map((access) => {
      const scene = new Scene(access);
      scene.fill(0, 400);
      scene.evict();
      return scene.gauge(L.H_ZS_FRAMES);
    });
    assert.ok(frames[0] < frames[1] * 0.95, `${frames[0]} frames against ${frames[1]}`);
  });

  it('is decoded once for a reader that goes through it, and takes no frame', () => {
    const scene = new Scene();
    scene.fill(0, 80);
    scene.evict();
    const free = scene.gauge(L.H_FREE_FRAMES);
    for (let page = 0; page < 80; page++) scene.read(page);
    assert.equal(scene.counted('thp_swpin'), 20);
    assert.equal(scene.counted('transient_reads'), 80);
    assert.equal(scene.gauge(L.H_FREE_FRAMES), free);
    for (let page = 79; page >= 0; page--) scene.read(page);
    scene.end();
  });

  it('splits by attrition: a written page gives its part up, the last one the object', () => {
    const scene = new Scene();
    scene.fill(0, 4);
    scene.evict();
    const frames = scene.gauge(L.H_ZS_FRAMES);
    for (const [left, page] of [1, 3, 0, 2].entries()) {
      scene.write(page, 'text', 100 + page);
      scene.instance.check();
      assert.equal(scene.gauge(L.H_ZS_OBJECTS), 3 - left);
      assert.equal(scene.gauge(L.H_ZS_FRAMES), left === 3 ? 0 : frames);
      for (let other = 0; other < 4; other++) scene.read(other);
    }
    scene.end();
  });

  it('what was decoded is not shown after the page was written, swapped out again and read', () => {
    const scene = new Scene();
    scene.fill(0, 4);
    scene.evict();
    for (let page = 0; page < 4; page++) scene.read(page);
    for (let turn = 0; turn < 8; turn++) {
      scene.write(turn % 4, 'text', 200 + turn);
      scene.evict();
      for (let page = 0; page < 4; page++) scene.read(page);
    }
    scene.end();
  });

  it('a page brought in keeps its part as clean copy', () => {
    const scene = new Scene();
    scene.fill(0, 8);
    scene.evict();
    for (let touch = 0; touch < 3; touch++) scene.read(2);
    assert.equal(scene.gauge(L.H_CLEAN_COPIES), 1);
    const out = scene.counted('zswpout');
    scene.evict();
    assert.equal(scene.counted('zswpout'), out, 'its eviction stores nothing');
    assert.equal(scene.word(2), scene.word(1));
    scene.end();
  });

  it('pages discarded one by one leave nothing', () => {
    const scene = new Scene();
    scene.fill(0, 8);
    scene.evict();
    for (const page of [5, 4, 7, 6]) {
      scene.discard(page);
      scene.instance.check();
    }
    assert.equal(scene.gauge(L.H_ZS_OBJECTS), 4);
    scene.end();
  });

  it('moves with its zspage: pool compaction', () => {
    const scene = new Scene();
    scene.fill(0, 400);
    scene.evict();
    for (let page = 0; page < 400; page++) if (page % 32 >= 8) scene.discard(page);
    scene.read(0);
    assert.ok(compactPool(scene.instance.node, 1000) > 0);
    scene.instance.check();
    scene.end();
  });

  it('moves frame by frame: migration', () => {
    const scene = new Scene();
    scene.fill(0, 40);
    scene.evict();
    const { node } = scene.instance;
    for (let page = 0; page < 40; page += 3) {
      scene.read(page);
      const from = W.locationPfn(W.payloadOf(scene.word(page))) as Pfn;
      locked(node, () => {
        const to = allocLocked(node, 0, L.MIGRATE_MOVABLE, GFP_RECLAIM, KIND_NEW);
        assert.ok(migrateLocked(node, from, to));
        node.bytes.fill(0xaa, from * PAGE_BYTES, (from + 1) * PAGE_BYTES);
        freeLocked(node, from);
      });
      scene.instance.check();
      scene.read(page);
    }
    scene.end();
  });

  it('goes to the file page by page', () => {
    const scene = new Scene('sequential', { fileBytes: 16 * MIB });
    scene.fill(0, 200);
    scene.fill(200, 8, 'noise');
    scene.evict();
    scene.read(4);
    scene.read(4);
    const demoter = new Demoter(scene.instance.node, scene.instance.device);
    for (let turn = 0; turn < 200 && scene.gauge(L.H_ZS_FRAMES) > 0; turn++) {
      demoter.demote();
      scene.instance.check();
    }
    assert.equal(scene.gauge(L.H_ZS_FRAMES), 0);
    assert.equal(W.tagOf(scene.word(5)), W.SLOT_FILE);
    scene.end();
  });
});

/** What happens to a group of four between its isolation and its end. */
interface Disturbance {
  readonly what: string;
  readonly units: number;
  disturb(scene: Scene): void;
}

const DISTURBANCES: readonly Disturbance[] = [
  { what: 'nothing', units: 1, disturb: () => undefined },
  { what: 'a page is written', units: 0, disturb: (scene) => scene.write(2, 'text', 77) },
  { what: 'the first page is written', units: 0, disturb: (scene) => scene.write(0, 'text', 77) },
  { what: 'a page is discarded', units: 0, disturb: (scene) => scene.discard(1) },
  {
    what: 'a page is written and goes out again',
    units: 0,
    disturb: (scene) => {
      scene.write(3, 'text', 78);
      assert.equal(scene.isolate(4).length, 1);
    },
  },
  {
    what: 'all are written',
    units: 0,
    disturb: (scene) => {
      for (let page = 0; page < 4; page++) scene.write(page, 'text', 90 + page);
    },
  },
];

describe('a unit that is disturbed', () => {
  for (const { what, units, disturb } of DISTURBANCES) {
    it(`while it is queued: ${what}`, () => {
      const scene = new Scene();
      scene.fill(0, 4);
      const queued = scene.isolate(1);
      assert.equal(queued.length, UNIT_PAGES);
      disturb(scene);
      new Compressor(scene.instance.node, false).run(queued);
      assert.equal(scene.counted('thp_swpout'), units);
      scene.instance.check();
      scene.evict();
      scene.end();
    });

    it(`while it is being compressed: ${what}`, () => {
      const scene = new Scene();
      scene.fill(0, 4);
      const compressor = new Compressor(scene.instance.node, false);
      const queued = scene.isolate(1);
      assert.equal(compressor.claim(queued, 0, true), UNIT_PAGES);
      disturb(scene);
      compressor.compress();
      compressor.publish();
      compressor.runLoose();
      assert.equal(scene.counted('thp_swpout'), units);
      assert.equal(scene.counted('thp_swpout_fallback'), 1 - units);
      scene.instance.check();
      scene.evict();
      scene.end();
    });
  }

  it('and half of it was popped from the ring by another: the first takes all of it', () => {
    const scene = new Scene();
    scene.fill(0, 4);
    const queued = scene.isolate(1);
    const [first, second] = [new Compressor(scene.instance.node, false), new Compressor(scene.instance.node, false)];
    assert.equal(first.claim(queued.subarray(2), 0, true), 2);
    assert.equal(second.run(queued.subarray(0, 2)), 0);
    first.compress();
    assert.equal(first.publish(), UNIT_PAGES);
    scene.end();
  });
});

/** Why four neighbours do not go together. */
const REFUSALS: readonly { readonly what: string; prepare(scene: Scene): () => void }[] = [
  {
    what: 'a neighbour is pinned',
    prepare: (scene) => {
      const pfn = scene.frame(2);
      assert.ok(tryPin(scene.instance.node, pfn));
      return () => unpin(scene.instance.node, pfn);
    },
  },
  {
    what: 'a neighbour was never written',
    prepare: (scene) => {
      scene.discard(3);
      return () => undefined;
    },
  },
  {
    what: 'the frame was filled before the hint',
    prepare: (scene) => {
      const { node } = scene.instance;
      for (let page = 0; page < 4; page++) node.words[node.kindAt + scene.frame(page)] &= ~FRAME_SEQUENTIAL;
      return () => undefined;
    },
  },
  {
    what: 'there is no run of slots',
    prepare: (scene) => {
      const { node } = scene.instance;
      const max = node.words[L.H_SLOTS_MAX];
      node.words[L.H_SLOTS_MAX] = 3;
      return () => {
        node.words[L.H_SLOTS_MAX] = max;
      };
    },
  },
];

describe('no unit', () => {
  for (const { what, prepare } of REFUSALS) {
    it(`when ${what}`, () => {
      const scene = new Scene();
      scene.fill(0, 4);
      const undo = prepare(scene);
      const queued = scene.isolate(4);
      assert.ok(queued.length === 3 || queued.length === 4, `${queued.length} isolated`);
      undo();
      new Compressor(scene.instance.node, false).run(queued);
      assert.equal(scene.counted('thp_swpout'), 0);
      scene.instance.check();
      scene.evict();
      scene.end();
    });
  }

  it('when it does not compress: its pages are kept raw', () => {
    const scene = new Scene();
    scene.fill(0, 4, 'noise');
    new Compressor(scene.instance.node, false).run(scene.isolate(1));
    assert.equal(scene.counted('thp_swpout_fallback'), 1);
    assert.equal(scene.gauge(L.H_RAW_FRAMES), 4);
    scene.end();
  });

  it('when a page of it is same-filled: reclaim finds that first', () => {
    const scene = new Scene();
    scene.fill(0, 4);
    scene.write(1, 'same');
    scene.evict();
    assert.equal(scene.counted('thp_swpout'), 0);
    assert.equal(W.tagOf(scene.word(1)), W.SLOT_SAME);
    scene.end();
  });
});
