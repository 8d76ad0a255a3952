/**
 * What all threads of a stress run know: where the cells lie, and the shared words that say which versions there are.
 */
import type { QuireHandle } from '../api/quire.ts';
import type { Values } from './values.ts';

export interface StressPlan {
  readonly seed: number;
  readonly seconds: number;
  readonly workers: number;
  /** Direct mode has no clones. */
  readonly isVirtual: boolean;
  readonly cells: number;
  readonly keys: number;
  readonly regionBytes: number;
  /** Cells of the file behind the page cache, and where it is. */
  readonly fileCells: number;
  readonly filePath: string;
}

export interface WorkerStart {
  readonly plan: StressPlan;
  readonly index: number;
  readonly handle: QuireHandle;
  readonly shared: SharedArrayBuffer;
}

export interface WorkerReport {
  readonly index: number;
  readonly counts: Record<string, number>;
  /** What was wrong, undefined when nothing was. */
  readonly failure: string | undefined;
}

/** Cells of the region are guarded by a lock of their own, so their version is exact. */
export class SharedState {
  readonly cellLocks: Int32Array;
  readonly cellVersions: Int32Array;
  readonly fileLocks: Int32Array;
  readonly fileVersions: Int32Array;
  /** Writers of a key take turns; readers do not wait. */
  readonly keyLocks: Int32Array;
  readonly keyStarted: Int32Array;
  readonly keyDone: Int32Array;
  /** 0: 2 when all are to stop, 1: workers that have loaded, 2: workers that are attached. */
  readonly control: Int32Array;

  constructor(plan: StressPlan, buffer: SharedArrayBuffer) {
    let at = 0;
    const words = (count: number): Int32Array => {
      const array = new Int32Array(buffer, at * 4, count);
      at += count;
      return array;
    };
    this.control = words(16);
    this.cellLocks = words(plan.cells);
    this.cellVersions = words(plan.cells);
    this.fileLocks = words(plan.fileCells);
    this.fileVersions = words(plan.fileCells);
    this.keyLocks = words(plan.keys);
    this.keyStarted = words(plan.keys);
    this.keyDone = words(plan.keys);
  }

  static bytesFor(plan: StressPlan): number {
    return (16 + (plan.cells + plan.fileCells) * 2 + plan.keys * 3) * 4;
  }
}

const WAIT_MS = 2;

export function lockWord(words: Int32Array, at: number): void {
  while (Atomics.compareExchange(words, at, 0, 1) !== 0) Atomics.wait(words, at, 1, WAIT_MS);
}

export function unlockWord(words: Int32Array, at: number): void {
  Atomics.store(words, at, 0);
  Atomics.notify(words, at, 1);
}

/** Offsets of the cells `firstId` …, one behind the other, at odd places; the last entry is the end. */
export function cellOffsets(values: Values, cells: number, firstId = 0): Float64Array {
  const offsets = new Float64Array(cells + 1);
  for (let cell = 0; cell < cells; cell++) offsets[cell + 1] = offsets[cell] + values.lengthOf(firstId + cell, 0);
  return offsets;
}
