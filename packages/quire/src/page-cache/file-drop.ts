/** Clean pages leave a file that has other bytes now, and the walk over a file's leaves that truncate uses too. */
import { freezeLocked, headOf, orderOf } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromFolioPte, orderFromPte, PTE_NONE } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { CHUNK_PAGES, type Pfn } from '../base/units.ts';
import { hasAnyBit } from '../page-table/block-bits.ts';
import { findLeaf, nextLeafChunk } from '../page-table/page-table.ts';
import { evictFolioLocked, leafOfFolio, pageOfFolio } from '../reclaim/folio.ts';
import { lruRemoveLocked } from '../reclaim/lru.ts';
import type { Memory } from '../vm/memory.ts';

/** Pages looked at in one hold of the node lock. */
const DROP_BATCH = 64;
const FILE_CHUNKS = 2 ** 24;

/** Clean pages that nobody has pinned go: the file has other bytes now. Both locks held. */
export function dropCleanPages(memory: Memory, region: number, inode: Int32Array): void {
  Atomics.add(inode, L.I_CONTENT_SEQ, 1);
  forEachLeafFrom(memory, region, 0, (node, local) => {
    for (let page = 0; page < CHUNK_PAGES; page += DROP_BATCH) {
      node.lock();
      const leaf = findLeaf(node, region, local);
      for (let at = page; leaf !== 0 && at < page + DROP_BATCH; ) {
        const pte = node.words[leaf + at];
        if (pte !== PTE_NONE) evictHereLocked(node, headOf(frameFromFolioPte(pte), orderFromPte(pte)));
        // The leaf goes with its last page.
        if (findLeaf(node, region, local) !== leaf) break;
        at = nextFolio(at, pte);
      }
      node.unlock();
    }
  });
}

function evictHereLocked(node: Node, head: Pfn): void {
  const { words } = node;
  const leaf = leafOfFolio(node, head);
  const page = pageOfFolio(node, head);
  const pages = 1 << orderOf(node, head);
  if (hasAnyBit(words, leaf + L.FL_DIRTY, page, pages) || !freezeLocked(node, head)) return;
  lruRemoveLocked(node, head);
  const isGone = evictFolioLocked(node, head);
  assert(isGone, 'a clean folio of a file that nobody writes back goes', head);
}

/** First page of the next folio, or the next page when there is none. */
export function nextFolio(page: number, pte: number): number {
  const order = orderFromPte(pte);
  return ((page >>> order) + 1) << order;
}

/** Calls back for every leaf that has pages at or behind `firstPage` of the file; `from` is the first such page in it. */
export function forEachLeafFrom(
  memory: Memory,
  region: number,
  firstPage: number,
  visit: (node: Node, local: number, from: number) => void,
): void {
  const count = memory.nodes.length;
  const first = Math.floor(firstPage / CHUNK_PAGES);
  const end = Math.ceil(FILE_CHUNKS / count);
  for (const [n, node] of memory.nodes.entries()) {
    const start = Math.max(0, Math.ceil((first - n) / count));
    for (
      let local = nextLeafChunk(node, region, start, end);
      local >= 0;
      local = nextLeafChunk(node, region, local + 1, end)
    ) {
      visit(node, local, local * count + n === first ? firstPage % CHUNK_PAGES : 0);
    }
  }
}
