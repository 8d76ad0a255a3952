/** Opening, closing, and what is left afterwards. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { KIND_NEW } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import { GFP_USER } from '../page-alloc/gfp.ts';
import { allocLocked } from '../page-alloc/page-allocator.ts';
import { makePage } from '../testing/page-data.ts';
import { locked } from '../testing/test-instance.ts';
import type { Memory } from '../vm/memory.ts';
import { Quire } from './quire.ts';
import { type BadCall, expectAll, withCode } from './testing/expect-code.ts';

const MIB = 2 ** 20;
const CLOSED = 'ERR_QUIRE_CLOSED';

/** The inside of an instance, to break it. */
function memoryOf(quire: Quire): Memory {
  return (quire as unknown as { memory: Memory }).memory;
}

describe('close', () => {
  it('every call afterwards is ERR_QUIRE_CLOSED', async () => {
    const quire = await Quire.open({ budget: '8MiB', threads: 0 });
    const region = quire.region({ size: MIB });
    const pin = region.pin(0, 100);
    const map = quire.map<string, Uint8Array>();
    const bytes = quire.byteMap();
    map.set('a', new Uint8Array(3));
    const { handle } = quire;
    await quire.close();
    const ten = new Uint8Array(10);
    const calls: Record<string, () => unknown> = {
      handle: () => quire.handle,
      region: () => quire.region({ size: MIB }),
      map: () => quire.map(),
      byteMap: () => quire.byteMap(),
      openFile: () => quire.openFile('/dev/null'),
      stats: () => quire.stats(),
      poll: () => quire.poll(),
      attach: () => Quire.attach(handle),
      'region.read': () => region.read(0, ten),
      'region.write': () => region.write(0, ten),
      'region.fill': () => region.fill(0, 1),
      'region.discard': () => region.discard(0, 1),
      'region.pin': () => region.pin(0, 1),
      'region.readAsync': () => region.readAsync(0, ten),
      'region.writeAsync': () => region.writeAsync(0, ten),
      'region.fillAsync': () => region.fillAsync(0, 1),
      'region.discardAsync': () => region.discardAsync(0, 1),
      'region.pinAsync': () => region.pinAsync(0, 1),
      'region.prefetch': () => region.prefetch(0, 1),
      'pin.bytes': () => pin.bytes,
      'map.get': () => map.get('a'),
      'map.set': () => map.set('a', ten),
      'map.has': () => map.has('a'),
      'map.delete': () => map.delete('a'),
      'map.clear': () => map.clear(),
      'map.size': () => map.size,
      'map.entries': () => [...map],
      'map.ttl': () => map.ttl('a'),
      'map.getAsync': () => map.getAsync('a'),
      'map.isValid': () => map.isValid(),
    };
    await expectAll(Object.entries(calls).map(([what, call]): BadCall => ({ what, call, code: CLOSED })));
    // Closing again, in any order, does nothing.
    pin.release();
    region.close();
    map.close();
    bytes.close();
    await quire.close();
  });

  it('of a region or pin leaves the instance open', async () => {
    await using quire = await Quire.open({ budget: '8MiB', threads: 0 });
    const region = quire.region({ size: 4 * MIB });
    region.fill(0, 4 * MIB, 7);
    const pin = region.pin(5000, 9000);
    assert.equal(pin.bytes.length, 9000);
    assert.ok(pin.bytes.every((byte) => byte === 7));
    region.close();
    region.close();
    assert.throws(() => pin.bytes, withCode(CLOSED));
    assert.throws(() => region.read(0, new Uint8Array(1)), withCode(CLOSED));
    assert.equal(quire.stats().nr_anon_pages, 0);
    assert.equal(quire.stats().swap_slots_used, 0);
    {
      using again = quire.region({ size: MIB });
      again.write(0, makePage(1));
      assert.equal(quire.stats().nr_anon_pages, 1);
    }
    assert.equal(quire.stats().nr_anon_pages, 0);
  });

  it('is one act however often it is called', async () => {
    for (const threads of [0, 2]) {
      const quire = await Quire.open({ budget: '16MiB', threads });
      quire.region({ size: 40 * MIB }).fill(0, 30 * MIB, 3);
      const first = quire.close();
      assert.equal(quire.close(), first, 'one promise');
      assert.throws(() => quire.stats(), withCode(CLOSED), 'closing counts as closed');
      await Promise.all([first, quire.close(), quire[Symbol.asyncDispose]()]);
    }
  });

  it('gives a shared region back with its last user', async () => {
    await using quire = await Quire.open({ budget: '8MiB', threads: 0 });
    const one = quire.region({ size: 4 * MIB, name: 'shared' });
    const two = quire.region({ size: 4 * MIB, name: 'shared' });
    one.write(100, new Uint8Array([1, 2, 3]));
    one.close();
    const got = new Uint8Array(3);
    two.read(100, got);
    assert.deepEqual([...got], [1, 2, 3]);
    two.close();
    const fresh = quire.region({ size: 4 * MIB, name: 'shared' });
    fresh.read(100, got);
    assert.deepEqual([...got], [0, 0, 0]);
  });

  it('tells of a frame that did not come back', async () => {
    const quire = await Quire.open({ budget: '8MiB', threads: 0 });
    const { nodes } = memoryOf(quire);
    locked(nodes[0], () => allocLocked(nodes[0], 0, L.MIGRATE_MOVABLE, GFP_USER, KIND_NEW));
    await assert.rejects(quire.close(), withCode('ERR_QUIRE_FAILED'));
    assert.throws(() => quire.stats(), withCode(CLOSED));
  });

  it('tells of a slot that did not come back', async () => {
    const quire = await Quire.open({ budget: '8MiB', threads: 0 });
    const { nodes } = memoryOf(quire);
    nodes[0].words[L.H_SLOTS_USED]++;
    await assert.rejects(quire.close(), withCode('ERR_QUIRE_FAILED'));
  });
});

describe('a process that does not close its instance', () => {
  const quireUrl = JSON.stringify(new URL('./quire.js', import.meta.url).href);
  const program = (budget: string): string => `
    import { Quire } from ${quireUrl};
    const quire = await Quire.open(${budget});
    const map = quire.map({ value: 'utf8' });
    map.set('key', 'value');
    const file = await quire.openFile(process.argv[1], 'r');
    await file.read(Buffer.alloc(100));
    process.stdout.write(map.get('key'));
  `;

  for (const threads of [0, 2]) {
    it(`ends when it has nothing left to do, with ${threads} threads`, async () => {
      const child = spawn(
        process.execPath,
        [
          '--input-type=module',
          '--eval',
          program(`{ budget: '8MiB', threads: ${threads} }`),
          fileURLToPath(import.meta.url),
        ],
        { stdio: ['ignore', 'pipe', 'inherit'], timeout: 30_000 },
      );
      let told = '';
      child.stdout.on('data', (part) => {
        told += part;
      });
      const [code, signal] = await once(child, 'close');
      assert.deepEqual({ code, signal, told }, { code: 0, signal: null, told: 'value' });
    });
  }
});

describe('the file tier', () => {
  it('is unlinked while it is open, and leaves nothing behind', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quire-test-'));
    try {
      const named = join(folder, 'own.swap');
      await using quire = await Quire.open({
        budget: '8MiB',
        threads: 1,
        swap: [{ tier: 'compressed' }, { tier: 'file', path: named, size: '64MiB' }],
      });
      assert.equal(existsSync(named), false);
      await using other = await Quire.open({
        budget: '8MiB',
        threads: 0,
        swap: [{ tier: 'file', path: folder, size: '64MiB' }],
      });
      assert.deepEqual(readdirSync(folder), []);
      for (const of of [quire, other]) {
        const region = of.region({ size: 40 * MIB });
        for (let page = 0; page < 6000; page++) region.write(page * 4096, makePage(page, 'noise'));
        assert.ok(of.stats().file_pages > 1000);
        const got = new Uint8Array(4096);
        for (let page = 0; page < 6000; page += 7) {
          if (page % 2 === 0) region.read(page * 4096, got);
          else await region.readAsync(page * 4096, got);
          assert.deepEqual(got, makePage(page, 'noise'));
        }
        await region.writeAsync(10, makePage(1, 'text'));
        await region.fillAsync(4096 * 3 - 5, 9000, 9);
        await region.discardAsync(4096 * 7 + 1, 4096);
        region.read(4096 * 3, got);
        assert.ok(got.every((byte) => byte === 9));
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a budget above one node', () => {
  it('5 GiB: two nodes, chunks dealt round them, pages of both come back', async () => {
    await using quire = await Quire.open({ budget: '5GiB', threads: 0 });
    assert.equal(quire.stats().nodes, 2);
    assert.ok(quire.stats().node_bytes <= 5 * 2 ** 30);
    const region = quire.region({ size: '64GiB' });
    const stride = 2 * MIB + 4096 * 3;
    // Ends of the region included.
    const places = [...Array.from({ length: 20_000 }, (_, i) => i * stride), region.size - 4096];
    for (const [i, place] of places.entries()) region.write(place, makePage(i, i % 2 === 0 ? 'text' : 'noise'));
    const { nodes } = memoryOf(quire);
    const counts = nodes.map((node) => node.words[L.H_REGION_PAGES]);
    assert.ok(Math.abs(counts[0] - counts[1]) < 1000, `dealt evenly: ${counts}`);
    const got = new Uint8Array(4096);
    for (const [i, place] of places.entries()) {
      region.read(place, got);
      assert.equal(Buffer.compare(got, makePage(i, i % 2 === 0 ? 'text' : 'noise')), 0, `page at ${place}`);
    }
    using pin = region.pin(stride, 4096);
    assert.deepEqual(pin.bytes.slice(), makePage(1, 'noise'));
  });
});

describe('stats', () => {
  it('agree with what was done', async () => {
    await using quire = await Quire.open({ budget: '16MiB', threads: 0 });
    const region = quire.region({ size: 64 * MIB });
    region.fill(0, 64 * MIB, 1);
    const stats = quire.stats();
    assert.equal(stats.budget_bytes, 16 * MIB);
    assert.ok(stats.used_bytes <= stats.node_bytes && stats.node_bytes <= stats.budget_bytes);
    assert.ok(stats.same_filled_pages > 12_000, 'one word each');
    assert.equal(stats.nr_active_anon + stats.nr_inactive_anon, stats.nr_anon_pages);
    assert.equal(stats.swpout_zero >= stats.same_filled_pages, true);
    assert.equal(stats.buddyinfo.length, 10);
    assert.equal(stats.threads, 1);
    assert.equal(Object.keys(stats.fragmentationIndex).length, 10);
    for (const [name, value] of Object.entries(stats)) {
      if (typeof value === 'number') assert.ok(Number.isFinite(value) && value >= 0, `${name} ${value}`);
    }
  });
});
