/** Several file tiers, swapon and swapoff through the public interface, on real files, with and without daemon threads. */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import type { WorkerPool } from '../daemons/worker-pool.ts';
import { deviceAt } from '../swap/file-devices.ts';
import { makePage } from '../testing/page-data.ts';
import type { TierOptions } from './options.ts';
import { Quire } from './quire.ts';
import type { Region } from './region.ts';
import type { TierStats } from './stats.ts';
import type { SwapoffProgress } from './swap-tiers.ts';

const PAGES = 6000;

let folder = '';

function open(threads: number, swap: TierOptions[]): Promise<Quire> {
  return Quire.open({ budget: 16 * MIB, threads, swap });
}

function file(size: number, priority?: number): TierOptions {
  return { tier: 'file', path: folder, size, ...(priority === undefined ? {} : { priority }) };
}

function fill(quire: Quire, pages = PAGES): Region {
  const region = quire.region({ size: 64 * MIB });
  for (let page = 0; page < pages; page++) region.write(page * PAGE_BYTES, pageOf(page));
  return region;
}

function pageOf(page: number): Uint8Array {
  return makePage(page, page % 3 === 0 ? 'text' : 'noise');
}

function assertPages(region: Region, pages = PAGES): void {
  const got = new Uint8Array(PAGE_BYTES);
  for (let page = 0; page < pages; page++) {
    region.read(page * PAGE_BYTES, got);
    assert.deepEqual(got, pageOf(page), `page ${page}`);
  }
}

function tier(quire: Quire, name: string): TierStats {
  const found = quire.stats().tiers.find((each) => each.name === name);
  assert.ok(found !== undefined, `tier ${name}`);
  return found;
}

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

/** Descriptors of files in this test's folder, unlinked ones too. */
function swapDescriptors(): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // that of the folder itself is closed by now
    }
  });
  return targets.filter((target) => target.startsWith(folder)).length;
}

describe('tiers', () => {
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'quire-tiers-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const threads of [0, 2]) {
    describe(`with ${threads} daemon threads`, () => {
      it('several files at open: by priority, equal ones evenly', async () => {
        await using quire = await open(threads, [
          { tier: 'compressed' },
          file(64 * MIB, 1),
          file(8 * MIB, 5),
          file(8 * MIB, 5),
          file(64 * MIB),
        ]);
        const region = fill(quire);
        const names = quire.stats().tiers.map((each) => `${each.name} ${each.priority}`);
        assert.deepEqual(names, ['compressed undefined', 'file2 5', 'file3 5', 'file1 1', 'file4 -1']);
        const [second, third] = [tier(quire, 'file2'), tier(quire, 'file3')];
        assert.ok(second.pages > 500 && Math.abs(second.pages - third.pages) < 100, `${second.pages} ${third.pages}`);
        assert.equal(tier(quire, 'file4').pages, 0);
        assert.equal(second.size, 8 * MIB);
        assert.equal(second.path, folder);
        assert.ok(second.used <= second.size && second.live <= second.used);
        assertPages(region);
      });

      it('swapoff of one file to another that came later', async () => {
        await using quire = await open(threads, [{ tier: 'compressed' }, file(64 * MIB)]);
        const region = fill(quire);
        const descriptors = swapDescriptors();
        const name = await quire.swapon(file(64 * MIB));
        assert.equal(name, 'file2');
        const held = tier(quire, 'file1').pages;
        const seen: SwapoffProgress[] = [];
        const result = await quire.swapoff('file1', { onProgress: (progress) => seen.push(progress) });
        assert.equal(result.pagesDone, result.pages);
        assert.ok(result.pages >= held - 100 && result.pagesLost === 0);
        assert.ok(seen.length >= 2 && seen.every((each, i) => i === 0 || each.pagesDone >= seen[i - 1].pagesDone));
        assert.deepEqual(
          quire.stats().tiers.map((each) => each.name),
          ['compressed', 'file2'],
        );
        assertPages(region);
        assert.equal(swapDescriptors(), descriptors, 'one descriptor came, one went');
        await assert.rejects(quire.swapoff('file1'), code('ERR_QUIRE_INVALID_ARG'));
      });

      it('to the pool when there is no other file; refused when that is too small', async () => {
        await using quire = await open(threads, [{ tier: 'compressed' }, file(64 * MIB)]);
        const region = fill(quire);
        await assert.rejects(quire.swapoff('file1'), code('ERR_QUIRE_SWAP_FULL'));
        assert.equal(tier(quire, 'file1').state, 'on');
        assertPages(region);
        region.discard(500 * PAGE_BYTES, 64 * MIB - 500 * PAGE_BYTES);
        const result = await quire.swapoff('file1');
        assert.equal(result.pagesLost, 0);
        assert.deepEqual(
          quire.stats().tiers.map((each) => each.name),
          ['compressed'],
        );
        assertPages(region, 500);
        fill(quire, 500);
      });

      it('aborted: on again, nothing lost, and a second call finishes it', async () => {
        await using quire = await open(threads, [{ tier: 'compressed' }, file(64 * MIB), file(64 * MIB, 9)]);
        const region = fill(quire);
        await assert.rejects(quire.swapoff('file2', { signal: AbortSignal.abort('early') }), /early/);
        const control = new AbortController();
        const ended = quire.swapoff('file2', { signal: control.signal });
        const twice = quire.swapoff('file2').then(
          () => 'done',
          (error: { code?: string }) => error.code,
        );
        // Before the first turn of the work ends: on a fast machine there is no second.
        control.abort(new Error('enough'));
        await assert.rejects(ended, /enough/);
        assert.equal(await twice, 'ERR_QUIRE_INVALID_ARG', 'one at a time');
        assert.equal(tier(quire, 'file2').state, 'on');
        assertPages(region);
        const thrown = quire.swapoff('file2', {
          onProgress: () => {
            throw new Error('of the caller');
          },
        });
        await assert.rejects(thrown, /of the caller/);
        assert.equal(tier(quire, 'file2').state, 'on');
        assert.equal((await quire.swapoff('file2')).pagesLost, 0);
        assertPages(region);
      });

      it('the compressed tier: all to the files, pages on their way only; and back', async () => {
        await using quire = await open(threads, [{ tier: 'compressed' }, file(64 * MIB)]);
        const region = fill(quire);
        const before = quire.stats();
        assert.ok(before.nr_zspages + before.raw_pages > 1000);
        await quire.swapoff('compressed');
        const off = tier(quire, 'compressed');
        assert.equal(off.state, 'off');
        assert.ok(off.used <= off.size + MIB, `${off.used} of ${off.size}`);
        assert.ok(off.size < MIB);
        assertPages(region);
        await assert.rejects(quire.swapoff('compressed'), code('ERR_QUIRE_INVALID_ARG'));
        await assert.rejects(quire.swapoff('file1'), code('ERR_QUIRE_SWAP_FULL'), 'the last tier');
        assert.equal(await quire.swapon({ tier: 'compressed' }), 'compressed');
        await assert.rejects(quire.swapon({ tier: 'compressed' }), code('ERR_QUIRE_INVALID_ARG'));
        fill(quire);
        assert.ok(tier(quire, 'compressed').pages > 500);
        assertPages(region);
      });

      it('an instance without swap gets some', async () => {
        await using quire = await open(threads, []);
        const region = quire.region({ size: 64 * MIB });
        assert.throws(() => {
          for (let page = 0; page < PAGES; page++) region.write(page * PAGE_BYTES, pageOf(page));
        }, code('ERR_QUIRE_OUT_OF_MEMORY'));
        const none = quire.stats().tiers;
        assert.deepEqual(
          none.map(({ name, state, size, used, live, pages }) => [name, state, size, used, live, pages]),
          [['compressed', 'off', 0, 0, 0, 0]],
        );
        await quire.swapon(file(64 * MIB));
        const { state, size } = tier(quire, 'compressed');
        assert.ok(state === 'off' && size > 0 && size < MIB, `a write buffer before the file, of ${size}`);
        for (let page = 0; page < PAGES; page++) region.write(page * PAGE_BYTES, pageOf(page));
        assertPages(region);
      });

      it('closing in the middle of it ends it', async () => {
        const quire = await open(threads, [{ tier: 'compressed' }, file(64 * MIB), file(64 * MIB)]);
        fill(quire);
        const ended = assert.rejects(quire.swapoff('file1'), code('ERR_QUIRE_CLOSED'));
        await quire.close();
        await ended;
      });

      it('gives the end of a file back to the file system', async () => {
        await using quire = await open(threads, [file(64 * MIB)]);
        const region = fill(quire, 2 * PAGES);
        const words = new Int32Array(quire.handle.memories[0].buffer);
        const size = (): number => fstatSync(words[deviceAt(0) + L.V_FD] - 1).size;
        const blocks = (): number => fstatSync(words[deviceAt(0) + L.V_FD] - 1).blocks;
        const [sizeBefore, blocksBefore] = [size(), blocks()];
        assert.ok(sizeBefore > 20 * MIB && blocksBefore > 0, `${sizeBefore}`);
        region.discard(300 * PAGE_BYTES, 64 * MIB - 300 * PAGE_BYTES);
        // A daemon counts what it has cut off just after it did.
        const isDone = (): boolean =>
          size() <= sizeBefore / 2 && blocks() <= blocksBefore / 2 && quire.stats().file_segments_cut > 0;
        for (let turn = 0; turn < 500 && !isDone(); turn++) {
          quire.poll();
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        assert.ok(size() <= sizeBefore / 2, `${size()} of ${sizeBefore}`);
        assert.ok(blocks() <= blocksBefore / 2, `${blocks()} of ${blocksBefore}`);
        assert.ok(quire.stats().file_segments_cut > 0);
        assertPages(region, 300);
      });
    });
  }

  it('the space of a file that is off is free at once', async () => {
    await using quire = await open(0, [{ tier: 'compressed' }, file(64 * MIB), file(64 * MIB)]);
    fill(quire);
    const words = new Int32Array(quire.handle.memories[0].buffer);
    // As a thread inside a system call has it: the descriptor stays open until that is over.
    Atomics.add(words, deviceAt(0) + L.V_USERS, 1);
    const fd = words[deviceAt(0) + L.V_FD] - 1;
    await quire.swapoff('file1');
    assert.deepEqual([fstatSync(fd).size, fstatSync(fd).blocks], [0, 0]);
    Atomics.sub(words, deviceAt(0) + L.V_USERS, 1);
    await quire.swapon(file(4 * MIB));
    assert.deepEqual(
      quire.stats().tiers.map((each) => each.name),
      ['compressed', 'file2', 'file3'],
    );
  });

  it('counts what was in the pool at the start, not what passes through it meanwhile', async () => {
    await using quire = await open(0, [{ tier: 'compressed' }, file(256 * MIB)]);
    const region = fill(quire, 5000);
    const seen: SwapoffProgress[] = [];
    let written = 5000;
    const result = await quire.swapoff('compressed', {
      onProgress: (progress) => {
        seen.push(progress);
        for (let i = 0; i < 100; i++, written++) region.write(written * PAGE_BYTES, pageOf(written));
      },
    });
    assert.ok(result.pages > 0 && result.pagesDone === result.pages);
    assert.ok(seen.every((each, i) => i === 0 || each.pagesDone > seen[i - 1].pagesDone));
    assert.deepEqual(seen.at(-1), result);
    assert.ok(quire.stats().tiers[0].pages > 0, 'pages pass through it');
    assertPages(region, written);
  });

  it('is the work of the one daemon thread there is, and of the owner once that died too often', async () => {
    await using quire = await open(1, [{ tier: 'compressed' }, file(64 * MIB), file(64 * MIB)]);
    const { owns } = quire as unknown as { owns: { tiers: { inline: unknown }; pool: WorkerPool } };
    const region = fill(quire);
    await quire.swapoff('file1');
    assert.equal(owns.tiers.inline, undefined);
    await quire.swapon(file(64 * MIB));
    Object.assign(owns.pool, { restarts: 1000 });
    // Asleep: nothing to do for a while.
    await new Promise((resolve) => setTimeout(resolve, 150));
    await owns.pool.worker(0)?.terminate();
    await quire.swapoff('file2');
    assert.ok(owns.tiers.inline !== undefined);
    assertPages(region);
  });

  it('without kswapd, which died too often, beside threads that compress: it is done all the same', async () => {
    await using quire = await open(2, [{ tier: 'compressed' }, file(64 * MIB), file(64 * MIB)]);
    const { pool } = (quire as unknown as { owns: { pool: WorkerPool } }).owns;
    const region = fill(quire);
    Object.assign(pool, { restarts: 1000 });
    await new Promise((resolve) => setTimeout(resolve, 150));
    await pool.worker(0)?.terminate();
    const result = await quire.swapoff('file1', { signal: AbortSignal.timeout(20_000) });
    assert.ok(result.pages > 100 && result.pagesLost === 0);
    assertPages(region);
  });

  it('a file that cannot be emptied goes all the same', async () => {
    await using quire = await open(0, [{ tier: 'compressed' }, file(64 * MIB)]);
    const words = new Int32Array(quire.handle.memories[0].buffer);
    const fd = words[deviceAt(0) + L.V_FD] - 1;
    words[deviceAt(0) + L.V_FD] = openSync('/dev/null', 'r') + 1;
    closeSync(fd);
    assert.equal((await quire.swapoff('file1')).pages, 0);
    assert.equal(quire.stats().tiers.length, 1);
    assert.equal(await quire.swapon(file(64 * MIB)), 'file2');
  });

  it('the last tier stays, whatever it holds', async () => {
    await using quire = await open(0, [file(64 * MIB)]);
    const region = fill(quire);
    await assert.rejects(quire.swapoff('file1'), code('ERR_QUIRE_SWAP_FULL'), 'much');
    region.discard(30 * PAGE_BYTES, 64 * MIB - 30 * PAGE_BYTES);
    await assert.rejects(
      quire.swapoff('file1'),
      code('ERR_QUIRE_SWAP_FULL'),
      'so little that the write buffer has room',
    );
    region.discard(0, 64 * MIB);
    await assert.rejects(quire.swapoff('file1'), code('ERR_QUIRE_SWAP_FULL'), 'nothing');
    assert.equal(tier(quire, 'file1').state, 'on');
  });

  it('a size beyond what slots can name is refused; a default one takes what is left', async () => {
    const gib = 2 ** 30;
    const large: TierOptions[] = [{ tier: 'compressed' }, file(64 * gib + 2 * MIB)];
    await assert.rejects(open(0, large), (error: Error) => {
      assert.match(error.message, /size of the file tier must be at most 64 GiB: .* received 68721573888/);
      return code('ERR_QUIRE_RANGE')(error);
    });
    await assert.rejects(open(0, [file(40 * gib), file(40 * gib)]), code('ERR_QUIRE_RANGE'), 'taken together');
    await using quire = await open(0, [file(64 * gib - 256 * MIB)]);
    const descriptors = swapDescriptors();
    await assert.rejects(quire.swapon(file(257 * MIB)), code('ERR_QUIRE_RANGE'));
    assert.equal(swapDescriptors(), descriptors, 'its file is closed');
    assert.equal(quire.stats().file_bytes_max, 64 * gib - 256 * MIB);
    await quire.swapon(file(200 * MIB));
    await assert.rejects(quire.swapon({ tier: 'file', path: folder }), /no room for one more/);
    await quire.swapoff('file2');
    assert.equal(await quire.swapon({ tier: 'file', path: folder }), 'file3');
    assert.equal(tier(quire, 'file3').size, 64 * MIB, 'four times the budget');
    await using other = await Quire.open({
      budget: 128 * MIB,
      threads: 0,
      swap: [file(64 * gib - 256 * MIB), { tier: 'file', path: folder }],
    });
    assert.equal(tier(other, 'file2').size, 256 * MIB, 'half of the default');
  });

  it('attached threads use tiers, and leave them to the owner', async () => {
    await using quire = await open(2, [{ tier: 'compressed' }, file(64 * MIB)]);
    await using other = Quire.attach(quire.handle);
    await assert.rejects(other.swapon(file(MIB)), code('ERR_QUIRE_UNSUPPORTED'));
    await assert.rejects(other.swapoff('file1'), code('ERR_QUIRE_UNSUPPORTED'));
    assert.equal(other.stats().tiers[1].path, undefined);
    await quire.swapon(file(64 * MIB, 3));
    const region = fill(other);
    assert.ok(tier(other, 'file2').pages > 0);
    assertPages(region);
  });

  it('arguments', async () => {
    await using quire = await open(0, [{ tier: 'compressed' }]);
    const invalid: unknown[] = [undefined, null, 'file', {}, { tier: 'disk' }, { tier: 'file', path: 7 }];
    for (const value of invalid)
      await assert.rejects(quire.swapon(value as TierOptions), code('ERR_QUIRE_INVALID_ARG'));
    await assert.rejects(quire.swapon({ tier: 'file', path: join(folder, 'no', 'such') }), code('ERR_QUIRE_IO'));
    await assert.rejects(quire.swapoff('file1'), code('ERR_QUIRE_INVALID_ARG'));
    await assert.rejects(quire.swapoff(3 as never), code('ERR_QUIRE_INVALID_ARG'));
    for (const options of [null, { signal: 5 }, { onProgress: 'x' }])
      await assert.rejects(quire.swapoff('compressed', options as never), code('ERR_QUIRE_INVALID_ARG'));
    await assert.rejects(quire.swapoff('compressed'), code('ERR_QUIRE_SWAP_FULL'), 'no file');
    for (let i = 0; i < L.DEVICES_MAX; i++) await quire.swapon(file(MIB));
    await assert.rejects(quire.swapon(file(MIB)), code('ERR_QUIRE_RANGE'));
  });
});
