/**
 * kswapd: frees leaves that wait for it, unless somebody is at it (swap/detached-leaves.ts), and keeps free frames between the low and high watermarks
 * (balance_pgdat).
 *
 *   sleeping ──allocation at or below low sets the wake word──► balancing
 *   balancing ──free + in flight ≥ high + boost──► sleeping          boost: room for compaction (compaction/ask-kcompactd.ts)
 *   balancing ──no progress──► sleeping, wake word left set: tried again at the runner's next timeout
 */
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import { detachedState, freeDetachedSome, hasDetached, isSomebodyDetaching } from '../swap/detached-leaves.ts';
import type { Reclaimer } from '../swap/reclaimer.ts';
import type { Daemon } from './daemon.ts';

/**
 * So often it finds somebody at work on the leaves, and nothing done, before it does not believe that any more: a thread that died
 * there where nobody can tell, or one that is stopped. Asleep, it looks ten times a second.
 */
const LOOKS_MAX = 16;

export class Kswapd implements Daemon {
  readonly name = 'kswapd';
  private readonly reclaimer: Reclaimer;
  /** As it was at the last look, and looks since it changed. */
  private leaves = -1;
  private looks = 0;

  constructor(reclaimer: Reclaimer) {
    this.reclaimer = reclaimer;
  }

  step(): boolean {
    const { node } = this.reclaimer;
    const { words } = node;
    if (hasDetached(node) && this.freeLeaves()) return true;
    if (Atomics.load(words, L.H_KSWAPD_WAKE) === 0) return false;
    if (words[L.H_FREE_FRAMES] + words[L.H_INFLIGHT] >= words[L.H_WMARK_HIGH] + words[L.H_WMARK_BOOST]) {
      Atomics.store(words, L.H_KSWAPD_WAKE, 0);
      return false;
    }
    node.counters[C.pageoutrun]++;
    return this.reclaimer.round(true, false);
  }

  private freeLeaves(): boolean {
    const { node } = this.reclaimer;
    if (!isSomebodyDetaching(node)) {
      this.looks = 0;
      return freeDetachedSome(node);
    }
    const leaves = detachedState(node);
    this.looks = leaves === this.leaves ? this.looks + 1 : 0;
    const isFreed = this.looks >= LOOKS_MAX && freeDetachedSome(node);
    this.leaves = detachedState(node); // what it freed itself is no sign of life
    return isFreed;
  }
}
