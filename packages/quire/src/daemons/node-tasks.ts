/**
 * Threads as Linux shows them: /proc/thread-self names the calling one, /proc/self/task/TID/stat says since when one runs.
 * Both are of this process, as all threads that share its memories are. Where there is no /proc nothing is known, and nobody
 * is ever found dead.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
import type { Task, Tasks } from '../base/port.ts';

const UNKNOWN: Task = { task: 0, start: 0, worker: threadId };
/** Fields of `stat` behind the name, which is in brackets and may hold anything: state is the first, start time the 20th. */
const STATE = 0;
const START = 19;

export const nodeTasks: Tasks = {
  self(): Task {
    try {
      // PID/task/TID, of the thread that makes the system call: the synchronous one is made by the caller.
      const task = Number(readlinkSync('/proc/thread-self').split('/')[2]);
      const fields = fieldsOf(task);
      return Number.isInteger(task) && task > 0 && fields.length > START
        ? { task, start: startOf(fields), worker: threadId }
        : UNKNOWN;
    } catch {
      return UNKNOWN;
    }
  },

  isAlive(task: number, start: number): boolean {
    try {
      const fields = fieldsOf(task);
      if (fields.length <= START) return true;
      return startOf(fields) === start && fields[STATE] !== 'Z' && fields[STATE] !== 'X';
    } catch (error) {
      return !isGone(error) || !canSeeTasks();
    }
  },
};

function fieldsOf(task: number): string[] {
  const stat = readFileSync(`/proc/self/task/${task}/stat`, 'latin1');
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

/** The caller lives: is it there? */
function canSeeTasks(): boolean {
  try {
    return readlinkSync('/proc/thread-self') !== '';
  } catch {
    return false;
  }
}
