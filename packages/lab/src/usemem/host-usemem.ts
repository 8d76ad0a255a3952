/**
 * The host kernel's side of the usemem run: native/host-usemem.c in a memory cgroup with zram (LZ4), at a limit such that
 * resident and compressed bytes together peak at the budget. The limit is found by running the work (as in
 * swap/host-column.ts), which is verified while that is done.
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
import { limitFor, TOUCHED_SHARE } from '../swap/host-column.ts';
import { touchMemory } from '../touch-memory.ts';
import { STEP_BYTES } from './share.ts';

export const HOST = 'host';
const LIMIT_ROUNDS_MAX = 4;
const ATTEMPTS_MAX = 4;
/** What LZ4 makes of the words, in zram; a measured ratio replaces it. */
const RATIO_GUESS = 3.5;

export interface HostRound {
  readonly writeUs: number;
  readonly freeUs: number;
  readonly peak: HostPeak;
}

/** Compiles native/host-usemem.c. Throws ColumnAbsent when the machine has no C compiler. */
export function compileHostUsemem(): string {
  const program = join(cacheFolder(), 'host-usemem');
  const source = join(packageRoot, 'native/host-usemem.c');
  const result = spawnSync('cc', ['-O2', '-o', program, source, '-lpthread'], { encoding: 'utf8' });
  if (result.error !== undefined) throw new ColumnAbsent(HOST, 'no C compiler (apt-get install gcc)');
  if (result.status !== 0) throw new Error(`cc: ${result.stderr}`);
  return program;
}

export class HostUsemem {
  readonly swap: HostSwap;
  /** Rounds that the kernel killed at its limit although swap was free, and that were run again. */
  killedCount = 0;
  readonly #program: string;
  readonly #pages: number;
  readonly #totalBytes: number;
  #limitBytes: number;

  /** Throws ColumnAbsent when the machine cannot run it. */
  constructor(pages: number, totalBytes: number) {
    this.#program = compileHostUsemem();
    this.#pages = pages;
    this.#totalBytes = totalBytes;
    this.swap = HostSwap.open(HOST, pages * PAGE_BYTES * 2);
    this.#limitBytes = limitFor(pages * PAGE_BYTES, totalBytes, RATIO_GUESS);
  }

  async findLimit(processes: number, tolerance: number, progress: (line: string) => void): Promise<void> {
    const dataBytes = this.#pages * PAGE_BYTES;
    for (let round = 1; round <= LIMIT_ROUNDS_MAX; round += 1) {
      const { peak } = await this.round(processes, false, round === 1);
      progress(`host: limit ${mib(this.#limitBytes)} MiB gives a total of ${mib(peak.totalBytes)} MiB`);
      const miss = this.#totalBytes - peak.totalBytes;
      if (Math.abs(miss) <= this.#totalBytes * tolerance) return;
      this.#limitBytes += miss / Math.max(0.2, 1 - peak.compressedBytes / (dataBytes - peak.residentBytes));
    }
    progress('host: the limit did not settle; the rows show the total that was reached');
  }

  /** Everything written and freed by fresh processes. A round that the kernel killed is run again. */
  async round(processes: number, isHuge: boolean, isVerified = false): Promise<HostRound> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#attempt(processes, isHuge, isVerified);
      } catch (error) {
        if (!(error instanceof ChildEnded) || attempt === ATTEMPTS_MAX) throw error;
        this.killedCount += 1;
      }
    }
  }

  async #attempt(processes: number, isHuge: boolean, isVerified: boolean): Promise<HostRound> {
    const { cgroup } = this.swap;
    cgroup.setLimit(this.#limitBytes);
    const sizes = [this.#pages, processes, STEP_BYTES].map(String);
    await touchMemory(this.#totalBytes * TOUCHED_SHARE);
    const child = new Child(this.#program, [...sizes, cgroup.procsFile, isHuge ? '1' : '0']);
    const watch = new PeakWatch(this.swap);
    try {
      await child.ready(HOST);
      const write = await child.phase<{ us: number }>('write');
      watch.look();
      if (isVerified) await child.phase('verify');
      const free = await child.phase<{ us: number }>('free');
      await child.end();
      return { writeUs: write.us, freeUs: free.us, peak: watch.peak };
    } finally {
      watch.stop();
      await child.kill();
    }
  }

  close(): void {
    this.swap.close();
  }
}
