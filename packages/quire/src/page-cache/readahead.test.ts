/** Readahead against a model that looks at pages one by one, and against what a stream and random reads should cost. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { PAGE_BYTES } from '../base/units.ts';
import {
  firstWindow,
  markerOf,
  NO_STREAM,
  nextWindow,
  planForMarker,
  planForMiss,
  Readahead,
  type ReadaheadPlan,
  type ReadaheadState,
} from './readahead.ts';

const WINDOW = 32;

/** Pages that are cached, filled as plans say; a reader that counts what it had to wait for. */
class Cache {
  readonly pages = new Set<number>();
  readonly plans: ReadaheadPlan[] = [];
  waits = 0;
  twice = 0;

  take(plan: ReadaheadPlan, endPage: number): void {
    this.plans.push(plan);
    assert.ok(plan.pages >= 1 && plan.start >= 0, 'some pages');
    assert.ok(plan.start + plan.pages <= endPage, 'not beyond the end of the file');
    assert.ok(2 ** plan.order <= plan.pages, 'a folio no larger than the window');
    for (let page = plan.start; page < plan.start + plan.pages; page++) {
      if (this.pages.has(page)) this.twice++;
      this.pages.add(page);
    }
  }

  /** One read, as the asynchronous path does it: the marker first, then what is missing. */
  read(readahead: Readahead, position: number, length: number, size: number, behind: boolean): void {
    const endPage = Math.ceil(size / PAGE_BYTES);
    const ahead = behind ? readahead.onMarker(position, length, size) : undefined;
    for (let at = position; at < position + length; at = (Math.floor(at / PAGE_BYTES) + 1) * PAGE_BYTES) {
      const page = Math.floor(at / PAGE_BYTES);
      if (this.pages.has(page)) continue;
      this.waits++;
      const plan = readahead.onMiss(at, position + length - at, size);
      this.take(plan, endPage);
      assert.ok(this.pages.has(page), 'the missing page is among what is read');
    }
    if (ahead !== undefined) this.take(ahead, endPage);
    readahead.onRead(position + length);
  }
}

describe('window sizes', () => {
  it('are those of Linux', () => {
    // get_init_ra_size and get_next_ra_size with 128 KiB, worked out by hand.
    assert.deepEqual(
      [1, 2, 3, 4, 5, 8, 9, 16, 32, 33].map((pages) => firstWindow(pages, 32)),
      [4, 4, 8, 8, 16, 16, 32, 32, 32, 32],
    );
    assert.deepEqual(
      [1, 2, 4, 8, 16, 17, 32].map((pages) => nextWindow(pages, 32)),
      [4, 4, 8, 16, 32, 32, 32],
    );
    assert.deepEqual(
      [1, 4, 16, 64, 256].map((pages) => nextWindow(pages, 512)),
      [4, 16, 64, 128, 512],
    );
  });

  it('never shrink below the request, never exceed the most, and only grow', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 512 }), fc.integer({ min: 1, max: 512 }), (pages, most) => {
        const first = firstWindow(Math.min(pages, most), most);
        assert.ok(first >= Math.min(pages, most) && first <= most);
        let window = first;
        for (let i = 0; i < 12; i++) {
          const next = nextWindow(window, most);
          assert.ok(next >= window && next <= most);
          window = next;
        }
        assert.equal(window, most, 'a long stream reaches the most');
      }),
    );
  });
});

describe('a stream', () => {
  for (const length of [1024, 4096, 10_000, 65_536]) {
    it(`of ${length} bytes a read waits once, and folios grow`, () => {
      const size = 8 * 2 ** 20 + 777;
      const readahead = new Readahead(128 * 1024);
      const cache = new Cache();
      for (let position = 0; position < size; position += length) {
        cache.read(readahead, position, Math.min(length, size - position), size, true);
      }
      assert.equal(cache.waits, 1, 'only the first read waits');
      assert.equal(cache.twice, 0, 'no page is read twice');
      assert.equal(cache.pages.size, Math.ceil(size / PAGE_BYTES), 'every page is read');
      const orders = cache.plans.map((plan) => plan.order);
      assert.equal(orders[0], 0);
      assert.equal(Math.max(...orders), 5, 'folios of the whole window of 32 pages');
      assert.ok(cache.plans.length < size / 2 ** 17 + 8, 'few, large reads');
    });

    it(`of ${length} bytes a read, synchronous: waits once a window`, () => {
      const size = 4 * 2 ** 20;
      const readahead = new Readahead(128 * 1024);
      const cache = new Cache();
      for (let position = 0; position < size; position += length) {
        cache.read(readahead, position, Math.min(length, size - position), size, false);
      }
      assert.equal(cache.twice, 0);
      assert.equal(cache.waits, cache.plans.length);
      assert.ok(cache.waits <= 40, `32 windows of 128 KiB and the first small ones, ${cache.waits}`);
    });
  }

  it('in the middle of a file begins with its second read', () => {
    const readahead = new Readahead(128 * 1024);
    const cache = new Cache();
    const size = 2 ** 24;
    cache.read(readahead, 100 * PAGE_BYTES, PAGE_BYTES, size, true);
    assert.equal(cache.pages.size, 1);
    cache.read(readahead, 101 * PAGE_BYTES, PAGE_BYTES, size, true);
    assert.deepEqual([...cache.pages], [100, 101, 102, 103, 104]);
  });
});

describe('random reads', () => {
  it('read just what they ask for', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 3 }))), (reads) => {
        const readahead = new Readahead(128 * 1024);
        const cache = new Cache();
        const size = 2 ** 26;
        // Three pages apart at least from any earlier read, and from the first page.
        const wanted = new Set<number>();
        for (const [place, pages] of reads) {
          const page = place * 3;
          if (wanted.has(page) || wanted.has(page - 3) || wanted.has(page + 3)) continue;
          cache.read(readahead, page * PAGE_BYTES + 17, pages * PAGE_BYTES - 17, size, true);
          for (let i = 0; i < pages; i++) wanted.add(page + i);
        }
        assert.deepEqual([...cache.pages].sort(), [...wanted].sort());
      }),
    );
  });

  it('leave the state of a stream alone', () => {
    const stream = planForMiss(NO_STREAM, 0, 1, -1, 10_000, WINDOW).next;
    const plan = planForMiss(stream, 5000, 2, 1, 10_000, WINDOW);
    assert.deepEqual([plan.start, plan.pages, plan.order], [5000, 2, 0]);
    assert.equal(plan.next, stream);
    assert.ok(planForMarker(plan.next, 1, 1, 10_000, WINDOW) !== undefined);
  });

  it('of much are read at once, whatever the window', () => {
    const plan = planForMiss(NO_STREAM, 1000, 400, -1, 100_000, WINDOW);
    assert.deepEqual([plan.start, plan.pages], [1000, 400]);
    assert.equal(planForMiss(NO_STREAM, 1000, 4000, -1, 100_000, WINDOW).pages, 512);
  });

  it('readaheadBytes 0 reads nothing ahead', () => {
    const readahead = new Readahead(0);
    const cache = new Cache();
    for (let page = 0; page < 50; page++) cache.read(readahead, page * PAGE_BYTES, 100, 2 ** 20, true);
    assert.deepEqual(
      cache.plans.map((plan) => [plan.start, plan.pages]),
      Array.from({ length: 50 }, (_, page) => [page, 1]),
    );
  });
});

describe('plans', () => {
  const states: fc.Arbitrary<ReadaheadState> = fc
    .record({
      start: fc.integer({ min: 0, max: 3000 }),
      pages: fc.integer({ min: 0, max: 64 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      order: fc.integer({ min: 0, max: 9 }),
    })
    .map(({ start, pages, share, order }) => ({ start, pages, asyncPages: Math.ceil(pages * share), order }));

  it('cover the miss, end with the file, and keep the bounds', () => {
    fc.assert(
      fc.property(
        states,
        fc.integer({ min: 0, max: 3500 }),
        fc.integer({ min: 1, max: 700 }),
        fc.integer({ min: -1, max: 3500 }),
        fc.integer({ min: 1, max: 4000 }),
        fc.integer({ min: 1, max: 600 }),
        (state, page, wanted, previous, endPage, windowMax) => {
          fc.pre(page < endPage);
          const plan = planForMiss(state, page, wanted, previous, endPage, windowMax);
          assert.equal(plan.start, page);
          assert.ok(plan.pages >= Math.min(wanted, 512, endPage - page), 'at least what one request may have');
          assert.ok(plan.pages <= Math.max(windowMax, Math.min(wanted, 512)));
          assert.ok(plan.start + plan.pages <= endPage);
          assert.ok(plan.order <= 9 && 2 ** plan.order <= plan.pages);
          const marker = markerOf(plan.next);
          if (plan.next !== state) assert.ok(marker >= plan.start && marker < plan.start + plan.next.pages);
          const ahead = planForMarker(plan.next, Math.max(0, marker), 1, endPage, windowMax);
          if (ahead === undefined) return;
          assert.equal(ahead.start, plan.next.start + plan.next.pages, 'windows lie side by side');
          assert.ok(ahead.pages <= Math.max(windowMax, plan.next.pages) && ahead.order <= plan.next.order + 2);
          assert.ok(ahead.start + ahead.pages <= endPage);
        },
      ),
    );
  });

  it('are pure', () => {
    fc.assert(
      fc.property(states, fc.integer({ min: 0, max: 99 }), (state, page) => {
        const frozen = Object.freeze({ ...state });
        assert.deepEqual(planForMiss(frozen, page, 1, 3, 100, WINDOW), planForMiss(frozen, page, 1, 3, 100, WINDOW));
        assert.deepEqual(planForMarker(frozen, page, 9, 100, WINDOW), planForMarker(frozen, page, 9, 100, WINDOW));
      }),
    );
  });
});
