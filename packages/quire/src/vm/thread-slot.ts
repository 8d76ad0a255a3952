/**
 * A thread joins and leaves. Its slot number is the same in every node; its id (slot + 1) is what the node lock
 * holds. The slot's area (scratch, staging, counters) stays with the slot when the thread leaves: the next one takes
 * it over, and the counters go on counting.
 *
 * A few areas are set aside when the instance is made, because an area is a contiguous block, and those are hard to
 * find later.
 */

import {
  KIND_COMPRESSING,
  KIND_MASK,
  KIND_NEW,
  KIND_PAGECACHE,
  KIND_QUEUED,
  KIND_REGION,
  KIND_THREAD,
} from '../arena/frame.ts';
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { ownerOf, release } from '../arena/node-lock.ts';
import { assert } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import { NO_PFN, PAGE_WORDS, type Pfn } from '../base/units.ts';
import { GFP_NOWAIT } from '../page-alloc/gfp.ts';
import { allocLocked, drainCachesLocked, freeLocked } from '../page-alloc/page-allocator.ts';
import { releaseThreadClusterLocked } from '../swap/cluster.ts';
import { freeDetached } from '../swap/detached-leaves.ts';
import { commitLocked } from '../swap/file-segments.ts';
import { endCuts } from '../swap/file-trimmer.ts';
import { rescueLocked } from '../swap/swap-out.ts';

/**
 * Takes a free slot in all nodes and binds the views to it. Throws ERR_QUIRE_OUT_OF_MEMORY when no slot or no area is
 * left.
 */
export function attachThread(nodes: readonly Node[]): number {
  const home = nodes[0].words;
  for (let index = 0; index < L.THREADS_MAX; index++) {
    const ownerAt = slotBase(index) + L.T_OWNER;
    if (Atomics.compareExchange(home, ownerAt, 0, index + 1) !== 0) continue;
    if (!haveAreas(nodes, index)) {
      Atomics.store(home, ownerAt, 0);
      throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'no contiguous memory left for another thread');
    }
    for (const node of nodes) node.bindThread(index + 1, index);
    return index;
  }
  throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', `at most ${L.THREADS_MAX} threads can be attached`);
}

/** Sets `count` areas aside in every node. Called once, by the creator, before any thread exists. */
export function reserveAreas(nodes: readonly Node[], count: number): void {
  for (let index = 0; index < count; index++) {
    if (!haveAreas(nodes, index)) {
      throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', 'the budget is too small for its threads');
    }
  }
}

function haveAreas(nodes: readonly Node[], index: number): boolean {
  for (const node of nodes) {
    const at = slotBase(index) + L.T_AREA;
    if (node.words[at] !== 0) continue;
    node.thread = index + 1;
    node.threadAt = slotBase(index);
    freeDetached([node]);
    node.lock();
    const pfn = allocLocked(node, L.AREA_ORDER, L.MIGRATE_UNMOVABLE, GFP_NOWAIT, KIND_THREAD);
    if (pfn !== NO_PFN) {
      const counters = pfn * PAGE_WORDS + L.AREA_COUNTERS / 4;
      node.words.fill(0, counters, counters + 1024);
      node.words[at] = pfn;
    }
    node.unlock();
    if (pfn === NO_PFN) return false;
  }
  return true;
}

/**
 * The thread leaves: its cached frames and its cluster go back. Also what is done for a thread that died, by the one
 * that noticed.
 */
export function detachThread(nodes: readonly Node[], index: number): void {
  for (const node of nodes) {
    node.lock();
    drainCachesLocked(node);
    releaseThreadClusterLocked(node, slotBase(index));
    node.unlock();
  }
  Atomics.store(nodes[0].words, slotBase(index) + L.T_OWNER, 0);
}

/**
 * A thread ended without leaving. False when it held a node lock: what that lock guards may be half done, and nobody
 * can tell, so the instance must fail. Otherwise its private frames are freed and the pages it was compressing are
 * mapped again. Pins it held stay: those pages remain resident.
 */
export function buryThread(nodes: readonly Node[], index: number): boolean {
  const dead = index + 1;
  for (const node of nodes) if (ownerOf(node.words, L.H_LOCK) === dead) return false;
  for (const node of nodes) {
    node.lock();
    if (node.words[L.H_DEMOTE_BUSY] === dead) endDemotionLocked(node);
    for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
      const kind = node.words[node.kindAt + pfn] & KIND_MASK;
      // Nobody knows which queued pages only the dead thread knew of. All go back: the ring's entries are hints.
      if (kind === KIND_QUEUED) rescueLocked(node, pfn as Pfn, 0);
      if (node.words[node.prevAt + pfn] !== dead) continue;
      if (kind === KIND_NEW) freeLocked(node, pfn as Pfn);
      else if (kind === KIND_COMPRESSING) rescueLocked(node, pfn as Pfn, 0);
    }
    node.unlock();
  }
  endCuts(nodes, dead);
  detachThread(nodes, index);
  return true;
}

/** Nobody but the caller is left: pins that threads took with them when they died are void. */
export function clearPins(nodes: readonly Node[]): void {
  for (const node of nodes) {
    for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
      const kind = node.words[node.kindAt + pfn] & KIND_MASK;
      // Tails of folios are frozen, and stay so.
      if (kind === KIND_REGION || kind === KIND_PAGECACHE) Atomics.store(node.words, node.pinAt + pfn, 0);
    }
  }
}

/** Gives up the slot number alone: the instance failed, and its locks may never be let go. */
export function abandonThread(nodes: readonly Node[], index: number): void {
  Atomics.store(nodes[0].words, slotBase(index) + L.T_OWNER, 0);
}

/** The demoter died: what it reserved of the log is given back, its objects are where they were. */
function endDemotionLocked(node: Node): void {
  const batch = node.words[L.H_FILE_BATCH] - 1;
  if (batch >= 0) commitLocked(node, batch, 0, 0);
  node.words[L.H_DEMOTE_BUSY] = 0;
}

/** Ends a lock held by a dead thread, so that others find FAILED instead of waiting for ever. */
export function breakLocks(nodes: readonly Node[], index: number): void {
  for (const node of nodes) {
    if (ownerOf(node.words, L.H_LOCK) === index + 1) release(node.words, L.H_LOCK, index + 1);
  }
}

/** Adds up one counter over all slots that ever had a thread. */
export function sumCounter(node: Node, counter: number): number {
  let sum = 0;
  for (let index = 0; index < L.THREADS_MAX; index++) {
    const area = node.words[slotBase(index) + L.T_AREA];
    if (area === 0) continue;
    sum += new Float64Array(node.memory.buffer, area * 4096 + L.AREA_COUNTERS + counter * 8, 1)[0];
  }
  return sum;
}

export function liveThreads(node: Node): number {
  let count = 0;
  for (let index = 0; index < L.THREADS_MAX; index++) if (node.words[slotBase(index) + L.T_OWNER] !== 0) count++;
  return count;
}

function slotBase(index: number): number {
  assert(index >= 0 && index < L.THREADS_MAX, 'thread slot', index);
  return L.THREADS_AT + index * L.THREAD_WORDS;
}
