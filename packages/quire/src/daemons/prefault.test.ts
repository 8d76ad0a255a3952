/** Memory touched ahead of its use: which, how much, and what becomes of the bytes there. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { CHUNK_PAGES, MIB, ORDER_MAX, PAGE_BYTES, PAGE_WORDS } from '../base/units.ts';
import { listAt } from '../page-alloc/buddy.ts';
import { makePage } from '../testing/page-data.ts';
import { createTestInstance, type TestInstance } from '../testing/test-instance.ts';
import { Prefault } from './prefault.ts';

const HEAD_AT = listAt(L.MIGRATE_MOVABLE, ORDER_MAX);
const BLOCKS_AHEAD = 2; // a thirty-second of 64 blocks

let instance: TestInstance;
let prefault: Prefault;

beforeEach(() => {
  instance = createTestInstance({ bytes: 128 * MIB });
  prefault = new Prefault(instance.node);
});

afterEach(() => instance.finish());

/** Frames that the daemon touches until it finds nothing to do. */
function touchedFrames(daemon: Prefault): number[] {
  const frames: number[] = [];
  const { compareExchange } = Atomics;
  Atomics.compareExchange = ((words: Int32Array, at: number, expected: number, value: number) => {
    assert.deepEqual([at % PAGE_WORDS, expected, value], [0, 0, 0]);
    frames.push(at / PAGE_WORDS);
    return compareExchange(words, at, expected, value);
  }) as typeof compareExchange;
  try {
    while (daemon.step());
  } finally {
    Atomics.compareExchange = compareExchange;
  }
  return frames;
}

function nextBlocks(count: number): number[] {
  const { words, nextAt } = instance.node;
  const blocks: number[] = [];
  for (let pfn = words[HEAD_AT]; blocks.length < count && pfn !== 0; pfn = words[nextAt + pfn]) blocks.push(pfn);
  return blocks;
}

function framesOf(blocks: readonly number[]): number[] {
  return blocks.flatMap((block) => Array.from({ length: CHUNK_PAGES }, (_, i) => block + i));
}

describe('prefault', () => {
  it('touches the next blocks in line, each once, and goes on when one is begun', () => {
    const blocks = nextBlocks(BLOCKS_AHEAD + 1);
    assert.deepEqual(touchedFrames(prefault), framesOf(blocks.slice(0, BLOCKS_AHEAD)));
    assert.equal(prefault.step(), false);
    const space = instance.space(16 * MIB);
    for (let page = 0; nextBlocks(1)[0] === blocks[0]; page++)
      space.write(page * PAGE_BYTES, makePage(page), 0, PAGE_BYTES);
    assert.deepEqual(touchedFrames(prefault), framesOf(blocks.slice(BLOCKS_AHEAD)));
  });

  it('brings the memory of what it touches, by one fault a page', () => {
    const rss = process.memoryUsage.rss();
    const faults = process.resourceUsage().minorPageFault;
    while (prefault.step());
    const pages = BLOCKS_AHEAD * CHUNK_PAGES;
    const grown = process.memoryUsage.rss() - rss;
    assert.ok(grown > (pages * PAGE_BYTES * 3) / 4, `${grown} bytes`);
    // Two a page where the first access only reads. The margin is for what V8 takes meanwhile.
    const taken = process.resourceUsage().minorPageFault - faults;
    assert.ok(taken < pages * 1.5, `${taken} faults for ${pages} pages`);
  });

  it('changes no byte of what is there', () => {
    const space = instance.space(96 * MIB);
    const pages = (64 * MIB) / PAGE_BYTES;
    for (let page = 0; page < pages; page++) {
      space.write(page * PAGE_BYTES, makePage(page), 0, PAGE_BYTES);
      prefault.step();
    }
    // All of it once more, by a daemon that knows of nothing: blocks that are in use are not in line.
    while (new Prefault(instance.node).step() && prefault.step());
    const got = new Uint8Array(PAGE_BYTES);
    for (let page = 0; page < pages; page++) {
      space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
      assert.deepEqual(got, makePage(page));
    }
    instance.check();
  });

  it('leaves memory that is nearly full alone, and small nodes', () => {
    const { words } = instance.node;
    const free = words[L.H_FREE_FRAMES];
    words[L.H_FREE_FRAMES] = words[L.H_WMARK_HIGH];
    assert.equal(prefault.step(), false);
    words[L.H_FREE_FRAMES] = free;
    assert.equal(prefault.step(), true);
    const small = createTestInstance({ bytes: 8 * MIB });
    assert.equal(new Prefault(small.node).step(), false);
    small.finish();
  });

  it('makes nothing of a list that is being changed', () => {
    const { words, frames } = instance.node;
    const head = words[HEAD_AT];
    for (const wrong of [0, -1, 1, head + 1, frames - 1, frames, 2 ** 31 - 1]) {
      words[HEAD_AT] = wrong;
      assert.equal(prefault.step(), false, `${wrong}`);
    }
    words[HEAD_AT] = head;
    assert.equal(touchedFrames(prefault).length, BLOCKS_AHEAD * CHUNK_PAGES);
  });
});
