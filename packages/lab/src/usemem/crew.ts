/**
 * Threads that begin a phase together and are waited for together, usemem's `-y -x`. They sleep on one word between
 * phases, so that no event loop is in the measured time.
 *
 *   PHASE   number of the phase under way: moves on when one begins
 *   DONE    threads that have ended it
 */
import type { Worker } from 'node:worker_threads';

export const PHASES = ['write', 'verify', 'free', 'end'] as const;
export type Phase = (typeof PHASES)[number];

const PHASE = 0;
const KIND = 1;
const DONE = 2;
const FAILED = 3;
const CONTROL_WORDS = 4;
/** Far longer than any phase: a thread that is not done by then has ended without a word. */
const PHASE_MS_MAX = 300_000;

export type CrewControl = Int32Array;

export function createControl(): CrewControl {
  return new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
}

/** Runs a phase in all `threads` and gives its time in µs. Blocks this thread. Throws when one of them failed. */
export function runPhase(control: CrewControl, threads: number, phase: Phase): number {
  Atomics.store(control, DONE, 0);
  Atomics.store(control, KIND, PHASES.indexOf(phase));
  const started = performance.now();
  // Pairs with the wait of serveCrew: kind and count are in place before the number moves.
  Atomics.add(control, PHASE, 1);
  Atomics.notify(control, PHASE);
  for (let done = 0; done < threads; done = Atomics.load(control, DONE)) {
    if (Atomics.wait(control, DONE, done, PHASE_MS_MAX) === 'timed-out') throw new Error(`${phase}: a thread hangs`);
  }
  const us = (performance.now() - started) * 1000;
  if (Atomics.load(control, FAILED) !== 0) throw new Error(`${phase}: a thread failed`);
  return us;
}

/** The life of one thread: phases until 'end'. What a phase throws is printed, and fails it for all. */
export function serveCrew(control: CrewControl, run: (phase: Phase) => void): void {
  for (let seen = 0; ; seen += 1) {
    Atomics.wait(control, PHASE, seen);
    const phase = PHASES[Atomics.load(control, KIND)];
    try {
      if (phase !== 'end') run(phase);
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      Atomics.store(control, FAILED, 1);
    }
    Atomics.add(control, DONE, 1);
    Atomics.notify(control, DONE);
    if (phase === 'end') return;
  }
}

/** Resolves when the thread says that it is ready; rejects when it ends before. */
export function readyOf(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('a thread ended before it was ready')));
  });
}
