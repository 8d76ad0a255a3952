/**
 * The daemon workers of an instance. kswapd and kcompressd start with it, those that files need with the first file. A
 * worker that ends without being told to is replaced, its half-done work taken back; if it died inside the node lock the
 * instance latches FAILED, because what the lock guards may be half written.
 */
import { Worker } from 'node:worker_threads';
import * as L from '../arena/layout.ts';
import { QuireError } from '../base/errors.ts';
import { setDetaching } from '../swap/detached-leaves.ts';
import type { Memory } from '../vm/memory.ts';
import { FlusherTimer } from './flusher-timer.ts';
import { nodeTasks } from './node-tasks.ts';
import { attachReaper, type Reaper } from './reaper.ts';

/** What a worker does. kswapd compresses what kcompressd does not take. */
export type DaemonRole = 'kswapd' | 'kcompressd' | 'flusher' | 'kcompactd';
export type FileRole = Extract<DaemonRole, 'flusher' | 'kcompactd'>;

/** What a worker says when it has joined: its slot, and the system's number of it. */
export interface DaemonJoined {
  readonly thread: number;
  readonly task: number;
}

export interface DaemonStart {
  readonly memories: readonly WebAssembly.Memory[];
  readonly module: WebAssembly.Module;
  readonly role: DaemonRole;
}

/** Word of node 0 that counts the threads of a role, for roles that others stand in for where nobody runs them. */
const COUNT_AT: Partial<Record<DaemonRole, number>> = { flusher: L.H_FLUSHERS, kcompactd: L.H_KCOMPACTDS };

/** A worker that keeps dying is not started for ever. */
const RESTARTS_MAX = 8;
/** The reaper has its own clock, of a second. */
const REAPER_TICK_MS = 500;

export class WorkerPool {
  private readonly memory: Memory;
  private readonly start: Omit<DaemonStart, 'role'>;
  private readonly reaper: Reaper;
  private reaperTimer: ReturnType<typeof setInterval> | undefined;
  /** By number those that compress, by role the others. */
  private readonly workers = new Map<number | FileRole, Worker>();
  private readonly exits: Promise<void>[] = [];
  private fileDaemons: Promise<void> | undefined;
  private flusherTimer: FlusherTimer | undefined;
  private hasThreads = false;
  private stopping = false;
  private restarts = 0;

  constructor(memory: Memory, start: Omit<DaemonStart, 'role'>) {
    this.memory = memory;
    this.start = start;
    this.reaper = attachReaper(memory, nodeTasks);
  }

  /** Starts `count` workers: kswapd, then as many of kcompressd as are left. Resolves when all have joined. */
  async open(count: number): Promise<void> {
    this.hasThreads = count > 0;
    this.reaperTimer = setInterval(() => this.lookForDead(), REAPER_TICK_MS);
    this.reaperTimer.unref();
    try {
      await stayAlive(Promise.all(Array.from({ length: count }, (_, index) => this.launch(index))));
    } catch (error) {
      await this.close(); // those that did start
      throw error;
    }
  }

  /**
   * Starts the daemons that files need, once: workers, if the instance has daemon threads at all. One that cannot start,
   * for want of a thread area, is no error: its work is then done by those who want it, and the flusher's by a timer.
   */
  openFileDaemons(roles: readonly FileRole[]): Promise<void> {
    if (this.stopping) return Promise.resolve();
    this.fileDaemons ??= this.launchAll(this.hasThreads ? roles : []);
    return this.fileDaemons;
  }

  private async launchAll(roles: readonly FileRole[]): Promise<void> {
    this.flusherTimer = new FlusherTimer(this.memory);
    await stayAlive(Promise.allSettled(roles.map((role) => this.launch(role))));
  }

  /** Worker `index` of those that compress, or the one of a role; for tests that kill one. */
  worker(which: number | FileRole): Worker | undefined {
    return this.workers.get(which);
  }

  private launch(which: number | FileRole): Promise<void> {
    const role = roleOf(which);
    const worker = new Worker(new URL('./worker-main.js', import.meta.url), {
      workerData: { ...this.start, role } satisfies DaemonStart,
      name: `quire-${role}`,
      // Flags of the main thread (--test, --cpu-prof, loaders) are not for daemons.
      execArgv: [],
    });
    this.workers.set(which, worker);
    let joined: DaemonJoined | undefined;
    let failure: unknown;
    return new Promise((resolve, reject) => {
      worker.on('message', (message: DaemonJoined) => {
        joined = message;
        this.countRole(role, 1);
        resolve();
      });
      worker.on('error', (error) => {
        failure = error;
      });
      const exited = new Promise<void>((done) => worker.on('exit', () => done()));
      this.exits.push(exited);
      worker.on('exit', () => {
        if (joined !== undefined) this.countRole(role, -1);
        reject(new QuireError('ERR_QUIRE_FAILED', 'a daemon did not start', { cause: failure }));
        this.onExit(which, joined);
      });
      // Last: a listener of 'message' makes a worker keep the process alive again.
      worker.unref();
    });
  }

  private countRole(role: DaemonRole, by: number): void {
    const at = COUNT_AT[role];
    if (at !== undefined) Atomics.add(this.memory.nodes[0].words, at, by);
  }

  private onExit(which: number | FileRole, joined: DaemonJoined | undefined): void {
    this.workers.delete(which);
    if (this.stopping) return;
    // It died inside a node lock: the instance has failed.
    if (joined !== undefined && !this.reaper.buryDaemon(joined.thread, joined.task)) return;
    if (joined === undefined || ++this.restarts > RESTARTS_MAX) {
      // Without this thread nobody may queue pages that nobody drains: reclaim falls back to compressing for itself.
      const { nodes } = this.memory;
      if (!this.hasCompressor()) for (const node of nodes) Atomics.store(node.words, L.H_KCOMPRESSD, 0);
      // And what only kswapd does is left to others (api/swap-tiers.ts).
      if (which === 0) this.doWithoutKswapd();
      return;
    }
    this.launch(which).catch(() => undefined);
  }

  /** What waits for kswapd is freed by who reclaims or closes. */
  private doWithoutKswapd(): void {
    const { nodes } = this.memory;
    setDetaching(nodes, 0);
    for (const node of nodes) Atomics.store(node.words, L.H_KSWAPDS, 0);
  }

  /** Where no kswapd does it. */
  private lookForDead(): void {
    const { words } = this.memory.nodes[0];
    if (Atomics.load(words, L.H_STATE) !== L.STATE_OPEN) clearInterval(this.reaperTimer);
    else if (Atomics.load(words, L.H_KSWAPDS) === 0) this.reapOnce();
  }

  private reapOnce(): void {
    try {
      this.reaper.step();
    } catch (error) {
      this.memory.latch(error);
    }
  }

  private hasCompressor(): boolean {
    for (const which of this.workers.keys()) if (typeof which === 'number' && which > 0) return true;
    return false;
  }

  /** Ends all workers and waits for them; buries who else has ended. */
  async close(): Promise<void> {
    this.stopping = true;
    this.flusherTimer?.stop();
    clearInterval(this.reaperTimer);
    const home = this.memory.nodes[0].words;
    Atomics.store(home, L.H_STOP, 1);
    Atomics.add(home, L.H_EVENTS, 1);
    Atomics.notify(home, L.H_EVENTS);
    Atomics.add(home, L.H_KCOMPRESSD_EVENTS, 1);
    Atomics.notify(home, L.H_KCOMPRESSD_EVENTS);
    Atomics.add(home, L.H_KCOMPACTD_EVENTS, 1);
    Atomics.notify(home, L.H_KCOMPACTD_EVENTS);
    // The flusher sleeps on its own word.
    Atomics.store(home, L.H_FLUSHER_WAKE, 1);
    Atomics.notify(home, L.H_FLUSHER_WAKE);
    for (const worker of this.workers.values()) worker.ref();
    await Promise.all(this.exits);
    // What others left when they died a moment ago is not to be found missing.
    if (Atomics.load(home, L.H_STATE) === L.STATE_OPEN) this.reaper.look();
  }
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Daemons do not keep the process alive; who waits for them to start does. */
async function stayAlive<T>(started: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, LONGEST_TIMER_MS);
  try {
    return await started;
  } finally {
    clearInterval(timer);
  }
}

function roleOf(which: number | FileRole): DaemonRole {
  if (typeof which === 'string') return which;
  return which === 0 ? 'kswapd' : 'kcompressd';
}
