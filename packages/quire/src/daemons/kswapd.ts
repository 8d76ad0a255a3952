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
import { freeDetachedSome, hasDetached, isSomebodyDetaching } from '../swap/detached-leaves.ts';
import type { Reclaimer } from '../swap/reclaimer.ts';
import type { Daemon } from './daemon.ts';

export class Kswapd implements Daemon {
  readonly name = 'kswapd';
  private readonly reclaimer: Reclaimer;

  constructor(reclaimer: Reclaimer) {
    this.reclaimer = reclaimer;
  }

  step(): boolean {
    const { node } = this.reclaimer;
    const { words } = node;
    if (hasDetached(node) && !isSomebodyDetaching(node) && freeDetachedSome(node)) return true;
    if (Atomics.load(words, L.H_KSWAPD_WAKE) === 0) return false;
    if (words[L.H_FREE_FRAMES] + words[L.H_INFLIGHT] >= words[L.H_WMARK_HIGH] + words[L.H_WMARK_BOOST]) {
      Atomics.store(words, L.H_KSWAPD_WAKE, 0);
      return false;
    }
    node.counters[C.pageoutrun]++;
    return this.reclaimer.round(true, false);
  }
}
