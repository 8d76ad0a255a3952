/** What each kind of page becomes when its region is cloned, and what writes, discards and reclaim then do to either side. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { KIND_QUEUED, KIND_SHARED, kindOf } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { frameFromPte, isPresent, isSwapped, slotFromPte } from '../arena/pte.ts';
import { C, type CounterName } from '../base/counters.ts';
import { CHUNK_BYTES, CHUNK_PAGES, MIB, PAGE_BYTES, type Pfn, type SlotIndex } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { CopyAhead } from '../swap/copy-ahead.ts';
import { Reclaimer } from '../swap/reclaimer.ts';
import { isSlotSharedLocked, slotCountLocked } from '../swap/slot-count.ts';
import { SLOT_FRAME, SLOT_OBJECT, tagOf } from '../swap/slot-word.ts';
import { peekSlot } from '../swap/swap-table.ts';
import { makePage, type PageKind } from '../testing/page-data.ts';
import { createTestInstance, type TestInstance, type TestShape } from '../testing/test-instance.ts';
import { cloneRegion } from './clone.ts';
import { pinRange, unpinRange } from './pin-range.ts';
import { RegionSpace } from './region-space.ts';
import { closeRegion, openRegion } from './region-table.ts';
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

function clone(of = space, name = ''): RegionSpace {
  const region = cloneRegion(instance.memory, of.region, name, 'default');
  assert.ok(region >= 0);
  instance.check();
  return new RegionSpace(instance.memory, region, of.size);
}

function write(page: number, seed: number, kind?: PageKind, to = space): void {
  to.write(page * PAGE_BYTES, makePage(seed, kind), 0, PAGE_BYTES);
}

function assertPage(of: RegionSpace, page: number, expected: Uint8Array): void {
  const got = new Uint8Array(PAGE_BYTES);
  of.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
  assert.ok(Buffer.compare(got, expected) === 0, `page ${page} of region ${of.region}`);
}

/** Reclaims until nothing of any region is resident; the ring is drained too. */
function evict(): void {
  const { words } = instance.node;
  const reclaimer = new Reclaimer(instance.node, instance.memory.device);
  for (let round = 0; round < 2000 && words[L.H_REGION_PAGES] + words[L.H_INFLIGHT] > 0; round++)
    reclaimer.round(false, true);
  assert.equal(words[L.H_REGION_PAGES] + words[L.H_INFLIGHT], 0);
}

/** Takes pages out of the page table and leaves them in the ring. */
function queueAll(): void {
  instance.node.words[L.H_KCOMPRESSD] = 1;
  const reclaimer = new Reclaimer(instance.node, undefined);
  for (let round = 0; round < 50; round++) reclaimer.round(true, false);
}

function entry(of: RegionSpace, page: number): number {
  const { n, chunk, page: index } = of.placeOf(page * PAGE_BYTES);
  const node = instance.nodes[n];
  const leaf = findLeaf(node, of.region, chunk);
  return leaf === 0 ? 0 : node.words[leaf + index];
}

function slotOf(of: RegionSpace, page: number): SlotIndex {
  assert.ok(isSwapped(entry(of, page)), `page ${page} is behind a slot`);
  return slotFromPte(entry(of, page));
}

function counted(name: CounterName): number {
  return sumCounter(instance.node, C[name]);
}

function gauge(at: number): number {
  return instance.node.words[at];
}

describe('a clone', () => {
  it('of pages that are all swapped or absent names the same slots and takes tables only', () => {
    const kinds: readonly PageKind[] = ['text', 'same', 'noise', 'zero'];
    for (let page = 0; page < 120; page++) write(page * 3, page, kinds[page % 4]);
    evict();
    const slots = gauge(L.H_SLOTS_USED);
    const frames = gauge(L.H_ZS_FRAMES) + gauge(L.H_RAW_FRAMES);
    const copy = clone();
    assert.equal(gauge(L.H_SLOTS_USED), slots);
    assert.equal(gauge(L.H_SLOT_DUPS), 120);
    assert.equal(gauge(L.H_ZS_FRAMES) + gauge(L.H_RAW_FRAMES), frames);
    for (let page = 0; page < 120; page++) {
      assertPage(copy, page * 3, makePage(page, kinds[page % 4]));
      assertPage(copy, page * 3 + 1, new Uint8Array(PAGE_BYTES));
      assert.equal(entry(copy, page * 3), entry(space, page * 3));
    }
    instance.closeSpace(space);
    for (let page = 0; page < 120; page++) assertPage(copy, page * 3, makePage(page, kinds[page % 4]));
    assert.equal(gauge(L.H_SLOT_DUPS), 0);
    space = copy;
  });

  it('of resident pages shares their frames, and a write to either side copies one', () => {
    for (let page = 0; page < 40; page++) write(page, page);
    const pages = gauge(L.H_REGION_PAGES);
    const copy = clone();
    assert.equal(gauge(L.H_REGION_PAGES), pages);
    assert.equal(counted('clone_copies'), 0);
    const slot = slotOf(space, 7);
    assert.equal(slotOf(copy, 7), slot);
    assert.equal(tagOf(peekSlot(instance.node, slot)), SLOT_FRAME);
    write(7, 1007);
    write(8, 1008, undefined, copy);
    copy.fill(9 * PAGE_BYTES + 5, 0xaa, 10);
    instance.check();
    assertPage(space, 7, makePage(1007));
    assertPage(copy, 7, makePage(7));
    assertPage(space, 8, makePage(8));
    assertPage(copy, 8, makePage(1008));
    assertPage(space, 9, makePage(9));
    const filled = makePage(9).fill(0xaa, 5, 15);
    assertPage(copy, 9, filled);
    assert.equal(counted('cow_faults'), 3);
    assert.equal(gauge(L.H_REGION_PAGES), pages + 3);
    assert.ok(!isSlotSharedLocked(instance.node, slot));
    // The last that names a shared page gets its frame, without a copy.
    write(7, 2007, undefined, copy);
    assert.equal(gauge(L.H_REGION_PAGES), pages + 3);
    assert.equal(counted('cow_faults'), 3);
    assert.ok(isPresent(entry(copy, 7)));
    assertPage(space, 7, makePage(1007));
    assertPage(copy, 7, makePage(2007));
  });

  it('is evicted and read back like any page, shared all the while', () => {
    for (let page = 0; page < 200; page++) write(page, page);
    const copy = clone();
    evict();
    assert.equal(gauge(L.H_SLOTS_USED), 200);
    instance.check();
    for (let page = 0; page < 200; page++) {
      assertPage(space, page, makePage(page));
      assertPage(copy, page, makePage(page));
    }
    write(3, 1003);
    copy.fill(4 * PAGE_BYTES, 1, 1);
    instance.check();
    assertPage(copy, 3, makePage(3));
    assertPage(space, 4, makePage(4));
    evict();
    assert.equal(gauge(L.H_SLOTS_USED), 202);
    assertPage(space, 3, makePage(1003));
    assertPage(copy, 3, makePage(3));
  });

  it('of a page in flight shares it where it is; a write by either side leaves it in flight for the other', () => {
    for (let page = 0; page < 32; page++) write(page, page, 'text');
    queueAll();
    const inflight = gauge(L.H_INFLIGHT);
    assert.ok(inflight > 16, `${inflight} pages in flight`);
    const copy = clone();
    assert.equal(gauge(L.H_INFLIGHT), inflight);
    for (let page = 0; page < 8; page++) write(page, page + 100);
    for (let page = 8; page < 16; page++) write(page, page + 100, undefined, copy);
    instance.check();
    assert.equal(gauge(L.H_INFLIGHT), inflight);
    for (let page = 0; page < 32; page++) {
      assertPage(space, page, page < 8 ? makePage(page + 100) : makePage(page, 'text'));
      assertPage(copy, page, page >= 8 && page < 16 ? makePage(page + 100) : makePage(page, 'text'));
    }
    // One side left: its write takes the page back; a discard by the last one frees it.
    write(1, 201, undefined, copy);
    copy.discard(2 * PAGE_BYTES, PAGE_BYTES);
    assert.equal(gauge(L.H_INFLIGHT), inflight - 2);
    instance.check();
    evict();
    for (let page = 16; page < 32; page++) assertPage(copy, page, makePage(page, 'text'));
  });

  it('of a page with a clean copy shares the copy when it is idle, else the frame', () => {
    for (let page = 0; page < 32; page++) write(page, page, 'text');
    const ahead = new CopyAhead(instance.node);
    const { words } = instance.node;
    for (let page = 0; page < 32; page++) words[instance.node.touchAt + frameFromPte(entry(space, page))] = 0;
    while (ahead.copySome());
    assert.equal(gauge(L.H_CLEAN_COPIES), 32);
    for (let page = 0; page < 8; page++) assertPage(space, page, makePage(page, 'text')); // touched
    const copy = clone();
    assert.equal(gauge(L.H_CLEAN_COPIES), 0);
    assert.equal(gauge(L.H_REGION_PAGES), 8);
    for (let page = 0; page < 32; page++) {
      assert.equal(tagOf(peekSlot(instance.node, slotOf(copy, page))), page < 8 ? SLOT_FRAME : SLOT_OBJECT);
      assertPage(copy, page, makePage(page, 'text'));
    }
  });

  it('a copy that is being made ahead comes to nothing', () => {
    for (let page = 0; page < 8; page++) write(page, page, 'text');
    const ahead = new CopyAhead(instance.node);
    for (let page = 0; page < 8; page++) {
      instance.node.words[instance.node.touchAt + frameFromPte(entry(space, page))] = 0;
    }
    // The clone is made while the pages are compressed: compressBatch is the only part without the lock.
    const { kernel } = instance.node;
    const compress = kernel.compress;
    let copy: RegionSpace | undefined;
    Object.assign(kernel, {
      compress: (...args: Parameters<typeof compress>) => {
        copy ??= clone();
        return compress.apply(kernel, args);
      },
    });
    ahead.copySome();
    Object.assign(kernel, { compress });
    assert.ok(copy !== undefined);
    instance.check();
    assert.equal(counted('swap_copies_ahead'), 0);
    for (let page = 0; page < 8; page++) assertPage(copy, page, makePage(page, 'text'));
  });

  it('of a pinned page is a copy: what is written through the pin is not in it', () => {
    write(5, 5);
    const held = pinRange(instance.memory, space, 5 * PAGE_BYTES, PAGE_BYTES);
    const copy = clone();
    held.bytes.fill(0x11);
    assert.equal(counted('clone_copies'), 1);
    assertPage(copy, 5, makePage(5));
    assertPage(space, 5, new Uint8Array(PAGE_BYTES).fill(0x11));
    unpinRange(instance.memory, held);
  });

  it('of a page whose pin is gone in a moment shares it, and asks for no memory', () => {
    write(2, 3);
    clone(); // there are tables for slots now
    write(0, 1);
    const { node } = instance;
    const pinAt = node.pinAt + frameFromPte(entry(space, 0));
    Atomics.add(node.words, pinAt, 1); // tryPin of a writer that finds that the entry moved
    const { compareExchange } = Atomics;
    let seen = 0;
    const minBefore = node.words[L.H_WMARK_MIN];
    Atomics.compareExchange = ((...args: Parameters<typeof compareExchange>) => {
      const was = compareExchange(...args);
      if (args[1] === pinAt && seen++ === 0) {
        Atomics.sub(node.words, pinAt, 1);
        node.words[L.H_WMARK_MIN] = node.words[L.H_FREE_FRAMES]; // no frame for a copy
      }
      return was;
    }) as typeof compareExchange;
    let made: RegionSpace;
    try {
      made = clone();
    } finally {
      Atomics.compareExchange = compareExchange;
      node.words[L.H_WMARK_MIN] = minBefore;
    }
    assert.equal(seen, 2);
    assert.equal(counted('clone_copies'), 0);
    assert.equal(counted('pgscan_direct'), 0, 'nothing is wanting');
    for (const page of [0, 2]) {
      assert.equal(slotOf(made, page), slotOf(space, page));
      assertPage(made, page, makePage(page + 1));
    }
  });

  it('of a clone, closed in any order', () => {
    for (let page = 0; page < 30; page++) write(page, page);
    const orders = [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ];
    for (const [turn, order] of orders.entries()) {
      const base = clone();
      const first = clone(base);
      write(turn, 500 + turn, undefined, first);
      if (turn % 2 === 0) evict();
      const second = clone(first);
      const all = [base, first, second];
      for (const [i, which] of order.entries()) {
        instance.closeSpace(all[which]);
        instance.check();
        for (const left of order.slice(i + 1)) {
          for (let page = 0; page < 30; page++) {
            assertPage(all[left], page, makePage(page === turn && left > 0 ? 500 + turn : page));
          }
        }
      }
    }
  });

  it('keeps its bytes when the other side discards, and a discarded page of a clone is zeros', () => {
    for (let page = 0; page < 600; page++) write(page, page);
    const copy = clone();
    space.discard(0, CHUNK_BYTES);
    copy.discard(550 * PAGE_BYTES, 10 * PAGE_BYTES);
    instance.check();
    for (let page = 0; page < CHUNK_PAGES; page++) assertPage(copy, page, makePage(page));
    for (let page = 550; page < 560; page++) assertPage(space, page, makePage(page));
    for (let page = 550; page < 560; page++) assertPage(copy, page, new Uint8Array(PAGE_BYTES));
    space.fill(3 * PAGE_BYTES, 7, PAGE_BYTES);
    assertPage(copy, 3, makePage(3));
  });

  it('a promoted page of several regions is found by all of them', () => {
    for (let page = 0; page < 10; page++) write(page, page, 'text');
    const copy = clone();
    evict();
    instance.node.words[L.H_AGE] += instance.node.frames;
    for (let touch = 0; touch < 3; touch++) assertPage(space, 4, makePage(4, 'text'));
    const slot = slotOf(space, 4);
    const pfn = (peekSlot(instance.node, slot) >>> 3) as Pfn;
    assert.equal(kindOf(instance.node, pfn), KIND_SHARED);
    assert.equal(slotCountLocked(instance.node, slot), 2);
    const transient = counted('transient_reads');
    assertPage(copy, 4, makePage(4, 'text'));
    assert.equal(counted('transient_reads'), transient);
    instance.check();
    evict();
    assertPage(copy, 4, makePage(4, 'text'));
  });

  it('counts beyond 255', () => {
    for (let page = 0; page < 3; page++) write(page, page);
    evict();
    const copies = Array.from({ length: 300 }, () => {
      const region = cloneRegion(instance.memory, space.region, '', 'default');
      return new RegionSpace(instance.memory, region, space.size);
    });
    const slot = slotOf(space, 1);
    assert.equal(slotCountLocked(instance.node, slot), 301);
    assert.equal(slotOf(copies[299], 1), slot);
    write(1, 77, undefined, copies[120]);
    instance.check();
    assert.equal(slotCountLocked(instance.node, slot), 300);
    for (const [i, copy] of copies.entries()) {
      assertPage(copy, 1, makePage(i === 120 ? 77 : 1));
      if (i % 3 !== 0) instance.closeSpace(copy);
    }
    instance.check();
    assert.equal(slotCountLocked(instance.node, slot), 100);
    for (const [i, copy] of copies.entries()) if (i % 3 === 0) instance.closeSpace(copy);
    assert.equal(gauge(L.H_SLOT_DUPS), 0);
    assertPage(space, 1, makePage(1));
  });

  it('has the name it was given, if no open region has it', () => {
    write(0, 1);
    const named = clone(space, 'region:snapshot');
    const opened = openRegion(instance.memory, 'region:snapshot', REGION_BYTES / CHUNK_BYTES);
    assert.equal(opened.region, named.region);
    assert.equal(opened.created, false);
    closeRegion(instance.memory, opened.region);
    assert.equal(cloneRegion(instance.memory, space.region, 'region:snapshot', 'default'), -1);
    instance.check();
  });
});

/** Over all chunks of the region. */
function spread(index: number): number {
  return (index % 32) * CHUNK_PAGES + Math.floor(index / 32);
}

describe('a clone that finds no room', () => {
  it('throws and changes nothing', () => {
    instance.finish();
    start({ bytes: 4 * MIB });
    // Incompressible: each page takes its frame, whatever reclaim does.
    let pages = 0;
    const noise = makePage(0, 'noise');
    assert.throws(
      () => {
        for (; pages < 8000; pages++) {
          noise[0] = pages;
          noise[1] = pages >> 8;
          space.write(spread(pages) * PAGE_BYTES, noise, 0, PAGE_BYTES);
        }
      },
      { code: 'ERR_QUIRE_SWAP_FULL' },
    );
    const tables = gauge(L.H_TABLE_FRAMES);
    assert.throws(() => cloneRegion(instance.memory, space.region, '', 'default'), { code: 'ERR_QUIRE_SWAP_FULL' });
    instance.check();
    assert.equal(gauge(L.H_SLOT_DUPS), 0);
    assert.ok(gauge(L.H_TABLE_FRAMES) <= tables + 8, 'tables of the clone came back');
    for (let page = 0; page < pages; page++) {
      noise[0] = page;
      noise[1] = page >> 8;
      assertPage(space, spread(page), noise);
    }
  });

  it('copies where no slot can be had, as far as memory goes', () => {
    instance.finish();
    start({ bytes: 8 * MIB, hasSwap: false });
    for (let page = 0; page < 300; page++) write(page, page);
    const copy = clone();
    assert.equal(counted('clone_copies'), 300);
    write(3, 1000);
    assertPage(copy, 3, makePage(3));
    assert.throws(
      () => {
        for (let i = 0; i < 20; i++) cloneRegion(instance.memory, space.region, '', 'default');
      },
      { code: 'ERR_QUIRE_OUT_OF_MEMORY' },
    );
    instance.check();
    assertPage(copy, 299, makePage(299));
  });

  it('a write to a shared page that finds no frame throws, and both sides keep what they had', () => {
    instance.finish();
    start({ bytes: 4 * MIB });
    const shared = 200;
    for (let page = 0; page < shared; page++) write(page, page, 'noise');
    const copy = clone();
    let filler = 5000;
    assert.throws(
      () => {
        for (; filler < 9000; filler++) write(filler, filler, 'noise');
      },
      { code: 'ERR_QUIRE_SWAP_FULL' },
    );
    assert.throws(
      () => {
        for (let page = 0; page < shared; page++) copy.fill(page * PAGE_BYTES + 9, 3, 9);
      },
      { code: 'ERR_QUIRE_SWAP_FULL' },
    );
    assert.throws(
      () => {
        for (let page = 0; page < shared; page++) write(page, 4000 + page, 'noise', copy);
      },
      { code: 'ERR_QUIRE_SWAP_FULL' },
    );
    instance.check();
    for (let page = 0; page < shared; page++) assertPage(space, page, makePage(page, 'noise'));
    // Room again: the write goes through.
    space.discard(5000 * PAGE_BYTES, (filler - 5000) * PAGE_BYTES);
    for (let page = 0; page < shared; page++) write(page, 4000 + page, 'noise', copy);
    for (let page = 0; page < shared; page++) assertPage(copy, page, makePage(4000 + page, 'noise'));
  });
});

describe('a thread that dies', () => {
  it('leaves pages in flight of several regions to them', async () => {
    const { buryThread } = await import('./thread-slot.ts');
    for (let page = 0; page < 32; page++) write(page, page, 'text');
    const other = instance.join();
    queueAll();
    const copy = clone();
    const pfn = frameOfSlot(slotOf(copy, 2));
    assert.equal(kindOf(instance.node, pfn), KIND_QUEUED);
    assert.ok(buryThread(other.nodes, other.thread));
    assert.equal(kindOf(instance.node, pfn), KIND_SHARED);
    instance.check();
    for (let page = 0; page < 32; page++) assertPage(copy, page, makePage(page, 'text'));
  });
});

function frameOfSlot(slot: SlotIndex): Pfn {
  return ((peekSlot(instance.node, slot) >>> 3) & 0xfff_ffff) as Pfn;
}
