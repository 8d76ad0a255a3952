/**
 * The Quire column of the usemem run: an instance, `threads` threads attached to it, one region. Phases as
 * native/host-usemem.c has them, over and over: what is freed is written again. The first round, which is verified and not
 * timed, also has V8 compile each thread's code.
 */
import { Worker } from 'node:worker_threads';
import { WrongAnswer } from '../benchmark.ts';
import { serveParent } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { openQuire, type QuireOpenOptions } from '../quire.ts';
import { createControl, PHASES, type Phase, readyOf, runPhase } from './crew.ts';
import { type QuireWorkerData, REGION } from './quire-worker-data.ts';
import { shareOf } from './share.ts';

export interface UsememChildArgs {
  readonly open: QuireOpenOptions;
  readonly pages: number;
  readonly threads: number;
}

export interface UsememPhase {
  readonly phase: Phase;
  readonly us: number;
  /** Until `quire.stats()` after the phase had answered: what a discard leaves to the daemons is freed by then. */
  readonly doneUs: number;
  /** Of processors until then, all threads of the process together, daemons too. */
  readonly cpuUs: number;
  /** `quire.stats()` after the phase. */
  readonly stats: Readonly<Record<string, number>>;
}

await serveParent<UsememChildArgs>(async ({ open, pages, threads }) => {
  const quire = await openQuire(open);
  const regionBytes = pages * PAGE_BYTES;
  const region = quire.region({ size: regionBytes, name: REGION });
  const control = createControl();
  const workers = Array.from({ length: threads }, (_, index) => {
    const workerData: QuireWorkerData = {
      handle: quire.handle,
      control,
      regionBytes,
      share: shareOf(pages, threads, index),
    };
    return new Worker(new URL('quire-worker.js', import.meta.url), { workerData });
  });
  await Promise.all(workers.map(readyOf));
  const run = (line: string): UsememPhase => {
    const phase = PHASES.find((each) => each === line);
    if (phase === undefined) throw new Error(`unknown phase ${line}`);
    const before = process.cpuUsage();
    const started = performance.now();
    const us = runPhase(control, threads, phase);
    const stats = quire.stats() as Readonly<Record<string, number>>;
    const doneUs = (performance.now() - started) * 1000;
    const { user, system } = process.cpuUsage(before);
    if (phase === 'free') checkFreed(stats);
    return { phase, us, doneUs, cpuUs: user + system, stats };
  };
  return {
    run,
    finish: async () => {
      runPhase(control, threads, 'end');
      await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
      region.close();
      await quire.close();
    },
  };
});

/** Nothing of the region is left, in no tier. */
function checkFreed(stats: Readonly<Record<string, number>>): void {
  for (const name of ['nr_anon_pages', 'zs_objects', 'raw_pages', 'same_filled_pages', 'nr_inflight']) {
    if (stats[name] !== 0) throw new WrongAnswer(`${stats[name]} ${name} are left after everything was freed`);
  }
}
