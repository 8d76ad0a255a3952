/**
 * The columns of Quire in `lab s2`. Two files are cached: one in large folios, written in chunks of 2 MiB, on which the
 * cases run, and one in folios of 4 KiB to compare the last block of a large folio with.
 */
import { writeFileSync } from 'node:fs';
import { serveParent } from '../child.ts';
import { openQuire, openQuireFile, type QuireFile, type QuireInstance } from '../quire.ts';
import { FRAME_BYTES, QuireInternals } from '../quire-internals.ts';
import { FILE_BYTES, LARGE_FOLIO_BYTES, orderOf, SMALL_FOLIO_BYTES } from './cases.ts';
import { type TimedFile, WriteTimer, type WrittenFile } from './timed-writes.ts';

export interface QuireChildArgs {
  readonly largePath: string;
  readonly smallPath: string;
  readonly naiveWalk: boolean;
}

/**
 * As on the host, whose memory is a thousand times the file: nothing is reclaimed, and both files dirty are less than the
 * tenth of memory from which on the flusher works beside the writer. Memory that is not used is not taken.
 */
const BUDGET_BYTES = 512 * 2 ** 20;

/** A handle's own position is set back as lseek does, so that no handle has to be opened for it. */
class CachedFile implements TimedFile {
  readonly #file: QuireFile;
  readonly #internals: QuireInternals;

  private constructor(file: QuireFile, internals: QuireInternals) {
    this.#file = file;
    this.#internals = internals;
  }

  /** A file that comes into the cache by writes of `chunkBytes`, which decide the orders of its folios. */
  static async make(quire: QuireInstance, path: string, chunkBytes: number): Promise<CachedFile> {
    writeFileSync(path, '');
    const file = await openQuireFile(quire, path, 'r+');
    const chunk = Buffer.alloc(chunkBytes);
    for (let at = 0; at < FILE_BYTES; at += chunkBytes) file.writeSync(chunk, 0, chunkBytes, at);
    await file.sync();
    return new CachedFile(file, await QuireInternals.of(quire));
  }

  switchNaiveWalkOn(): void {
    this.#internals.switchNaiveWalkOn(this.#file);
  }

  rewound(): Promise<WrittenFile> {
    this.#internals.rewind(this.#file);
    return Promise.resolve(this.#file as WrittenFile);
  }

  /** Sizes of the smallest and largest folio in bytes. */
  folios(): { smallestBytes: number; largestBytes: number } {
    const pages = this.#internals.pagesByOrder(this.#file, 0, FILE_BYTES);
    const orders = pages.flatMap((count, order) => (count > 0 ? [order] : []));
    return {
      smallestBytes: FRAME_BYTES * 2 ** Math.min(...orders),
      largestBytes: FRAME_BYTES * 2 ** Math.max(...orders),
    };
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

await serveParent<QuireChildArgs>(async ({ largePath, smallPath, naiveWalk }) => {
  const quire = await openQuire({ budget: BUDGET_BYTES, threads: 'auto' });
  const large = await CachedFile.make(quire, largePath, LARGE_FOLIO_BYTES);
  const small = await CachedFile.make(quire, smallPath, SMALL_FOLIO_BYTES);
  if (naiveWalk) large.switchNaiveWalkOn();
  const largeTimer = new WriteTimer(large);
  const smallTimer = new WriteTimer(small);
  return {
    async run(line: string) {
      if (line === 'folios') return { ...large.folios(), otherFileBytes: small.folios().largestBytes };
      const isSmall = line.startsWith('small ');
      return { ns: await (isSmall ? smallTimer : largeTimer).run(orderOf(line.replace('small ', ''))) };
    },
    async finish() {
      await large.close();
      await small.close();
      await quire.close();
    },
  };
});
