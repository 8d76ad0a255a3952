import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Expectation } from './expectation.ts';
import { Plan } from './plan.ts';
import { fillSectors, SECTOR_BYTES, VERSION_GARBAGE, VERSION_ZERO, versionOf } from './sectors.ts';

test('a sector names its version, and any flipped bit or wrong place makes it garbage', () => {
  const bytes = fillSectors(1, 7, 3, 42);
  const image = new Uint8Array(10 * SECTOR_BYTES);
  image.set(bytes, 7 * SECTOR_BYTES);
  assert.deepEqual(
    [6, 7, 8, 9].map((sector) => versionOf(image, 1, sector)),
    [VERSION_ZERO, 42, 42, 42],
  );
  assert.equal(versionOf(image, 0, 7), VERSION_GARBAGE, 'of another file');
  image.copyWithin(0, 7 * SECTOR_BYTES, 8 * SECTOR_BYTES);
  assert.equal(versionOf(image, 1, 0), VERSION_GARBAGE, 'of another place');
  for (let bit = 0; bit < SECTOR_BYTES * 8; bit += 37) {
    image[8 * SECTOR_BYTES + (bit >> 3)] ^= 1 << (bit & 7);
    assert.equal(versionOf(image, 1, 8), VERSION_GARBAGE, `bit ${bit}`);
    image[8 * SECTOR_BYTES + (bit >> 3)] ^= 1 << (bit & 7);
  }
});

function image(...runs: (readonly [count: number, version: number])[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let first = 0;
  for (const [count, version] of runs) {
    parts.push(version === 0 ? new Uint8Array(count * SECTOR_BYTES) : fillSectors(0, first, count, version));
    first += count;
  }
  return new Uint8Array(Buffer.concat(parts));
}

const step = (kind: 'write' | 'truncate', first: number, count: number, version: number) =>
  ({ kind, file: 0, first, count, version, way: 0 }) as const;

test('what was acknowledged must be there, what came later may be', () => {
  const expectation = new Expectation([image([4, 1])]);
  expectation.take(step('write', 2, 4, 5));
  assert.deepEqual(expectation.check([image([4, 1])]), [], 'nothing of it');
  assert.deepEqual(expectation.check([image([2, 1], [4, 5])]), [], 'all of it');
  assert.deepEqual(expectation.check([image([3, 1], [1, 5], [1, 0])]), [], 'some of it, with a hole');
  assert.match(expectation.check([image([1, 1], [1, 5], [2, 1])])[0], /sector 1 .*version 5, expected 1/);
  assert.match(expectation.check([image([3, 1])])[0], /3 sectors, expected 4…6/);
  expectation.acknowledge(0);
  assert.deepEqual(expectation.check([image([2, 1], [4, 5])]), []);
  assert.match(expectation.check([image([4, 1])])[0], /4 sectors, expected 6…6/);
  assert.match(expectation.check([image([3, 1], [3, 5])])[0], /sector 2 .*version 1, expected 5/);
});

test('a write under way may be there in part, an acknowledged one never', () => {
  const expectation = new Expectation([image([4, 1])]);
  expectation.take(step('write', 2, 1, 5));
  const torn = image([4, 1]);
  torn.set(image([2, 1], [1, 5]).subarray(2 * SECTOR_BYTES, 2 * SECTOR_BYTES + 101), 2 * SECTOR_BYTES);
  assert.deepEqual(expectation.check([torn]), []);
  torn[2 * SECTOR_BYTES + 300] ^= 1;
  assert.match(expectation.check([torn])[0], /sector 2 .*garbage/, 'a byte that nobody wrote');
  torn[2 * SECTOR_BYTES + 300] ^= 1;
  expectation.acknowledge(0);
  assert.match(expectation.check([torn])[0], /sector 2 .*garbage/);
});

test('a cut may have happened or not, and zeros may be where it was', () => {
  const expectation = new Expectation([image([6, 1])]);
  expectation.take(step('truncate', 2, 0, 3));
  expectation.take(step('write', 3, 2, 4));
  for (const possible of [
    image([6, 1]),
    image([2, 1]),
    image([2, 1], [1, 0], [2, 4]),
    image([2, 1], [3, 0]),
    image([3, 1], [2, 4], [1, 1]),
  ])
    assert.deepEqual(expectation.check([possible]), []);
  assert.match(expectation.check([image([1, 0], [5, 1])])[0], /sector 0 .*version 0, expected 1/);
  expectation.acknowledge(0);
  assert.deepEqual(expectation.check([image([2, 1], [1, 0], [2, 4])]), []);
  assert.match(expectation.check([image([3, 1], [2, 4])])[0], /sector 2 .*expected 0/);
});

test('a plan is the same each time, has versions that only rise, and syncs', () => {
  const plan = new Plan(9, 3, [10, 0]);
  const again = new Plan(9, 3, [10, 0]);
  const kinds = new Map<string, number>();
  let version = 0;
  for (let i = 0; i < 3000; i++) {
    const next = plan.next();
    assert.deepEqual(again.next(), next);
    assert.ok(next.version > version && next.first >= 0);
    version = next.version;
    kinds.set(next.kind, (kinds.get(next.kind) ?? 0) + 1);
  }
  for (const kind of ['write', 'append', 'truncate', 'sync', 'press', 'read'])
    assert.ok((kinds.get(kind) ?? 0) > 50, `${kind}: ${kinds.get(kind)}`);
});
