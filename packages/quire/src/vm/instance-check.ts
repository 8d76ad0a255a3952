/** The whole instance checked, O(everything): for tests, and for `close`. No thread may be at work. */

import {
  FROZEN,
  headOf,
  KIND_CACHED,
  KIND_MASK,
  KIND_PAGECACHE,
  KIND_PAGECACHE_TAIL,
  KIND_RAW,
  KIND_REGION,
  KIND_SHARED,
  KIND_TABLE,
  KIND_THREAD,
  KIND_ZS,
  KIND_ZS_TAIL,
  NO_ENTRY,
  orderOf,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { pteFromFolio, pteFromFrame } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import type { Pfn } from '../base/units.ts';
import { checkBuddy } from '../page-alloc/buddy.ts';
import { checkLru } from '../reclaim/lru.ts';
import { checkDetached } from '../swap/detached-leaves.ts';
import { checkFileSegments } from '../swap/file-segments.ts';
import { checkRawList } from '../swap/raw-list.ts';
import { checkSlotCounts } from '../swap/slot-count.ts';
import { SLOT_FRAME, slotWord } from '../swap/slot-word.ts';
import { checkSwapTable } from '../swap/swap-check.ts';
import { peekSlot } from '../swap/swap-table.ts';
import { sumCounter } from './thread-slot.ts';

/** Throws AssertionError when a structure is damaged or a count is wrong. */
export function checkNode(node: Node): void {
  checkLru(node);
  checkRawList(node);
  checkSwapTable(node);
  checkSlotCounts(node);
  checkDetached(node);
  const failed = sumCounter(node, C.swap_alloc_failed);
  assert(failed === 0, 'no slot was refused while one was free', failed);
  checkFileSegments(node);
  let cached = 0;
  for (let index = 0; index < L.THREADS_MAX; index++) {
    cached += node.words[L.THREADS_AT + index * L.THREAD_WORDS + L.T_CACHE_COUNT];
  }
  assert(checkBuddy(node) + cached === node.words[L.H_FREE_FRAMES], 'free frames', cached, node.words[L.H_FREE_FRAMES]);
  const counts = countKinds(node);
  assert(counts[KIND_CACHED] === cached, 'cached frames', counts[KIND_CACHED], cached);
  assert(
    counts[KIND_REGION] + counts[KIND_SHARED] === node.words[L.H_REGION_PAGES],
    'region pages',
    counts[KIND_REGION] + counts[KIND_SHARED],
    node.words[L.H_REGION_PAGES],
  );
  assert(
    counts[KIND_ZS] + counts[KIND_ZS_TAIL] === node.words[L.H_ZS_FRAMES],
    'pool frames',
    counts[KIND_ZS],
    node.words[L.H_ZS_FRAMES],
  );
  assert(
    counts[KIND_PAGECACHE] + counts[KIND_PAGECACHE_TAIL] === node.words[L.H_PC_PAGES],
    'pages of files',
    counts[KIND_PAGECACHE] + counts[KIND_PAGECACHE_TAIL],
    node.words[L.H_PC_PAGES],
  );
  assert(counts[KIND_RAW] === node.words[L.H_RAW_FRAMES], 'raw frames', counts[KIND_RAW], node.words[L.H_RAW_FRAMES]);
  assert(
    counts[KIND_TABLE] === node.words[L.H_TABLE_FRAMES],
    'table frames',
    counts[KIND_TABLE],
    node.words[L.H_TABLE_FRAMES],
  );
}

function countKinds(node: Node): number[] {
  const counts = new Array<number>(16).fill(0);
  const { words } = node;
  for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
    const kind = words[node.kindAt + pfn] & KIND_MASK;
    counts[kind]++;
    if (kind === KIND_PAGECACHE || kind === KIND_PAGECACHE_TAIL) checkFolioFrame(node, pfn as Pfn, kind);
    else if (kind === KIND_REGION) {
      assert(words[words[node.ownerAt + pfn]] === pteFromFrame(pfn as never), 'frame and entry name each other', pfn);
      assert(words[node.pinAt + pfn] >= 0, 'mapped frame is not frozen', pfn);
    } else {
      if (kind === KIND_SHARED) checkSharedFrame(node, pfn as Pfn);
      assert(words[node.pinAt + pfn] === FROZEN, 'unmapped frame is frozen', pfn, words[node.pinAt + pfn]);
    }
  }
  return counts;
}

function checkSharedFrame(node: Node, pfn: Pfn): void {
  const slot = node.words[node.slotAt + pfn] - 1;
  assert(node.words[node.ownerAt + pfn] === NO_ENTRY, 'no one entry owns a shared frame', pfn);
  assert(peekSlot(node, slot) === slotWord(SLOT_FRAME, pfn), 'slot names the shared frame', pfn, slot);
}

/** A frame of a folio: its head's owner leads to an entry that names this frame, and only heads can be pinned. */
function checkFolioFrame(node: Node, pfn: Pfn, kind: number): void {
  const { words } = node;
  const order = orderOf(node, pfn);
  const head = headOf(pfn, order);
  assert((kind === KIND_PAGECACHE) === (pfn === head), 'head and tails of a folio', pfn, order);
  assert(orderOf(node, head) === order, 'one order a folio', pfn, order);
  assert(
    words[words[node.ownerAt + head] + pfn - head] === pteFromFolio(pfn, order),
    'folio and entry agree',
    pfn,
    head,
  );
  if (pfn === head) assert(words[node.pinAt + pfn] >= 0, 'head of a folio is not frozen', pfn, words[node.pinAt + pfn]);
  else assert(words[node.pinAt + pfn] === FROZEN, 'tail of a folio is frozen', pfn, words[node.pinAt + pfn]);
}

/** After every region is closed: nothing but tables of the instance itself is left. Throws AssertionError. */
export function checkEmpty(node: Node): void {
  checkNode(node);
  assert(node.words[L.H_DETACHED] === 0, 'no leaf waits to be freed', node.words[L.H_DETACHED]);
  const left = node.frames - node.firstFree - node.words[L.H_FREE_FRAMES];
  let areas = 0;
  for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
    if ((node.words[node.kindAt + pfn] & KIND_MASK) === KIND_THREAD) areas += 1 << L.AREA_ORDER;
  }
  const segmentTables = node.words
    .subarray(L.FILE_SEGMENT_ROOTS_AT, L.FILE_SEGMENT_ROOTS_AT + L.FILE_CHUNKS)
    .filter((root) => root !== 0).length;
  // A thread's current cluster may keep its chunk.
  const chunks = node.words
    .subarray(L.CLUSTER_ROOTS_AT, L.CLUSTER_ROOTS_AT + L.CLUSTER_ROOTS)
    .filter((root) => root !== 0).length;
  assert(node.words[L.H_SLOTS_USED] === 0, 'every slot came back', node.words[L.H_SLOTS_USED]);
  assert(left === areas + segmentTables + chunks, 'every frame came back', left, areas + segmentTables + chunks);
}
