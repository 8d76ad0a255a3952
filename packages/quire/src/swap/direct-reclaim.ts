/**
 * A thread that found no frame reclaims for itself, in bounded sweeps (reclaim-loop.ts). It compresses, drains the ring and
 * demotes; it never waits for kswapd, only, briefly, for pages that other threads are compressing or writing back at this
 * moment.
 */
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import { forgetWantedSegment } from './file-cleaner.ts';
import { pauseForOthers, type Quest, ROUND_GAINED, ROUND_NOTHING, reclaimUntil } from './reclaim-loop.ts';
import type { Reclaimer } from './reclaimer.ts';

/** True when at least `frames` may be allocated above the min watermark. */
export function reclaimDirect(reclaimer: Reclaimer, frames: number): boolean {
  const { counters, stalls } = reclaimer.node;
  stalls?.begin();
  try {
    counters[C.allocstall]++;
    forgetWantedSegment(reclaimer.node);
    reclaimer.beginSweeps();
    const isDone = reclaimUntil(new FrameQuest(reclaimer, frames));
    reclaimer.endSweeps(!isDone);
    return isDone;
  } finally {
    stalls?.end();
  }
}

class FrameQuest implements Quest {
  readonly words: Int32Array;
  private readonly reclaimer: Reclaimer;
  private readonly frames: number;

  constructor(reclaimer: Reclaimer, frames: number) {
    this.words = reclaimer.node.words;
    this.reclaimer = reclaimer;
    this.frames = frames;
  }

  round(): number {
    const outcome = this.reclaimer.directRound();
    // What was gained may be no frame yet: objects or raw pages that the one who demotes will take.
    const isOtherDemoting = outcome === ROUND_GAINED && Atomics.load(this.words, L.H_DEMOTE_BUSY) !== 0;
    if (isOtherDemoting && !this.hasRoom()) pauseForOthers(this.words);
    return outcome;
  }

  hasRoom(): boolean {
    return this.words[L.H_FREE_FRAMES] - this.frames >= this.words[L.H_WMARK_MIN];
  }

  waitForFiles(outcome: number): boolean {
    return (outcome === ROUND_NOTHING || this.reclaimer.isHeldByFiles) && this.reclaimer.waitForWriteback();
  }

  workOfOthers(): number {
    const { words } = this;
    return words[L.H_INFLIGHT] + Atomics.load(words, L.H_DEMOTE_BUSY);
  }
}
