/**
 * Copy-on-write clones of regions (fork's copy_page_range; here the pages of both sides are found through slots that
 * several entries name). What happens to each page is in docs/concurrency.md, "Clones":
 *
 *   none       none
 *   swapped    the same slot, counted once more; a page in flight is no longer owned by its entry
 *   resident   turned into a shared page first (swap/shared-page.ts)
 *   pinned     copied: who holds the pin may write without asking
 *
 * Pages are of one moment each, not of the same. No bytes are copied but those of pinned pages, or of all resident ones
 * where no slot is to be had. The clone is nobody's but the caller's until it is returned, or named, which comes last.
 */
import { groupOf, KIND_REGION, LRU_INACTIVE, NO_ENTRY, thawLocked, turnKindLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { frameFromPte, isPresent, PTE_NONE, pteFromFrame, pteFromSlot, slotFromPte } from '../arena/pte.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';
import { CHUNK_PAGES, NO_PFN, PAGE_BYTES, type Pfn, type SlotIndex, type WordIndex } from '../base/units.ts';
import { GFP_USER } from '../page-alloc/gfp.ts';
import { ensureLeafLocked, findLeaf, isFile, nextLeafChunk, regionAt } from '../page-table/page-table.ts';
import { allocPageLocked, groupOfRegion, hasSwapRoom, OVER_LIMIT } from '../reclaim/group.ts';
import { lruAddLocked } from '../reclaim/lru.ts';
import { PINNED, shareMappedLocked } from '../swap/shared-page.ts';
import { dupSlotLocked } from '../swap/slot-count.ts';
import * as W from '../swap/slot-word.ts';
import { NO_SLOT, slotWordLocked } from '../swap/swap-table.ts';
import { copyAccess } from './access.ts';
import { needMemory } from './fault.ts';
import { needGroupRoom } from './group-limit.ts';
import type { Memory } from './memory.ts';
import { closeRegion, nameRegion, openRegion } from './region-table.ts';

/** Pages in one hold of the lock: some 6 µs when all are resident. */
const CLONE_BATCH = 32;
/** Some 100 ns: as long as a writer needs to see that it pinned a frame of another page. */
const FREEZE_TRIES = 4;
/** Frames asked of reclaim when a table, a count or a copy found none: a leaf and the directories above it. */
const FRAMES_WANTED = 4;
/** Others may take what was reclaimed for us; this often in a row is not bad luck. */
const IDLE_MAX = 1000;

/**
 * A new region with the pages of `source`, used once, by the caller. `name` as for `openRegion`. Returns its number, −1
 * when a region of that name is open. Throws ERR_QUIRE_OUT_OF_MEMORY (also: 512 regions are open) or
 * ERR_QUIRE_SWAP_FULL with nothing changed, ERR_QUIRE_UNSUPPORTED in direct mode.
 */
export function cloneRegion(memory: Memory, source: number, name: string, group: string): number {
  if (!memory.nodes[0].isVirtual)
    throw new QuireError('ERR_QUIRE_UNSUPPORTED', 'a clone needs the option virtual: true');
  assert(!isFile(memory.nodes[0], source), 'files are not cloned', source);
  const chunks = memory.nodes[0].words[regionAt(source) + L.R_CHUNKS_LOW];
  memory.freeDetached(); // where no slot is to be had, pages are copied
  const { region } = openRegion(memory, '', chunks, group);
  try {
    copyAccess(memory.nodes[0], source, region);
    for (const n of memory.nodes.keys()) cloneNode(memory, n, source, region, chunks);
    if (name === '' || nameRegion(memory, region, name)) return region;
  } catch (error) {
    // A broken invariant may have left the lock held, and what it guards half done.
    if (error instanceof QuireError) closeRegion(memory, region);
    throw error;
  }
  closeRegion(memory, region);
  return -1;
}

function cloneNode(memory: Memory, n: number, source: number, clone: number, chunks: number): void {
  const node = memory.nodes[n];
  const end = Math.ceil(chunks / memory.nodes.length);
  let chunk = nextLeafChunk(node, source, 0, end);
  while (chunk >= 0) {
    let idle = 0;
    for (let page = 0; page < CHUNK_PAGES; ) {
      const next = cloneSome(memory, n, source, clone, chunk, page);
      idle = next === page ? idle + 1 : 0;
      if (idle > IDLE_MAX) throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'others take the memory that a clone needs');
      page = next;
    }
    chunk = nextLeafChunk(node, source, chunk + 1, end);
  }
}

/** A batch of pages of one chunk from `first` on. Returns where to go on. */
function cloneSome(memory: Memory, n: number, source: number, clone: number, chunk: number, first: number): number {
  const node = memory.nodes[n];
  const end = Math.min(first + CLONE_BATCH, CHUNK_PAGES);
  let page = first;
  node.lock();
  // Looked up under the lock, in each hold: a discard by another thread may free the source's leaf.
  const from = findLeaf(node, source, chunk);
  while (page < end && from !== 0 && node.words[from + page] === PTE_NONE) page++;
  if (from === 0 || page === end) {
    node.unlock();
    return from === 0 ? CHUNK_PAGES : end;
  }
  const to = ensureLeafLocked(node, clone, chunk, GFP_USER);
  let outcome = to === 0 ? NO_MEMORY : CLONED;
  while (page < end && outcome === CLONED) {
    outcome = clonePageLocked(node, clone, (from + page) as WordIndex, (to + page) as WordIndex);
    if (outcome === CLONED) page++;
  }
  node.unlock();
  if (outcome === NO_MEMORY) needMemory(memory, n, FRAMES_WANTED);
  else if (outcome === GROUP_FULL) needGroupRoom(memory, groupOfRegion(node, clone), 1);
  return page;
}

const CLONED = 0;
const NO_MEMORY = 1;
/** A page has to be copied, and the clone's group may have no more. */
const GROUP_FULL = 2;

/** CLONED, or, with nothing changed, what is missing. */
function clonePageLocked(node: Node, clone: number, from: WordIndex, to: WordIndex): number {
  const { words } = node;
  assert(words[to] === PTE_NONE, 'page of a clone is made once', to, words[to]);
  if (words[from] === PTE_NONE) return CLONED;
  if (isPresent(words[from])) {
    const pfn = frameFromPte(words[from]);
    const shared = shareLocked(node, from, pfn);
    if (shared === PINNED || (shared === NO_SLOT && !mayGetSlotLocked(node, pfn)))
      return copyPageLocked(node, clone, pfn, to);
    if (shared === NO_SLOT) return NO_MEMORY;
  }
  const slot = slotFromPte(words[from]);
  if (!dupSlotLocked(node, slot, GFP_USER)) return NO_MEMORY;
  disownLocked(node, slot);
  Atomics.store(words, to, pteFromSlot(slot));
  words[regionAt(clone) + L.R_PAGES]++;
  return CLONED;
}

/**
 * As `shareMappedLocked`. A pin that is gone in a moment is waited for, since sharing costs no frame and a copy does; one that
 * stays, if only because its thread is off the processor, costs a copy, which is right in any case.
 */
function shareLocked(node: Node, from: WordIndex, pfn: Pfn): number {
  for (let attempt = 1; attempt < FREEZE_TRIES; attempt++) {
    const shared = shareMappedLocked(node, from, pfn);
    if (shared !== PINNED) return shared;
  }
  return shareMappedLocked(node, from, pfn);
}

/** Once there is memory for its tables. Else there will be no slot, however much memory there is. */
function mayGetSlotLocked(node: Node, pfn: Pfn): boolean {
  const { words } = node;
  return words[L.H_SLOTS_USED] + words[L.H_SLOTS_BAD] < words[L.H_SLOTS_MAX] && hasSwapRoom(node, groupOf(node, pfn));
}

/** A page in flight is no longer its one entry's: who rescues it could not know whose it is. */
function disownLocked(node: Node, slot: SlotIndex): void {
  const word = slotWordLocked(node, slot);
  assert(!W.isCached(word) && W.tagOf(word) !== W.SLOT_EMPTY, 'swapped page is somewhere', slot, word);
  if (W.tagOf(word) === W.SLOT_FRAME) node.words[node.ownerAt + W.payloadOf(word)] = NO_ENTRY;
}

/** A page of the clone's own. As `clonePageLocked`. */
function copyPageLocked(node: Node, clone: number, pfn: Pfn, to: WordIndex): number {
  const { words } = node;
  const fresh = allocPageLocked(node, groupOfRegion(node, clone), GFP_USER);
  if (fresh === NO_PFN) return NO_MEMORY;
  if (fresh === OVER_LIMIT) return GROUP_FULL;
  node.kernel.copy(fresh << 12, pfn << 12, PAGE_BYTES);
  turnKindLocked(node, fresh, KIND_REGION);
  words[node.ownerAt + fresh] = to;
  words[node.slotAt + fresh] = 0;
  words[node.touchAt + fresh] = 0;
  lruAddLocked(node, fresh, LRU_INACTIVE);
  words[L.H_REGION_PAGES]++;
  words[regionAt(clone) + L.R_PAGES]++;
  thawLocked(node, fresh, 0);
  Atomics.store(words, to, pteFromFrame(fresh));
  node.counters[C.clone_copies]++;
  return CLONED;
}
