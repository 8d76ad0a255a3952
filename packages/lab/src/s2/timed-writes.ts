/** Times one case of `lab s2` on anything that writes as Node's fs does, and checks what was written. */
import { WrongAnswer } from '../benchmark.ts';
import { type CaseOrder, reachOf } from './cases.ts';

/** A file that a column writes to; `position` null is the file's own. */
export interface WrittenFile {
  writeSync(buffer: Uint8Array, offset: number, length: number, position: number | null): number;
  writevSync(buffers: readonly Uint8Array[], position: number | null): number;
  readSync(buffer: Uint8Array, offset: number, length: number, position: number): number;
}

export interface TimedFile {
  /** The file with its own position at the start. Called before each batch of `write` and `writev`, outside the time. */
  rewound(): Promise<WrittenFile>;
}

/** Stamps differ between cases, so that bytes of an earlier case are never taken for this one's. */
export class WriteTimer {
  readonly #file: TimedFile;
  #stamp = 0;

  constructor(file: TimedFile) {
    this.#file = file;
  }

  /** ns per call of each batch. Throws WrongAnswer when the file does not hold what was written. */
  async run(order: CaseOrder): Promise<number[]> {
    const { work, samples, batch } = order;
    this.#stamp = (this.#stamp % 255) + 1;
    const buffer = Buffer.alloc(work.bytes, this.#stamp);
    const vectors = Array.from({ length: work.vectors }, () => buffer);
    const batchOf = work.call === 'writev' ? writevBatch(vectors, batch) : writeBatch(order, buffer);
    let file = await this.#file.rewound();
    batchOf(file);
    this.#check(file, order);
    const ns: number[] = [];
    for (let sample = 0; sample < samples; sample += 1) {
      if (work.call !== 'pwrite') file = await this.#file.rewound();
      const before = performance.now();
      const start = performance.now();
      batchOf(file);
      ns.push(((performance.now() - start - (start - before)) * 1e6) / batch);
    }
    this.#check(file, order);
    return ns;
  }

  #check(file: WrittenFile, { work, batch }: CaseOrder): void {
    const seen = Buffer.alloc(reachOf(work, batch));
    const count = file.readSync(seen, 0, seen.length, work.offset);
    const isRight = count === seen.length && seen.every((byte) => byte === this.#stamp);
    if (!isRight) throw new WrongAnswer(`${work.call} of ${work.bytes} bytes: the file does not hold what was written`);
  }
}

type Batch = (file: WrittenFile) => void;

function writeBatch({ work, batch }: CaseOrder, buffer: Uint8Array): Batch {
  const { bytes } = work;
  const position = work.call === 'pwrite' ? work.offset : null;
  return (file) => {
    let written = 0;
    for (let i = 0; i < batch; i += 1) written += file.writeSync(buffer, 0, bytes, position);
    if (written !== bytes * batch) throw new WrongAnswer(`${written} bytes written of ${bytes * batch}`);
  };
}

function writevBatch(vectors: readonly Uint8Array[], batch: number): Batch {
  const bytes = vectors.length * vectors[0].length;
  return (file) => {
    let written = 0;
    for (let i = 0; i < batch; i += 1) written += file.writevSync(vectors, null);
    if (written !== bytes * batch) throw new WrongAnswer(`${written} bytes written of ${bytes * batch}`);
  };
}
