import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CHUNK_BYTES, MIB, PAGE_BYTES } from '../base/units.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, type TestInstance } from '../testing/test-instance.ts';
import { pinRange, unpinRange } from './pin-range.ts';
import type { RegionSpace } from './region-space.ts';

const PAGES = 800;

let instance: TestInstance;
let space: RegionSpace;

beforeEach(() => {
  instance = createTestInstance({ bytes: 8 * MIB });
  space = instance.space(64 * MIB);
  // In an order that scatters the frames.
  for (let i = 0; i < PAGES; i++) write((i * 7) % PAGES, (i * 7) % PAGES);
});

afterEach(() => {
  instance.finish();
});

function write(page: number, seed: number): void {
  space.write(page * PAGE_BYTES, makePage(seed, 'text'), 0, PAGE_BYTES);
}

function read(page: number): Uint8Array {
  const got = new Uint8Array(PAGE_BYTES);
  space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
  return got;
}

function joined(first: number, count: number): Uint8Array {
  return Buffer.concat(Array.from({ length: count }, (_, i) => makePage(first + i, 'text')));
}

describe('pins of several pages', () => {
  it('show scattered and swapped pages as one run of bytes', () => {
    for (const [first, count] of [
      [0, 1],
      [3, 2],
      [100, 16],
      [507, 5],
      [600, 64],
    ] as const) {
      const held = pinRange(instance.memory, space, first * PAGE_BYTES, count * PAGE_BYTES);
      assert.equal(Buffer.compare(held.bytes, joined(first, count)), 0, `${count} pages from ${first}`);
      unpinRange(instance.memory, held);
    }
  });

  it('start and end anywhere', () => {
    const held = pinRange(instance.memory, space, 40 * PAGE_BYTES + 100, 3 * PAGE_BYTES + 7);
    assert.equal(Buffer.compare(held.bytes, joined(40, 5).subarray(100, 100 + 3 * PAGE_BYTES + 7)), 0);
    unpinRange(instance.memory, held);
  });

  it('are the region: what is written through either is seen through the other', () => {
    const held = pinRange(instance.memory, space, 10 * PAGE_BYTES, 4 * PAGE_BYTES);
    held.bytes.set(makePage(5000, 'noise'), PAGE_BYTES);
    assert.deepEqual(read(11), makePage(5000, 'noise'));
    write(12, 6000);
    assert.equal(Buffer.compare(held.bytes.subarray(2 * PAGE_BYTES, 3 * PAGE_BYTES), makePage(6000, 'text')), 0);
    space.discard(13 * PAGE_BYTES, PAGE_BYTES);
    assert.ok(
      held.bytes.subarray(3 * PAGE_BYTES).every((byte) => byte === 0),
      'a pinned page is zeroed where it is',
    );
    unpinRange(instance.memory, held);
    assert.deepEqual(read(11), makePage(5000, 'noise'));
  });

  it('stay where they are under any pressure', () => {
    const held = pinRange(instance.memory, space, 20 * PAGE_BYTES, 8 * PAGE_BYTES);
    const start = held.bytes.byteOffset;
    for (let page = 1000; page < 2600; page++) write(page, page);
    const again = pinRange(instance.memory, space, 20 * PAGE_BYTES, 8 * PAGE_BYTES);
    assert.equal(again.bytes.byteOffset, start, 'contiguous already: pinned where it is');
    assert.equal(Buffer.compare(held.bytes, joined(20, 8)), 0);
    unpinRange(instance.memory, held);
    unpinRange(instance.memory, again);
  });

  it('of pages that somebody else holds apart are refused, and change nothing', () => {
    const one = pinRange(instance.memory, space, 31 * PAGE_BYTES, 10);
    const two = pinRange(instance.memory, space, 33 * PAGE_BYTES, 10);
    assert.throws(() => pinRange(instance.memory, space, 30 * PAGE_BYTES, 4 * PAGE_BYTES), /pinned elsewhere/);
    unpinRange(instance.memory, one);
    unpinRange(instance.memory, two);
    for (let page = 28; page < 36; page++) assert.deepEqual(read(page), makePage(page, 'text'));
  });

  it('cannot leave their 2 MiB block', () => {
    assert.throws(() => pinRange(instance.memory, space, CHUNK_BYTES - 1, 2), /2 MiB block/);
    assert.throws(() => pinRange(instance.memory, space, 0, CHUNK_BYTES + 1), /2 MiB block/);
  });
});
