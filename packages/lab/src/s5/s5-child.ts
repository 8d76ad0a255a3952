/**
 * One instance of `lab s5`: memory is filled first, by pages that nobody writes or reads any more, and then reclaim is
 * asked for a number of them and timed, so that it alone uses the processors. The thread that waits sleeps.
 *
 *   reclaim P   kswapd and its threads take P pages out
 *   split P     this thread takes P pages out, its kernels timed (an instance without threads)
 *   write P     P fresh pages into full memory: how long the writer waits for reclaim
 *
 * Three tenths of the pages are reclaimed before anything is timed, in which V8 compiles the daemons' code. Pages are read back
 * and compared at the end.
 */
import { WrongAnswer } from '../benchmark.ts';
import { serveParent } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { openQuire, type QuireInstance, type QuireRegion } from '../quire.ts';
import { fmix32 } from '../rng.ts';
import { percentile } from '../stats.ts';
import { between, ranMs, threadIds, threadTime } from '../thread-time.ts';
import { PageSource, type S5Data } from './page-source.ts';
import { ReclaimDoor, type ReclaimSplit } from './reclaim-door.ts';

export type S5Codec = 'lz4' | 'zstd';

export interface S5ChildArgs {
  readonly corpusFile: string;
  readonly data: S5Data;
  readonly codec: S5Codec;
  readonly budgetBytes: number;
  /** Pages that lie in memory before reclaim begins. */
  readonly pages: number;
  /** 0: no daemon threads. 1: kswapd alone. n: kswapd and n − 1 of kcompressd. */
  readonly threads: number;
  readonly seed: number;
}

export interface S5Reclaimed {
  readonly pages: number;
  readonly ms: number;
  /** Frames that came free, by the counter of the mail. */
  readonly pgstealAnon: number;
  /** ms of processor time: kswapd, and all threads of kcompressd together. */
  readonly kswapdMs: number;
  readonly kcompressdMs: number;
  /** Share of the pages that kswapd compressed itself because the ring was full. */
  readonly fallbackShare: number;
  readonly wakeups: number;
  readonly inflightPeak: number;
  readonly ringEntries: number;
  readonly compressedPerPage: number;
}

export interface S5Written {
  readonly pages: number;
  readonly ms: number;
  readonly allocstall: number;
  /** ms of the writes in which the writer had to reclaim for itself. */
  readonly stallMs: number;
  readonly maxMs: number;
  readonly p99Us: number;
}

const CHECKED_PAGES = 500;
/** The thread that asks looks this often, and sleeps in between: it has no processor to take from the daemons. */
const POLL_MS = 5;
/** An hour-glass for a machine that others use; reclaim takes seconds. */
const RECLAIM_MS_MAX = 120_000;

const COUNTED = ['pswpout', 'pgsteal_anon', 'kcompressd_fallback', 'kcompressd_wake'] as const;

/** The instance, filled. */
class ReclaimBench {
  readonly door: ReclaimDoor;
  readonly #args: S5ChildArgs;
  readonly #quire: QuireInstance;
  readonly #region: QuireRegion;
  readonly #source: PageSource;
  /** Its threads in the order they were started: kswapd first. */
  readonly #daemons: readonly number[];
  #written = 0;

  private constructor(args: S5ChildArgs, quire: QuireInstance, door: ReclaimDoor, daemons: readonly number[]) {
    this.#args = args;
    this.#quire = quire;
    this.door = door;
    this.#daemons = daemons;
    this.#source = new PageSource(args.corpusFile, args.data, args.seed);
    this.#region = quire.region({ size: args.pages * 8 * PAGE_BYTES, name: 's5', access: 'random' });
    for (; this.#written < args.pages; this.#written += 1) this.#writeNext();
  }

  static async open(args: S5ChildArgs): Promise<ReclaimBench> {
    // Threads that Node starts for itself are there before.
    const idsBefore = new Set(threadIds());
    const quire = await openQuire({
      budget: args.budgetBytes,
      swap: [{ tier: 'compressed', codec: args.codec }],
      threads: args.threads,
    });
    const daemons = threadIds().filter((id) => !idsBefore.has(id));
    const door = await ReclaimDoor.of(quire);
    door.switchCopiesOff();
    return new ReclaimBench(args, quire, door, daemons.slice(0, args.threads));
  }

  #writeNext(): void {
    this.#region.write(this.#written * PAGE_BYTES, this.#source.page(this.#written));
  }

  async reclaim(pages: number): Promise<S5Reclaimed> {
    const { door } = this;
    const before = COUNTED.map((name) => door.counter(name));
    const cpuBefore = this.#daemons.map(ranMs);
    door.resetPeak();
    const start = performance.now();
    door.askKswapd(this.#args.pages);
    await until(() => door.counter('pswpout') - before[0] >= pages, start);
    const ms = performance.now() - start;
    const [out, stolen, fallback, wakeups] = COUNTED.map((name, index) => door.counter(name) - before[index]);
    const [kswapdMs = 0, ...kcompressdMs] = this.#daemons.map((id, index) => ranMs(id) - cpuBefore[index]);
    await door.calmKswapd();
    const stats = this.#quire.stats();
    return {
      pages: out,
      ms,
      pgstealAnon: stolen,
      kswapdMs,
      kcompressdMs: kcompressdMs.reduce((sum, value) => sum + value, 0),
      fallbackShare: fallback / out,
      wakeups,
      inflightPeak: door.inflightPeak,
      ringEntries: door.ringEntries,
      compressedPerPage: Number(stats['compressed_bytes']) / Math.max(1, Number(stats['zs_objects'])),
    };
  }

  write(pages: number): S5Written {
    const { door } = this;
    const before = door.ownCounter('allocstall');
    const us = new Float64Array(pages);
    let stallMs = 0;
    let seen = before;
    const start = performance.now();
    for (let index = 0; index < pages; index += 1, this.#written += 1) {
      const began = performance.now();
      this.#writeNext();
      const took = performance.now() - began;
      us[index] = took * 1000;
      const stalls = door.ownCounter('allocstall');
      if (stalls !== seen) stallMs += took;
      seen = stalls;
    }
    return {
      pages,
      ms: performance.now() - start,
      allocstall: seen - before,
      stallMs,
      maxMs: us.reduce((max, value) => Math.max(max, value), 0) / 1000,
      p99Us: percentile(us, 0.99),
    };
  }

  /** Reads some pages back. */
  check(): { checked: number } {
    const got = new Uint8Array(PAGE_BYTES);
    for (let step = 0; step < CHECKED_PAGES; step += 1) {
      const index = fmix32(step) % this.#written;
      this.#region.read(index * PAGE_BYTES, got);
      if (Buffer.compare(got, this.#source.page(index)) !== 0) throw new WrongAnswer(`page ${index} came back changed`);
    }
    return { checked: CHECKED_PAGES };
  }

  close(): Promise<void> {
    return this.#quire.close();
  }
}

/** Parts were timed by the clock, in which others may have had the processor: their sum becomes what this thread had of it. */
function splitByProcessorTime(run: () => ReclaimSplit): ReclaimSplit {
  const before = threadTime();
  const split = run();
  const { mainMs } = between(before, threadTime());
  const scale = mainMs > 0 ? (mainMs * 1e6) / split.totalNs : 1;
  return {
    pages: split.pages,
    totalNs: split.totalNs * scale,
    compressNs: split.compressNs * scale,
    sameFilledNs: split.sameFilledNs * scale,
    storeNs: split.storeNs * scale,
  };
}

async function until(isDone: () => boolean, start: number): Promise<void> {
  while (!isDone()) {
    if (performance.now() - start > RECLAIM_MS_MAX) throw new Error('reclaim did not come to its end');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

await serveParent<S5ChildArgs>(async (args) => {
  const bench = await ReclaimBench.open(args);
  return {
    run(line) {
      const [phase, count] = line.split(' ');
      if (phase === 'reclaim') return bench.reclaim(Number(count));
      if (phase === 'split') return splitByProcessorTime(() => bench.door.splitOf(Number(count)));
      if (phase === 'write') return bench.write(Number(count));
      if (phase === 'check') return bench.check();
      throw new RangeError(`unknown phase ${line}`);
    },
    finish: () => bench.close(),
  };
});
