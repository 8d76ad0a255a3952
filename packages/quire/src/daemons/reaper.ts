/**
 * Threads that ended without leaving: a worker that was terminated, exited, or threw. Who they were is in their slots
 * (T_TASK); what they held is known by their id, and given back by whoever notices first:
 *
 *   kswapd, or a timer of the owner       looks at all threads once a second
 *   who waits for a lock                  after 0.1 s, at the lock's holder
 *   who attaches and finds no room        at all threads
 *   the owner, told that a worker ended   at that daemon (worker-pool.ts)
 *
 *   T_TASK = task ──claimBurial: ended, compare-exchange──► −task ──► buried, slot free
 *                                                              └─ it held a node lock: FAILED, the slot stays
 *
 * One of them buries. What goes back: the batch it was writing to a file, its place in the pressure figures, its uses of swap
 * devices, pins, regions and files, private frames, I/O blocks, pages it was compressing, cached frames, clusters. An inode
 * lock it held is lost (page-cache/file-lock.ts): the file can be read and written back, but not written. Locks of maps are
 * found lost by those who want them (map/stripe-locks.ts). A reaper that dies in a burial leaves that slot as it is.
 */
import * as L from '../arena/layout.ts';
import { HOLDER_BURIED, HOLDER_LIVES, INSTANCE_LOST, type Reap } from '../arena/node-lock.ts';
import { C } from '../base/counters.ts';
import type { Tasks } from '../base/port.ts';
import { buryInodeLocks } from '../page-cache/inode.ts';
import { forgetLostFiles } from '../page-cache/lost-file.ts';
import { buryWriteback } from '../page-cache/writeback.ts';
import { StallMeter } from '../reclaim/pressure.ts';
import type { Memory } from '../vm/memory.ts';
import { returnUses } from '../vm/region-table.ts';
import {
  breakLocks,
  buryThread,
  claimBurial,
  diedInNodeLock,
  isTaskAlive,
  liveThreads,
  returnPins,
  taskOf,
} from '../vm/thread-slot.ts';
import type { Daemon } from './daemon.ts';
import { buryDescriptorUses } from './file-device.ts';

/** A dead thread costs what it held for so long; a look costs some 10 µs a thread. */
const LOOK_MS = 1000;
/** Half a second, before a thread that wants to attach is refused. */
const ROOM_LOOKS_MAX = 50;
const ROOM_PAUSE_MS = 10;

export class Reaper implements Daemon {
  readonly name = 'reaper';
  private readonly memory: Memory;
  private readonly tasks: Tasks;
  private readonly home: Int32Array;
  private nextLookMs = 0;

  constructor(memory: Memory, tasks: Tasks) {
    this.memory = memory;
    this.tasks = tasks;
    this.home = memory.nodes[0].words;
  }

  /** A look, when one is due. True when somebody was buried. */
  step(): boolean {
    const now = this.memory.files?.now() ?? 0;
    if (now < this.nextLookMs) return false;
    this.nextLookMs = now + LOOK_MS;
    return this.look() > 0;
  }

  /** Buries all threads that have ended. Returns how many. */
  look(): number {
    let buried = 0;
    for (let index = 0; index < L.THREADS_MAX && !this.isFailed(); index++) {
      const task = taskOf(this.home, index);
      if (task > 0 && this.claim(index, task)) {
        this.bury(index);
        buried++;
      }
    }
    return buried;
  }

  /** Asks after the holder of a lock, for this thread's locks. */
  readonly reap: Reap = (thread) => {
    const index = thread - 1;
    if (index < 0 || index >= L.THREADS_MAX) return HOLDER_LIVES;
    const task = taskOf(this.home, index);
    if (task === 0) return HOLDER_LIVES;
    if (task > 0) {
      if (!this.claim(index, task)) return HOLDER_LIVES;
      this.bury(index);
    }
    return this.isFailed() ? INSTANCE_LOST : HOLDER_BURIED;
  };

  /** No attached thread that lives is Node's thread of this number. */
  readonly isWorkerDead = (threadId: number): boolean => {
    for (let index = 0; index < L.THREADS_MAX; index++) {
      const at = slotAt(index);
      if (Atomics.load(this.home, at + L.T_WORKER) !== threadId + 1) continue;
      const task = taskOf(this.home, index);
      if (task === 0 || (task > 0 && isTaskAlive(this.home, index, task, this.tasks))) return false;
    }
    return true;
  };

  /**
   * For a thread that found no slot: true when one may be free now. Looks for a while: the system shows a thread for a moment
   * after its end, and another reaper may be at work.
   */
  makeRoom(): boolean {
    for (let look = 0; look < ROOM_LOOKS_MAX && !this.isFailed(); look++) {
      if (look > 0) Atomics.wait(this.home, L.H_MAGIC, L.MAGIC, ROOM_PAUSE_MS);
      if (this.buryInPlace() || this.hasFreeSlot()) return true;
    }
    return false;
  }

  /**
   * Buries a thread that has ended in its own slot and with its id, which nobody else may use until then: this thread has
   * none. False when there is none.
   */
  private buryInPlace(): boolean {
    for (let index = 0; index < L.THREADS_MAX && !this.isFailed(); index++) {
      const task = taskOf(this.home, index);
      // Areas stay with a slot. Without one there is nothing to work with: another thread has to bury it.
      const hasAreas = this.memory.nodes.every(({ words }) => words[slotAt(index) + L.T_AREA] !== 0);
      if (task <= 0 || !hasAreas || !this.claim(index, task)) continue;
      for (const node of this.memory.nodes) node.bindThread(index + 1, index);
      if (this.bury(index)) return true;
    }
    return false;
  }

  private hasFreeSlot(): boolean {
    return liveThreads(this.memory.nodes[0]) < L.THREADS_MAX;
  }

  /** The daemon of a worker that ended; `task` as it told. False when it died inside a node lock: the instance failed. */
  buryDaemon(index: number, task: number): boolean {
    const isMine = task === 0 || Atomics.compareExchange(this.home, slotAt(index) + L.T_TASK, task, -task) === task;
    return isMine ? this.bury(index) : !this.isFailed();
  }

  private claim(index: number, task: number): boolean {
    return claimBurial(this.home, index, task, this.tasks);
  }

  private bury(index: number): boolean {
    const { memory, home } = this;
    const { nodes } = memory;
    if (diedInNodeLock(nodes, index)) {
      for (const node of nodes) Atomics.store(node.words, L.H_STATE, L.STATE_FAILED);
      breakLocks(nodes, index);
      return false;
    }
    const threadAt = slotAt(index);
    // Before its id is free to be another thread's.
    buryWriteback(memory, index);
    buryInodeLocks(memory, index);
    new StallMeter(home, () => (memory.files?.now() ?? 0) * 1000, threadAt).bury();
    buryDescriptorUses(home, threadAt);
    // Pins first: a region goes only when nothing of it is pinned.
    returnPins(nodes, index);
    returnUses(memory, index);
    nodes[0].counters[C.threads_buried]++;
    const isBuried = buryThread(nodes, index);
    if (memory.files !== undefined) forgetLostFiles(memory);
    return isBuried;
  }

  private isFailed(): boolean {
    return Atomics.load(this.home, L.H_STATE) === L.STATE_FAILED;
  }
}

function slotAt(index: number): number {
  return L.THREADS_AT + index * L.THREAD_WORDS;
}

/** This thread asks after the holders of locks from now on. */
export function attachReaper(memory: Memory, tasks: Tasks): Reaper {
  const reaper = new Reaper(memory, tasks);
  for (const node of memory.nodes) node.reap = reaper.reap;
  memory.isWorkerDead = reaper.isWorkerDead;
  return reaper;
}
