/** Codecs as options: what is refused, what an instance does with them, and what a Node without zstd says. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import { hasZstd } from '../daemons/node-zstd.ts';
import { makePage } from '../testing/page-data.ts';
import { resolveOptions, type TierOptions } from './options.ts';
import { Quire } from './quire.ts';
import { withCode } from './testing/expect-code.ts';

const MIB = 2 ** 20;
const PAGES = 6000;

const resolve = (...swap: unknown[]) => resolveOptions({ budget: 16 * MIB, swap: swap as TierOptions[] });

describe('codec options', () => {
  it('refuse what there is not', () => {
    for (const codec of ['gzip', 'LZ4', 4, null]) {
      assert.throws(() => resolve({ tier: 'compressed', codec }), withCode('ERR_QUIRE_INVALID_ARG'));
      assert.throws(() => resolve({ tier: 'file', codec }), withCode('ERR_QUIRE_INVALID_ARG'));
    }
    assert.throws(() => resolve({ tier: 'compressed', level: 3 }), withCode('ERR_QUIRE_INVALID_ARG'));
    assert.throws(() => resolve({ tier: 'file', codec: 'lz4', level: 3 }), withCode('ERR_QUIRE_INVALID_ARG'));
    for (const level of [0, 23, -1]) {
      assert.throws(() => resolve({ tier: 'compressed', codec: 'zstd', level }), withCode('ERR_QUIRE_RANGE'));
    }
    for (const level of [1.5, '3', Number.NaN]) {
      assert.throws(() => resolve({ tier: 'compressed', codec: 'zstd', level }), withCode('ERR_QUIRE_INVALID_ARG'));
    }
  });

  it('refuse a policy for incompressible pages that there is not', () => {
    assert.throws(() => resolve({ tier: 'compressed', incompressible: 'drop' }), withCode('ERR_QUIRE_INVALID_ARG'));
    const both = resolve({ tier: 'compressed', incompressible: 'demote' }, { tier: 'file' });
    assert.equal(both.incompressible, 'demote');
    assert.equal(resolve({ tier: 'compressed' }).incompressible, 'keep');
  });

  it('zstd, or the version of Node that it needs', async () => {
    for (const tier of ['compressed', 'file'] as const) {
      const options = { budget: 16 * MIB, swap: [{ tier, codec: 'zstd' }] } as const;
      if (hasZstd()) await (await Quire.open(options)).close();
      else {
        await assert.rejects(Quire.open(options), (error: Error & { code?: string }) => {
          assert.equal(error.code, 'ERR_QUIRE_UNSUPPORTED');
          assert.match(error.message, /Node 22\.15, 23\.8 or later/);
          return true;
        });
      }
    }
  });

  it('zstd takes less memory than LZ4 for the same pages, which come back', async () => {
    const codecs = hasZstd() ? (['lz4', 'zstd'] as const) : (['lz4'] as const);
    const bytes: number[] = [];
    for (const codec of codecs) {
      const quire = await Quire.open({ budget: 16 * MIB, swap: [{ tier: 'compressed', codec }], threads: 2 });
      const region = quire.region({ size: 64 * MIB });
      for (let page = 0; page < PAGES; page++) region.write(page * 4096, makePage(page, 'text'));
      const got = new Uint8Array(4096);
      for (let page = 0; page < PAGES; page += 7) {
        region.read(page * 4096, got);
        assert.deepEqual(got, makePage(page, 'text'), `${codec}, page ${page}`);
      }
      const stats = quire.stats();
      bytes.push(stats.compressed_bytes / stats.zs_objects);
      await quire.close();
    }
    for (let i = 1; i < bytes.length; i++) assert.ok(bytes[i] < bytes[0] * 0.95, `${bytes}`);
  });

  it('pages of the file tier are compressed again where Node can', async () => {
    const codec = hasZstd() ? 'zstd' : 'lz4';
    const file = { tier: 'file', path: tmpdir(), size: 64 * MIB, codec } as const;
    const quire = await Quire.open({ budget: 8 * MIB, swap: [{ tier: 'compressed' }, file], threads: 1 });
    const region = quire.region({ size: 64 * MIB });
    for (let page = 0; page < PAGES; page++) region.write(page * 4096, makePage(page, 'text'));
    const stats = quire.stats();
    assert.ok(stats.file_pages > 0);
    assert.equal(stats.file_recompressed > 0, hasZstd());
    const got = new Uint8Array(4096);
    for (let page = 0; page < PAGES; page += 5) {
      region.read(page * 4096, got);
      assert.deepEqual(got, makePage(page, 'text'), `page ${page}`);
    }
    await quire.close();
  });

  it('a tier added later brings its policy and the codec of files, not another one of the pool', async () => {
    const quire = await Quire.open({ budget: 8 * MIB, swap: [], threads: 0 });
    const added = { tier: 'compressed', incompressible: 'activate' } as const;
    await assert.rejects(
      quire.swapon({ ...added, incompressible: 'drop' as 'keep' }),
      withCode('ERR_QUIRE_INVALID_ARG'),
    );
    if (hasZstd()) await assert.rejects(quire.swapon({ ...added, codec: 'zstd' }), withCode('ERR_QUIRE_UNSUPPORTED'));
    await quire.swapon(added);
    await quire.swapon({ tier: 'file', path: tmpdir(), size: 64 * MIB, codec: hasZstd() ? 'zstd' : 'lz4' });
    const region = quire.region({ size: 64 * MIB });
    for (let page = 0; page < PAGES; page++) region.write(page * 4096, makePage(page, 'text'));
    assert.equal(quire.stats().file_recompressed > 0, hasZstd());
    await quire.close();
  });
});
