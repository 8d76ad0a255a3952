/** Quire's policies in the simulator: by hand where that can be followed, and against the core itself, event by event. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { Corpus } from '../corpus.ts';
import { type Frames, type Replacement, replay } from './replay.ts';
import { replayInCore } from './testing/core-replay.ts';
import { anyTrace } from './testing/traces.ts';
import { FREED, kindOf, type Trace, TraceRecorder } from './trace.ts';
import { ALWAYS, createWorkingSet, type ListPolicy, type WorkingSetOptions } from './working-set.ts';
import { workloads } from './workloads.ts';

const POLICIES: readonly ListPolicy[] = ['active-inactive', 's3-fifo'];
const MIB = 2 ** 20;

/** For each event, 1 when its page had a frame. */
function hitsOf(trace: Trace, capacity: number, options: WorkingSetOptions): Uint8Array {
  const hits = new Uint8Array(trace.events.length);
  replay(trace, capacity, (frames, of) => {
    const inner = createWorkingSet(frames, of, options);
    let event = 0;
    const spied: Replacement = {
      used: (page, at) => inner.used(page, at),
      readMiss: (page, at) => inner.readMiss(page, at),
      writeMiss: (page, isBorn, at) => inner.writeMiss(page, isBorn, at),
      freed: (page, isResident) => inner.freed(page, isResident),
      settle: () => {
        inner.settle?.();
        hits[event] = frames.has(of.events[event] >>> 3) ? 1 : 0;
        event += 1;
      },
    };
    return spied;
  });
  return hits;
}

describe('the simulated policies', () => {
  it('give up what was not touched, sixteen at a time', () => {
    for (const policy of POLICIES) {
      const recorder = new TraceRecorder();
      for (let page = 0; page < 63; page++) recorder.write(page, true);
      for (let page = 0; page < 16; page += 2) recorder.read(page);
      recorder.write(63, true);
      recorder.write(64, true);
      let held: Frames | undefined;
      replay(recorder.trace('hand'), 64, (frames, trace) => {
        held = frames;
        return createWorkingSet(frames, trace, { policy, memoryFrames: 64, promoteBuckets: 1 });
      });
      const gone = Array.from({ length: 65 }, (_, page) => page).filter((page) => !held?.has(page));
      assert.deepEqual(gone, [1, 3, 5, 7, 9, 11, 13, 15, 16, 17, 18, 19, 20, 21, 22, 23], policy);
    }
  });

  it('read in passing what comes back late, and bring in what is read three times', () => {
    for (const policy of POLICIES) {
      const recorder = new TraceRecorder();
      for (let page = 0; page < 65; page++) recorder.write(page, true);
      recorder.read(0); // the first of sixteen that left, four a bucket: in passing
      recorder.read(0); // at once: in passing still
      recorder.read(0); // and again: in
      recorder.read(0);
      const counts = replay(recorder.trace('hand'), 64, (frames, trace) =>
        createWorkingSet(frames, trace, { policy, memoryFrames: 256, promoteBuckets: 1 }),
      );
      assert.deepEqual([counts.passings, counts.promotions, counts.misses, counts.uses], [2, 1, 3, 4], policy);
    }
  });

  it('bring everything in when the window has no end', () => {
    fc.assert(
      fc.property(anyTrace({ pages: 40, eventsMax: 300 }), fc.constantFrom(...POLICIES), (trace, policy) => {
        const options = { policy, memoryFrames: 64, promoteBuckets: ALWAYS };
        const { passings } = replay(trace, 20, (frames, of) => createWorkingSet(frames, of, options));
        assert.equal(passings, 0);
      }),
    );
  });
});

describe('simulator and core', () => {
  let traces: Trace[];
  before(async () => {
    const corpus = new Corpus(new TextEncoder().encode('the same text over and over '.repeat(1000)));
    const sizes = { pages: 1024, mapKeys: 4000, mapOps: 20_000, accountPages: 256, pgbenchEvents: 20_000 };
    traces = [];
    for (const workload of workloads) traces.push(await workload.record(corpus, sizes));
  });

  for (const policy of POLICIES) {
    it(`agree about every event of every workload: ${policy}`, async () => {
      for (const trace of traces) {
        for (const share of [0.25, 0.6]) {
          const capacity = Math.floor(trace.pages * share);
          const core = await replayInCore(trace, capacity, policy, 16 * MIB);
          const options = { policy, memoryFrames: core.memoryFrames, promoteBuckets: 1 };
          assertSame(trace, hitsOf(trace, capacity, options), core.hits, `${trace.name}, ${share}`);
        }
      }
    });

    it(`agree about any trace: ${policy}`, async () => {
      await fc.assert(
        fc.asyncProperty(
          anyTrace({ pages: 120, eventsMax: 1500 }),
          fc.integer({ min: 20, max: 100 }),
          async (trace, capacity) => {
            const core = await replayInCore(trace, capacity, policy, 2 * MIB);
            const options = { policy, memoryFrames: core.memoryFrames, promoteBuckets: 1 };
            assertSame(trace, hitsOf(trace, capacity, options), core.hits, 'random');
          },
        ),
        { numRuns: 25 },
      );
    });
  }

  it('would not agree about the other policy', async () => {
    const differences = await Promise.all(
      traces.map(async (trace) => {
        const core = await replayInCore(trace, 300, 's3-fifo', 16 * MIB);
        const options = { policy: 'active-inactive', memoryFrames: core.memoryFrames, promoteBuckets: 1 } as const;
        const simulated = hitsOf(trace, 300, options);
        return core.hits.reduce((count, hit, event) => count + (hit === simulated[event] ? 0 : 1), 0);
      }),
    );
    assert.ok(differences.filter((count) => count > 0).length >= 3, `differences ${differences.join(' ')}`);
  });

  function assertSame(trace: Trace, simulated: Uint8Array, core: Uint8Array, what: string): void {
    const first = core.findIndex((hit, event) => hit !== simulated[event]);
    assert.equal(first, -1, `${what}: event ${first} of ${trace.events.length}, core ${core[first]}`);
    assert.ok(
      core.some((hit, event) => hit === 0 && kindOf(trace.events[event]) !== FREED),
      'something was missed',
    );
  }
});
