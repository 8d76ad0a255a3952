/** `virtual: false` at the public edge: what it holds, and what it refuses. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { makePage } from '../testing/page-data.ts';
import { Quire } from './quire.ts';
import { withCode } from './testing/expect-code.ts';

describe('virtual: false', () => {
  it('holds twice its budget, for attached threads too', async () => {
    await using quire = await Quire.open({ budget: 8 * MIB, threads: 0, virtual: false });
    const region = quire.region({ size: 16 * MIB, name: 'direct' });
    for (let page = 0; page < 3000; page++) region.write(page * PAGE_BYTES, makePage(page));
    const other = Quire.attach(quire.handle);
    const seen = other.region({ size: 16 * MIB, name: 'direct' });
    const got = new Uint8Array(PAGE_BYTES);
    for (let page = 0; page < 3000; page++) {
      seen.read(page * PAGE_BYTES, got);
      assert.deepEqual(got, makePage(page));
    }
    assert.ok(quire.stats().zs_objects > 1000);
    assert.equal(quire.stats().swap_slots_used, 0);
    await other.close();
  });

  it('refuses a file tier, and values that are no booleans', async () => {
    const file = [{ tier: 'compressed' }, { tier: 'file', size: MIB }] as const;
    await assert.rejects(
      Quire.open({ budget: 8 * MIB, virtual: false, swap: file }),
      withCode('ERR_QUIRE_UNSUPPORTED'),
    );
    await assert.rejects(Quire.open({ budget: 8 * MIB, virtual: 0 as never }), withCode('ERR_QUIRE_INVALID_ARG'));
  });

  it('has no slots that a group could be limited to', async () => {
    await using quire = await Quire.open({ budget: 8 * MIB, threads: 0, virtual: false });
    assert.throws(() => quire.group('few', { swapLimit: MIB }), withCode('ERR_QUIRE_UNSUPPORTED'));
    const group = quire.group('some', { limit: 4 * MIB });
    assert.throws(() => group.setLimit({ swapLimit: MIB }), withCode('ERR_QUIRE_UNSUPPORTED'));
    group.close();
  });

  it('has nowhere to swap to where no tier is given', async () => {
    await using quire = await Quire.open({ budget: 8 * MIB, threads: 0, virtual: false, swap: [] });
    const region = quire.region({ size: 64 * MIB });
    assert.throws(() => {
      for (let page = 0; page < 4096; page++) region.write(page * PAGE_BYTES, makePage(page));
    }, withCode('ERR_QUIRE_OUT_OF_MEMORY'));
  });
});
