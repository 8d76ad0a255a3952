/** Replacements on traces short enough to follow by hand, and the law that tells LRU from the others. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { type Frames, type Replacement, type ReplacementFactory, replay } from './replay.ts';
import { anyTrace, births, traceOf } from './testing/traces.ts';
import { createClock, createLru, createS3Fifo, createSieve } from './textbook.ts';
import type { Trace } from './trace.ts';

/** Letters of the pages that are resident at the end, in the order in which they were first written. */
function residentAfter(line: string, capacity: number, factory: ReplacementFactory): string {
  const trace = traceOf(line);
  let held: Frames | undefined;
  replay(trace, capacity, (frames, of) => {
    held = frames;
    return factory(frames, of);
  });
  const order = [...new Set(line.split(' ').map((token) => token[0]))];
  return order.filter((_, page) => held?.has(page)).join('');
}

describe('LRU', () => {
  it('evicts what was used longest ago', () => {
    assert.equal(residentAfter(`${births('abc')} a d!`, 3, createLru), 'acd');
    assert.equal(residentAfter(`${births('abc')} a b c a d! e!`, 3, createLru), 'ade');
  });

  it('with more frames holds all that it holds with fewer', () => {
    fc.assert(
      fc.property(anyTrace({ pages: 20, eventsMax: 200 }), fc.integer({ min: 1, max: 19 }), (trace, capacity) => {
        const inSmall = hitsOf(trace, capacity);
        const inLarge = hitsOf(trace, capacity + 1);
        for (const event of inSmall) assert.ok(inLarge.has(event), `event ${event}`);
      }),
      { numRuns: 200 },
    );
  });

  /** Numbers of the events that hit. */
  function hitsOf(trace: Trace, capacity: number): Set<number> {
    const hits = new Set<number>();
    replay(trace, capacity, (frames, of) => {
      const lru = createLru(frames, of);
      const spied: Replacement = {
        used: (page, event) => {
          hits.add(event);
          lru.used(page, event);
        },
        readMiss: (page, event) => lru.readMiss(page, event),
        writeMiss: (page, isBorn, event) => lru.writeMiss(page, isBorn, event),
        freed: (page, isResident) => lru.freed(page, isResident),
      };
      return spied;
    });
    return hits;
  }
});

describe('CLOCK', () => {
  it('gives a used page another round', () => {
    // a is used: b goes. Then the order is c d a, none of them used: c goes.
    assert.equal(residentAfter(`${births('abc')} a d!`, 3, createClock), 'acd');
    assert.equal(residentAfter(`${births('abc')} a d! e!`, 3, createClock), 'ade');
  });

  it('takes the oldest when all were used', () => {
    assert.equal(residentAfter(`${births('abc')} c b a d!`, 3, createClock), 'bcd');
  });
});

describe('SIEVE', () => {
  it('leaves used pages where they are, and goes on from its hand', () => {
    // The hand passes a (used), evicts b, and stands at c. e: c goes, though a is older and unused by now.
    assert.equal(residentAfter(`${births('abc')} a d! e!`, 3, createSieve), 'ade');
    // Then the hand is at d, which goes next: the order is a d e, hand after c.
    assert.equal(residentAfter(`${births('abc')} a d! e! f!`, 3, createSieve), 'aef');
  });

  it('keeps its hand when the page under it is freed', () => {
    assert.equal(residentAfter(`${births('abcd')} a e! c- f! g!`, 4, createSieve), 'aefg');
  });
});

describe('S3-FIFO', () => {
  it('evicts from the small queue what was not used twice, and remembers it', () => {
    // Ten frames, one of them small; a … j are all in the small queue, which is longer than that: a goes.
    const first = births('abcdefghij');
    assert.equal(residentAfter(`${first} k!`, 10, createS3Fifo), 'bcdefghijk');
    // b, used twice, moves to the main queue instead; c goes.
    assert.equal(residentAfter(`${first} a a b b k!`, 10, createS3Fifo), 'abdefghijk');
    // One use is not enough.
    assert.equal(residentAfter(`${first} a k!`, 10, createS3Fifo), 'bcdefghijk');
  });

  it('takes what it remembers into the main queue', () => {
    // a left and comes back: b makes room, a is in main. k … s then push c … j and k out of the small queue, a stays.
    const line = `${births('abcdefghij')} k! a ${births('lmnopqrst')}`;
    assert.ok(residentAfter(line, 10, createS3Fifo).startsWith('a'));
    // A page that is new goes the way of the small queue.
    assert.ok(!residentAfter(line, 10, createS3Fifo).includes('k'));
  });

  it('gives the main queue a round for each use', () => {
    // a and b in main (used twice in small), then a is used once more. With the small queue at its share, main loses b.
    const line = `${births('abcdefghij')} a a b b k! l!`;
    assert.ok(residentAfter(line, 10, createS3Fifo).startsWith('ab'));
  });
});

describe('a replay', () => {
  const factories = { createLru, createClock, createSieve, createS3Fifo };

  it('counts every event once, whatever decides', () => {
    fc.assert(
      fc.property(anyTrace({ pages: 20, eventsMax: 300 }), fc.integer({ min: 1, max: 25 }), (trace, capacity) => {
        for (const factory of Object.values(factories)) {
          const counts = replay(trace, capacity, factory);
          assert.equal(counts.misses, counts.promotions + counts.passings + counts.writeMisses);
          assert.ok(counts.misses <= counts.uses && counts.uses + counts.births <= trace.events.length);
          assert.equal(counts.passings, 0, 'demand paging reads nothing in passing');
          assert.ok(counts.cleanEvictions <= counts.evictions);
          assert.ok(counts.evictions <= counts.misses + counts.births);
          if (capacity >= 20) assert.deepEqual([counts.misses, counts.evictions], [0, 0]);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('tells clean evictions from others', () => {
    // Two frames. c's birth evicts a, dirty. a's read evicts b, dirty; a is clean and goes for b's read; then a again, and
    // a write makes it dirty: its eviction by d is no clean one.
    const trace = traceOf(`${births('abc')} a b a! d! e!`);
    const { evictions, cleanEvictions, promotions, writeMisses } = replay(trace, 2, createLru);
    assert.deepEqual(
      { evictions, cleanEvictions, promotions, writeMisses },
      { evictions: 5, cleanEvictions: 1, promotions: 2, writeMisses: 0 },
    );
  });

  it('refuses a replacement that says one thing and does another', () => {
    const nobody: Replacement = { used: () => {}, readMiss: () => true, writeMiss: () => {}, freed: () => {} };
    assert.throws(() => replay(traceOf('a!'), 1, () => nobody), /has no frame/);
    assert.throws(() => replay(traceOf('a!'), 0, createLru), RangeError);
  });
});
