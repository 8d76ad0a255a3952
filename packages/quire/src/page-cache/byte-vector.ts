/** Several views as one run of bytes, for vector calls: copied without moving on, since a read may be overtaken. */
import type { Node } from '../arena/node.ts';
import type { FileMap } from './file-map.ts';

export class ByteVector {
  private readonly parts: readonly Uint8Array[];
  /** Where `advance` has come to: never at the end of a part; behind the last part at the end. */
  private index = 0;
  private from = 0;

  constructor(parts: readonly Uint8Array[]) {
    this.parts = parts;
    this.advance(0);
  }

  /** All bytes, also those passed. */
  get length(): number {
    let total = 0;
    for (const part of this.parts) total += part.length;
    return total;
  }

  /** The view that the next byte lies in, and where. */
  get part(): Uint8Array {
    return this.parts[this.index];
  }

  get offset(): number {
    return this.from;
  }

  advance(count: number): void {
    const { parts } = this;
    this.from += count;
    while (this.index < parts.length && this.from >= parts[this.index].length) {
      this.from -= parts[this.index].length;
      this.index++;
    }
  }

  /** The next `length` bytes go to byte `to` of the node. */
  copyIn(map: FileMap, node: Node, to: number, length: number): void {
    let { index, from } = this;
    for (let done = 0; done < length; index++, from = 0) {
      const part = this.parts[index];
      const step = Math.min(part.length - from, length - done);
      if (step > 0) map.copyIn(node, to + done, part, from, step);
      done += step;
    }
  }

  /** The next `length` bytes come from byte `start` of the node. */
  copyOut(map: FileMap, node: Node, start: number, length: number): void {
    let { index, from } = this;
    for (let done = 0; done < length; index++, from = 0) {
      const part = this.parts[index];
      const step = Math.min(part.length - from, length - done);
      if (step > 0) map.copyOut(node, start + done, part, from, step);
      done += step;
    }
  }
}
