/** The checks themselves: a sound cache passes, and each kind of damage is found. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as L from '../arena/layout.ts';
import { pteFromFolio } from '../arena/pte.ts';
import { PAGE_BYTES, type Pfn, type WordIndex } from '../base/units.ts';
import { findLeaf } from '../page-table/page-table.ts';
import { checkFiles } from './file-check.ts';
import { createFileScene, type FileScene, patternAt } from './testing/file-scene.ts';

function scene(): { scene: FileScene; words: Int32Array; leaf: WordIndex } {
  const made = createFileScene({}, patternAt(0, 8 * PAGE_BYTES));
  made.space.fill(0, 4, 2);
  made.space.write(PAGE_BYTES, patternAt(0, 100), 0, 100);
  const leaf = findLeaf(made.instance.node, made.space.region, 0);
  return { scene: made, words: made.instance.node.words, leaf };
}

const DAMAGE: [string, RegExp, (words: Int32Array, leaf: WordIndex, inode: Int32Array) => void][] = [
  [
    'an uptodate block that is not cached',
    /uptodate blocks are cached/,
    (words, leaf) => (words[leaf + L.FL_UPTODATE] |= 32),
  ],
  [
    'a dirty block that is not uptodate',
    /dirty blocks are uptodate/,
    (words, leaf) => (words[leaf + L.FL_UPTODATE] &= ~2),
  ],
  [
    'a block under writeback that is not uptodate',
    /under writeback are/,
    (words, leaf) => (words[leaf + L.FL_WRITEBACK] |= 32),
  ],
  ['a wrong count of pages', /pages of a leaf/, (words, leaf) => words[leaf + L.FL_PRESENT]++],
  ['a dirty leaf on no list', /ring of dirty leaves/, (words, leaf) => (words[leaf + L.FL_LISTED] = 0)],
  [
    'a wrong count of dirty pages of the file',
    /dirty pages of a file/,
    (_words, _leaf, inode) => inode[L.I_DIRTY_PAGES]++,
  ],
  ['a wrong count of dirty pages of the node', /dirty pages/, (words) => words[L.H_PC_DIRTY]++],
  ['a wrong count of cached pages', /cached pages/, (words) => words[L.H_PC_PAGES]++],
  ['a size half written', /half written/, (_words, _leaf, inode) => inode[L.I_SIZE_SEQ]++],
  ['an entry of another frame', /same place of the folio/, (words, leaf) => (words[leaf + 1] = words[leaf + 2])],
  [
    'an entry of no folio',
    /head of a folio|same place/,
    (words, leaf) => (words[leaf + 4] = pteFromFolio(1000 as Pfn, 0)),
  ],
  ['a leaf of another chunk', /knows its place/, (words, leaf) => words[leaf + L.FL_CHUNK]++],
];

describe('the checks of the page cache', () => {
  it('pass a sound one', () => {
    const made = scene();
    checkFiles(made.scene.instance.nodes);
    made.scene.finish();
  });

  for (const [what, message, damage] of DAMAGE) {
    it(`find ${what}`, () => {
      const made = scene();
      damage(made.words, made.leaf, made.scene.space.inode);
      assert.throws(() => checkFiles(made.scene.instance.nodes), message);
    });
  }
});
