/** OPT is what no other beats: proven against all choices on small traces, and against every replacement on larger ones. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createOptimal, createPassingOptimal, nextUses } from './optimal.ts';
import { type ReplacementFactory, replay } from './replay.ts';
import { anyTrace, births, traceOf } from './testing/traces.ts';
import { createClock, createLru, createS3Fifo, createSieve } from './textbook.ts';
import { BORN, FREED, kindOf, pageOf, READ, type Trace } from './trace.ts';
import { ALWAYS, createWorkingSet, type ListPolicy } from './working-set.ts';

const NEVER = 0x7fffffff;

function misses(trace: Trace, capacity: number, factory: ReplacementFactory): number {
  return replay(trace, capacity, factory).misses;
}

/** Fewest misses of all choices: a walk over every set of resident pages that can be reached. */
function fewestMisses(trace: Trace, capacity: number, mayPass: boolean): number {
  let reached = new Map<number, number>([[0, 0]]);
  for (const event of trace.events) {
    const page = 1 << pageOf(event);
    const kind = kindOf(event);
    const next = new Map<number, number>();
    const reach = (set: number, count: number) => {
      if (count < (next.get(set) ?? Number.POSITIVE_INFINITY)) next.set(set, count);
    };
    for (const [set, count] of reached) {
      if (kind === FREED) reach(set & ~page, count);
      else if ((set & page) !== 0) reach(set, count);
      else {
        const missed = count + (kind === BORN ? 0 : 1);
        if (mayPass && kind === READ) reach(set, missed);
        if (bitsOf(set) < capacity) reach(set | page, missed);
        else for (let i = 0; i < trace.pages; i++) if ((set & (1 << i)) !== 0) reach((set & ~(1 << i)) | page, missed);
      }
    }
    reached = next;
  }
  return Math.min(...reached.values());
}

function bitsOf(set: number): number {
  let count = 0;
  for (let rest = set; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

describe('next uses', () => {
  it('are the next event of the page, and never once it is freed first', () => {
    const trace = traceOf('a! b! a b a- b! a! a');
    assert.deepEqual([...nextUses(trace)], [2, 3, NEVER, 5, 6, NEVER, 7, NEVER]);
  });
});

describe('OPT', () => {
  it('evicts what is used last', () => {
    // Belady's own kind of example: three frames, a b c resident, d comes.
    const trace = traceOf(`${births('abcd')} a b a c d a b c`);
    // d's birth evicts c, used after a and b; c's miss evicts b, used after d and a; b's miss evicts d or a.
    assert.deepEqual(
      [misses(trace, 3, createOptimal), misses(trace, 4, createOptimal), misses(trace, 1, createOptimal)],
      [2, 0, 8],
    );
  });

  it('that may read in passing keeps what is used again', () => {
    const trace = traceOf('a! b! a b a b a b a');
    // One frame: demand paging misses each of the seven, passing keeps one of the two.
    assert.deepEqual([misses(trace, 1, createOptimal), misses(trace, 1, createPassingOptimal)], [7, 4]);
  });

  it('is the best of all choices', () => {
    const scene = fc.tuple(anyTrace({ pages: 6, eventsMax: 24 }), fc.integer({ min: 1, max: 4 }));
    fc.assert(
      fc.property(scene, ([trace, capacity]) => {
        assert.equal(misses(trace, capacity, createOptimal), fewestMisses(trace, capacity, false));
        assert.equal(misses(trace, capacity, createPassingOptimal), fewestMisses(trace, capacity, true));
      }),
      { numRuns: 500 },
    );
  });

  it('is a lower bound of every replacement', () => {
    const lists = (policy: ListPolicy, promoteBuckets: number): ReplacementFactory => {
      return (frames, trace) => createWorkingSet(frames, trace, { policy, memoryFrames: 64, promoteBuckets });
    };
    const demand = [
      createLru,
      createClock,
      createSieve,
      createS3Fifo,
      lists('active-inactive', ALWAYS),
      lists('s3-fifo', ALWAYS),
    ];
    const passing = [lists('active-inactive', 1), lists('s3-fifo', 1), lists('active-inactive', 16)];
    const scene = fc.tuple(anyTrace({ pages: 60, eventsMax: 600 }), fc.integer({ min: 1, max: 50 }));
    fc.assert(
      fc.property(scene, ([trace, capacity]) => {
        const bound = misses(trace, capacity, createOptimal);
        const passingBound = misses(trace, capacity, createPassingOptimal);
        assert.ok(passingBound <= bound);
        for (const factory of demand) assert.ok(misses(trace, capacity, factory) >= bound, factory.name);
        for (const factory of passing) assert.ok(misses(trace, capacity, factory) >= passingBound);
      }),
      { numRuns: 200 },
    );
  });

  it('never misses more with more frames', () => {
    fc.assert(
      fc.property(anyTrace({ pages: 30, eventsMax: 300 }), (trace) => {
        for (const factory of [createOptimal, createPassingOptimal]) {
          let before = Number.POSITIVE_INFINITY;
          for (let capacity = 1; capacity <= 31; capacity += 3) {
            const now = misses(trace, capacity, factory);
            assert.ok(now <= before);
            before = now;
          }
          assert.equal(before, 0, 'nothing is missed when all fits');
        }
      }),
      { numRuns: 50 },
    );
  });
});
