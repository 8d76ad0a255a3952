/**
 * The flusher where no thread runs it (`threads: 0`, or its worker could not start or be replaced): a timer gives it some
 * steps in the owner's own thread. It does not keep the process alive.
 */
import * as L from '../arena/layout.ts';
import type { Memory } from '../vm/memory.ts';
import { Flusher } from './flusher.ts';

/** Short against the ages that matter, long against what a look costs. */
const TICK_MS = 100;
/** Batches a tick: at most 16 MiB, then others have a turn. */
const TICK_STEPS_MAX = 8;

export class FlusherTimer {
  private readonly memory: Memory;
  private readonly flusher: Flusher;
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(memory: Memory) {
    this.memory = memory;
    this.flusher = new Flusher(memory);
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tick(): void {
    const { words } = this.memory.nodes[0];
    if (Atomics.load(words, L.H_STATE) !== L.STATE_OPEN) this.stop();
    else if (Atomics.load(words, L.H_FLUSHERS) === 0) this.run();
  }

  private run(): void {
    try {
      for (let step = 0; step < TICK_STEPS_MAX && this.flusher.step(); step++);
    } catch (error) {
      this.memory.latch(error);
      this.stop();
    }
  }
}
