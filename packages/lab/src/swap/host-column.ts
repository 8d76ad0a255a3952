/**
 * The host kernel's column: native/host-swap.c inside a cgroup with zram, at a limit such that resident + compressed
 * bytes peak at the same total as the Quire budget.
 *
 * The limit is found by running the work: with L resident of D bytes and a compression ratio r, the total is
 * L + (D − L) / r; r follows from a run, L from r, and a second run corrects it. The kernel runs with base pages and with
 * huge pages, since each wins some phases, and ratios against both are shown. Swap readahead (`vm.page-cluster`)
 * is left at the host's value: the kernel skips it for zram, and 0 measured the same.
 */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ColumnAbsent } from '../benchmark.ts';
import { Child, ChildEnded } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { HostSwap } from '../host-swap.ts';
import { cacheFolder, packageRoot } from '../paths.ts';
import { type HostPeak, PeakWatch } from '../peak-watch.ts';
import { mib } from '../report.ts';
import { touchMemory } from '../touch-memory.ts';
import { type PhaseResult, phaseLines, type Work } from './workload.ts';

/** Fresh memory used up before each fill, of the total: some more than the fill will need. */
export const TOUCHED_SHARE = 1.2;
export const HOST = 'host';
const LIMIT_ROUNDS_MAX = 4;
const ATTEMPTS_MAX = 4;
/** First guess of the compression ratio of text; a measured one replaces it. */
const RATIO_GUESS = 2;

export interface HostResult {
  readonly phases: readonly PhaseResult[];
  readonly peak: HostPeak;
}

/** Compiles native/host-swap.c. Throws ColumnAbsent when the machine has no C compiler. */
export function compileHost(): string {
  const program = join(cacheFolder(), 'host-swap');
  const result = spawnSync('cc', ['-O2', '-o', program, join(packageRoot, 'native/host-swap.c')], { encoding: 'utf8' });
  if (result.error !== undefined) throw new ColumnAbsent(HOST, 'no C compiler (apt-get install gcc)');
  if (result.status !== 0) throw new Error(`cc: ${result.stderr}`);
  return program;
}

export class HostColumn {
  readonly swap: HostSwap;
  /** Repetitions that the kernel killed and that were run again; reported, since their times are missing. */
  killedCount = 0;
  readonly #program: string;
  readonly #corpusFile: string;
  readonly #work: Work;
  readonly #totalBytes: number;
  #limitBytes: number;

  /** Throws ColumnAbsent when the machine cannot run it. */
  constructor(corpusFile: string, work: Work, totalBytes: number) {
    this.#program = compileHost();
    this.#corpusFile = corpusFile;
    this.#work = work;
    this.#totalBytes = totalBytes;
    const dataBytes = work.pages * PAGE_BYTES;
    this.swap = HostSwap.open(HOST, dataBytes * 2);
    this.#limitBytes = limitFor(dataBytes, totalBytes, RATIO_GUESS);
  }

  /** Runs the work with corrected limits until the peak of the total is within `tolerance` of the budget. */
  async findLimit(isHuge: boolean, tolerance: number, progress: (line: string) => void): Promise<void> {
    for (let round = 1; round <= LIMIT_ROUNDS_MAX; round += 1) {
      const { peak } = await this.repetition(1, isHuge);
      progress(`host: limit ${mib(this.#limitBytes)} MiB gives a total of ${mib(peak.totalBytes)} MiB`);
      const miss = this.#totalBytes - peak.totalBytes;
      if (Math.abs(miss) <= this.#totalBytes * tolerance) return;
      const swappedBytes = this.#work.pages * PAGE_BYTES - peak.residentBytes;
      this.#limitBytes += miss / Math.max(0.2, 1 - peak.compressedBytes / swappedBytes);
    }
    progress('host: the limit did not settle; the rows show the total that was reached');
  }

  /**
   * One process from nothing: all phases, the total watched all the while. The kernel sometimes kills a process at its
   * limit although swap is free (see Cgroup.refreshCounters); such a repetition is run again.
   */
  async repetition(seed: number, isHuge: boolean): Promise<HostResult> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#attempt(seed, isHuge);
      } catch (error) {
        if (!(error instanceof ChildEnded) || attempt === ATTEMPTS_MAX) throw error;
        this.killedCount += 1;
      }
    }
  }

  async #attempt(seed: number, isHuge: boolean): Promise<HostResult> {
    this.swap.cgroup.setLimit(this.#limitBytes);
    const { procsFile } = this.swap.cgroup;
    const args = [this.#corpusFile, `${this.#work.pages}`, `${seed}`, procsFile, isHuge ? '1' : '0'];
    const child = new Child(this.#program, args);
    const watch = new PeakWatch(this.swap);
    try {
      await child.ready(HOST);
      await touchMemory(this.#totalBytes * TOUCHED_SHARE);
      const phases: PhaseResult[] = [];
      for (const line of phaseLines(this.#work)) {
        phases.push(await child.phase<PhaseResult>(line));
        watch.look();
      }
      await child.end();
      return { phases, peak: watch.peak };
    } finally {
      watch.stop();
      await child.kill();
    }
  }
}

/** Resident bytes L for which L + (data − L) / ratio is the total. */
export function limitFor(dataBytes: number, totalBytes: number, ratio: number): number {
  return (totalBytes - dataBytes / ratio) / (1 - 1 / ratio);
}
