/**
 * What one file must hold: plain bytes, no cache. A change is announced before it is made and applied when it is
 * done; while it is under way, others may see each byte old or new. A read opens a window, in which it may see any
 * value that a byte had or was about to get.
 *
 * Errors of writeback are counted as errseq_t does it: an error that nobody has seen yet is not counted twice, and a
 * handle is told once about each count it has not seen.
 */
import { SparseBytes } from './sparse-bytes.ts';

export type Change =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly size: number };

export interface ReadWindow {
  readonly position: number;
  readonly length: number;
  /** The bytes of the range as they were, and as they were about to become. */
  readonly snapshots: Uint8Array[];
  /** Sizes the file had, or was about to get. */
  readonly sizes: number[];
}

export class FileModel {
  readonly bytes = new SparseBytes();
  size = 0;
  /** Changes applied, to see whether any came in between. */
  version = 0;
  /** What is under way. */
  pending: Change | undefined;
  /** Errors of writeback, as errseq_t counts them. */
  errors = 0;
  isErrorSeen = true;
  private readonly windows = new Set<ReadWindow>();

  openRead(position: number, length: number): ReadWindow {
    const window: ReadWindow = { position, length, snapshots: [], sizes: [this.size] };
    window.snapshots.push(this.bytes.slice(position, length));
    if (this.pending !== undefined) this.note(window, this.pending);
    this.windows.add(window);
    return window;
  }

  /** The read failed, or never happened. */
  dropRead(window: ReadWindow): void {
    this.windows.delete(window);
  }

  /**
   * Throws when `got` is not what the file held at any time since the window was opened. `mayBeShort`: an error came
   * after some of the bytes.
   */
  closeRead(window: ReadWindow, got: Uint8Array, mayBeShort = false): void {
    this.windows.delete(window);
    const { position, length, snapshots, sizes } = window;
    // Piece by piece: a file that is cut off or grows meanwhile may end anywhere between.
    const least = Math.max(0, Math.min(length, Math.min(...sizes) - position));
    const most = Math.max(0, Math.min(length, Math.max(...sizes) - position));
    if (got.length > most || (got.length < least && !mayBeShort))
      throw new Error(`read of ${length} at ${position} gave ${got.length} bytes, expected ${least}…${most}`);
    const last = snapshots[0].subarray(0, got.length);
    if (snapshots.length === 1 && Buffer.compare(got, last) === 0) return;
    for (let at = 0; at < got.length; at++) {
      if (snapshots.some((snapshot) => snapshot[at] === got[at])) continue;
      throw new Error(describeDifference(position, at, got, last));
    }
  }

  /** `change` begins. */
  announce(change: Change): void {
    if (this.pending !== undefined) throw new Error('two changes of one file at a time are not modelled');
    this.pending = change;
    for (const window of this.windows) this.note(window, change);
  }

  /** The announced change is over: of a write `length` bytes were made, of a truncate all or nothing. */
  settle(length: number): void {
    const change = this.pending;
    if (change === undefined) throw new Error('nothing was announced');
    this.pending = undefined;
    if (length === 0 && change.kind === 'write') return;
    this.version++;
    if (change.kind === 'truncate') {
      if (change.size < this.size) this.bytes.cut(change.size);
      this.size = change.size;
    } else {
      this.bytes.write(change.position, change.bytes.subarray(0, length));
      this.size = Math.max(this.size, change.position + length);
    }
    // Short of what was announced: the size it really got.
    for (const window of this.windows) window.sizes.push(this.size);
  }

  /** The announced change did not happen. */
  retract(): void {
    this.pending = undefined;
  }

  /** Writeback failed. */
  noteError(): void {
    if (this.isErrorSeen) this.errors++;
    this.isErrorSeen = false;
  }

  /** What a handle opened now has seen. */
  sampleErrors(): number {
    return this.isErrorSeen ? this.errors : -1;
  }

  private note(window: ReadWindow, change: Change): void {
    const { position, length } = window;
    if (change.kind === 'truncate') {
      window.sizes.push(change.size);
      const kept = Math.max(0, Math.min(length, change.size - position));
      if (kept < length) window.snapshots.push(this.bytes.slice(position, length).fill(0, kept));
      return;
    }
    const end = change.position + change.bytes.length;
    if (end > this.size) window.sizes.push(end);
    const from = Math.max(position, change.position);
    const to = Math.min(position + length, end);
    if (from >= to) return;
    const next = this.bytes.slice(position, length);
    next.set(change.bytes.subarray(from - change.position, to - change.position), from - position);
    window.snapshots.push(next);
  }
}

export function describeDifference(position: number, at: number, got: Uint8Array, expected: Uint8Array): string {
  const show = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(at, at + 8)).toString('hex');
  let differing = 0;
  for (let i = at; i < got.length; i++) if (got[i] !== expected[i]) differing++;
  return (
    `byte ${position + at} (page ${Math.floor((position + at) / 4096)}, byte ${(position + at) % 4096} of it) ` +
    `is ${show(got)}…, expected ${show(expected)}…; ${differing} of ${got.length} bytes differ`
  );
}
