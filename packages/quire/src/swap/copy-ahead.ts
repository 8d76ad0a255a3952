/**
 * Copies made ahead of need. While memory fills up, a compressor that has nothing else to do makes clean copies of idle
 * mapped pages; when reclaim comes to such a page, it is free at once. A page stays mapped, readable and writable all
 * the time.
 *
 *   begin    lock    not pinned: a slot, EMPTY and CACHED; the frame's `slot` is s + 1       a writer takes the slow way from here on
 *   compress –       reads a frame that a writer may be changing
 *   end      lock    unchanged: version of the frame, its `slot`, sequence of s, word of s    OBJECT or SAME behind s
 *                    else thrown away
 *
 * A writer gives the slot up before its first byte (`dropCleanCopyLocked`), which moves the sequence; eviction moves the
 * version. So an unchanged slot says that the bytes are those that were compressed.
 *
 * Pages are looked at once, one group after the other, from the tail of its inactive list towards the head (LB_COPY_CURSOR
 * names the last one), so a program that takes no new pages costs nothing, and a page that is written again is not
 * compressed again until it comes round the lists. Copies take frames, two pages a frame or so: they are made of at most
 * a third of the inactive pages. Once memory is full a copy costs a page half its place, so then they are made only of as
 * many pages as have come anew (H_COPY_CREDIT): each of those takes the place of a page anyway, and what was copied while
 * memory filled up keeps reclaim supplied meanwhile. A program that only reads and rewrites its pages gets none.
 */
import { freezeLocked, groupOf, isSequential, KIND_REGION, kindOf, LRU_INACTIVE, thawLocked } from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import { NO_PFN, type Pfn, type SlotIndex } from '../base/units.ts';
import { GFP_NOWARN } from '../page-alloc/gfp.ts';
import { hasSwapRoom, isSwapDear } from '../reclaim/group.ts';
import { groupsOnLists, nextGroupLocked } from '../reclaim/group-turn.ts';
import { lruBlockAt, lruSizeOfAll, lruTail } from '../reclaim/lru.ts';
import { dropCleanCopyLocked } from './clean-copy.ts';
import { fillByteOf } from './reclaimer.ts';
import { allocSlotLocked } from './slot-alloc.ts';
import * as W from './slot-word.ts';
import { attachStorageLocked } from './storage.ts';
import { COMPRESS_BATCH, compressBatch } from './swap-out.ts';
import { NO_SLOT, sequenceAt, slotWordLocked } from './swap-table.ts';
import { zsAllocLocked, zsWriteLocked } from './zs-pool.ts';

/** Copies are made of one page in so many of the inactive list. */
const INACTIVE_PER_COPY = 3;
/** Copies that may still be made when memory is full and no more new pages come: some batches, so that none is waited for. */
const CREDIT_MAX = 4 * COMPRESS_BATCH;
const PENDING = W.slotWord(W.SLOT_EMPTY, 0) | W.SLOT_CACHED;

/** Pages of which copies are being made, as they were when it began. */
export interface CopyBatch {
  count: number;
  readonly pfns: Int32Array;
  readonly slots: Int32Array;
  readonly versions: Int32Array;
  readonly sequences: Int32Array;
}

export function createCopyBatch(): CopyBatch {
  const words = (): Int32Array => new Int32Array(COMPRESS_BATCH);
  return { count: 0, pfns: words(), slots: words(), versions: words(), sequences: words() };
}

export class CopyAhead {
  readonly node: Node;
  private readonly batch = createCopyBatch();
  private readonly lengths = new Int32Array(COMPRESS_BATCH);
  private readonly places = new Int32Array(COMPRESS_BATCH);
  private readonly fills = new Int32Array(COMPRESS_BATCH);

  constructor(node: Node) {
    this.node = node;
  }

  /** One batch of copies, if they are wanted. True when there may be more to do. */
  round(): boolean {
    return wantsCopies(this.node) && this.copySome();
  }

  /** One batch of copies, wanted or not. False when no idle page was found. */
  copySome(): boolean {
    const { node, batch } = this;
    node.lock();
    beginCopiesLocked(node, batch);
    node.unlock();
    if (batch.count === 0) return false;
    compressBatch(node, batch.pfns, batch.count, this.lengths, this.places);
    for (let i = 0; i < batch.count; i++) this.fills[i] = fillByteOf(node, batch.pfns[i]);
    node.lock();
    for (let i = 0; i < batch.count; i++) endCopyLocked(node, batch, i, this.fills[i], this.places[i], this.lengths[i]);
    node.unlock();
    return true;
  }
}

/** Memory has grown by a page that was not there before. */
export function noteGrowthLocked(node: Node): void {
  const { words } = node;
  if (words[L.H_COPY_CREDIT] < CREDIT_MAX) words[L.H_COPY_CREDIT]++;
}

/** Memory is filling up and has room for copies. Read without the lock: a wrong guess costs one look. */
export function wantsCopies(node: Node): boolean {
  if (!node.isVirtual) return false; // the entry of a mapped page has no room for a copy
  const { words } = node;
  const free = words[L.H_FREE_FRAMES];
  if (free > words[L.H_WMARK_COPY] || words[L.H_DETACHED] !== 0) return false; // or memory is about to come free
  if (free <= words[L.H_WMARK_HIGH] && !mayCopyWhenFull(node, free)) return false;
  if (words[L.H_ZS_FRAMES] + words[L.H_RAW_FRAMES] >= words[L.H_POOL_FRAMES_MAX]) return false;
  return (words[L.H_CLEAN_COPIES] + COMPRESS_BATCH) * INACTIVE_PER_COPY <= lruSizeOfAll(node, LRU_INACTIVE);
}

/** At the low watermark kswapd frees what it finds, which comes before copies. */
function mayCopyWhenFull(node: Node, free: number): boolean {
  return free > node.words[L.H_WMARK_LOW] && node.words[L.H_COPY_CREDIT] >= COMPRESS_BATCH;
}

/** Gives idle pages that have no copy a slot for one. Looks at no more than four times as many. */
export function beginCopiesLocked(node: Node, batch: CopyBatch): void {
  const { words } = node;
  batch.count = 0;
  if (!node.isVirtual) return;
  beginSomeLocked(node, batch);
  words[L.H_COPY_CREDIT] = Math.max(0, words[L.H_COPY_CREDIT] - batch.count);
}

function beginSomeLocked(node: Node, batch: CopyBatch): void {
  const { words } = node;
  for (let looked = 0; looked < COMPRESS_BATCH * 4 && batch.count < COMPRESS_BATCH; looked++) {
    const pfn = nextPageLocked(node);
    if (pfn === NO_PFN) return;
    if (kindOf(node, pfn) !== KIND_REGION) continue; // a folio of a file has its copy there
    if (isSequential(node, pfn)) continue; // goes out as part of a unit, which has no copies ahead
    if (words[node.slotAt + pfn] !== 0 || words[node.touchAt + pfn] !== 0) continue;
    if (isSwapDear(node, groupOf(node, pfn))) continue;
    if (!freezeLocked(node, pfn)) continue; // pinned
    const slot = allocSlotLocked(node, PENDING, GFP_NOWARN, groupOf(node, pfn));
    if (slot !== NO_SLOT) {
      // Before the thaw: whoever pins the frame afterwards finds that it has a copy.
      Atomics.store(words, node.slotAt + pfn, slot + 1);
      words[L.H_CLEAN_COPIES]++;
      batch.pfns[batch.count] = pfn;
      batch.slots[batch.count] = slot;
      batch.versions[batch.count] = words[node.versionAt + pfn];
      batch.sequences[batch.count++] = words[sequenceAt(slot)];
    }
    thawLocked(node, pfn, 0);
    if (slot === NO_SLOT && hasSwapRoom(node, groupOf(node, pfn))) return;
  }
}

function nextPageLocked(node: Node): Pfn {
  const { words } = node;
  for (let groups = groupsOnLists(node); groups > 0; groups--) {
    const group = nextGroupLocked(node, words[L.H_COPY_GROUP]);
    const block = lruBlockAt(group);
    const cursor = words[block + L.LB_COPY_CURSOR];
    const pfn = cursor === 0 ? lruTail(node, block, LRU_INACTIVE) : (words[node.prevAt + cursor] as Pfn);
    words[L.H_COPY_GROUP] = pfn === NO_PFN ? group + 1 : group;
    if (pfn === NO_PFN) continue;
    words[block + L.LB_COPY_CURSOR] = pfn;
    return pfn;
  }
  return NO_PFN;
}

/**
 * Puts the copy behind its slot if the page is unchanged: `fill`, the byte that fills it, or `length` compressed bytes at
 * kernel address `source`. What is incompressible or finds no room gives its slot up.
 */
export function endCopyLocked(
  node: Node,
  batch: CopyBatch,
  i: number,
  fill: number,
  source: number,
  length: number,
): void {
  if (!isUnchanged(node, batch, i)) return;
  const slot = batch.slots[i] as SlotIndex;
  if (fill >= 0) {
    attachStorageLocked(node, slot, W.slotWord(W.SLOT_SAME, fill) | W.SLOT_CACHED);
  } else {
    const location = length === 0 ? -1 : zsAllocLocked(node, slot, length, GFP_NOWARN);
    if (location === -1) {
      dropCleanCopyLocked(node, batch.pfns[i] as Pfn);
      return;
    }
    zsWriteLocked(node, location, source, length);
    attachStorageLocked(node, slot, W.slotWord(W.SLOT_OBJECT, location) | W.SLOT_CACHED);
  }
  node.counters[C.swap_copies_ahead]++;
}

function isUnchanged(node: Node, batch: CopyBatch, i: number): boolean {
  const { words } = node;
  const pfn = batch.pfns[i];
  const slot = batch.slots[i] as SlotIndex;
  return (
    words[node.versionAt + pfn] === batch.versions[i] &&
    words[node.slotAt + pfn] === slot + 1 &&
    words[sequenceAt(slot)] === batch.sequences[i] &&
    slotWordLocked(node, slot) === PENDING
  );
}
