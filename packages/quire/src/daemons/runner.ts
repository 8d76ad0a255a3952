/**
 * Runners drive daemons. The inline runner is polled by the thread that uses the instance (`threads: 0`, tests). The
 * worker loop owns its thread and sleeps on an event word of node 0:
 *
 *   seen = EVENTS;  step all;  nothing done → SLEEPERS += 1, wait while EVENTS = seen, SLEEPERS −= 1
 *
 * The waker adds to EVENTS before it looks at SLEEPERS, the sleeper adds to SLEEPERS before the wait compares EVENTS:
 * one of them sees the other. kswapd, kcompressd and kcompactd each have such words of their own, so that one of them
 * can be woken without the others; the flusher sleeps on its wake word (flusher.ts).
 */
import * as L from '../arena/layout.ts';
import type { FileAhead } from '../arena/node.ts';
import type { Memory } from '../vm/memory.ts';
import type { Daemon } from './daemon.ts';
import { Flusher } from './flusher.ts';
import { Kcompactd } from './kcompactd.ts';
import { Kcompressd } from './kcompressd.ts';
import { Kcopyd } from './kcopyd.ts';
import { Kswapd } from './kswapd.ts';
import { Kswapoff } from './kswapoff.ts';
import { Ktrim } from './ktrim.ts';
import { Prefault } from './prefault.ts';

/** Longest sleep: what a daemon that found no progress waits before it tries again. */
const SLEEP_MS_MAX = 100;
/** Steps an inline poll may take: keeps the caller's delay near that of one direct reclaim. */
const INLINE_STEPS_MAX = 4;
/** Steps of kcompactd: some frames moved each, so about what one block takes. */
const INLINE_COMPACT_STEPS_MAX = 64;

export class InlineRunner {
  private readonly daemons: Daemon[];
  private readonly words: Int32Array[];
  private readonly flusher: Flusher;
  private readonly compactors: Kcompactd[];
  private readonly trimmer: Ktrim;
  private readonly ahead: FileAhead;

  constructor(memory: Memory) {
    this.flusher = new Flusher(memory);
    this.ahead = memory.nodes[0].ahead;
    this.trimmer = new Ktrim(memory);
    this.compactors = memory.nodes.map((node) => new Kcompactd(node));
    this.daemons = memory.reclaimers.map((reclaimer) => new Kswapd(reclaimer));
    this.words = memory.nodes.map((node) => node.words);
  }

  /** Some steps, when an allocation asked for them. */
  poll(): void {
    for (let n = 0; n < this.daemons.length; n++) {
      if (Atomics.load(this.words[n], L.H_KSWAPD_WAKE) === 0) continue;
      for (let step = 0; step < INLINE_STEPS_MAX && this.daemons[n].step(); step++);
    }
    if (Atomics.load(this.words[0], L.H_KCOMPACTDS) === 0) this.compact();
    if (Atomics.load(this.words[0], L.H_FLUSHER_WAKE) !== 0) this.flusher.step();
    if (Atomics.load(this.words[0], L.H_TRIM_WANTED) !== 0 && !this.isInAsyncCall()) this.trimmer.step();
  }

  /** One that must not wait for the device (vm/no-wait.ts): the trimmer reads what it moves. It is asked again by a later poll. */
  private isInAsyncCall(): boolean {
    return this.ahead.noWait;
  }

  /** Between two polls nothing is held: the program may end without another one. */
  private compact(): void {
    for (let n = 0; n < this.compactors.length; n++) {
      if (Atomics.load(this.words[n], L.H_KCOMPACTD_WAKE) === 0) continue;
      let steps = 0;
      while (steps < INLINE_COMPACT_STEPS_MAX && this.compactors[n].step()) steps++;
      if (steps === INLINE_COMPACT_STEPS_MAX) this.compactors[n].stop();
    }
  }
}

/**
 * kswapd until STOP. It scans while frames are wanted. What the ring does not take it compresses itself, and with nothing
 * to scan for it touches memory ahead of its use and helps to empty the ring. Tiers that are taken out of use are emptied beside that, step by step, and threads
 * that ended are looked for.
 */
export function runKswapd(memory: Memory, reaper: Daemon): void {
  const scanners = memory.reclaimers.map((reclaimer) => new Kswapd(reclaimer));
  const compress = compressionOf(memory);
  const emptier = new Kswapoff(memory);
  const trimmer = new Ktrim(memory);
  const prefaults = memory.nodes.map((node) => new Prefault(node));
  const step = (): boolean => {
    const isScanning = stepAll(scanners);
    reaper.step();
    // Before copies are made: those grow the pool, and its new frames should have been touched by then.
    return emptier.step() || isScanning || stepAll(prefaults) || compress() || trimmer.step();
  };
  runOnEvents(memory, step, L.H_EVENTS, L.H_SLEEPERS);
}

/** A thread of kcompressd until STOP. */
export function runKcompressd(memory: Memory): void {
  runOnEvents(memory, compressionOf(memory), L.H_KCOMPRESSD_EVENTS, L.H_KCOMPRESSD_SLEEPERS);
}

/** One step of compression: the rings of all nodes in turn, and, with nothing in them, copies ahead of need. */
function compressionOf(memory: Memory): () => boolean {
  const rings = memory.reclaimers.map((reclaimer) => new Kcompressd(reclaimer));
  const copiers = memory.nodes.map((node) => new Kcopyd(node));
  return () => stepAll(rings) || stepAll(copiers);
}

/** True when one of them had something to do. */
function stepAll(daemons: readonly Daemon[]): boolean {
  let busy = false;
  for (const daemon of daemons) if (daemon.step()) busy = true;
  return busy;
}

/** Runs `step` until STOP, asleep on an event word while it says that there is nothing to do. */
function runOnEvents(memory: Memory, step: () => boolean, eventsAt: number, sleepersAt: number): void {
  const home = memory.nodes[0].words;
  while (mayRun(home)) {
    const seen = Atomics.load(home, eventsAt);
    if (step()) continue;
    Atomics.add(home, sleepersAt, 1);
    Atomics.wait(home, eventsAt, seen, SLEEP_MS_MAX);
    Atomics.sub(home, sleepersAt, 1);
  }
}

/** Runs kcompactd of every node until STOP. */
export function runKcompactd(memory: Memory): void {
  const daemons = memory.nodes.map((node) => new Kcompactd(node));
  runOnEvents(memory, () => stepAll(daemons), L.H_KCOMPACTD_EVENTS, L.H_KCOMPACTD_SLEEPERS);
  // What it had taken of a block goes back; after a failure nobody may touch anything.
  if (Atomics.load(memory.nodes[0].words, L.H_STATE) === L.STATE_OPEN) for (const daemon of daemons) daemon.stop();
}

/** Runs the flusher until STOP. */
export function runFlusher(memory: Memory, flusher: Flusher): void {
  const home = memory.nodes[0].words;
  while (mayRun(home)) {
    if (flusher.step()) continue;
    // Looked at once more: the wake word that came with STOP may have been cleared by the step.
    if (mayRun(home)) Atomics.wait(home, L.H_FLUSHER_WAKE, 0, flusher.sleepMs());
  }
}

function mayRun(home: Int32Array): boolean {
  return Atomics.load(home, L.H_STOP) === 0 && Atomics.load(home, L.H_STATE) === L.STATE_OPEN;
}
