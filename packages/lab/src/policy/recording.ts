/**
 * Recorders: what a workload uses, with a trace of it on the side. They stand between a workload and what it runs on, so
 * the core knows nothing of them and a run without one costs nothing.
 */
import type { WorkFile } from '../s1/pgbench.ts';
import type { Store } from '../swap/workload.ts';
import type { TraceRecorder } from './trace.ts';

const PAGE_BYTES = 4096;
/** Keys of a space's pages begin at its number times this: 2^40 pages are 4 PiB. */
const KEYS_PER_SPACE = 2 ** 40;

/** The shape of quire's PageSpace (vm/page-space.ts). */
export interface PageSpace<View> {
  readonly size: number;
  read(offset: number, target: Uint8Array, targetOffset: number, length: number): void;
  write(offset: number, source: Uint8Array, sourceOffset: number, length: number): void;
  discard(offset: number, length: number): void;
  openRead(offset: number, neededEnd: number, view: View): void;
  closeRead(view: View): boolean;
  copyOut(view: View, from: number, target: Uint8Array, targetOffset: number, length: number): void;
  openWrite(offset: number, view: View): void;
  closeWrite(view: View): void;
}

/** Notes the pages of byte ranges of one space. */
export class SpaceRecorder {
  readonly #recorder: TraceRecorder;
  readonly #firstKey: number;

  /** @param space a number of its own among the spaces of one trace */
  constructor(recorder: TraceRecorder, space: number) {
    this.#recorder = recorder;
    this.#firstKey = space * KEYS_PER_SPACE;
  }

  read(offset: number, length: number): void {
    const last = Math.floor((offset + length - 1) / PAGE_BYTES);
    for (let page = Math.floor(offset / PAGE_BYTES); page <= last; page++) this.#recorder.read(this.#firstKey + page);
  }

  write(offset: number, length: number): void {
    const end = offset + length;
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      const isWhole = page * PAGE_BYTES >= offset && (page + 1) * PAGE_BYTES <= end;
      this.#recorder.write(this.#firstKey + page, isWhole);
    }
  }

  /** Pages wholly inside are freed, the ends are written (zeroed). */
  discard(offset: number, length: number): void {
    const end = offset + length;
    for (let page = Math.floor(offset / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      const isWhole = page * PAGE_BYTES >= offset && (page + 1) * PAGE_BYTES <= end;
      if (isWhole) this.#recorder.free(this.#firstKey + page);
      else this.#recorder.zeroPart(this.#firstKey + page);
    }
  }
}

/** A page space with a recorder beside it. A retried read is one more touch, as it is in the core. */
export class RecordingSpace<View> implements PageSpace<View> {
  readonly size: number;
  readonly #space: PageSpace<View>;
  readonly #record: SpaceRecorder;

  constructor(space: PageSpace<View>, record: SpaceRecorder) {
    this.size = space.size;
    this.#space = space;
    this.#record = record;
  }

  read(offset: number, target: Uint8Array, targetOffset: number, length: number): void {
    this.#record.read(offset, length);
    this.#space.read(offset, target, targetOffset, length);
  }

  write(offset: number, source: Uint8Array, sourceOffset: number, length: number): void {
    this.#record.write(offset, length);
    this.#space.write(offset, source, sourceOffset, length);
  }

  discard(offset: number, length: number): void {
    this.#record.discard(offset, length);
    this.#space.discard(offset, length);
  }

  openRead(offset: number, neededEnd: number, view: View): void {
    this.#record.read(offset, 1);
    this.#space.openRead(offset, neededEnd, view);
  }

  closeRead(view: View): boolean {
    return this.#space.closeRead(view);
  }

  copyOut(view: View, from: number, target: Uint8Array, targetOffset: number, length: number): void {
    this.#space.copyOut(view, from, target, targetOffset, length);
  }

  openWrite(offset: number, view: View): void {
    this.#record.write(offset, 1);
    this.#space.openWrite(offset, view);
  }

  closeWrite(view: View): void {
    this.#space.closeWrite(view);
  }
}

export function recordingStore(store: Store, record: SpaceRecorder): Store {
  return {
    write(offset, bytes) {
      record.write(offset, bytes.length);
      store.write(offset, bytes);
    },
    read(offset, target) {
      record.read(offset, target.length);
      store.read(offset, target);
    },
  };
}

export function recordingFile(file: WorkFile, record: SpaceRecorder): WorkFile {
  return {
    readSync(buffer, offset, length, position) {
      record.read(position, length);
      return file.readSync(buffer, offset, length, position);
    },
    writeSync(buffer, offset, length, position) {
      record.write(position, length);
      return file.writeSync(buffer, offset, length, position);
    },
    datasync: () => file.datasync(),
  };
}
