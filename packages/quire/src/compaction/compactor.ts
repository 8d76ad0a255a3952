/**
 * Compaction of a node: makes one free block of 2^order frames (mm/compaction.c).
 *
 *   firstFree                                                                     frames
 *      ├──────────────► migrate scanner              free scanner: small free blocks, above it if there are any
 *                       looks for a block that can be emptied     finds where its pages go
 *
 * The kernel moves whatever can move and hopes that a block comes of it; only its asynchronous mode leaves a block alone
 * when something in it cannot move. Here every mode does: a block is looked at whole before anything of it is moved
 * (compaction/evacuation.ts), so each one that is begun ends as a free block, but for a pin that comes in between. Each
 * success turns small free blocks into a large one, so repeated runs end.
 *
 * The position is kept in the node's header, so that the next run goes on where the last one stopped. A pageblock that had
 * nothing for an order is marked with it and skipped, until the scanner has been everywhere and a daemon, or the end of
 * the longest deferral, takes the marks back.
 *
 * A Compactor is one run; it is stepped with the node lock held, and may lose it between steps.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { C } from '../base/counters.ts';
import { CHUNK_PAGES, NO_PFN, ORDER_MAX, type Pfn } from '../base/units.ts';
import { typeOf } from '../page-alloc/buddy.ts';
import { isRestarting } from './deferral.ts';
import { Evacuation, fitsLocked, looked, lookLocked } from './evacuation.ts';
import { FreeScanner } from './free-scanner.ts';

/** Light: movable pageblocks only, and gives way when others want the lock. A caller that can do without the block. */
export const COMPACT_ASYNC = 0;
/** Pageblocks of any type. */
export const COMPACT_LIGHT = 1;
/** From one end to the other, whatever was found before. A caller that needs the block. */
export const COMPACT_FULL = 2;

/** 'short': too few small free blocks to move pages to. */
export type CompactStep = 'more' | 'done' | 'complete' | 'short';

/** Frames looked at in one hold of the lock (about 2 ns each). */
const SCAN_FRAMES_MAX = 1024;

export class Compactor {
  readonly order: number;
  /** The block made, private (NEW), after a step said 'done'. */
  block: Pfn = NO_PFN;
  private readonly node: Node;
  private readonly mode: number;
  private readonly isDaemon: boolean;
  private readonly targets: FreeScanner;
  private readonly first: number;
  /** Next block to look at, and frames left until the scanner has been everywhere. */
  private at: number;
  private left: number;
  /** First frame of the pageblock that is being looked at from its beginning, and whether it had anything for us. */
  private pageblock = -1;
  private hadCandidate = false;
  private evacuation: Evacuation | undefined;

  /** Under the node lock. */
  constructor(node: Node, order: number, mode: number, isDaemon: boolean) {
    assert(order > 0 && order <= ORDER_MAX, 'order of a compaction', order);
    this.node = node;
    this.order = order;
    this.mode = mode;
    this.isDaemon = isDaemon;
    const { words } = node;
    if (words[L.H_COMPACT_FLUSH] !== 0 && (isDaemon || isRestarting(node, order))) flushMarksLocked(node);
    if (mode === COMPACT_FULL) words[L.H_COMPACT_MIGRATE] = 0;
    this.targets = new FreeScanner(node, order, mode !== COMPACT_ASYNC);
    const size = 1 << order;
    this.first = alignUp(node.firstFree, size);
    const cached = words[L.H_COMPACT_MIGRATE];
    this.at = cached < this.first || cached >= node.frames ? this.first : alignUp(cached, size);
    this.left = node.frames - this.first;
  }

  /** Some work: a few frames moved, or some hundred looked at. 'complete': nothing can be made, 'short': nor now. */
  stepLocked(): CompactStep {
    const freeScanned = this.targets.scanned;
    const step = this.evacuation !== undefined ? this.evacuateLocked(this.evacuation) : this.scanLocked();
    const counter = this.isDaemon ? C.compact_daemon_free_scanned : C.compact_free_scanned;
    this.node.counters[counter] += this.targets.scanned - freeScanned;
    return step;
  }

  /** The run ends early: what was taken of a block is given back. */
  stopLocked(): void {
    this.evacuation?.failLocked();
    this.evacuation = undefined;
  }

  private evacuateLocked(evacuation: Evacuation): CompactStep {
    const step = evacuation.stepLocked();
    if (step === 'more') return 'more';
    this.evacuation = undefined;
    if (step === 'failed') return this.left > 0 ? 'more' : this.completeLocked();
    this.block = evacuation.base;
    return 'done';
  }

  private scanLocked(): CompactStep {
    const { node } = this;
    // What is free in the block itself counts on both sides: as much must be free in small blocks as the block has frames.
    if (this.targets.framesLocked(0) < 1 << this.order) return 'short';
    let budget = SCAN_FRAMES_MAX;
    while (budget > 0) {
      if (this.left <= 0) return this.completeLocked();
      const base = this.advanceLocked();
      if (base === NO_PFN) {
        budget -= CHUNK_PAGES >> 4;
        continue;
      }
      const isCandidate = lookLocked(node, base, this.order);
      budget -= looked.scanned + 1;
      node.counters[this.isDaemon ? C.compact_daemon_migrate_scanned : C.compact_migrate_scanned] += looked.scanned + 1;
      if (!isCandidate) continue;
      if (!fitsLocked(this.targets, this.order)) {
        this.hadCandidate = true;
        continue;
      }
      this.hadCandidate = true;
      this.evacuation = new Evacuation(node, base, this.order, this.targets);
      this.evacuation.beginLocked();
      return this.evacuateLocked(this.evacuation);
    }
    return 'more';
  }

  /** The next block to look at; NO_PFN when a pageblock was skipped. */
  private advanceLocked(): Pfn {
    const { node } = this;
    const size = 1 << this.order;
    const base = this.at;
    if (base + size > node.frames) {
      this.moveToLocked(node.frames);
      this.endPageblockLocked();
      this.at = this.first;
      return NO_PFN;
    }
    if (base % CHUNK_PAGES === 0 || base === this.first) {
      this.endPageblockLocked();
      if (!this.isSuitableLocked(base as Pfn)) {
        this.moveToLocked(Math.min(base - (base % CHUNK_PAGES) + CHUNK_PAGES, node.frames));
        return NO_PFN;
      }
      this.pageblock = base;
    }
    this.moveToLocked(base + size);
    return base as Pfn;
  }

  private moveToLocked(next: number): void {
    this.left -= next - this.at;
    this.at = next;
    this.node.words[L.H_COMPACT_MIGRATE] = next;
  }

  /** Marks the pageblock that was looked at whole and had nothing for this order. */
  private endPageblockLocked(): void {
    const { node } = this;
    const hadNothing = this.pageblock >= 0 && !this.hadCandidate;
    const at = node.blocksAt + Math.floor(this.pageblock / CHUNK_PAGES);
    this.pageblock = -1;
    this.hadCandidate = false;
    if (!hadNothing) return;
    const mark = node.words[at] >>> L.BLOCK_SKIP_SHIFT;
    if (mark === 0 || mark > this.order) {
      node.words[at] = (node.words[at] & L.BLOCK_TYPE_MASK) | (this.order << L.BLOCK_SKIP_SHIFT);
    }
  }

  private isSuitableLocked(base: Pfn): boolean {
    if (this.mode === COMPACT_FULL) return true;
    if (this.mode === COMPACT_ASYNC && typeOf(this.node, base) !== L.MIGRATE_MOVABLE) return false;
    const mark = this.node.words[this.node.blocksAt + Math.floor(base / CHUNK_PAGES)] >>> L.BLOCK_SKIP_SHIFT;
    return mark === 0 || this.order < mark;
  }

  private completeLocked(): CompactStep {
    const { words } = this.node;
    if (this.at % CHUNK_PAGES === 0) this.endPageblockLocked();
    words[L.H_COMPACT_MIGRATE] = 0;
    words[L.H_COMPACT_FLUSH] = 1;
    return 'complete';
  }
}

/** Takes back all marks, and begins from the bottom. */
function flushMarksLocked(node: Node): void {
  const { words } = node;
  const blocks = Math.ceil(node.frames / CHUNK_PAGES);
  for (let block = 0; block < blocks; block++) words[node.blocksAt + block] &= L.BLOCK_TYPE_MASK;
  words[L.H_COMPACT_MIGRATE] = 0;
  words[L.H_COMPACT_FLUSH] = 0;
}

function alignUp(value: number, size: number): number {
  return Math.ceil(value / size) * size;
}
