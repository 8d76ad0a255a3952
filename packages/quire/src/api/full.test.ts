/** Everything full: the store throws and changes nothing; what is freed later makes room. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { QuireErrorCode } from '../base/errors.ts';
import { makePage } from '../testing/page-data.ts';
import type { QuireOptions } from './options.ts';
import { Quire } from './quire.ts';
import type { Region } from './region.ts';
import { withCode } from './testing/expect-code.ts';

const PAGE = 4096;

interface Filled {
  readonly quire: Quire;
  readonly region: Region;
  readonly pages: number;
}

/** Writes incompressible pages until the instance says that it is full. */
async function fill(options: Partial<QuireOptions>, code: QuireErrorCode): Promise<Filled> {
  const quire = await Quire.open({ budget: '8MiB', threads: 0, ...options });
  const region = quire.region({ size: '1GiB' });
  let pages = 0;
  assert.throws(() => {
    for (; pages < 50_000; pages++) region.write(pages * PAGE, makePage(pages, 'noise'));
  }, withCode(code));
  return { quire, region, pages };
}

function assertPage(region: Region, page: number, wanted: Uint8Array): void {
  const got = new Uint8Array(PAGE);
  region.read(page * PAGE, got);
  assert.equal(Buffer.compare(got, wanted), 0, `page ${page}`);
}

const TIERS: readonly { name: string; options: Partial<QuireOptions>; code: QuireErrorCode }[] = [
  { name: 'no swap', options: { swap: [] }, code: 'ERR_QUIRE_OUT_OF_MEMORY' },
  { name: 'compressed tier', options: {}, code: 'ERR_QUIRE_SWAP_FULL' },
  {
    name: 'compressed and file',
    options: { swap: [{ tier: 'compressed' }, { tier: 'file', size: '8MiB' }] },
    code: 'ERR_QUIRE_SWAP_FULL',
  },
  { name: 'file alone', options: { swap: [{ tier: 'file', size: '8MiB' }] }, code: 'ERR_QUIRE_SWAP_FULL' },
  { name: 'with a daemon', options: { threads: 1 }, code: 'ERR_QUIRE_SWAP_FULL' },
];

describe('everything full', () => {
  for (const { name, options, code } of TIERS) {
    it(`${name}: nothing is changed, everything is still there, frees make room`, async () => {
      const { quire, region, pages } = await fill(options, code);
      assert.ok(pages > 1000, `${pages} pages fitted`);
      assertPage(region, pages, new Uint8Array(PAGE));
      for (let page = 0; page < pages; page++) assertPage(region, page, makePage(page, 'noise'));
      assert.throws(() => region.write((pages + 5000) * PAGE + 100, new Uint8Array(50).fill(1)), withCode(code));
      assertPage(region, pages + 5000, new Uint8Array(PAGE));
      await assert.rejects(region.writeAsync((pages + 1) * PAGE, makePage(1)), withCode(code));
      assert.ok(quire.stats().swap_full > 0);
      region.discard(0, 200 * PAGE);
      for (let page = 0; page < 100; page++) region.write(page * PAGE, makePage(page + 9000, 'noise'));
      for (let page = 0; page < 100; page++) assertPage(region, page, makePage(page + 9000, 'noise'));
      for (let page = 200; page < pages; page++) assertPage(region, page, makePage(page, 'noise'));
      await quire.close();
    });
  }

  it('one write over several pages stores those before the one that found no room', async () => {
    const { quire, region, pages } = await fill({}, 'ERR_QUIRE_SWAP_FULL');
    region.discard(0, 5 * PAGE);
    const run = new Uint8Array(400 * PAGE);
    for (let i = 0; i < 400; i++) run.set(makePage(i, 'noise'), i * PAGE);
    const at = (pages + 100) * PAGE;
    assert.throws(() => region.write(at, run), withCode('ERR_QUIRE_SWAP_FULL'));
    let stored = 0;
    const got = new Uint8Array(PAGE);
    for (let i = 0; i < 400; i++) {
      region.read(at + i * PAGE, got);
      const isNew = Buffer.compare(got, makePage(i, 'noise')) === 0;
      assert.ok(isNew || got.every((byte) => byte === 0), `page ${i} is whole`);
      if (isNew) assert.equal(stored++, i, 'in ascending order');
    }
    await quire.close();
  });

  it('a pin that finds no room changes nothing either', async () => {
    const { quire, region, pages } = await fill({ swap: [] }, 'ERR_QUIRE_OUT_OF_MEMORY');
    assert.throws(() => region.pin((pages + 512) * PAGE, 64 * PAGE), withCode('ERR_QUIRE_OUT_OF_MEMORY'));
    assert.throws(() => region.pin(512 * PAGE, 64 * PAGE), withCode('ERR_QUIRE_OUT_OF_MEMORY'));
    for (let page = 0; page < pages; page += 3) assertPage(region, page, makePage(page, 'noise'));
    await quire.close();
  });

  it('closing a region makes room for another', async () => {
    const { quire, region, pages } = await fill({}, 'ERR_QUIRE_SWAP_FULL');
    region.close();
    const next = quire.region({ size: '1GiB' });
    for (let page = 0; page < pages - 50; page++) next.write(page * PAGE, makePage(page, 'noise'));
    await quire.close();
  });
});
