/**
 * What more threads could gain at most on this machine now: processes that share nothing compress, one alone and several at
 * once, and their rates are compared. Processors of a virtual machine may be halves of a core, or somebody else's for a while.
 */
import { type Child, startNodeChild } from '../child.ts';
import { builtFile } from '../paths.ts';
import type { Compressed, CoreLimitArgs } from './core-limit-child.ts';

const TIMED_MS = 500;

export class CoreLimit {
  readonly #children: readonly Child[];

  private constructor(children: readonly Child[]) {
    this.#children = children;
  }

  static async start(corpusFile: string, processes: number): Promise<CoreLimit> {
    const children: Child[] = [];
    const limit = new CoreLimit(children);
    try {
      for (let seed = 0; seed < processes; seed += 1) {
        const args: CoreLimitArgs = { corpusFile, seed };
        children.push(startNodeChild(builtFile('s5/core-limit-child.js'), args));
      }
      for (const child of children) await child.ready('limit of the cores');
      for (const child of children) await child.phase(`compress ${TIMED_MS}`);
    } catch (error) {
      await limit.end();
      throw error;
    }
    return limit;
  }

  /** Pages a second of all at once over those of one alone, measured before and after. */
  async measure(): Promise<number> {
    const before = await this.#rate(1);
    const together = await this.#rate(this.#children.length);
    const after = await this.#rate(1);
    return together / ((before + after) / 2);
  }

  async #rate(processes: number): Promise<number> {
    const running = this.#children.slice(0, processes).map((child) => child.phase<Compressed>(`compress ${TIMED_MS}`));
    const all = await Promise.all(running);
    return all.reduce((sum, { pages, ms }) => sum + pages / ms, 0);
  }

  async end(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.kill()));
  }
}
