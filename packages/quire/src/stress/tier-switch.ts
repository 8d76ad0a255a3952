/** Adds and removes a second file tier, and takes the compressed one out of use for a while, as long as the workers are at work. */
import type { Quire } from '../api/quire.ts';
import { QuireError } from '../base/errors.ts';
import type { Random } from '../simulator/random.ts';

/** Longest time a file is in use before it is to go, and a removal may take before it is called off. */
const IN_USE_MS = 200;
const ABORT_MS = 40;
const ADDED_MAX = 3;

export class TierSwitch {
  private readonly quire: Quire;
  private readonly random: Random;
  private readonly fileBytes: number;
  private readonly counts: Record<string, number>;
  private readonly added: string[] = [];

  constructor(quire: Quire, random: Random, fileBytes: number, counts: Record<string, number>) {
    this.quire = quire;
    this.random = random;
    this.fileBytes = fileBytes;
    this.counts = counts;
    for (const name of ['swapons', 'swapoffs', 'swapoffs_aborted', 'swapoffs_refused']) counts[name] = 0;
  }

  /** Returns what went wrong. */
  async run(mayRun: () => boolean): Promise<string[]> {
    try {
      while (mayRun()) await this.turn();
      return [];
    } catch (error) {
      return [`tiers: ${error instanceof Error ? error.stack : String(error)}`];
    }
  }

  private async turn(): Promise<void> {
    const { quire, random } = this;
    if (this.added.length < ADDED_MAX) {
      this.added.push(await quire.swapon({ tier: 'file', size: this.fileBytes, priority: random.below(3) }));
      this.counts['swapons']++;
    }
    await sleep(random.below(IN_USE_MS));
    if (random.chance(0.3) && (await this.off('compressed'))) {
      await sleep(random.below(IN_USE_MS));
      await quire.swapon({ tier: 'compressed' });
    }
    const oldest = this.added[0];
    if (oldest !== undefined && (await this.off(oldest))) this.added.shift();
  }

  /** True when the tier is off. */
  private async off(name: string): Promise<boolean> {
    const isShort = this.random.chance(0.4);
    const signal = AbortSignal.timeout(isShort ? this.random.below(ABORT_MS) : 20_000);
    try {
      const { pagesLost } = await this.quire.swapoff(name, { signal });
      if (pagesLost > 0) throw new Error(`${pagesLost} pages lost on a good device`);
      this.counts['swapoffs']++;
      return true;
    } catch (error) {
      if (signal.aborted && error === signal.reason) this.counts['swapoffs_aborted']++;
      else if (error instanceof QuireError && error.code === 'ERR_QUIRE_SWAP_FULL') this.counts['swapoffs_refused']++;
      else throw error;
      return false;
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
