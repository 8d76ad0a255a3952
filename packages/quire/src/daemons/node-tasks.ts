/**
 * Threads as Linux shows them: /proc/thread-self names the calling one, /proc/self/task/TID/stat says since when one runs.
 * Both are of this process, as all threads that share its memories are. Where there is no /proc nothing is known, and nobody
 * is ever found dead.
 *
 * The numbers mean something in one process alone. Restored from an image (CRIU), or under the /proc of another namespace,
 * living threads are not found by what was noted of them: each would look dead. So the process is noted too, and nothing is
 * known of threads that another one noted.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
import type { Task, Tasks } from '../base/port.ts';

/** Where the numbers of threads are read, and what tells this process from others that may have its number. */
export interface TaskFiles {
  readText(path: string): string;
  readLink(path: string): string;
}

const linux: TaskFiles = {
  readText: (path) => readFileSync(path, 'latin1'),
  readLink: (path) => readlinkSync(path),
};

const UNKNOWN: Task = { task: 0, start: 0, process: 0, worker: threadId };
/** Fields of `stat` behind the name, which is in brackets and may hold anything: state is the first, start time the 20th. */
const STATE = 0;
const START = 19;

export function tasksOf(files: TaskFiles): Tasks {
  return {
    self(): Task {
      try {
        // PID/task/TID, of the thread that makes the system call: the synchronous one is made by the caller.
        const task = Number(files.readLink('/proc/thread-self').split('/')[2]);
        const fields = fieldsOf(files, `task/${task}`);
        return Number.isInteger(task) && task > 0 && fields.length > START
          ? { task, start: startOf(fields), process: processOf(files), worker: threadId }
          : UNKNOWN;
      } catch {
        return UNKNOWN;
      }
    },

    isAlive(task: number, start: number, process: number): boolean {
      return looksAlive(files, task, start) || !isThisProcess(files, process);
    },
  };
}

export const nodeTasks: Tasks = tasksOf(linux);

function looksAlive(files: TaskFiles, task: number, start: number): boolean {
  try {
    const fields = fieldsOf(files, `task/${task}`);
    if (fields.length <= START) return true;
    return startOf(fields) === start && fields[STATE] !== 'Z' && fields[STATE] !== 'X';
  } catch (error) {
    return !isGone(error);
  }
}

/** False too where it cannot be told: no /proc any more, no free descriptor. */
function isThisProcess(files: TaskFiles, process: number): boolean {
  try {
    return processOf(files) === process;
  } catch {
    return false;
  }
}

/**
 * A name for this process, above 0: its number, when it began, the namespace that gave the number, and since when the machine
 * runs. A restored process has begun when it was restored.
 */
function processOf(files: TaskFiles): number {
  const [pid] = files.readLink('/proc/thread-self').split('/');
  const namespace = orNothing(() => files.readLink('/proc/self/ns/pid'));
  const boot = orNothing(() => files.readText('/proc/sys/kernel/random/boot_id'));
  const name = `${pid} ${fieldsOf(files, '')[START]} ${namespace} ${boot}`;
  let hash = 0;
  for (let at = 0; at < name.length; at++) hash = (Math.imul(hash, 31) + name.charCodeAt(at)) | 0;
  return (hash & 0x7fff_ffff) | 1;
}

/** Some systems show it to nobody. */
function orNothing(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

/** `of`: 'task/TID', or '' for the process. */
function fieldsOf(files: TaskFiles, of: string): string[] {
  const stat = files.readText(`/proc/self/${of}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Ticks since the machine started; the low 32 bits. */
function startOf(fields: readonly string[]): number {
  return Number(BigInt.asIntN(32, BigInt(fields[START])));
}

/** Not to be had for another reason, such as no free descriptor, says nothing. */
function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ESRCH';
}
