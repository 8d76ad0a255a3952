/**
 * kcompressd: takes isolated pages from the ring in batches, compresses and publishes them. One lock to take a batch,
 * one to publish it. Any number may run; the ring is bounded, so the memory in flight is too.
 */
import * as L from '../arena/layout.ts';
import { C } from '../base/counters.ts';
import type { Reclaimer } from '../swap/reclaimer.ts';
import { ringLength } from '../swap/ring.ts';
import { COMPRESS_BATCH } from '../swap/swap-out.ts';
import type { Daemon } from './daemon.ts';

export class Kcompressd implements Daemon {
  readonly name = 'kcompressd';
  private readonly reclaimer: Reclaimer;

  constructor(reclaimer: Reclaimer) {
    this.reclaimer = reclaimer;
  }

  step(): boolean {
    const { node } = this.reclaimer;
    if (ringLength(node) === 0) {
      // Cleared before the second look: a push after it sets the word again and counts an event.
      Atomics.store(node.words, L.H_KCOMPRESSD_WAKE, 0);
      if (ringLength(node) === 0) return false;
    }
    node.counters[C.kcompressd_pages] += this.reclaimer.drainRing(COMPRESS_BATCH);
    return true;
  }
}
