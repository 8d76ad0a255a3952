/**
 * Reclaim from inside, for `lab s5`: kswapd is asked for more frames than its marks say, so that a batch of reclaim can be
 * timed while nobody writes; the counters of all threads are read without a call of `stats()`; and one thread's own rounds
 * of reclaim are taken apart into scanning and compressing by timing the kernels it calls.
 */
import type { QuireInstance } from '../quire.ts';
import { importInside, memoryOf } from '../quire-internals.ts';

type Kernel = Record<string, ((...args: number[]) => number) | undefined> & { zstd?: ZstdKernel };
type ZstdKernel = { compress(...args: number[]): number; decompress(...args: number[]): number };

interface ReclaimNode {
  readonly words: Int32Array;
  kernel: Kernel;
  readonly counters: Float64Array;
  wakeDaemons(): void;
}

interface ReclaimMemory {
  readonly nodes: readonly ReclaimNode[];
  readonly reclaimers: readonly { round(queue: boolean, direct: boolean): boolean }[];
}

interface Modules {
  readonly H_FREE_FRAMES: number;
  readonly H_INFLIGHT: number;
  readonly H_INFLIGHT_PEAK: number;
  readonly H_KSWAPD_WAKE: number;
  readonly H_RING_ENTRIES: number;
  readonly H_WMARK_BOOST: number;
  readonly H_WMARK_COPY: number;
  readonly H_WMARK_HIGH: number;
  readonly C: Readonly<Record<string, number>>;
  readonly sumCounter: (node: ReclaimNode, counter: number) => number;
}

/** ns of one thread's reclaim, by what they went into. */
export interface ReclaimSplit {
  readonly pages: number;
  readonly totalNs: number;
  readonly compressNs: number;
  readonly sameFilledNs: number;
  /** Copies of compressed bytes into the pool, under the lock. */
  readonly storeNs: number;
}

const NS_PER_MS = 1e6;

export class ReclaimDoor {
  readonly #modules: Modules;
  readonly #memory: ReclaimMemory;

  private constructor(modules: Modules, memory: ReclaimMemory) {
    this.#modules = modules;
    this.#memory = memory;
  }

  static async of(quire: QuireInstance): Promise<ReclaimDoor> {
    const modules = await importInside<Modules>(['arena/layout.js', 'base/counters.js', 'vm/thread-slot.js']);
    return new ReclaimDoor(modules, memoryOf<ReclaimMemory>(quire));
  }

  get #words(): Int32Array {
    return this.#memory.nodes[0].words;
  }

  get ringEntries(): number {
    return this.#words[this.#modules.H_RING_ENTRIES];
  }

  get inflightPeak(): number {
    return this.#words[this.#modules.H_INFLIGHT_PEAK];
  }

  /** From here on the peak counts anew. */
  resetPeak(): void {
    this.#words[this.#modules.H_INFLIGHT_PEAK] = 0;
  }

  /** No clean copies are made ahead of need: what is to be reclaimed has to be compressed then. */
  switchCopiesOff(): void {
    this.#words[this.#modules.H_WMARK_COPY] = 0;
  }

  counter(name: string): number {
    return this.#modules.sumCounter(this.#memory.nodes[0], this.#modules.C[name]);
  }

  /** A counter of the calling thread alone. */
  ownCounter(name: string): number {
    return this.#memory.nodes[0].counters[this.#modules.C[name]];
  }

  /** kswapd reclaims until `frames` more are free than now. */
  askKswapd(frames: number): void {
    const { H_FREE_FRAMES, H_WMARK_BOOST, H_WMARK_HIGH, H_KSWAPD_WAKE } = this.#modules;
    this.#words[H_WMARK_BOOST] = Math.max(0, this.#words[H_FREE_FRAMES] + frames - this.#words[H_WMARK_HIGH]);
    Atomics.store(this.#words, H_KSWAPD_WAKE, 1);
    this.#memory.nodes[0].wakeDaemons();
  }

  /** Its marks hold again; resolves when nothing is in flight. */
  async calmKswapd(): Promise<void> {
    const { H_WMARK_BOOST, H_INFLIGHT } = this.#modules;
    this.#words[H_WMARK_BOOST] = 0;
    while (Atomics.load(this.#words, H_INFLIGHT) > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  /** Rounds as kswapd makes them, on this thread, until `pages` are out; each kernel call is timed. */
  splitOf(pages: number): ReclaimSplit {
    const [node] = this.#memory.nodes;
    const [reclaimer] = this.#memory.reclaimers;
    const spent = { compress: 0, isSameFilled: 0, copy: 0 };
    const plain = node.kernel;
    const timed = <T extends (...args: number[]) => number>(name: keyof typeof spent, call: T) => {
      return (...args: number[]) => {
        const start = performance.now();
        const result = call(...args);
        spent[name] += performance.now() - start;
        return result;
      };
    };
    const wrapped: Kernel = { ...plain };
    for (const name of Object.keys(spent) as (keyof typeof spent)[]) {
      const call = plain[name];
      if (call !== undefined) wrapped[name] = timed(name, call);
    }
    const { zstd } = plain;
    if (zstd !== undefined) {
      wrapped.zstd = {
        compress: timed('compress', (...args) => zstd.compress(...args)),
        decompress: (...args) => zstd.decompress(...args),
      };
    }
    const target = this.counter('pswpout') + pages;
    const start = performance.now();
    try {
      node.kernel = wrapped;
      while (this.counter('pswpout') < target && reclaimer.round(true, false));
    } finally {
      node.kernel = plain;
    }
    return {
      pages: this.counter('pswpout') - target + pages,
      totalNs: (performance.now() - start) * NS_PER_MS,
      compressNs: spent.compress * NS_PER_MS,
      sameFilledNs: spent.isSameFilled * NS_PER_MS,
      storeNs: spent.copy * NS_PER_MS,
    };
  }
}
