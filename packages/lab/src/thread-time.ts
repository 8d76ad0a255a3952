/**
 * What this thread and its process took of the processors, so that a run on a busy machine can be told from a slow one.
 * The calling thread's own times are Linux' (/proc/self/task/…/schedstat); elsewhere they are 0.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

export interface ThreadTime {
  /** ms that the main thread ran. */
  readonly mainMs: number;
  /** ms that it could have run and another had the processor. */
  readonly mainWaitedMs: number;
  /** ms of all threads of the process together. */
  readonly processMs: number;
}

export function threadTime(): ThreadTime {
  const file = `/proc/self/task/${process.pid}/schedstat`;
  const [ran, waited] = existsSync(file) ? readFileSync(file, 'utf8').split(' ').map(Number) : [0, 0];
  const { user, system } = process.cpuUsage();
  return { mainMs: ran / 1e6, mainWaitedMs: waited / 1e6, processMs: (user + system) / 1000 };
}

/** The time between two looks. */
export function between(before: ThreadTime, after: ThreadTime): ThreadTime {
  return {
    mainMs: after.mainMs - before.mainMs,
    mainWaitedMs: after.mainWaitedMs - before.mainWaitedMs,
    processMs: after.processMs - before.processMs,
  };
}

const TASKS = '/proc/self/task';

/** Threads of this process, oldest first; none where there is no Linux' /proc. */
export function threadIds(): number[] {
  if (!existsSync(TASKS)) return [];
  return readdirSync(TASKS)
    .map(Number)
    .sort((a, b) => startOf(a) - startOf(b) || a - b);
}

/** ms that the thread ran so far, 0 when it is gone. */
export function ranMs(thread: number): number {
  const file = `${TASKS}/${thread}/schedstat`;
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e6 : 0;
}

/** Clock ticks after boot at which the thread began: numbers of threads are used again. */
function startOf(thread: number): number {
  const file = `${TASKS}/${thread}/stat`;
  if (!existsSync(file)) return 0;
  const stat = readFileSync(file, 'utf8');
  // The name, field 2, is in parentheses and may contain anything; field 22 is the start.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}
