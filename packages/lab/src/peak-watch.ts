/** The memory of a host column over time: what is resident in its cgroup plus what zram took for the rest. */
import type { HostSwap } from './host-swap.ts';

/** Short beside any phase, long beside the cost of a look. */
const SAMPLE_MS = 20;
/** Often enough against the lag of two seconds described at Cgroup.refreshCounters, rare enough to cost nothing. */
const REFRESH_MS = 250;

/** The moment of the largest total of resident and compressed bytes. */
export interface HostPeak {
  readonly residentBytes: number;
  readonly compressedBytes: number;
  readonly totalBytes: number;
}

/** Samples the total of resident and compressed bytes and keeps the largest. */
export class PeakWatch {
  peak: HostPeak = { residentBytes: 0, compressedBytes: 0, totalBytes: 0 };
  readonly #swap: HostSwap;
  readonly #timers: readonly NodeJS.Timeout[];

  constructor(swap: HostSwap) {
    this.#swap = swap;
    const refresh = () => swap.cgroup.refreshCounters();
    this.#timers = [setInterval(() => this.look(), SAMPLE_MS), setInterval(refresh, REFRESH_MS)];
  }

  look(): void {
    const { residentBytes, compressedBytes } = this.#swap.usage();
    const totalBytes = residentBytes + compressedBytes;
    if (totalBytes > this.peak.totalBytes) this.peak = { residentBytes, compressedBytes, totalBytes };
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}
