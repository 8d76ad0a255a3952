/**
 * The first use of a page of anonymous memory costs a page fault of the host: 1 to 3 µs, more than compressing half a
 * page. An idle daemon takes that off the writers: it touches the next few free blocks in line, a bounded distance
 * ahead of their use, so the process never grows by more than that without need.
 *
 * A touch is an atomic addition of 0: whatever another thread does with the frame meanwhile, its bytes stay as they
 * are.
 */

import type { Node } from '../arena/node.ts';
import { CHUNK_PAGES, NO_PFN, PAGE_WORDS } from '../base/units.ts';
import { nextUntouchedLocked } from '../page-alloc/buddy.ts';
import type { Daemon } from './daemon.ts';

/** Blocks of 2 MiB kept touched ahead: what a fast writer fills while this thread is busy compressing. */
const BLOCKS_AHEAD = 8;
/** Pages a step touches: some 100 µs, so that compression is not kept waiting. */
const PAGES_PER_STEP = 64;

export class Prefault implements Daemon {
  readonly name = 'prefault';
  private readonly node: Node;
  private block = NO_PFN;
  private page = CHUNK_PAGES;

  constructor(node: Node) {
    this.node = node;
  }

  step(): boolean {
    if (this.page === CHUNK_PAGES && !this.nextBlock()) return false;
    const end = Math.min(this.page + PAGES_PER_STEP, CHUNK_PAGES);
    for (; this.page < end; this.page++) Atomics.add(this.node.words, (this.block + this.page) * PAGE_WORDS, 0);
    return true;
  }

  private nextBlock(): boolean {
    this.node.lock();
    this.block = nextUntouchedLocked(this.node, BLOCKS_AHEAD);
    this.node.unlock();
    if (this.block === NO_PFN) return false;
    this.page = 0;
    return true;
  }
}
