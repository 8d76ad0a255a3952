/** Who names each slot, counted over all page tables, against the counts the swap table keeps. O(everything), for tests. */
import { KIND_SHARED, kindOf, NO_ENTRY } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromPte, isPresent, isSwapped, slotFromPte } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { CHUNK_PAGES, type Pfn, type SlotIndex, type WordIndex } from '../base/units.ts';
import { findLeaf, isFile, nextLeafChunk } from '../page-table/page-table.ts';
import { detachedLeaves } from '../swap/detached-leaves.ts';
import { slotCountLocked } from '../swap/slot-count.ts';
import * as W from '../swap/slot-word.ts';
import { slotWordLocked } from '../swap/swap-table.ts';
import { regionsInUse } from './region-table.ts';

const CHUNKS_MAX = 2 ** 24;

/** Throws AssertionError when a slot's count is not the number of entries and clean copies that name it. No thread may be at work. */
export function checkReferences(nodes: readonly Node[]): void {
  for (const node of nodes) {
    if (!node.isVirtual) continue; // slots are places of entries
    const found = referencesOf(nodes, node);
    for (const [slot, { entries, copies }] of found) {
      const count = slotCountLocked(node, slot);
      assert(entries + copies === count, 'count of a slot', slot, count);
      const word = slotWordLocked(node, slot);
      assert(W.isCached(word) === copies > 0, 'CACHED is the mark of a clean copy', slot, word);
      assert(copies === 0 || count === 1, 'a clean copy has one reference', slot, count);
      if (W.tagOf(word) === W.SLOT_FRAME) checkFrame(node, W.payloadOf(word) as Pfn, slot, count);
    }
    const { words } = node;
    assert(found.size === words[L.H_SLOTS_USED], 'every slot is named', found.size, words[L.H_SLOTS_USED]);
  }
}

/** A page in flight, or shared. One that several entries name is nobody's own. */
function checkFrame(node: Node, pfn: Pfn, slot: SlotIndex, count: number): void {
  const isDisowned = node.words[node.ownerAt + pfn] === NO_ENTRY;
  assert(node.words[node.slotAt + pfn] === slot + 1, 'frame names its slot', pfn, slot);
  assert(isDisowned || (count === 1 && kindOf(node, pfn) !== KIND_SHARED), 'owner of a page in a frame', pfn, count);
}

interface References {
  entries: number;
  copies: number;
}

function referencesOf(nodes: readonly Node[], node: Node): Map<SlotIndex, References> {
  const found = new Map<SlotIndex, References>();
  const note = (slot: SlotIndex, isEntry: boolean): void => {
    const references = found.get(slot) ?? { entries: 0, copies: 0 };
    if (isEntry) references.entries++;
    else references.copies++;
    found.set(slot, references);
  };
  for (const leaf of leavesOf(nodes, node)) {
    for (const pte of node.words.subarray(leaf, leaf + CHUNK_PAGES)) {
      if (isSwapped(pte)) note(slotFromPte(pte), true);
      else if (isPresent(pte)) {
        const copy = node.words[node.slotAt + frameFromPte(pte)] - 1;
        if (copy >= 0) note(copy as SlotIndex, false);
      }
    }
  }
  return found;
}

/** Of all regions, and those that wait to be freed. */
function leavesOf(nodes: readonly Node[], node: Node): WordIndex[] {
  const leaves = detachedLeaves(node).map(({ leaf }) => leaf);
  for (const region of regionsInUse(nodes[0])) {
    if (isFile(node, region)) continue;
    let chunk = nextLeafChunk(node, region, 0, CHUNKS_MAX);
    for (; chunk >= 0; chunk = nextLeafChunk(node, region, chunk + 1, CHUNKS_MAX)) {
      leaves.push(findLeaf(node, region, chunk));
    }
  }
  return leaves;
}
