/** Async calls on a device whose blocking read is an error: none of them may use it, whatever they meet. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { Demoter } from '../swap/demoter.ts';
import {
  assertPages,
  code,
  counted,
  demoteAll,
  evict,
  type Loaded,
  load,
  PAGES,
  pageOf,
  placeOf,
  readPage,
} from '../testing/file-tier-scene.ts';
import { MemoryDevice } from '../testing/memory-device.ts';
import { makePage } from '../testing/page-data.ts';
import { setAccess } from './access.ts';
import { prefetchAsync, readAsync } from './async-read.ts';
import { withoutWaiting } from './no-wait.ts';
import { pinRange, unpinRange } from './pin-range.ts';

/**
 * Blocking reads are counted while `mayBlock` is false: the thread would have waited, but for what was read without blocking and
 * is in the system's cache since.
 */
class SlowDevice extends MemoryDevice {
  mayBlock = true;
  cachesReads = false;
  blocked = 0;
  private readonly fetched = new Set<number>();

  override read(offset: number, target: Uint8Array, start: number, length: number): number {
    const isCached = chunksOf(offset, length).every((chunk) => this.fetched.has(chunk));
    if (!this.mayBlock && !(this.cachesReads && isCached)) this.blocked++;
    return super.read(offset, target, start, length);
  }

  override readAsync(offset: number, target: Uint8Array, start: number, length: number): Promise<number> {
    for (const chunk of chunksOf(offset, length)) this.fetched.add(chunk);
    return super.readAsync(offset, target, start, length);
  }
}

/** Pieces of 256 bytes that the range touches. */
function chunksOf(offset: number, length: number): number[] {
  const first = Math.floor(offset / 256);
  return Array.from({ length: Math.ceil((offset + length) / 256) - first }, (_, i) => first + i);
}

interface SlowLoaded extends Loaded {
  readonly slow: SlowDevice;
}

function onFile(): SlowLoaded {
  const slow = new SlowDevice();
  const loaded = load(undefined, PAGES, slow);
  demoteAll(loaded);
  slow.mayBlock = false;
  return { ...loaded, slow };
}

const open = (): void => undefined;

async function readPageAsync({ instance, space }: Loaded, page: number): Promise<Uint8Array> {
  const got = new Uint8Array(PAGE_BYTES);
  await readAsync(instance.memory, space, page * PAGE_BYTES, got, open);
  return got;
}

describe('async calls never wait for the device', () => {
  it('reads, in order and at random, of pages that stay on file, are promoted, or come into memory', async () => {
    for (const isInOrder of [true, false]) {
      const loaded = onFile();
      for (let turn = 0; turn < 2 * PAGES; turn++) {
        const page = isInOrder ? turn % PAGES : (turn * 271) % PAGES;
        assert.deepEqual(await readPageAsync(loaded, page), pageOf(page));
      }
      assert.deepEqual(await readPageAsync(loaded, 5), pageOf(5));
      assert.equal(loaded.slow.blocked, 0);
      assert.ok(counted(loaded.instance, 'swap_promoted') > 0);
      assert.ok(!isInOrder || counted(loaded.instance, 'swap_ra_hit') > PAGES / 4);
      loaded.slow.mayBlock = true;
      assertPages(loaded.space);
      loaded.instance.finish();
    }
  });

  it('one touch is counted, however often the read is tried', async () => {
    const loaded = onFile();
    const { instance } = loaded;
    const age = instance.node.words[L.H_AGE];
    for (let page = 0; page < 100; page += 9) await readPageAsync(loaded, page);
    assert.equal(instance.node.words[L.H_AGE] - age, 12);
    assert.equal(counted(instance, 'pgmajfault'), 0, 'a first read brings nothing into memory');
    instance.finish();
  });

  it('many at once', async () => {
    const loaded = onFile();
    const pages = Array.from({ length: PAGES }, (_, i) => (i * 271) % PAGES);
    const got = await Promise.all(pages.map((page) => readPageAsync(loaded, page)));
    for (const [i, page] of pages.entries()) assert.deepEqual(got[i], pageOf(page));
    assert.equal(loaded.slow.blocked, 0);
    loaded.instance.finish();
  });

  it('prefetch, which leaves pages where they are when memory is short', async () => {
    const loaded = onFile();
    const { instance, space, slow } = loaded;
    const { words } = instance.node;
    await prefetchAsync(instance.memory, space, 10 * PAGE_BYTES + 5, 40 * PAGE_BYTES, open);
    assert.equal(words[L.H_REGION_PAGES], 41);
    const free = words[L.H_FREE_FRAMES];
    const min = words[L.H_WMARK_MIN];
    words[L.H_WMARK_MIN] = free;
    await prefetchAsync(instance.memory, space, 100 * PAGE_BYTES, 20 * PAGE_BYTES, open);
    assert.equal(words[L.H_REGION_PAGES], 41);
    words[L.H_WMARK_MIN] = min;
    assert.equal(slow.blocked, 0);
    slow.mayBlock = true;
    assertPages(space);
    instance.finish();
  });

  it('writes of parts of pages, discards and pins, with memory full of other pages', async () => {
    const loaded = onFile();
    const { instance, space, slow } = loaded;
    const { memory, node } = instance;
    // Until little is free: each fault below has to reclaim first, which takes the staging buffer.
    for (let page = 0; node.words[L.H_FREE_FRAMES] > node.words[L.H_WMARK_MIN] + 4; page++) {
      space.write((page + 2000) * PAGE_BYTES, makePage(page, 'text'), 0, PAGE_BYTES);
    }
    const bytes = new Uint8Array(PAGE_BYTES).fill(9);
    for (let page = 0; page < 60; page++) {
      const offset = page * 3 * PAGE_BYTES + 100;
      await withoutWaiting(memory, open, () => space.write(offset, bytes, 0, 2 * 1024));
      await withoutWaiting(memory, open, () => space.discard(offset + 2 * PAGE_BYTES, 50));
    }
    const held = await withoutWaiting(memory, open, () => pinRange(memory, space, 256 * PAGE_BYTES, 16 * PAGE_BYTES));
    for (let i = 0; i < 16; i++) {
      assert.deepEqual(Uint8Array.from(held.bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES)), pageOf(256 + i));
    }
    unpinRange(memory, held);
    assert.equal(slow.blocked, 0);
    slow.mayBlock = true;
    for (let page = 0; page < 60; page++) {
      const wanted = pageOf(page * 3).fill(9, 100, 100 + 2048);
      const got = new Uint8Array(PAGE_BYTES);
      space.read(page * 3 * PAGE_BYTES, got, 0, PAGE_BYTES);
      assert.deepEqual(got, wanted);
    }
    instance.check();
    instance.finish();
  });
});

/** File and memory are full, and most of what is in the file is dead: room takes cleaning, which reads. */
function fullOfDead(): SlowLoaded & { readonly firstNew: number } {
  const slow = new SlowDevice();
  const loaded = load(5 * MIB, 1500, slow);
  const { instance, space } = loaded;
  demoteAll(loaded);
  for (let page = 0; page < 1500; page++) if (page % 5 !== 0) space.discard(page * PAGE_BYTES, PAGE_BYTES);
  let firstNew = 4000;
  const { words } = instance.node;
  while (words[L.H_FREE_FRAMES] > words[L.H_WMARK_LOW]) {
    space.write(firstNew * PAGE_BYTES, makePage(firstNew, 'noise'), 0, PAGE_BYTES);
    firstNew++;
  }
  slow.mayBlock = false;
  slow.cachesReads = true;
  return { ...loaded, slow, firstNew };
}

describe('async calls that need the cleaner', () => {
  it('have the segment fetched before it reads it', async () => {
    const loaded = fullOfDead();
    const { instance, space, slow, firstNew } = loaded;
    const cleaned = counted(instance, 'file_segments_cleaned');
    let page = firstNew;
    for (; page < firstNew + 1200 && counted(instance, 'file_segments_cleaned') < cleaned + 3; page++) {
      const bytes = makePage(page, 'noise');
      await withoutWaiting(instance.memory, open, () => space.write(page * PAGE_BYTES, bytes, 0, PAGE_BYTES));
    }
    assert.ok(counted(instance, 'file_segments_cleaned') >= cleaned + 3, `${page - firstNew} pages`);
    assert.equal(slow.blocked, 0);
    assert.equal(counted(instance, 'swap_full'), 0, 'no try counts as a failure');
    instance.check();
    slow.mayBlock = true;
    for (let old = 0; old < 1500; old += 5) assert.deepEqual(readPage(space, old), pageOf(old));
    for (let each = 4000; each < page; each++) assert.deepEqual(readPage(space, each), makePage(each, 'noise'));
    instance.finish();
  });

  it('fail as synchronous ones do when cleaning makes no room', async () => {
    const { instance, space, slow, firstNew } = fullOfDead();
    let page = firstNew;
    const write = (): Promise<void> =>
      withoutWaiting(instance.memory, open, () =>
        space.write(page * PAGE_BYTES, makePage(page, 'noise'), 0, PAGE_BYTES),
      );
    await assert.rejects(async () => {
      for (; page < firstNew + 4000; page++) await write();
    }, code('ERR_QUIRE_SWAP_FULL'));
    assert.equal(slow.blocked, 0);
    instance.check();
    assert.deepEqual(readPage(space, page), new Uint8Array(PAGE_BYTES), 'nothing has changed');
    instance.finish();
  });

  it('and a device that fails: other segments are tried', async () => {
    const { instance, space, slow, firstNew } = fullOfDead();
    const cleaned = counted(instance, 'file_segments_cleaned');
    slow.plan = ({ op, offset }) => (op === 'read' && offset < 2 * MIB ? { kind: 'error', code: 'EIO' } : undefined);
    let page = firstNew;
    for (; page < firstNew + 1200 && counted(instance, 'file_segments_cleaned') < cleaned + 3; page++) {
      const bytes = makePage(page, 'noise');
      await withoutWaiting(instance.memory, open, () => space.write(page * PAGE_BYTES, bytes, 0, PAGE_BYTES));
    }
    assert.ok(counted(instance, 'file_segments_cleaned') >= cleaned + 3);
    assert.equal(slow.blocked, 0);
    slow.heal();
    instance.check();
    instance.finish();
  });
});

describe('async calls, overtaken and failing', () => {
  it('what is discarded, written or moved while it is fetched is looked up again', async () => {
    const loaded = onFile();
    const { instance, space, slow } = loaded;
    const written = makePage(4321, 'text');
    const reads = [30, 31, 32, 33].map((page) => readPageAsync(loaded, page));
    space.discard(31 * PAGE_BYTES, PAGE_BYTES);
    space.write(32 * PAGE_BYTES, written, 0, PAGE_BYTES);
    slow.mayBlock = true;
    space.write(33 * PAGE_BYTES, written, 0, PAGE_BYTES);
    evict(instance);
    const demoter = new Demoter(instance.node, slow);
    for (let turn = 0; turn < 8; turn++) demoter.demote();
    slow.mayBlock = false;
    assert.deepEqual(await Promise.all(reads), [pageOf(30), new Uint8Array(PAGE_BYTES), written, written]);
    assert.equal(slow.blocked, 0);
    instance.finish();
  });

  it('EIO and damaged bytes are errors of that page’s readers, in order and alone; the pages around it are read', async () => {
    for (const step of [1, 7]) {
      const loaded = onFile();
      const { slow, instance } = loaded;
      const bad = placeOf(loaded, 42);
      slow.damage(placeOf(loaded, 63) + 50, 1);
      slow.plan = ({ op, offset, length }) =>
        op === 'read' && offset <= bad && bad < offset + length ? { kind: 'error', code: 'EIO' } : undefined;
      for (let page = 0; page < 126; page += step) {
        if (page === 42) await assert.rejects(readPageAsync(loaded, page), code('ERR_QUIRE_IO'));
        else if (page === 63) await assert.rejects(readPageAsync(loaded, page), code('ERR_QUIRE_CORRUPT'));
        else assert.deepEqual(await readPageAsync(loaded, page), pageOf(page));
      }
      await assert.rejects(
        withoutWaiting(instance.memory, open, () => loaded.space.write(42 * PAGE_BYTES + 9, new Uint8Array(9), 0, 9)),
        (error: Error & { code?: string; cause?: { code?: string } }) =>
          error.code === 'ERR_QUIRE_IO' && error.cause?.code === 'EIO',
      );
      slow.heal();
      assert.deepEqual(await readPageAsync(loaded, 42), pageOf(42));
      assert.equal(slow.blocked, 0);
      instance.finish();
    }
  });

  it('a damaged page among those read ahead, in a region read in sequence and by prefetch: its error, after a few reads', async () => {
    const loaded = onFile();
    const { instance, space, slow } = loaded;
    setAccess(instance.node, space.region, 'sequential');
    slow.damage(placeOf(loaded, 20) + 50, 1);
    for (let page = 16; page < 30; page++) {
      const reads = slow.reads;
      if (page === 20) await assert.rejects(readPageAsync(loaded, page), code('ERR_QUIRE_CORRUPT'));
      else assert.deepEqual(await readPageAsync(loaded, page), pageOf(page));
      assert.ok(slow.reads - reads <= 3, `${slow.reads - reads} reads of page ${page}`);
    }
    await assert.rejects(
      prefetchAsync(instance.memory, space, 18 * PAGE_BYTES, 8 * PAGE_BYTES, open),
      code('ERR_QUIRE_CORRUPT'),
    );
    assert.equal(slow.blocked, 0);
    instance.finish();
  });

  it('a region closed meanwhile, and an operation that fails by itself, end the call', async () => {
    const loaded = onFile();
    const { instance, space } = loaded;
    const closed = new Error('closed');
    await assert.rejects(
      readAsync(instance.memory, space, 0, new Uint8Array(9), () => {
        throw closed;
      }),
      closed,
    );
    await assert.rejects(
      withoutWaiting(instance.memory, open, () => {
        throw closed;
      }),
      closed,
    );
    assert.equal(instance.node.ahead.noWait, false);
    loaded.slow.mayBlock = true;
    assertPages(space);
    instance.finish();
  });
});
