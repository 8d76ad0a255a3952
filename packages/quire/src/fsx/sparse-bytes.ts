/**
 * Bytes of a file as plain arrays: blocks of 16 KiB by number, absent ones are zeros. The model of a file and the
 * "disk" beneath the page cache are one each.
 */
const BLOCK_BYTES = 16 * 1024;

export class SparseBytes {
  private readonly blocks = new Map<number, Uint8Array>();

  /** Fills `target` with the bytes at `position`. */
  read(position: number, target: Uint8Array): void {
    for (let done = 0; done < target.length; ) {
      const number = Math.floor((position + done) / BLOCK_BYTES);
      const at = position + done - number * BLOCK_BYTES;
      const step = Math.min(BLOCK_BYTES - at, target.length - done);
      const block = this.blocks.get(number);
      if (block === undefined) target.fill(0, done, done + step);
      else target.set(block.subarray(at, at + step), done);
      done += step;
    }
  }

  slice(position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.read(position, bytes);
    return bytes;
  }

  write(position: number, source: Uint8Array): void {
    for (let done = 0; done < source.length; ) {
      const number = Math.floor((position + done) / BLOCK_BYTES);
      const at = position + done - number * BLOCK_BYTES;
      const step = Math.min(BLOCK_BYTES - at, source.length - done);
      let block = this.blocks.get(number);
      if (block === undefined) this.blocks.set(number, (block = new Uint8Array(BLOCK_BYTES)));
      block.set(source.subarray(done, done + step), at);
      done += step;
    }
  }

  /** Everything from `size` on becomes zeros. */
  cut(size: number): void {
    const first = Math.floor(size / BLOCK_BYTES);
    for (const number of [...this.blocks.keys()]) if (number > first) this.blocks.delete(number);
    this.blocks.get(first)?.fill(0, size - first * BLOCK_BYTES);
  }

  /** First position below `size` at which the two differ, −1 when they are equal. */
  differsFrom(other: SparseBytes, size: number): number {
    const numbers = new Set([...this.blocks.keys(), ...other.blocks.keys()]);
    let first = -1;
    for (const number of numbers) {
      const start = number * BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES, size - start);
      if (length <= 0 || (first >= 0 && first <= start)) continue;
      const mine = this.slice(start, length);
      const its = other.slice(start, length);
      if (Buffer.compare(mine, its) === 0) continue;
      first = start + mine.findIndex((byte, at) => byte !== its[at]);
    }
    return first;
  }
}
