/**
 * A thread joins and leaves. Its slot number is the same in every node; its id (slot + 1) is what the node lock
 * holds. The slot's area (scratch, staging, counters) stays with the slot when the thread leaves: the next one takes
 * it over, and the counters go on counting.
 *
 *   free ──takeSlot──► task known ──detachThread──► free
 *                       └─ found dead: claimBurial (by compare-exchange, task → −task) ── buryThread ──► free
 *
 * A few areas are set aside when the instance is made, because an area is a contiguous block, and those are hard to
 * find later.
 */

import {
  announceEase,
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
import { givePinsBack } from '../arena/pin-note.ts';
import { assert } from '../base/assert.ts';
import { QuireError } from '../base/errors.ts';
import type { Task, Tasks } from '../base/port.ts';
import { NO_PFN, PAGE_BYTES, PAGE_WORDS, type Pfn } from '../base/units.ts';
import { GFP_NOWAIT } from '../page-alloc/gfp.ts';
import { allocLocked, drainCachesLocked, freeLocked } from '../page-alloc/page-allocator.ts';
import { releaseThreadClusterLocked } from '../swap/cluster.ts';
import { freeDetached } from '../swap/detached-leaves.ts';
import { commitLocked } from '../swap/file-segments.ts';
import { endCuts } from '../swap/file-trimmer.ts';
import { rescueLocked } from '../swap/swap-out.ts';
import { writeReadBlock } from './page-read.ts';

const UNKNOWN_TASK: Task = { task: 0, start: 0, process: 0, worker: -1 };

/**
 * Takes a free slot in all nodes and binds the views to it. With `tasks` the slot says which thread of the system it is, so
 * that others see whether it lives. `makeRoom` buries one that does not, true when there may be room now. Throws
 * ERR_QUIRE_OUT_OF_MEMORY when no slot or no area is left.
 */
export function attachThread(nodes: readonly Node[], tasks?: Tasks, makeRoom?: () => boolean): number {
  const home = nodes[0].words;
  const self = tasks?.self() ?? UNKNOWN_TASK;
  let reason = `at most ${L.THREADS_MAX} threads can be attached`;
  for (let tries = 0; tries <= L.THREADS_MAX; tries++) {
    const index = takeSlot(home, self);
    if (index >= 0 && haveAreas(nodes, index)) {
      for (const node of nodes) {
        clearNotes(node, index);
        node.bindThread(index + 1, index);
        writeReadBlock(node);
      }
      return index;
    }
    if (index >= 0) {
      leaveSlot(home, index);
      reason = 'no contiguous memory left for another thread';
    }
    if (makeRoom === undefined || !makeRoom()) break;
  }
  throw new QuireError('ERR_QUIRE_OUT_OF_MEMORY', reason);
}

/** A free slot is this thread's; −1 when there is none. */
function takeSlot(home: Int32Array, self: Task): number {
  for (let index = 0; index < L.THREADS_MAX; index++) {
    const at = slotBase(index);
    if (Atomics.compareExchange(home, at + L.T_OWNER, 0, index + 1) !== 0) continue;
    home[at + L.T_START] = self.start;
    home[at + L.T_PROCESS] = self.process;
    Atomics.store(home, at + L.T_WORKER, self.worker + 1);
    // Calls of the last thread that are not over yet count for nobody.
    home.fill(0, at + L.T_DEVICES, at + L.T_DEVICES + L.DEVICES_MAX);
    // Last: pairs with the load in `claimBurial`.
    Atomics.store(home, at + L.T_TASK, self.task);
    return index;
  }
  return -1;
}

/** The slot is free for another thread. The task goes first: nobody finds it dead in another's slot. */
function leaveSlot(home: Int32Array, index: number): void {
  const at = slotBase(index);
  Atomics.store(home, at + L.T_TASK, 0);
  Atomics.store(home, at + L.T_WORKER, 0);
  Atomics.store(home, at + L.T_DETACHING, 0); // it may have died in a discard
  Atomics.store(home, at + L.T_OWNER, 0);
}

/** Nothing is pinned or open by the thread that begins. */
function clearNotes(node: Node, index: number): void {
  const area = node.words[slotBase(index) + L.T_AREA] * PAGE_BYTES;
  node.bytes.fill(0, area + L.AREA_PINS, area + L.AREA_USES + L.REGIONS_MAX);
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
      // Not a block that the thread took for itself, as those of vm/io-block.ts are.
      node.words[node.prevAt + pfn] = 0;
      node.words[at] = pfn;
    }
    node.unlock();
    if (pfn === NO_PFN) return false;
  }
  return true;
}

/** What a thread has pinned is pinned no more; for one that died. Returns how many pins. */
export function returnPins(nodes: readonly Node[], index: number): number {
  let pins = 0;
  for (const node of nodes) {
    const area = node.words[slotBase(index) + L.T_AREA] as Pfn;
    if (area === NO_PFN) continue;
    pins += givePinsBack(node, area);
    announceEase(node);
  }
  return pins;
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
  leaveSlot(nodes[0].words, index);
}

/**
 * A thread ended without leaving. False when it held a node lock: what that lock guards may be half done, and nobody
 * can tell, so the instance must fail. Otherwise its pins are given back, its private frames and I/O blocks freed, and the
 * pages it was compressing are mapped again. Its slot is free then. Who calls has claimed the burial, if others may know.
 */
export function buryThread(nodes: readonly Node[], index: number): boolean {
  const dead = index + 1;
  if (diedInNodeLock(nodes, index)) return false;
  returnPins(nodes, index);
  for (const node of nodes) {
    node.lock();
    if (node.words[L.H_DEMOTE_BUSY] === dead) endDemotionLocked(node);
    for (let pfn = node.firstFree; pfn < node.frames; pfn++) {
      const kind = node.words[node.kindAt + pfn] & KIND_MASK;
      // Nobody knows which queued pages only the dead thread knew of. All go back: the ring's entries are hints.
      if (kind === KIND_QUEUED) rescueLocked(node, pfn as Pfn, 0);
      if (node.words[node.prevAt + pfn] !== dead) continue;
      if (kind === KIND_NEW || kind === KIND_THREAD) freeLocked(node, pfn as Pfn);
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

/** What the lock of a node guards may be half done, and nobody can tell. */
export function diedInNodeLock(nodes: readonly Node[], index: number): boolean {
  return nodes.some((node) => ownerOf(node.words, L.H_LOCK) === index + 1);
}

/** Gives up the slot number alone: the instance failed, and its locks may never be let go. */
export function abandonThread(nodes: readonly Node[], index: number): void {
  leaveSlot(nodes[0].words, index);
}

/**
 * The thread of a slot, if it is known to have ended, is the caller's to bury, and nobody else's. `task`: what its slot was
 * seen to say. Looked at again after the claim: the slot may have been another's since, with the same number.
 */
export function claimBurial(home: Int32Array, index: number, task: number, tasks: Tasks): boolean {
  assert(task > 0, 'a task that is known', index, task);
  const at = slotBase(index);
  if (isTaskAlive(home, index, task, tasks)) return false;
  if (Atomics.compareExchange(home, at + L.T_TASK, task, -task) !== task) return false;
  if (!isTaskAlive(home, index, task, tasks)) return true;
  // Fails when that thread has left meanwhile, by itself.
  Atomics.compareExchange(home, at + L.T_TASK, -task, task);
  return false;
}

/** Whether the thread of a slot, seen to be `task`, may still run. */
export function isTaskAlive(home: Int32Array, index: number, task: number, tasks: Tasks): boolean {
  const at = slotBase(index);
  return tasks.isAlive(task, home[at + L.T_START], home[at + L.T_PROCESS]);
}

/** The system's number of the thread in a slot, as T_TASK. */
export function taskOf(home: Int32Array, index: number): number {
  return Atomics.load(home, slotBase(index) + L.T_TASK);
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
