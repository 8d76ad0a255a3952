/**
 * When reclaim ends, for a thread that was refused a page: the loop that direct reclaim and reclaim at a group's limit
 * share. They differ in where they look and in what is room enough.
 *
 * Looking is bounded by sweeps, not by rounds: a round looks at some hundred pages, and a node or group may have a million.
 * A sweep is three looks for each page that was on the lists when it began, and then everything else that can make room:
 * the ring, compaction of the pool, the file tier, writeback. Each look takes touch marks back. Where pages that have to
 * stay go round between the lists, one that was touched comes to be looked at idle within two sweeps.
 *
 *   gained     something went or moved                          sweeps begin anew; 4,096 such rounds in all
 *   tried      pages were compressed and came back              goes on; counts towards the 4,096
 *   looked     marks were taken back, or pages turned raw       goes on, uncounted: the sweep ends by itself
 *   nothing    a whole sweep without a gain: it was vain        others at work: wait until that has changed, then sweep again
 *                                                               nobody: the second such sweep since the last gain is the last
 *
 * So memory is full when two sweeps in a row were vain and no other thread had pages in flight, demoted, or wrote files
 * back at the end of either (the kernel: no_progress_loops, MAX_RECLAIM_RETRIES). What others may free meanwhile is seen
 * as room. Waits have one allowance for the whole call, and the sweeps between them use it up too.
 */
import * as L from '../arena/layout.ts';
import { assert } from '../base/assert.ts';

/** What a round came to (reclaimer.ts). */
export const ROUND_NOTHING = 0;
export const ROUND_LOOKED = 1;
export const ROUND_TRIED = 2;
export const ROUND_GAINED = 3;

/**
 * Sweeps in vain with nobody else at work. Two: the first may have missed what another thread let go of behind it, and
 * a page among many that have to stay takes four looks (see above).
 */
const IDLE_SWEEPS_MAX = 2;
/**
 * Rounds that gained or tried something: other threads may take all that is gained, and pages that come back from
 * compression cost some 5 µs each, so that alone must not go on for ever.
 */
const ROUNDS_MAX = 4096;
/** Pauses in one call: with PAUSE_MS some 50 ms, far longer than a batch takes. */
const PAUSES_MAX = 1000;
/** Rounds of sweeps between pauses that count as one more: some 2 ms of looking. */
const ROUNDS_A_PAUSE = 512;
/** As long as a compressed batch or a write of the demoter takes. */
const PAUSE_MS = 0.05;
/** Waits for dirty pages of files that another thread is writing back: of 10 ms each, 10 s of a device that is slow, as for a lock. */
const FILE_WAITS_MAX = 1000;

/** What one call of reclaim is for, and where it looks. */
export interface Quest {
  /** Of a node that is looked at. */
  readonly words: Int32Array;
  /** One round. Returns a ROUND_ code; ROUND_NOTHING ends a sweep, which comes after finitely many others. */
  round(): number;
  /** Is there what was asked for? */
  hasRoom(): boolean;
  /** Waits a little where a round that came to `outcome` depends on files being written back. False when it does not. */
  waitForFiles(outcome: number): boolean;
  /** 0 while no other thread has anything under way that may make room. Another value once it has got on. */
  workOfOthers(): number;
}

/** True once there is room, false when reclaim was vain. */
export function reclaimUntil(quest: Quest): boolean {
  let counted = 0;
  let looked = 0;
  let idleSweeps = 0;
  let pauses = 0;
  let fileWaits = 0;
  while (counted < ROUNDS_MAX) {
    const outcome = quest.round();
    if (quest.hasRoom()) return true;
    if (outcome === ROUND_GAINED || outcome === ROUND_TRIED) counted++;
    if (outcome === ROUND_GAINED) {
      idleSweeps = 0;
      looked = 0;
    } else if (fileWaits < FILE_WAITS_MAX && quest.waitForFiles(outcome)) {
      fileWaits++;
      idleSweeps = 0;
    } else if (outcome !== ROUND_NOTHING) looked++;
    else {
      const work = quest.workOfOthers();
      if (work === 0 && ++idleSweeps >= IDLE_SWEEPS_MAX) return false;
      if (work === 0) continue;
      pauses = waitForOthers(quest, work, pauses + Math.floor(looked / ROUNDS_A_PAUSE));
      if (pauses >= PAUSES_MAX) return quest.hasRoom();
      idleSweeps = 0;
      looked = 0;
    }
  }
  return false;
}

/** Pauses until there is room or others have got on. Returns how many pauses that makes, with those before. */
function waitForOthers(quest: Quest, work: number, before: number): number {
  assert(work > 0, 'others are at work', work);
  let pauses = before;
  do {
    pauseForOthers(quest.words);
    pauses++;
  } while (pauses < PAUSES_MAX && !quest.hasRoom() && quest.workOfOthers() === work);
  return pauses;
}

/**
 * Lets the threads that are at work get on. Nobody notifies this word while it is waited for by value: the time limit is
 * the point.
 */
export function pauseForOthers(words: Int32Array): void {
  Atomics.wait(words, L.H_STATE, 0, PAUSE_MS);
}
