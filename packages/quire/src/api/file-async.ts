/**
 * Reads and writes that never wait for the disk in this thread: what is missing is fetched first, then the synchronous
 * copy runs. A read goes piece by piece, as far as its bytes are there, so memory that is short, or another thread's
 * reclaim, costs it time and not its progress.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../base/units.ts';
import type { FileSpace } from '../page-cache/file-space.ts';
import type { Readahead } from '../page-cache/readahead.ts';
import type { WritePace } from './write-pace.ts';

/** Bytes copied before others have a turn: well below a millisecond of copying. */
const TURN_BYTES = 2 * CHUNK_BYTES;
/** Fills of one place that came to nothing, because reclaim took the page again, before the synchronous read does it. */
const FILLS_MAX = 64;

interface Ahead {
  readonly from: number;
  readonly end: number;
  readonly filled: Promise<void>;
}

export class FileAsync {
  private readonly space: FileSpace;
  private readonly readahead: Readahead;
  private readonly pace: WritePace;
  /** Throws once nothing may be done any more. */
  private readonly checkAlive: () => void;
  private ahead: Ahead | undefined;

  constructor(space: FileSpace, readahead: Readahead, pace: WritePace, checkAlive: () => void) {
    this.space = space;
    this.readahead = readahead;
    this.pace = pace;
    this.checkAlive = checkAlive;
  }

  /** As `FileSpace.read`. */
  async read(position: number, target: Uint8Array, offset: number, length: number): Promise<number> {
    this.readAhead(position, length);
    let done = 0;
    let fills = 0;
    while (done < length) {
      const at = position + done;
      const wanted = Math.min(length - done, this.space.size() - at, TURN_BYTES);
      if (wanted <= 0) break;
      const miss = fills < FILLS_MAX ? this.space.missAt(at, wanted) : -1;
      const ready = miss < 0 ? wanted : miss - at;
      if (ready === 0) {
        fills++;
        try {
          await this.fill(at, length - done);
        } catch (error) {
          if (!isOfSystem(error)) throw error;
          // It may have met a page that is only read ahead.
          if (this.space.missAt(at, 1) < 0) continue;
          if (done === 0) throw error;
          break;
        }
        continue;
      }
      const got = this.space.read(at, target, offset + done, ready);
      if (got === 0) break;
      done += got;
      fills = 0;
      if (done >= TURN_BYTES && done < length) await this.turn();
    }
    return done;
  }

  /** As `FileSpace.write`. */
  async write(position: number, source: Uint8Array, offset: number, length: number): Promise<number> {
    let done = 0;
    while (done < length) {
      const at = position + done;
      // Whole chunks, but for the first and the last piece.
      const step = Math.min(length - done, CHUNK_BYTES - (at % CHUNK_BYTES));
      let written = 0;
      try {
        await this.fillEnds(at, step);
        written = await this.pace.later(() => this.space.write(at, source, offset + done, step));
      } catch (error) {
        // The next call meets it.
        if (done === 0 || !isOfSystem(error)) throw error;
      }
      this.checkAlive();
      done += written;
      if (written < step) break;
      if (done < length) await this.turn();
    }
    return done;
  }

  /** In one piece, as appends are: nobody's bytes come in between. */
  async append(
    source: Uint8Array,
    offset: number,
    length: number,
  ): Promise<{ readonly position: number; readonly written: number }> {
    const end = this.space.size();
    if (end % PAGE_BYTES !== 0) await this.fillPage(end - 1);
    return this.pace.later(() => this.space.append(source, offset, length));
  }

  /** Brings the page of byte `position` in, where the file has one and it is missing. */
  async fillPage(position: number): Promise<void> {
    if (position >= this.space.size() || this.space.missAt(position, 1) < 0) return;
    const page = Math.floor(position / PAGE_BYTES);
    await this.space.fillAsync(page * PAGE_BYTES, 1, 0);
    this.checkAlive();
  }

  /** What is read ahead has come to its end. */
  async settled(): Promise<void> {
    await this.ahead?.filled;
  }

  /** Blocks written in part need their other bytes first. */
  private async fillEnds(position: number, length: number): Promise<void> {
    const end = position + length;
    if (position % PAGE_BYTES !== 0) await this.fillPage(position);
    if (end % PAGE_BYTES !== 0) await this.fillPage(end - 1);
  }

  private readAhead(position: number, length: number): void {
    if (this.ahead !== undefined) return;
    const plan = this.readahead.onMarker(position, length, this.space.size());
    if (plan === undefined) return;
    const from = plan.start * PAGE_BYTES;
    const forget = (): void => {
      this.ahead = undefined;
    };
    const filled = this.space.fillAsync(from, plan.pages, plan.order).then(forget, (error: unknown) => {
      forget();
      // An error of the system is for those who want the bytes: they read them again.
      this.space.map.memory.latch(error);
    });
    this.ahead = { from, end: from + plan.pages * PAGE_BYTES, filled };
  }

  /** Fetches the missing page at byte `position`, and with it what readahead adds. */
  private async fill(position: number, wanted: number): Promise<void> {
    const { ahead } = this;
    if (ahead !== undefined && position >= ahead.from && position < ahead.end) await ahead.filled;
    else {
      const plan = this.readahead.onMiss(position, wanted, this.space.size());
      await this.space.fillAsync(plan.start * PAGE_BYTES, plan.pages, plan.order);
    }
    this.checkAlive();
  }

  private async turn(): Promise<void> {
    await nextTurn();
    this.checkAlive();
  }
}

/** The system refused, or memory is full: what was done before stands. Anything else ends the call. */
export function isOfSystem(error: unknown): boolean {
  if (!(error instanceof QuireError)) return false;
  return (
    error.code === 'ERR_QUIRE_IO' || error.code === 'ERR_QUIRE_OUT_OF_MEMORY' || error.code === 'ERR_QUIRE_SWAP_FULL'
  );
}
