/**
 * kcompressd: takes isolated pages from the ring in batches, compresses and publishes them. One lock to take a batch,
 * one to publish it, which frees its frames. Any number may run; the ring is bounded, so the memory in flight is too.
 */
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

  /** A ring that holds only stale entries is emptied, which counts as work. */
  step(): boolean {
    if (ringLength(this.reclaimer.node) === 0) return false;
    this.reclaimer.drainRing(COMPRESS_BATCH, false);
    return true;
  }
}
