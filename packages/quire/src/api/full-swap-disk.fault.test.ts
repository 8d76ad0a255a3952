/** A swap file on a disk that is really full, and what its user is told. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { makePage } from '../testing/page-data.ts';
import { mountSmall } from '../testing/small-disk.ts';
import { Quire } from './quire.ts';
import type { Region } from './region.ts';

const PAGES_MAX = (32 * MIB) / PAGE_BYTES;

/** Pages of noise from `first` on until one finds no room. Returns its number and the error. */
function writeTillFull(region: Region, first: number): { page: number; error: unknown } {
  for (let page = first; page < PAGES_MAX; page++) {
    try {
      region.write(page * PAGE_BYTES, makePage(page, 'noise'));
    } catch (error) {
      return { page, error };
    }
  }
  return { page: PAGES_MAX, error: undefined };
}

function assertPages(region: Region, pages: number): void {
  const got = new Uint8Array(PAGE_BYTES);
  for (let page = 0; page < pages; page++) {
    region.read(page * PAGE_BYTES, got);
    assert.deepEqual(got, makePage(page, 'noise'), `page ${page}`);
  }
}

for (const threads of [0, 1]) {
  test(`the error says that the disk is full, nothing is lost, and with room again it goes on (threads ${threads})`, async (context) => {
    const directory = mountSmall(context, 8 * MIB);
    if (directory === undefined) return;
    const filler = join(directory, 'filler');
    writeFileSync(filler, new Uint8Array(4 * MIB));
    await using quire = await Quire.open({
      budget: 8 * MIB,
      threads,
      swap: [{ tier: 'compressed' }, { tier: 'file', path: directory, size: 64 * MIB }],
    });
    const region = quire.region({ size: 32 * MIB });
    const full = writeTillFull(region, 0);
    assert.ok(full.error instanceof Error, 'it is full before all is written');
    const { code, message, cause } = full.error as NodeJS.ErrnoException;
    assert.equal(code, 'ERR_QUIRE_SWAP_FULL');
    assert.match(message, /file1: ENOSPC/);
    assert.equal((cause as NodeJS.ErrnoException).code, 'ENOSPC');
    const tier = quire.stats().tiers.find(({ name }) => name === 'file1');
    assert.equal(tier?.error, 'ENOSPC');
    assert.ok((tier.writeErrors ?? 0) > 0);
    assert.equal(tier.readErrors, 0);
    assertPages(region, full.page);
    rmSync(filler);
    const later = writeTillFull(region, full.page);
    assert.ok(later.page > full.page, 'the disk has room again');
    assertPages(region, later.page);
  });
}
