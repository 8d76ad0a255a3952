/**
 * A thread that found no frame reclaims for itself, in bounded rounds. It compresses, drains the ring and demotes; it
 * never waits for kswapd, only, briefly, for pages that other threads are compressing or writing back at this moment.
 */
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import type { Reclaimer } from './reclaimer.ts';

/**
 * Rounds without any progress, nothing in flight, nobody demoting: memory counts as full. Two, because the first may
 * have missed what another thread just freed.
 */
const IDLE_ROUNDS_MAX = 2;
/** Rounds that wait for other threads' pages in flight: with WAIT_MS some 50 ms, far longer than a batch takes. */
const WAITING_ROUNDS_MAX = 1000;
/**
 * Rounds in all: raw pages and busy demoters count as progress without freeing a frame, so that alone must not go on
 * for ever.
 */
const ROUNDS_MAX = 4096;
/** As long as a compressed batch or a write of the demoter takes. */
const WAIT_MS = 0.05;
/** Waits for dirty pages of files that another thread is writing back: 10 s of a device that is slow, as for a lock. */
const WRITEBACK_WAITS_MAX = 1000;
const WRITEBACK_WAIT_MS = 10;

/** True when at least `frames` may be allocated above the min watermark. */
export function reclaimDirect(reclaimer: Reclaimer, frames: number): boolean {
  const { stalls } = reclaimer.node;
  stalls?.begin();
  try {
    return reclaimUntil(reclaimer, frames);
  } finally {
    stalls?.end();
  }
}

function reclaimUntil(reclaimer: Reclaimer, frames: number): boolean {
  const { node } = reclaimer;
  const { words } = node;
  node.counters[C.allocstall]++;
  let idle = 0;
  let waited = 0;
  let waitedForFiles = 0;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const progress = reclaimer.round(false, true);
    if (words[L.H_FREE_FRAMES] - frames >= words[L.H_WMARK_MIN]) return true;
    const isHeld = !progress || reclaimer.isHeldByFiles;
    if (isHeld && waitedForFiles < WRITEBACK_WAITS_MAX && waitForWriteback(words)) {
      waitedForFiles++;
      idle = 0;
      continue;
    }
    const othersAtWork = Atomics.load(words, L.H_DEMOTE_BUSY) !== 0 || words[L.H_INFLIGHT] > 0;
    if (progress) idle = 0;
    else if (!othersAtWork && ++idle >= IDLE_ROUNDS_MAX) return false;
    if (!othersAtWork) continue;
    if (!progress && ++waited > WAITING_ROUNDS_MAX) return false;
    if (!progress || Atomics.load(words, L.H_DEMOTE_BUSY) !== 0) pauseForOthers(words);
  }
  return false;
}

/** Another thread is writing pages of files back: when it has, they can go. False when nobody is. */
export function waitForWriteback(words: Int32Array): boolean {
  const pages = Atomics.load(words, L.H_PC_WRITEBACK);
  if (pages === 0) return false;
  // Pairs with the notify at the end of a batch (page-cache/writeback.ts).
  Atomics.wait(words, L.H_PC_WRITEBACK, pages, WRITEBACK_WAIT_MS);
  return true;
}

/**
 * Lets the threads that hold pages in flight get on. Nobody notifies this word while it is waited for by value: the
 * time limit is the point.
 */
export function pauseForOthers(words: Int32Array): void {
  Atomics.wait(words, L.H_STATE, 0, WAIT_MS);
}
