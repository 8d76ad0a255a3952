import assert from 'node:assert/strict';
import { workerData } from 'node:worker_threads';
import { keyOf, patternBytes } from './model-map.ts';
import { attachPlainMap, type PlainMapHandle } from './plain-map.ts';

/**
 * One thread of the clock test: the writer stores ever larger numbers under one key, in values of changing size (in place, replaced,
 * extents, ranges), while other keys make the index grow. Readers must always find the key, and never a smaller number than before.
 */
export interface ClockWork {
  readonly handle: PlainMapHandle;
  readonly threadId: number;
  readonly isWriter: boolean;
  readonly steps: number;
  /** One word: the number the writer has finished storing. */
  readonly done: Int32Array;
}

const work = workerData as ClockWork;
const { map } = attachPlainMap(work.handle, { threadId: work.threadId });
const CLOCK = keyOf('clock');
const SIZES = [8, 16, 100, 101, 3000, 9000, 20_000, 20_001, 60, 8];

function write(): void {
  for (let tick = 1; tick <= work.steps; tick++) {
    const value = patternBytes(SIZES[tick % SIZES.length], 1);
    new DataView(value.buffer).setUint32(0, tick);
    if (tick % 7 === 0) map.writeRange(CLOCK, 0, value.subarray(0, 4));
    else map.set(CLOCK, value, 0);
    Atomics.store(work.done, 0, tick);
    map.set(keyOf(`filler ${tick}`), value.subarray(0, 8), 0);
    if (tick % 3 === 0) map.delete(keyOf(`filler ${tick - 1}`));
  }
  Atomics.store(work.done, 0, work.steps + 1);
}

function read(): void {
  const target = new Uint8Array(20_001);
  let last = 0;
  while (Atomics.load(work.done, 0) <= work.steps) {
    const finished = Atomics.load(work.done, 0);
    if (finished === 0) continue;
    const isInto = (last & 1) === 0;
    const value = isInto ? target : map.get(CLOCK);
    if (isInto) assert.ok(map.getInto(CLOCK, target, 0) >= 4, 'the key is always there');
    assert.ok(value !== undefined, 'the key is always there');
    const tick = new DataView(value.buffer, value.byteOffset).getUint32(0);
    assert.ok(tick >= last, `${tick} after ${last}`);
    assert.ok(tick >= finished, `${tick}, though ${finished} was finished before the read began`);
    last = tick;
  }
}

if (work.isWriter) write();
else read();
