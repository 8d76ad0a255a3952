/**
 * Emptying one aligned block of 2^order frames. Its free frames are taken off the buddy lists first, so that nobody is
 * given them while the rest is moved out; each frame that is moved out becomes private too. In the end all of the block
 * is this thread's and can be handed out, or freed, as one. If something turns up that cannot move, what was taken is
 * given back.
 *
 *   look ──all movable──► take the free frames ──► move, a few a hold: folios, then single frames ──► all private (NEW, order)
 *     └─ no                        └───────────── pinned meanwhile, no room ──► given back
 *
 * Between two holds of the lock everything private is of kind NEW with this thread's id: if the thread dies, it is
 * freed (vm/thread-slot.ts), and the pages it moved are where their entries say.
 */
import {
  KIND_CACHED,
  KIND_FREE,
  KIND_MASK,
  KIND_NEW,
  KIND_PAGECACHE,
  KIND_RESERVED,
  ORDER_SHIFT,
  orderOf,
  setKindLocked,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import { NO_PFN, ORDER_MAX, type Pfn } from '../base/units.ts';
import { isolateBlockLocked } from '../page-alloc/buddy.ts';
import { drainCachesLocked, freeToBuddyLocked } from '../page-alloc/page-allocator.ts';
import type { FreeScanner } from './free-scanner.ts';
import { isMovableLocked, MIGRATE_ORDER_MAX, migrateLocked } from './migrate.ts';

/** Frames moved in one hold of the lock: about as long as a batch of swap-out. One folio of order 4 may exceed it. */
const MOVE_FRAMES_MAX = 8;

/** Of a frame that is only passed, in frames moved: looking costs some 2 ns, moving 300. */
const PASS_COST = 1 / 128;

export class Evacuation {
  readonly base: Pfn;
  readonly order: number;
  private readonly node: Node;
  private readonly targets: FreeScanner;
  private readonly end: number;
  private at: number;
  /** Folios first: single frames would break up the blocks they need. */
  private isSecondPass = false;

  constructor(node: Node, base: Pfn, order: number, targets: FreeScanner) {
    this.node = node;
    this.base = base;
    this.order = order;
    this.targets = targets;
    this.end = base + (1 << order);
    this.at = base;
  }

  /** Takes the block's free frames. The block has been looked at in this hold of the lock (`lookLocked`). */
  beginLocked(): void {
    for (let at = this.base as number; at < this.end; at += 1 << this.sizeAt(at)) {
      if ((this.node.words[this.node.kindAt + at] & KIND_MASK) === KIND_FREE) this.takeFreeLocked(at as Pfn);
    }
  }

  /** Moves some frames. 'more': call again, after dropping the lock. */
  stepLocked(): 'more' | 'done' | 'failed' {
    const { node } = this;
    for (let moved = 0; this.at < this.end && moved < MOVE_FRAMES_MAX; ) {
      const pfn = this.at as Pfn;
      const kind = node.words[node.kindAt + pfn] & KIND_MASK;
      if (kind === KIND_NEW && node.words[node.prevAt + pfn] === node.thread) this.at += 1 << orderOf(node, pfn);
      else if (kind === KIND_CACHED) drainCachesLocked(node);
      else if (kind === KIND_FREE && this.sizeAt(pfn) < this.order) this.takeFreeLocked(pfn);
      else {
        const order = orderOf(node, pfn);
        if (order === 0 && !this.isSecondPass && isMovableLocked(node, pfn)) {
          this.at++;
          moved += PASS_COST;
          continue;
        }
        if (order >= this.order || !isMovableLocked(node, pfn)) return this.failLocked();
        const target = this.targets.takeLocked(order, this.end);
        if (target === NO_PFN) return this.failLocked();
        if (!migrateLocked(node, pfn, target)) {
          freeToBuddyLocked(node, target);
          return this.failLocked();
        }
        node.counters[C.compact_isolated] += 2 << order;
        moved += 1 << order;
      }
    }
    if (this.at < this.end) return 'more';
    if (!this.isSecondPass) {
      this.isSecondPass = true;
      this.at = this.base;
      return this.stepLocked();
    }
    this.joinLocked();
    return 'done';
  }

  /** Gives back what was taken of the block; what was moved out stays out. */
  failLocked(): 'failed' {
    const { node } = this;
    for (let at = this.base as number; at < this.end; ) {
      const pfn = at as Pfn;
      const isOurs =
        (node.words[node.kindAt + pfn] & KIND_MASK) === KIND_NEW && node.words[node.prevAt + pfn] === node.thread;
      at += isOurs ? 1 << orderOf(node, pfn) : 1;
      if (isOurs) freeToBuddyLocked(node, pfn);
    }
    return 'failed';
  }

  /** All frames are private: they become one block. */
  private joinLocked(): void {
    const { node } = this;
    for (let at = this.base as number; at < this.end; at++) setKindLocked(node, at as Pfn, KIND_RESERVED);
    setKindLocked(node, this.base, KIND_NEW, this.order);
    node.words[node.prevAt + this.base] = node.thread;
  }

  private takeFreeLocked(pfn: Pfn): void {
    const { node } = this;
    const order = isolateBlockLocked(node, pfn);
    node.words[L.H_FREE_FRAMES] -= 1 << order;
    setKindLocked(node, pfn, KIND_NEW, order);
    node.words[node.prevAt + pfn] = node.thread;
    node.counters[C.compact_isolated] += 1 << order;
  }

  private sizeAt(at: number): number {
    const word = this.node.words[this.node.kindAt + at];
    const kind = word & KIND_MASK;
    return kind === KIND_FREE || kind === KIND_NEW || kind === KIND_PAGECACHE ? (word >>> ORDER_SHIFT) & 0xf : 0;
  }
}

/**
 * What `lookLocked` found, besides its result: frames looked at; of folios, the frames and the largest order; free blocks by
 * order.
 */
export const looked = { scanned: 0, folioFrames: 0, folioOrder: 0, free: new Int32Array(ORDER_MAX + 1) };

/**
 * Can the aligned block be emptied now, by the look of it? Everything in it is free or movable, and it is not one free
 * block already.
 */
export function lookLocked(node: Node, base: Pfn, order: number): boolean {
  const { words, kindAt } = node;
  const end = base + (1 << order);
  looked.scanned = 0;
  looked.folioFrames = 0;
  looked.folioOrder = 0;
  looked.free.fill(0);
  for (let at = base as number; at < end; looked.scanned++) {
    const word = words[kindAt + at];
    const kind = word & KIND_MASK;
    const size = (word >>> ORDER_SHIFT) & 0xf;
    if (kind === KIND_FREE) {
      if (size >= order) return false;
      looked.free[size]++;
    } else if (kind !== KIND_CACHED) {
      if (size >= order || size > MIGRATE_ORDER_MAX || !isMovableLocked(node, at as Pfn)) return false;
      if (size > 0) looked.folioFrames += 1 << size;
      looked.folioOrder = Math.max(looked.folioOrder, size);
    }
    at += kind === KIND_CACHED ? 1 : 1 << size;
  }
  return true;
}

/** Are there free blocks outside it for the folios of the block just looked at? Single frames fit anywhere. */
export function fitsLocked(targets: FreeScanner, order: number): boolean {
  if (looked.folioFrames === 0) return true;
  let outside = targets.framesLocked(looked.folioOrder);
  for (let at = looked.folioOrder; at < order; at++) outside -= looked.free[at] << at;
  return outside >= looked.folioFrames;
}
