/** Quire's side of the usemem run: one child for all rounds of a number of threads (usemem/quire-child.ts). */
import { type Child, startNodeChild } from '../child.ts';
import { builtFile } from '../paths.ts';
import type { UsememChildArgs, UsememPhase } from './quire-child.ts';

export type Stats = Readonly<Record<string, number>>;

export interface QuireRound {
  readonly writeUs: number;
  readonly freeUs: number;
  /** From the same moment until every page and slot had come back: the call leaves whole chunks to kswapd. */
  readonly freeDoneUs: number;
  /** Time of processors, of all threads together. */
  readonly writeCpuUs: number;
  readonly freeCpuUs: number;
  /** `stats()` when everything was written, and when it was freed. Counters run on from round to round. */
  readonly written: Stats;
  readonly freed: Stats;
}

export class QuireUsemem {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** Starts the child and lets it run one round, verified and not timed. Throws ColumnAbsent when there is no Quire. */
  static async start(column: string, args: UsememChildArgs): Promise<QuireUsemem> {
    const usemem = new QuireUsemem(startNodeChild(builtFile('usemem/quire-child.js'), args));
    try {
      await usemem.#child.ready(column);
      await usemem.#child.phase('write');
      await usemem.#child.phase('verify');
      await usemem.#child.phase('free');
      return usemem;
    } catch (error) {
      await usemem.kill();
      throw error;
    }
  }

  async round(): Promise<QuireRound> {
    const write = await this.#child.phase<UsememPhase>('write');
    const free = await this.#child.phase<UsememPhase>('free');
    const [writeCpuUs, freeCpuUs] = [write.cpuUs, free.cpuUs];
    return {
      writeUs: write.us,
      freeUs: free.us,
      freeDoneUs: free.doneUs,
      writeCpuUs,
      freeCpuUs,
      written: write.stats,
      freed: free.stats,
    };
  }

  async end(): Promise<void> {
    await this.#child.end();
  }

  async kill(): Promise<void> {
    await this.#child.kill();
  }
}
