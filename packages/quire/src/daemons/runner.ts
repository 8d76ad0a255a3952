/**
 * Runners drive daemons. The inline runner is polled by the thread that uses the instance (`threads: 0`, tests). The
 * worker loop owns its thread and sleeps on the event word of node 0:
 *
 *   seen = EVENTS;  step all;  nothing done → SLEEPERS += 1, wait while EVENTS = seen, SLEEPERS −= 1
 *
 * The waker adds to EVENTS before it looks at SLEEPERS, the sleeper adds to SLEEPERS before the wait compares EVENTS:
 * one of them sees the other.
 */
import * as L from '../arena/layout.ts';
import { COMPRESS_BATCH } from '../swap/reclaimer.ts';
import { ringLength } from '../swap/ring.ts';
import type { Memory } from '../vm/memory.ts';
import type { Daemon } from './daemon.ts';
import { Kcompressd } from './kcompressd.ts';
import { Kswapd } from './kswapd.ts';

/** Longest sleep: what a daemon that found no progress waits before it tries again. */
const SLEEP_MS_MAX = 100;
/** Steps an inline poll may take: keeps the caller's delay near that of one direct reclaim. */
const INLINE_STEPS_MAX = 4;

export class InlineRunner {
  private readonly daemons: Daemon[];
  private readonly words: Int32Array[];

  constructor(memory: Memory) {
    this.daemons = memory.reclaimers.map((reclaimer) => new Kswapd(reclaimer));
    this.words = memory.nodes.map((node) => node.words);
  }

  /** Some steps, when an allocation asked for them. */
  poll(): void {
    for (let n = 0; n < this.daemons.length; n++) {
      if (Atomics.load(this.words[n], L.H_KSWAPD_WAKE) === 0) continue;
      for (let step = 0; step < INLINE_STEPS_MAX && this.daemons[n].step(); step++);
    }
  }
}

/** Runs until STOP. `scan`: this worker is kswapd too; every worker compresses. */
export function runDaemons(memory: Memory, scan: boolean): void {
  const home = memory.nodes[0].words;
  const scanners = scan ? memory.reclaimers.map((reclaimer) => new Kswapd(reclaimer)) : [];
  const compressors = memory.reclaimers.map((reclaimer) => new Kcompressd(reclaimer));
  while (Atomics.load(home, L.H_STOP) === 0 && Atomics.load(home, L.H_STATE) === L.STATE_OPEN) {
    const seen = Atomics.load(home, L.H_EVENTS);
    let busy = false;
    for (let n = 0; n < compressors.length; n++) {
      // A worker that is both keeps the ring shallow: it scans only when little is left to compress.
      if (scan && ringLength(memory.nodes[n]) < COMPRESS_BATCH && scanners[n].step()) busy = true;
      if (compressors[n].step()) busy = true;
    }
    if (busy) continue;
    Atomics.add(home, L.H_SLEEPERS, 1);
    Atomics.wait(home, L.H_EVENTS, seen, SLEEP_MS_MAX);
    Atomics.sub(home, L.H_SLEEPERS, 1);
  }
}
