/**
 * Memory touched ahead of its use. The first use of a page of the node costs a page fault of the system, 1.6 to 2.4 µs,
 * two fifths of the time of a thread that fills memory. An idle kswapd takes that off it, and off the holders of the node
 * lock: a pool that grows into memory never used before would fault under it.
 *
 *   list of free blocks of 2 MiB    next ─► after ─► …     a bounded distance from its head, for blocks are taken from there;
 *                                                          so the process grows by no more than that without need
 *
 * No lock is held, and a block may be taken, used and given back meanwhile. A touch exchanges 0 for 0: whatever another
 * thread stores there before or after stays as it is. It has to be a write from the start: V8's `Atomics.add` loads first,
 * which has the system map its page of zeros, then stores, which is a second fault and an interrupt of all processors.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { CHUNK_PAGES, ORDER_MAX, PAGE_WORDS } from '../base/units.ts';
import { listAt } from '../page-alloc/buddy.ts';
import type { Daemon } from './daemon.ts';

/** Blocks kept touched ahead: what a fast writer fills in the time of a batch or two of compression, many times over. */
const BLOCKS_AHEAD = 8;
/** But no more than this share of the node. */
const AHEAD_SHARE = 32;
/** Pages a step touches: some 60 µs, so that nobody who wants a daemon waits long. A divisor of a block's. */
const PAGES_PER_STEP = 32;

export class Prefault implements Daemon {
  readonly name = 'prefault';
  private readonly node: Node;
  private readonly aheadMax: number;
  /** By number of the block: begun by this daemon. What others used first is touched once more, at most. */
  private readonly touched: Uint8Array;
  /** What is left of the block that was begun. */
  private page = 0;
  private end = 0;

  constructor(node: Node) {
    this.node = node;
    this.aheadMax = Math.min(BLOCKS_AHEAD, Math.floor(node.frames / CHUNK_PAGES / AHEAD_SHARE));
    this.touched = new Uint8Array(Math.ceil(node.frames / CHUNK_PAGES));
  }

  step(): boolean {
    if (this.page === this.end && !this.beginBlock()) return false;
    const { words } = this.node;
    const end = this.page + PAGES_PER_STEP;
    for (; this.page < end; this.page++) Atomics.compareExchange(words, this.page * PAGE_WORDS, 0, 0);
    return true;
  }

  /** The list is read without the lock: what it seems to name is checked, and a wrong block costs its touches. */
  private beginBlock(): boolean {
    const { words, frames, nextAt } = this.node;
    if (words[L.H_FREE_FRAMES] <= words[L.H_WMARK_HIGH]) return false;
    let pfn = words[listAt(L.MIGRATE_MOVABLE, ORDER_MAX)];
    for (let looked = 0; looked < this.aheadMax; looked++) {
      if (pfn <= 0 || pfn + CHUNK_PAGES > frames || pfn % CHUNK_PAGES !== 0) return false;
      if (this.touched[pfn / CHUNK_PAGES] === 0) {
        this.touched[pfn / CHUNK_PAGES] = 1;
        this.page = pfn;
        this.end = pfn + CHUNK_PAGES;
        return true;
      }
      pfn = words[nextAt + pfn];
    }
    return false;
  }
}
