/** What `lab s5` fills memory with can be made again, page by page. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { corpusFile } from '../corpus.ts';
import { PageSource } from './page-source.ts';

describe('pages of s5', () => {
  for (const data of ['text', 'random'] as const) {
    it(`${data}: the same by number, different from each other`, () => {
      const file = corpusFile(() => undefined);
      const first = new PageSource(file, data, 7);
      const second = new PageSource(file, data, 7);
      const pages = [5, 0, 9].map((index) => Buffer.from(first.page(index)));
      assert.deepEqual(Buffer.from(second.page(9)), pages[2]);
      assert.deepEqual(Buffer.from(second.page(5)), pages[0]);
      assert.notDeepEqual(pages[0], pages[1]);
      const compressed = deflateRawSync(pages[0]).length;
      assert.equal(compressed > 4090, data === 'random', `${compressed}`);
    });
  }

  it('random pages depend on the seed', () => {
    const file = corpusFile(() => undefined);
    const pages = [1, 2].map((seed) => Buffer.from(new PageSource(file, 'random', seed).page(3)));
    assert.notDeepEqual(pages[0], pages[1]);
  });
});
