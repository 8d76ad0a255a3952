import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { Corpus, fingerprintOf, HEADER_BYTES, joinFiles, PAGE_BYTES, sourceFiles } from './corpus.ts';
import { fmix32, Xorshift32 } from './rng.ts';

/** Text of 64 KiB whose every position is recognisable. */
function numberedText(): Uint8Array {
  const text = new Uint8Array(65_536);
  const rng = new Xorshift32(7);
  for (let index = 0; index < text.length; index += 1) text[index] = 32 + rng.below(90);
  return text;
}

describe('Corpus.page', () => {
  const text = numberedText();
  const corpus = new Corpus(text);
  const page = new Uint8Array(PAGE_BYTES);

  it('is a header and the text at the offset of the formula', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (index) => {
        corpus.page(index, page);
        const header = new DataView(page.buffer, 0, HEADER_BYTES);
        const words = [0, 4, 8, 12].map((at) => header.getUint32(at, true));
        const hash = fmix32(index);
        assert.deepEqual(words, [index, hash, ~index >>> 0, ~hash >>> 0]);
        const offset = hash % (text.length - PAGE_BYTES + HEADER_BYTES);
        const expected = text.subarray(offset, offset + PAGE_BYTES - HEADER_BYTES);
        assert.deepEqual(page.subarray(HEADER_BYTES), expected);
      }),
      { numRuns: 200 },
    );
  });

  it('never repeats', () => {
    const seen = new Set<string>();
    for (let index = 0; index < 2_000; index += 1) {
      corpus.page(index, page);
      seen.add(Buffer.from(page.subarray(0, 64)).toString('latin1'));
    }
    assert.equal(seen.size, 2_000);
  });

  it('needs more text than a page', () => {
    assert.throws(() => new Corpus(new Uint8Array(PAGE_BYTES)), RangeError);
    new Corpus(new Uint8Array(PAGE_BYTES + 1)).page(123, page);
  });
});

describe('the sources of the corpus', () => {
  const root = mkdtempSync(join(tmpdir(), 'quire-lab-test-'));
  after(() => rmSync(root, { recursive: true }));
  const line = 'some text of a real file, long enough to be taken for one of its kind\n';
  mkdirSync(join(root, 'b'));
  writeFileSync(join(root, 'z.md'), `z ${line}`);
  writeFileSync(join(root, 'b', 'inner.ts'), `inner ${line}`);
  writeFileSync(join(root, 'a.js'), `a ${line}`);
  writeFileSync(join(root, 'tiny.js'), 'x');
  writeFileSync(join(root, 'picture.png'), line);
  writeFileSync(join(root, 'large.json'), Buffer.alloc(2 ** 20 + 1, 'x'));
  writeFileSync(join(root, 'binary.js'), `\0${line}`);
  symlinkSync(root, join(root, 'loop'));

  it('are text files in sorted order, links and odd sizes left out', () => {
    const names = sourceFiles([root, join(root, 'missing')]).map(({ path }) => path.slice(root.length + 1));
    assert.deepEqual(names, ['a.js', 'b/inner.ts', 'binary.js', 'z.md']);
  });

  it('are joined without those that hold a zero byte', () => {
    const target = join(root, 'joined.out');
    const files = sourceFiles([root]);
    const bytes = joinFiles(files, target);
    const parts = [`a ${line}`, `inner ${line}`, `z ${line}`];
    assert.equal(bytes, parts.join('').length);
  });

  it('have a fingerprint that follows names and sizes', () => {
    const files = sourceFiles([root]);
    assert.equal(fingerprintOf(files), fingerprintOf(sourceFiles([root])));
    assert.notEqual(fingerprintOf(files), fingerprintOf(files.slice(1)));
    const longer = files.map((file) => ({ ...file, bytes: file.bytes + 1 }));
    assert.notEqual(fingerprintOf(files), fingerprintOf(longer));
  });
});
