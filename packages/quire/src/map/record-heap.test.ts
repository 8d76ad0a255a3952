import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CONTROL_WORDS, EMPTY_LISTED, RUNS, readBytes, resetControl } from './control.ts';
import { PagePin } from './page-pin.ts';
import { RecordHeap } from './record-heap.ts';
import { GRANULE_BYTES, META_BYTES } from './run-meta.ts';
import { chargedBytes, classCapacity, classOf, RUN_BYTES } from './size-class.ts';
import { StripeLocks } from './stripe-locks.ts';
import { seededRandom } from './testing/model-map.ts';
import { createPlainMemory, PlainFaults, PlainPageSpace } from './testing/plain-page-space.ts';

interface Bed {
  readonly heap: RecordHeap;
  readonly control: Int32Array;
  readonly pin: PagePin;
  readonly space: PlainPageSpace;
  readonly faults: PlainFaults;
}

function createBed(): Bed {
  const memory = createPlainMemory(3000);
  const faults = new PlainFaults();
  const space = PlainPageSpace.create(memory, 2 ** 30, faults);
  const meta = PlainPageSpace.create(memory, 2 ** 24, faults);
  const control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
  resetControl(control);
  const heap = new RecordHeap(space, meta, control, new StripeLocks(control, 0, 100));
  return { heap, control, pin: new PagePin(meta), space, faults };
}

function allocate(bed: Bed, bytes: number): number {
  const location = bed.heap.allocate(classOf(bytes), bytes, bed.pin);
  bed.pin.release();
  return location;
}

function free(bed: Bed, location: number): number {
  bed.heap.hold(location, bed.pin);
  const bytes = bed.heap.free(location, bed.pin);
  bed.pin.release();
  return bytes;
}

/** No two places share a byte. `places`: location → record bytes. */
function assertApart(places: Map<number, number>): void {
  let end = RUN_BYTES;
  for (const location of [...places.keys()].sort((a, b) => a - b)) {
    const start = location * GRANULE_BYTES;
    assert.ok(start >= end, `place at ${start} begins before ${end}`);
    end = start + classCapacity(classOf(places.get(location) ?? 0));
  }
}

describe('RecordHeap', () => {
  test('any sequence of allocations and frees: places do not overlap, bytes add up, all comes back', () => {
    const size = fc.oneof(
      fc.integer({ min: 17, max: 2000 }),
      fc.integer({ min: 17, max: 17_000 }),
      fc.integer({ min: 16_385, max: 400_000 }),
    );
    fc.assert(
      fc.property(fc.array(fc.record({ isFree: fc.boolean(), size, pick: fc.nat() }), { maxLength: 120 }), (steps) => {
        const bed = createBed();
        const places = new Map<number, number>();
        let bytes = 0;
        for (const step of steps) {
          const taken = [...places.keys()];
          if (step.isFree && taken.length > 0) {
            const location = taken[step.pick % taken.length];
            bytes -= free(bed, location);
            places.delete(location);
          } else {
            const location = allocate(bed, step.size);
            assert.equal(places.has(location), false);
            places.set(location, step.size);
            bytes += chargedBytes(classOf(step.size), step.size);
          }
          assert.equal(readBytes(bed.control), bytes);
        }
        assertApart(places);
        for (const location of places.keys()) free(bed, location);
        assert.equal(readBytes(bed.control), 0);
        assert.equal(bed.faults.pinned, 0);
      }),
      { numRuns: 100 },
    );
  });

  test('every slot of a run is given out once before a second run is begun', () => {
    for (const bytes of [32, 100, 1100, 4000, 9000, 16_384]) {
      const bed = createBed();
      const seen = new Set<number>();
      while (bed.control[RUNS] <= 2) {
        const location = allocate(bed, bytes);
        assert.equal(seen.has(location), false);
        seen.add(location);
      }
      assert.ok((seen.size - 1) * classCapacity(classOf(bytes)) > RUN_BYTES * 0.8, `${bytes}: ${seen.size}`);
    }
  });

  test('a freed extent is used again, and its pages are gone in between', () => {
    const bed = createBed();
    const location = allocate(bed, 100_000);
    bed.space.write(location * GRANULE_BYTES, new Uint8Array(100_000).fill(1), 0, 100_000);
    const frames = bed.space.framesUsed;
    assert.equal(free(bed, location), 102_400);
    assert.equal(bed.space.framesUsed, frames - 25);
    assert.equal(allocate(bed, 110_000), location);
    const bytes = new Uint8Array(100);
    bed.space.read(location * GRANULE_BYTES, bytes, 0, 100);
    assert.equal(
      bytes.every((byte) => byte === 0),
      true,
    );
  });

  test('an extent that grows is charged for it', () => {
    const bed = createBed();
    const location = bed.heap.allocate(classOf(200_000), 20_000, bed.pin);
    assert.equal(readBytes(bed.control), 20_480);
    bed.heap.resizeExtent(location, 150_000, bed.pin);
    assert.equal(readBytes(bed.control), 151_552);
    assert.equal(bed.heap.free(location, bed.pin), 151_552);
    assert.equal(readBytes(bed.control), 0);
    bed.pin.release();
  });

  test('freeing twice and freeing what is no slot are broken invariants', () => {
    const bed = createBed();
    const keep = allocate(bed, 100);
    const location = allocate(bed, 100);
    free(bed, location);
    assert.throws(() => free(bed, location), /taken slot/);
    bed.pin.release();
    assert.throws(() => free(bed, keep + 1), /start of a slot/);
    bed.pin.release();
  });

  test('a page that cannot be had leaves all as it was', () => {
    const bed = createBed();
    bed.faults.allocationsLeft = 0;
    for (const bytes of [100, 100_000]) {
      assert.throws(() => allocate(bed, bytes), { code: 'ERR_QUIRE_SWAP_FULL' });
      assert.equal(readBytes(bed.control), 0);
      assert.equal(bed.control[RUNS], 1);
      assert.equal(bed.faults.pinned, 0);
    }
  });

  test('runs that empty inside their list come back when many have', () => {
    const bed = createBed();
    const random = seededRandom(4);
    const perRun = Math.floor(RUN_BYTES / 4096);
    const places = Array.from({ length: 200 * perRun }, () => allocate(bed, 4000));
    for (let index = places.length - 1; index > 0; index--) {
      const other = Math.floor(random() * (index + 1));
      [places[index], places[other]] = [places[other], places[index]];
    }
    for (const location of places) free(bed, location);
    assert.ok(bed.control[EMPTY_LISTED] > 100, 'most of them are not at the head of the list');
    const runsBefore = bed.control[RUNS];
    for (let index = 0; index < 150 * 4; index++) allocate(bed, 16_000);
    assert.equal(bed.control[RUNS], runsBefore, 'another class lives in the same runs');
    assert.ok(bed.control[EMPTY_LISTED] <= 60);
  });

  test('a trim that meets a full swap keeps all lists whole', () => {
    for (let n = 0; n < 12; n++) {
      const bed = createBed();
      const places = Array.from({ length: 100 * 16 }, () => allocate(bed, 4000));
      for (const location of places.filter((_, index) => index % 2 === 0)) free(bed, location);
      for (const location of places.filter((_, index) => index % 2 === 1)) free(bed, location);
      bed.faults.hitsExistingPages = true;
      bed.faults.allocationsLeft = n;
      try {
        allocate(bed, 16_000);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'ERR_QUIRE_SWAP_FULL');
      }
      bed.faults.allocationsLeft = Number.POSITIVE_INFINITY;
      const again = new Set(Array.from({ length: 90 * 16 }, () => allocate(bed, 4000)));
      assert.equal(again.size, 90 * 16);
      assert.equal(bed.faults.pinned, 0);
    }
  });

  test('meta of 16 runs fit a page', () => {
    assert.equal(4096 % META_BYTES, 0);
  });
});
