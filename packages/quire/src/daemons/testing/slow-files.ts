/** Real files whose device takes its time for each write, and the bytes that tests put into them. */
import { NodeFileIo } from '../node-file-io.ts';

export const PIECE_BYTES = 10_000;

export class SlowFileIo extends NodeFileIo {
  private readonly slowMs: number;
  private readonly word = new Int32Array(new SharedArrayBuffer(4));

  constructor(slowMs: number) {
    super();
    this.slowMs = slowMs;
  }

  override writev(fd: number, sources: readonly Uint8Array[], position: number): number {
    Atomics.wait(this.word, 0, 0, this.slowMs);
    return super.writev(fd, sources, position);
  }
}

/** A piece's bytes: its number, all over. */
export function pieceOf(piece: number): Uint8Array {
  const bytes = new Uint8Array(PIECE_BYTES);
  new Uint32Array(bytes.buffer).fill(piece + 1);
  return bytes;
}
