/**
 * The page cache checked, O(everything): for tests, and when an instance closes. No thread may be at work. Throws
 * AssertionError.
 *
 *   entries   each names a frame of a folio whose head names it back; FL_PRESENT counts them
 *   bits      dirty ⊂ uptodate ⊂ present; writeback ⊂ uptodate, none while nobody writes back
 *   lists     a leaf with dirty bits is listed, a listed leaf is on its inode's list of its node
 *   counts    H_PC_PAGES, H_PC_DIRTY, H_PC_WRITEBACK, I_DIRTY_PAGES
 */
import { headOf, KIND_PAGECACHE, KIND_PAGECACHE_TAIL, kindOf, orderOf } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromFolioPte, isPresent, orderFromPte, PTE_NONE } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { CHUNK_PAGES, PAGE_WORDS, type WordIndex } from '../base/units.ts';
import { BLOCK_WORDS, countOnes } from '../page-table/block-bits.ts';
import { findLeaf, isFile, nextLeafChunk, regionAt } from '../page-table/page-table.ts';
import { regionsInUse } from '../vm/region-table.ts';
import { listedLeavesLocked } from './block-state.ts';

const FILE_CHUNKS = 2 ** 24;

interface Counts {
  pages: number;
  dirty: number;
  writeback: number;
}

export function checkFiles(nodes: readonly Node[]): void {
  const totals = nodes.map((): Counts => ({ pages: 0, dirty: 0, writeback: 0 }));
  for (const region of regionsInUse(nodes[0])) {
    const control = nodes[0].words[regionAt(region) + L.R_CONTROL];
    if (!isFile(nodes[0], region) || control === 0) continue;
    const inode = nodes[0].words.subarray(control * PAGE_WORDS, (control + 1) * PAGE_WORDS);
    let dirty = 0;
    for (const [n, node] of nodes.entries()) dirty += checkLeaves(node, region, inode, totals[n]);
    assert(dirty === inode[L.I_DIRTY_PAGES], 'dirty pages of a file', dirty, inode[L.I_DIRTY_PAGES]);
    assert((inode[L.I_SIZE_SEQ] & 1) === 0, 'size is not half written', region);
  }
  for (const [n, node] of nodes.entries()) {
    const { words } = node;
    assert(totals[n].pages === words[L.H_PC_PAGES], 'cached pages', totals[n].pages, words[L.H_PC_PAGES]);
    assert(totals[n].dirty === words[L.H_PC_DIRTY], 'dirty pages', totals[n].dirty, words[L.H_PC_DIRTY]);
    const { writeback } = totals[n];
    assert(writeback === words[L.H_PC_WRITEBACK], 'pages under writeback', writeback, words[L.H_PC_WRITEBACK]);
  }
}

/** Returns the file's dirty pages in this node. */
function checkLeaves(node: Node, region: number, inode: Int32Array, total: Counts): number {
  const listed = new Set<number>(listedLeavesLocked(node, inode));
  let dirty = 0;
  for (
    let chunk = nextLeafChunk(node, region, 0, FILE_CHUNKS);
    chunk >= 0;
    chunk = nextLeafChunk(node, region, chunk + 1, FILE_CHUNKS)
  ) {
    const leaf = findLeaf(node, region, chunk);
    const { words } = node;
    assert(words[leaf + L.FL_REGION] === region && words[leaf + L.FL_CHUNK] === chunk, 'leaf knows its place', leaf);
    const isListed = listed.delete(leaf);
    assert((words[leaf + L.FL_LISTED] === 1) === isListed, 'leaf knows whether it is listed', leaf);
    const counts = checkLeaf(node, leaf);
    assert(counts.dirty === 0 || isListed, 'leaf with dirty blocks is listed', leaf, counts.dirty);
    assert(counts.pages > 0 || isListed, 'leaf without pages is freed', leaf);
    total.pages += counts.pages;
    total.dirty += counts.dirty;
    total.writeback += counts.writeback;
    dirty += counts.dirty;
  }
  assert(listed.size === 0, 'listed leaves are leaves of the file', listed.size);
  return dirty;
}

function checkLeaf(node: Node, leaf: WordIndex): Counts {
  const { words } = node;
  const counts = { pages: 0, dirty: 0, writeback: 0 };
  for (let word = 0; word < BLOCK_WORDS; word++) {
    let present = 0;
    for (let bit = 0; bit < 32; bit++) {
      const page = word * 32 + bit;
      if (words[leaf + page] === PTE_NONE) continue;
      present |= 1 << bit;
      checkEntry(node, leaf, page);
    }
    const uptodate = words[leaf + L.FL_UPTODATE + word];
    const dirty = words[leaf + L.FL_DIRTY + word];
    const writeback = words[leaf + L.FL_WRITEBACK + word];
    assert((uptodate & ~present) === 0, 'uptodate blocks are cached', leaf, word);
    assert((dirty & ~uptodate) === 0, 'dirty blocks are uptodate', leaf, word);
    assert((writeback & ~uptodate) === 0, 'blocks under writeback are uptodate', leaf, word);
    counts.pages += countOnes(present);
    counts.dirty += countOnes(dirty);
    counts.writeback += countOnes(writeback);
  }
  assert(counts.pages === words[leaf + L.FL_PRESENT], 'pages of a leaf', counts.pages, words[leaf + L.FL_PRESENT]);
  return counts;
}

function checkEntry(node: Node, leaf: WordIndex, page: number): void {
  const pte = node.words[leaf + page];
  assert(isPresent(pte), 'entry of a file is present or none', pte);
  const pfn = frameFromFolioPte(pte);
  const order = orderFromPte(pte);
  const head = headOf(pfn, order);
  const first = page & -(1 << order);
  assert(
    first + pfn - head === page && page < CHUNK_PAGES,
    'page and frame are at the same place of the folio',
    page,
    pfn,
  );
  assert(kindOf(node, head) === KIND_PAGECACHE, 'head of a folio', head, kindOf(node, head));
  assert(pfn === head || kindOf(node, pfn) === KIND_PAGECACHE_TAIL, 'tail of a folio', pfn, kindOf(node, pfn));
  assert(orderOf(node, head) === order, 'entry and head know one order', pfn, order);
  assert(node.words[node.ownerAt + head] === leaf + first, 'head names its entry', head, leaf + first);
}
