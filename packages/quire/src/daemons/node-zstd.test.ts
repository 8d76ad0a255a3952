/** zstd as a kernel: what goes in comes out, and what is no block is refused with nothing written. Where Node has none, what stands for it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PAGE_BYTES, UNIT_BYTES } from '../base/units.ts';
import { makeRandom } from '../codec/testing/random.ts';
import { makePage, makePages } from '../testing/page-data.ts';
import { testZstd } from '../testing/stand-in-zstd.ts';
import { hasZstd, nodeZstd } from './node-zstd.ts';

const SRC = 0;
const BLOCK = UNIT_BYTES;
const DST = 4 * UNIT_BYTES;
const UNTOUCHED = 0xa5;

function scene(pages = 1) {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const source = makePages(3, pages, 'text');
  bytes.set(source, SRC);
  bytes.fill(UNTOUCHED, DST);
  const zstd = testZstd(memory);
  const at = (address: number, length: number): Uint8Array => bytes.slice(address, address + length);
  return { memory, bytes, source, zstd, at };
}

describe('zstd', () => {
  it('is there exactly where node:zlib has it', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    assert.equal(nodeZstd(memory) !== undefined, hasZstd());
    const [major, minor] = process.versions.node.split('.').map(Number);
    assert.equal(hasZstd(), major > 23 || (major === 23 && minor >= 8) || (major === 22 && minor >= 15));
  });

  for (const level of [1, 3, 9]) {
    it(`round trip of pages and units, level ${level}`, () => {
      for (const pages of [1, 4]) {
        const { zstd, source, at } = scene(pages);
        const length = zstd.compress(SRC, source.length, BLOCK, source.length, level);
        assert.ok(length > 0 && length < source.length / 2, `${length}`);
        assert.equal(zstd.decompress(BLOCK, length, DST, source.length), source.length);
        assert.deepEqual(at(DST, source.length), source);
      }
    });
  }

  it('gives 0 when the block does not fit, and writes nothing', () => {
    const { zstd, at } = scene();
    const length = zstd.compress(SRC, PAGE_BYTES, BLOCK, PAGE_BYTES, 3);
    assert.equal(zstd.compress(SRC, PAGE_BYTES, DST, length - 1, 3), 0);
    assert.ok(at(DST, PAGE_BYTES).every((byte) => byte === UNTOUCHED));
    assert.equal(zstd.compress(SRC, PAGE_BYTES, DST, length, 3), length);
  });

  it('does not make noise smaller', () => {
    const { zstd, bytes } = scene();
    bytes.set(makePage(5, 'noise'), SRC);
    assert.equal(zstd.compress(SRC, PAGE_BYTES, BLOCK, PAGE_BYTES - 1, 3), 0);
  });

  it('refuses a block of another size, cut off, or of random bytes, and writes nothing', () => {
    const { zstd, bytes, at } = scene(4);
    const length = zstd.compress(SRC, UNIT_BYTES, BLOCK, UNIT_BYTES, 3);
    assert.equal(zstd.decompress(BLOCK, length, DST, PAGE_BYTES), -1, 'four pages are no page');
    assert.equal(zstd.decompress(BLOCK, length, DST, UNIT_BYTES + 1), -1);
    for (const cut of [0, 1, 4, length >> 1, length - 1])
      assert.equal(zstd.decompress(BLOCK, cut, DST, UNIT_BYTES), -1);
    const random = makeRandom(17);
    for (let turn = 0; turn < 200; turn++) {
      for (let i = 0; i < 64; i++) bytes[BLOCK + i] = random.below(256);
      assert.equal(zstd.decompress(BLOCK, 64, DST, PAGE_BYTES), -1);
    }
    assert.ok(at(DST, UNIT_BYTES).every((byte) => byte === UNTOUCHED));
  });

  it('takes addresses as int32 bit patterns above 2 GiB', () => {
    const pages = 2 ** 15 + 2;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const high = 2 ** 31;
    new Uint8Array(memory.buffer).set(makePage(3, 'text'), high);
    const zstd = testZstd(memory);
    const length = zstd.compress(high | 0, PAGE_BYTES, (high + PAGE_BYTES) | 0, PAGE_BYTES, 3);
    assert.ok(length > 0);
    assert.equal(zstd.decompress((high + PAGE_BYTES) | 0, length, (high + 2 * PAGE_BYTES) | 0, PAGE_BYTES), PAGE_BYTES);
    const got = new Uint8Array(memory.buffer, high + 2 * PAGE_BYTES, PAGE_BYTES).slice();
    assert.deepEqual(got, makePage(3, 'text'));
  });
});
