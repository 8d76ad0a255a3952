/** `quire.group`: limits and figures of regions, maps and files under one name, from one thread and from several. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { makePage } from '../testing/page-data.ts';
import type { Group } from './group.ts';
import { Quire } from './quire.ts';
import { startClient } from './testing/client.ts';
import { type BadCall, expectAll, withCode } from './testing/expect-code.ts';
import { FileFolder } from './testing/file-folder.ts';

const MIB = 2 ** 20;
const KIB = 1024;
const PAGE = 4096;
const FULL = 'ERR_QUIRE_OUT_OF_MEMORY';

const folder = new FileFolder();
after(() => folder.remove());

function bytesOf(group: Group): number[] {
  const { resident_bytes, swapped_bytes, peak_bytes } = group.stats();
  return [resident_bytes, swapped_bytes, peak_bytes];
}

describe('a group', () => {
  it('of a region is limited, and has exact figures', async () => {
    await using quire = await Quire.open({ budget: '16MiB', threads: 0 });
    const group = quire.group('cache', { limit: '1MiB' });
    assert.deepEqual(bytesOf(group), [0, 0, 0]);
    const region = quire.region({ size: 8 * MIB, group: 'cache' });
    assert.equal(region.group, 'cache');
    for (let page = 0; page < 2048; page++) region.write(page * PAGE, makePage(page));
    const stats = group.stats();
    assert.ok(stats.resident_bytes <= MIB);
    assert.equal(stats.peak_bytes, MIB);
    assert.equal(stats.limit_bytes, MIB);
    assert.equal(stats.swap_limit_bytes, Number.POSITIVE_INFINITY);
    // Nothing was read, so no page is in both.
    assert.equal(stats.resident_bytes + stats.swapped_bytes, 8 * MIB);
    assert.ok(stats.limit_hits > 0);
    assert.equal(stats.failures, 0);
    assert.deepEqual(quire.stats().groups, { cache: 2048 });
    const got = new Uint8Array(PAGE);
    for (let page = 0; page < 2048; page++) {
      region.read(page * PAGE, got);
      assert.deepEqual(got, makePage(page));
    }
    region.close();
    assert.deepEqual(bytesOf(group), [0, 0, MIB]);
  });

  it('at its swap limit fails by itself, and changes nothing', async () => {
    await using quire = await Quire.open({ budget: '16MiB', threads: 0 });
    const group = quire.group('a', { limit: 256 * KIB, swapLimit: 512 * KIB });
    const region = quire.region({ size: 8 * MIB, group: 'a' });
    const other = quire.region({ size: 8 * MIB, group: 'b' });
    let written = 0;
    assert.throws(() => {
      for (; ; written++) region.write(written * PAGE, makePage(written, 'text'));
    }, withCode(FULL));
    const before = bytesOf(group);
    assert.equal(before[1], 512 * KIB, 'all of the swap that it may have');
    assert.ok(written >= 190 && written <= 192);
    assert.throws(() => region.write(500 * PAGE, makePage(1)), /group 'a'.*262144 bytes.*swap limit/);
    assert.deepEqual(bytesOf(group), before);
    assert.equal(group.stats().failures, 2);
    assert.ok(group.stats().swap_refusals > 0);
    for (let page = 0; page < 2000; page++) other.write(page * PAGE, makePage(page, 'text'));
    const got = new Uint8Array(PAGE);
    for (let page = 0; page < written; page++) {
      region.read(page * PAGE, got);
      assert.deepEqual(got, makePage(page, 'text'));
    }
    // What exists may be changed: each gives its place in swap up.
    for (let page = 0; page < written; page++) region.write(page * PAGE, makePage(page + 1, 'text'));
    assert.ok(group.stats().resident_bytes <= 256 * KIB + 64 * KIB);
    assert.equal(group.setLimit({ limit: 128 * KIB }), false, 'none can go');
    assert.equal(group.setLimit({}), false, 'nor later');
    assert.equal(group.setLimit({ swapLimit: Number.POSITIVE_INFINITY }), true);
    assert.ok(group.stats().resident_bytes <= 128 * KIB);
    region.write(500 * PAGE, makePage(1));
  });

  for (const reclaim of ['active-inactive', 's3-fifo'] as const) {
    it(`gives up what was used before for a pin of all that it may have: ${reclaim}`, async () => {
      await using quire = await Quire.open({ budget: '16MiB', threads: 0, reclaim });
      const group = quire.group('pins', { limit: 64 * PAGE });
      const region = quire.region({ size: 8 * MIB, group: 'pins' });
      for (let page = 0; page < 512; page++) region.write(page * PAGE, makePage(page, 'text'));
      for (const at of [0, 4 * MIB, MIB, 5 * MIB]) {
        using pin = region.pin(at, 64 * PAGE);
        assert.equal(pin.bytes.length, 64 * PAGE);
      }
      assert.equal(group.stats().failures, 0);
    });
  }

  it('without swap of its own keeps all in memory', async () => {
    await using quire = await Quire.open({ budget: '8MiB', threads: 0 });
    const group = quire.group('pinned', { swapLimit: 0 });
    const region = quire.region({ size: MIB, group: 'pinned' });
    for (let page = 0; page < 256; page++) region.write(page * PAGE, makePage(page, 'text'));
    const other = quire.region({ size: 64 * MIB });
    for (let page = 0; page < 2500; page++) other.write(page * PAGE, makePage(page, 'text'));
    assert.deepEqual(bytesOf(group), [MIB, 0, MIB]);
  });

  it('of a map bounds what the map has in memory', async () => {
    await using quire = await Quire.open({ budget: '16MiB', threads: 0 });
    const group = quire.group('m', { limit: '512KiB' });
    const map = quire.map<string, Uint8Array>({ group: 'm' });
    const bytes = quire.byteMap({ group: 'm' });
    for (let i = 0; i < 5000; i++) map.set(`key ${i}`, makePage(i, 'text').subarray(0, 200));
    assert.ok(group.stats().resident_bytes <= 512 * KIB + 64 * KIB);
    assert.ok(group.stats().swapped_bytes > 512 * KIB);
    for (let i = 0; i < 5000; i++) assert.deepEqual(map.get(`key ${i}`), makePage(i, 'text').slice(0, 200));
    assert.deepEqual(Object.keys(quire.stats().groups), ['m']);
    map.close();
    bytes.close();
    assert.deepEqual(bytesOf(group).slice(0, 2), [0, 0]);
  });

  it('of a file bounds its pages in memory, dirty ones too', async () => {
    await using quire = await Quire.open({ budget: '16MiB', threads: 0 });
    const group = quire.group('files', { limit: '256KiB' });
    const path = folder.newPath(Buffer.alloc(4 * MIB, 7));
    const file = await quire.openFile(path, 'r+', { group: 'files' });
    const got = Buffer.alloc(64 * KIB);
    for (let at = 0; at < 4 * MIB; at += got.length) {
      await file.read(got, 0, got.length, at);
      assert.ok(got.every((byte) => byte === 7));
      assert.ok(group.stats().resident_bytes <= 256 * KIB);
    }
    assert.ok(group.stats().resident_bytes > 128 * KIB);
    assert.equal(group.stats().swapped_bytes, 0, 'files have no place in swap');
    for (let at = 0; at < 4 * MIB; at += got.length) {
      await file.write(Buffer.alloc(got.length, at / got.length), 0, got.length, at);
      assert.ok(group.stats().resident_bytes <= 256 * KIB);
    }
    for (let at = 0; at < 4 * MIB; at += got.length) {
      await file.read(got, 0, got.length, at);
      assert.ok(got.every((byte) => byte === at / got.length));
    }
    await file.close();
    assert.equal(group.stats().resident_bytes, 0);
  });

  it('is shared by all threads', async () => {
    const quire = await Quire.open({ budget: '16MiB', threads: 1 });
    const group = quire.group('shared', { limit: '1MiB' });
    await using client = await startClient(quire.handle);
    const seen = await client.run(`
      const group = state.group = quire.group('shared');
      const region = state.region = quire.region({ size: ${4 * MIB}, group: 'shared' });
      for (let page = 0; page < 1024; page++) region.write(page * 4096, makePage(page, 'text'));
      return group.stats().limit_bytes;`);
    assert.equal(seen, MIB);
    assert.ok(group.stats().resident_bytes > 0 && group.stats().resident_bytes <= MIB);
    assert.ok(group.stats().resident_bytes + group.stats().swapped_bytes >= 4 * MIB);
    await client.run(`state.group.setLimit({ limit: 128 * 1024 })`);
    assert.equal(group.stats().limit_bytes, 128 * KIB);
    assert.ok(group.stats().resident_bytes <= 128 * KIB);
    await client.run('await quire.close()');
    assert.deepEqual(bytesOf(group).slice(0, 2), [0, 0]);
    await client.end();
    await quire.close();
  });

  it('keeps its limits while it is held or something of it is open', async () => {
    await using quire = await Quire.open({ budget: '8MiB', threads: 0 });
    const limit = (): number => {
      using group = quire.group('a');
      return group.stats().limit_bytes;
    };
    const held = quire.group('a', { limit: MIB });
    assert.equal(limit(), MIB);
    const region = quire.region({ size: MIB, group: 'a' });
    held.close();
    held.close();
    assert.throws(() => held.stats(), withCode('ERR_QUIRE_CLOSED'));
    assert.throws(() => held.setLimit({}), withCode('ERR_QUIRE_CLOSED'));
    assert.equal(limit(), MIB, 'the region keeps it');
    region.close();
    assert.equal(limit(), Number.POSITIVE_INFINITY, 'a new one');
  });

  it('stays that of a region that is there', async () => {
    await using quire = await Quire.open({ budget: '8MiB', threads: 0 });
    quire.region({ size: MIB, name: 'r', group: 'a' });
    assert.equal(quire.region({ size: MIB, name: 'r', group: 'b' }).group, 'a');
    assert.deepEqual(Object.keys(quire.stats().groups), ['a']);
    assert.equal(quire.region({ size: MIB }).group, 'default');
  });

  it('is one of 64', async () => {
    await using quire = await Quire.open({ budget: '8MiB', threads: 0 });
    const groups = Array.from({ length: 63 }, (_, i) => quire.group(`g${i}`));
    await expectAll([
      { what: 'group', call: () => quire.group('more'), code: FULL },
      { what: 'region', call: () => quire.region({ size: MIB, group: 'more' }), code: FULL },
      { what: 'map', call: () => quire.map({ group: 'more' }), code: FULL },
    ]);
    quire.region({ size: MIB, group: 'g62' }).write(0, makePage(1));
    groups[62].close();
    assert.throws(() => quire.group('more'), withCode(FULL), 'its region holds it');
    groups[5].close();
    const again = quire.group('more', { limit: MIB });
    assert.deepEqual(bytesOf(again), [0, 0, 0]);
  });
});

describe('bad arguments', () => {
  it('are told, and change nothing', async () => {
    await using quire = await Quire.open({ budget: '8MiB', threads: 0 });
    const group = quire.group('a', { limit: '50%', swapLimit: MIB });
    const INVALID = 'ERR_QUIRE_INVALID_ARG';
    const RANGE = 'ERR_QUIRE_RANGE';
    const any = (value: unknown): never => value as never;
    const calls: BadCall[] = [
      { what: 'name 5', call: () => quire.group(any(5)), code: INVALID },
      { what: 'no name', call: () => quire.group(any(undefined)), code: INVALID },
      { what: 'long name', call: () => quire.group('x'.repeat(32)), code: RANGE },
      { what: 'options 5', call: () => quire.group('b', any(5)), code: INVALID },
      { what: 'options null', call: () => quire.group('b', any(null)), code: INVALID },
      { what: 'default', call: () => quire.group('default', { limit: MIB }), code: INVALID },
      { what: 'default later', call: () => quire.group('default').setLimit({ swapLimit: 0 }), code: INVALID },
      { what: 'map group 5', call: () => quire.map({ group: any(5) }), code: INVALID },
      { what: 'file group 5', call: () => quire.openFile('/dev/null', 'r', { group: any(5) }), code: INVALID },
      { what: 'long file group', call: () => quire.openFile('/x', 'r', { group: 'ä'.repeat(16) }), code: RANGE },
    ];
    for (const limit of [-1, Number.NaN, 1.5, 'many', null, '10 apples', true]) {
      calls.push({ what: `limit ${String(limit)}`, call: () => group.setLimit({ limit: any(limit) }), code: INVALID });
      calls.push({
        what: `swapLimit ${String(limit)}`,
        call: () => quire.group('b', { swapLimit: any(limit) }),
        code: INVALID,
      });
    }
    for (const limit of [0, 1, 65_535, 2 ** 50]) {
      calls.push({ what: `limit ${limit}`, call: () => group.setLimit({ limit }), code: RANGE });
    }
    await expectAll(calls);
    assert.equal(group.stats().limit_bytes, 4 * MIB);
    assert.equal(group.stats().swap_limit_bytes, MIB);
    assert.equal(quire.group('default').stats().limit_bytes, Number.POSITIVE_INFINITY);
  });
});
