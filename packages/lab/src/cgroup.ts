/** A memory cgroup, version 1 or 2, whichever the machine has mounted with a memory controller. */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Flavour {
  readonly root: string;
  readonly limit: string;
  readonly usage: string;
}

const V1: Flavour = { root: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes' };
const V2: Flavour = { root: '/sys/fs/cgroup', limit: 'memory.max', usage: 'memory.current' };
/** Lowering a limit makes the kernel reclaim at once; it gives up with EBUSY when a batch did not get there. */
const LIMIT_ATTEMPTS_MAX = 50;
/** A killed process needs a moment to give its pages back; in all the wait is five seconds. */
const EMPTY_WAITS_MAX = 250;
const EMPTY_WAIT_MS = 20;

/** The flavour with a usable memory controller, null when there is none. */
export function cgroupRoot(): Flavour | null {
  if (existsSync(join(V1.root, V1.limit))) return isWritable(V1.root) ? V1 : null;
  const controllers = join(V2.root, 'cgroup.controllers');
  if (!existsSync(controllers) || !readFileSync(controllers, 'utf8').split(/\s+/).includes('memory')) return null;
  return isWritable(V2.root) ? V2 : null;
}

export class Cgroup {
  readonly #folder: string;
  readonly #flavour: Flavour;

  private constructor(folder: string, flavour: Flavour) {
    this.#folder = folder;
    this.#flavour = flavour;
  }

  /** Throws when the machine has no memory cgroup or refuses a new one. */
  static make(name: string): Cgroup {
    const flavour = cgroupRoot();
    if (flavour === null) throw new Error('no memory cgroup that can be written');
    if (flavour === V2) writeFileSync(join(V2.root, 'cgroup.subtree_control'), '+memory');
    const folder = join(flavour.root, name);
    mkdirSync(folder);
    return new Cgroup(folder, flavour);
  }

  /** The file a process writes its number to in order to enter. */
  get procsFile(): string {
    return join(this.#folder, 'cgroup.procs');
  }

  setLimit(bytes: number): void {
    const file = join(this.#folder, this.#flavour.limit);
    for (let attempt = 1; ; attempt += 1) {
      try {
        writeFileSync(file, `${Math.floor(bytes)}`);
        return;
      } catch (error) {
        if (attempt === LIMIT_ATTEMPTS_MAX) throw error;
      }
    }
  }

  usageBytes(): number {
    return Number(readFileSync(join(this.#folder, this.#flavour.usage), 'utf8'));
  }

  /**
   * Makes the kernel fold its per-processor counters. Reclaim decides by the folded ones, which lag by up to two seconds;
   * with a small limit it then finds nothing to deactivate and kills the process although swap is free (seen on 6.18).
   */
  refreshCounters(): void {
    readFileSync(join(this.#folder, 'memory.stat'));
  }

  /** Removes the cgroup called `name`; its processes must have ended. Does nothing when it is not there. */
  static remove(name: string): void {
    const flavour = cgroupRoot();
    if (flavour === null) return;
    const folder = join(flavour.root, name);
    if (!existsSync(folder)) return;
    for (let wait = 0; wait < EMPTY_WAITS_MAX && readFileSync(join(folder, 'cgroup.procs'), 'utf8') !== ''; wait += 1) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, EMPTY_WAIT_MS);
    }
    rmdirSync(folder);
  }
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
