/** Async writes of a region that need the cleaner again and again cost what synchronous ones do. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MIB, PAGE_BYTES } from '../base/units.ts';
import { makeRandom } from '../codec/testing/random.ts';
import { Quire } from './quire.ts';
import type { Region } from './region.ts';

const WRITTEN_BYTES = 6 * MIB;

function noise(bytes: number, seed: number): Uint8Array {
  const random = makeRandom(seed);
  return new Uint8Array(Uint32Array.from({ length: bytes / 4 }, () => random.below(2 ** 32)).buffer);
}

/** Memory and file are full, two pages in five are discarded then: room takes cleaning. What `write` cost, in bytes written to the file. */
async function costOf(write: (region: Region, bytes: Uint8Array) => unknown): Promise<number> {
  const swap = [{ tier: 'compressed' }, { tier: 'file', size: 24 * MIB }] as const;
  const quire = await Quire.open({ budget: '8MiB', threads: 0, swap });
  const region = quire.region({ size: 64 * MIB, access: 'random' });
  const piece = noise(MIB, 1);
  let filled = 0;
  assert.throws(
    () => {
      for (; filled < 64; filled++) region.write(filled * MIB, piece);
    },
    { code: 'ERR_QUIRE_SWAP_FULL' },
  );
  const random = makeRandom(2);
  for (let at = 0; at < filled * MIB; at += PAGE_BYTES) if (random.below(5) < 2) region.discard(at, PAGE_BYTES);
  const other = quire.region({ size: 64 * MIB });
  const bytes = noise(WRITTEN_BYTES, 3);
  const before = quire.stats();
  await write(other, bytes);
  const after = quire.stats();
  assert.ok(after.file_segments_cleaned - before.file_segments_cleaned > 3, 'the cleaner was needed');
  const got = new Uint8Array(WRITTEN_BYTES);
  other.read(0, got);
  assert.equal(Buffer.compare(got, bytes), 0);
  await quire.close();
  return after.file_bytes_written - before.file_bytes_written;
}

describe('an async write that needs the cleaner many times', () => {
  it('does not begin anew each time', async () => {
    const plain = await costOf((region, bytes) => region.write(0, bytes));
    const piecewise = await costOf((region, bytes) => region.writeAsync(0, bytes));
    assert.ok(piecewise < 4 * plain, `${piecewise} bytes, ${plain} when synchronous`);
  });
});
