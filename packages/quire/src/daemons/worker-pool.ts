/**
 * The daemon workers of an instance. A worker that ends without being told to is replaced, its half-done work taken
 * back; if it died inside the node lock the instance latches FAILED, because what the lock guards may be half
 * written.
 */
import { Worker } from 'node:worker_threads';
import * as L from '../arena/layout.ts';
import { QuireError } from '../base/errors.ts';
import type { Memory } from '../vm/memory.ts';
import { breakLocks, buryThread } from '../vm/thread-slot.ts';

export interface DaemonStart {
  readonly memories: readonly WebAssembly.Memory[];
  readonly module: WebAssembly.Module;
  /** Descriptor of the file tier, −1 without one. */
  readonly fd: number;
  readonly scan: boolean;
}

/** A worker that keeps dying is not started for ever. */
const RESTARTS_MAX = 8;

export class WorkerPool {
  private readonly memory: Memory;
  private readonly start: Omit<DaemonStart, 'scan'>;
  private readonly workers = new Map<number, Worker>();
  private readonly exits: Promise<void>[] = [];
  private stopping = false;
  private restarts = 0;

  constructor(memory: Memory, start: Omit<DaemonStart, 'scan'>) {
    this.memory = memory;
    this.start = start;
  }

  /** Starts `count` workers; the first scans too. Resolves when all have joined. */
  async open(count: number): Promise<void> {
    try {
      await Promise.all(Array.from({ length: count }, (_, index) => this.launch(index)));
    } catch (error) {
      await this.close(); // those that did start
      throw error;
    }
  }

  /** Worker of daemon `index`, for tests that kill one. */
  worker(index: number): Worker | undefined {
    return this.workers.get(index);
  }

  private launch(index: number): Promise<void> {
    const worker = new Worker(new URL('./worker-main.js', import.meta.url), {
      workerData: { ...this.start, scan: index === 0 } satisfies DaemonStart,
      name: index === 0 ? 'quire-kswapd' : 'quire-kcompressd',
      // Flags of the main thread (--test, --cpu-prof, loaders) are not for daemons.
      execArgv: [],
    });
    this.workers.set(index, worker);
    worker.unref();
    let thread = -1;
    let failure: unknown;
    return new Promise((resolve, reject) => {
      worker.on('message', (message: { thread: number }) => {
        thread = message.thread;
        resolve();
      });
      worker.on('error', (error) => {
        failure = error;
      });
      const exited = new Promise<void>((done) => worker.on('exit', () => done()));
      this.exits.push(exited);
      worker.on('exit', () => {
        reject(new QuireError('ERR_QUIRE_FAILED', 'a daemon did not start', { cause: failure }));
        this.onExit(index, thread);
      });
    });
  }

  private onExit(index: number, thread: number): void {
    this.workers.delete(index);
    if (this.stopping) return;
    if (thread >= 0 && !buryThread(this.memory.nodes, thread)) {
      for (const node of this.memory.nodes) Atomics.store(node.words, L.H_STATE, L.STATE_FAILED);
      breakLocks(this.memory.nodes, thread);
      return;
    }
    if (thread < 0 || ++this.restarts > RESTARTS_MAX) {
      // Without this thread nobody may queue pages that nobody drains: reclaim falls back to compressing for itself.
      if (this.workers.size === 0) for (const node of this.memory.nodes) Atomics.store(node.words, L.H_KCOMPRESSD, 0);
      return;
    }
    this.launch(index).catch(() => undefined);
  }

  /** Ends all workers and waits for them. */
  async close(): Promise<void> {
    this.stopping = true;
    const home = this.memory.nodes[0].words;
    Atomics.store(home, L.H_STOP, 1);
    Atomics.add(home, L.H_EVENTS, 1);
    Atomics.notify(home, L.H_EVENTS);
    for (const worker of this.workers.values()) worker.ref();
    await Promise.all(this.exits);
  }
}
