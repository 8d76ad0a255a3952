/** `region.clone()` as a program sees it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makePage } from '../testing/page-data.ts';
import { Quire } from './quire.ts';
import type { Region } from './region.ts';
import { startClient } from './testing/client.ts';

const MIB = 2 ** 20;
const PAGE = 4096;

const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

function assertPages(region: Region, pages: number, seedOf: (page: number) => number): void {
  const got = new Uint8Array(PAGE);
  for (let page = 0; page < pages; page++) {
    region.read(page * PAGE, got);
    assert.ok(Buffer.compare(got, makePage(seedOf(page), 'text')) === 0, `page ${page} of '${region.name}'`);
  }
}

describe('clone', () => {
  for (const threads of [0, 1]) {
    it(`of a region larger than memory: both sides go their own ways, with ${threads} daemons`, async () => {
      const swap = [{ tier: 'compressed' as const }, { tier: 'file' as const, size: '128MiB' }];
      await using quire = await Quire.open({ budget: '16MiB', threads, swap });
      const region = quire.region({ size: 64 * MIB, name: 'source', group: 'a' });
      const pages = 8000; // 31 MiB
      for (let page = 0; page < pages; page++) region.write(page * PAGE, makePage(page, 'text'));
      const tables = quire.stats().table_pages;
      const clone = region.clone({ name: 'snapshot' });
      const taken = (quire.stats().table_pages - tables) * PAGE;
      assert.ok(taken < pages * 8, `${taken} bytes of tables for ${pages} pages`);
      assert.equal(clone.size, region.size);
      assert.equal(clone.group, 'a');
      assert.ok(quire.stats().nr_cloned_pages >= pages - 1);
      for (let page = 0; page < pages; page += 5) region.write(page * PAGE, makePage(page + 100_000, 'text'));
      for (let page = 2; page < pages; page += 5) clone.write(page * PAGE, makePage(page + 200_000, 'text'));
      assertPages(region, pages, (page) => (page % 5 === 0 ? page + 100_000 : page));
      assertPages(clone, pages, (page) => (page % 5 === 2 ? page + 200_000 : page));
      region.close();
      assertPages(clone, pages, (page) => (page % 5 === 2 ? page + 200_000 : page));
      assert.equal(quire.stats().nr_cloned_pages, 0);
      assert.equal(quire.stats().groups['a'], pages);
    });
  }

  it('is found by its name from other threads, which can clone it in turn', async () => {
    await using quire = await Quire.open({ budget: '16MiB', threads: 0 });
    const region = quire.region({ size: 8 * MIB });
    for (let page = 0; page < 500; page++) region.write(page * PAGE, makePage(page, 'text'));
    region.clone({ name: 'first' });
    await using client = await startClient(quire.handle);
    const wrong = await client.run(`
      const first = quire.region({ name: 'first', size: ${8 * MIB} });
      const second = first.clone({ name: 'second' });
      const got = new Uint8Array(4096);
      let wrong = 0;
      for (let page = 0; page < 500; page++) {
        second.read(page * 4096, got);
        if (Buffer.compare(got, makePage(page, 'text')) !== 0) wrong++;
        if (page % 2 === 0) second.write(page * 4096, makePage(page + 1000, 'text'));
      }
      state.second = second;
      return wrong;`);
    assert.equal(wrong, 0);
    const second = quire.region({ name: 'second', size: 8 * MIB });
    assertPages(region, 500, (page) => page);
    assertPages(second, 500, (page) => (page % 2 === 0 ? page + 1000 : page));
    await client.run('await quire.close()');
    assertPages(second, 500, (page) => (page % 2 === 0 ? page + 1000 : page));
  });

  it('refuses what it cannot do, and changes nothing', async () => {
    await using quire = await Quire.open({ budget: '16MiB', threads: 0 });
    const region = quire.region({ size: 4 * MIB, name: 'taken' });
    region.write(100, Uint8Array.of(1, 2, 3));
    for (const options of [null, 3, { name: 7 }, { group: {} }]) {
      assert.throws(() => region.clone(options as never), hasCode('ERR_QUIRE_INVALID_ARG'));
    }
    assert.throws(() => region.clone({ name: 'taken' }), hasCode('ERR_QUIRE_INVALID_ARG'));
    assert.throws(() => region.clone({ name: 'x'.repeat(200) }), hasCode('ERR_QUIRE_RANGE'));
    assert.throws(() => region.clone({ group: 'x'.repeat(40) }), hasCode('ERR_QUIRE_RANGE'));
    const clones: Region[] = [];
    assert.throws(() => {
      for (;;) clones.push(region.clone());
    }, hasCode('ERR_QUIRE_OUT_OF_MEMORY'));
    assert.equal(clones.length, 511);
    const got = new Uint8Array(3);
    for (const clone of clones) {
      clone.read(100, got);
      assert.deepEqual([...got], [1, 2, 3]);
    }
    region.write(100, Uint8Array.of(9));
    clones[400].read(100, got);
    assert.deepEqual([...got], [1, 2, 3]);
    for (const clone of clones) clone.close();
    const last = region.clone({ name: 'again' });
    region.close();
    assert.throws(() => region.clone(), hasCode('ERR_QUIRE_CLOSED'));
    last.read(100, got);
    assert.deepEqual([...got], [9, 2, 3]);
  });

  it('has what is on disk, and reads it without blocking', async () => {
    await using quire = await Quire.open({
      budget: '8MiB',
      swap: [{ tier: 'compressed' }, { tier: 'file', size: '64MiB' }],
      threads: 0,
    });
    const region = quire.region({ size: 32 * MIB });
    const noise = (page: number): Uint8Array => makePage(page, 'noise');
    for (let page = 0; page < 6000; page++) region.write(page * PAGE, noise(page));
    assert.ok(quire.stats().file_pages > 1000);
    const clone = region.clone();
    for (let page = 0; page < 6000; page += 7) await region.writeAsync(page * PAGE + 50, Uint8Array.of(1, 2, 3));
    const got = new Uint8Array(PAGE);
    for (let page = 0; page < 6000; page++) {
      await clone.readAsync(page * PAGE, got);
      assert.ok(Buffer.compare(got, noise(page)) === 0, `page ${page}`);
    }
  });
});
