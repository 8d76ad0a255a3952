import assert from 'node:assert/strict';
import { parentPort, workerData } from 'node:worker_threads';
import { keyOf, nameOf, patternBytes, seededRandom } from './model-map.ts';
import { attachPlainMap, type PlainMapHandle } from './plain-map.ts';

/** One thread of page-map.threads.test.ts: random work on shared keys, every value checked against itself. */
export interface MapWork {
  readonly handle: PlainMapHandle;
  readonly threadId: number;
  readonly steps: number;
  readonly keys: number;
  readonly valueBytesMax: number;
  readonly invalidReads: number;
  readonly maxBytes: number | undefined;
}

const work = workerData as MapWork;
const plain = attachPlainMap(work.handle, {
  threadId: work.threadId,
  ...(work.maxBytes === undefined ? {} : { maxBytes: work.maxBytes }),
});
const { map } = plain;
const random = seededRandom(work.threadId);
plain.faults.random = seededRandom(work.threadId + 1000);
plain.faults.invalidReads = work.invalidReads;

/** A value says which key it belongs to, and its bytes follow from its first 8: a torn or foreign value is found out. */
function valueFor(key: number, seed: number): Uint8Array {
  const length = 8 + Math.floor(random() ** 3 * work.valueBytesMax);
  const value = patternBytes(length, seed);
  new DataView(value.buffer).setUint32(0, key);
  new DataView(value.buffer).setUint32(4, seed);
  return value;
}

function checkValue(key: number, value: Uint8Array): void {
  const view = new DataView(value.buffer, value.byteOffset);
  assert.equal(view.getUint32(0), key, 'the value of this key');
  const expected = patternBytes(value.length, view.getUint32(4));
  assert.equal(Buffer.compare(value.subarray(8), expected.subarray(8)), 0, 'a whole value');
}

/** Keys below `private` of a thread are its own: no other thread touches them, so what it reads must be what it wrote. */
const own = new Map<number, Uint8Array>();
const target = new Uint8Array(work.valueBytesMax + 8);

function stepShared(seed: number): void {
  const key = Math.floor(random() * work.keys);
  const bytes = keyOf(`shared ${key}`);
  const choice = random();
  if (choice < 0.3)
    map.set(bytes, valueFor(key, seed), random() < 0.1 ? Date.now() + 1 + Math.floor(random() * 20) : 0);
  else if (choice < 0.4) map.delete(bytes);
  else if (choice < 0.7) {
    const value = map.get(bytes);
    if (value !== undefined) checkValue(key, value);
  } else if (choice < 0.95) {
    const length = map.getInto(bytes, target, 0);
    if (length >= 0) checkValue(key, target.slice(0, length));
  } else if (choice < 0.97)
    map.scan(Math.floor(random() * 256), 5, (name) => assert.match(nameOf(name), /^(shared|own)/));
  else map.reap(5);
}

function stepOwn(seed: number): void {
  const key = Math.floor(random() * 50);
  const bytes = keyOf(`own ${work.threadId} ${key}`);
  const choice = random();
  if (choice < 0.4) {
    const value = valueFor(key, seed);
    map.set(bytes, value, 0);
    own.set(key, value);
  } else if (choice < 0.5) {
    const isThere = map.delete(bytes);
    if (work.maxBytes === undefined) assert.equal(isThere, own.has(key));
    own.delete(key);
  } else {
    const value = map.get(bytes);
    if (work.maxBytes === undefined || value !== undefined) assert.deepEqual(value, own.get(key));
  }
}

for (let step = 0; step < work.steps; step++) {
  if (random() < 0.7) stepShared(step);
  else stepOwn(step);
}
assert.equal(plain.faults.pinned, 0);
parentPort?.postMessage({ own: own.size });
