/**
 * One column of `lab tier`: a region of Quire over a file tier, or a file read with Node's positioned reads. Both files are
 * unlinked while open, both are written in pages, in order; reads land in a buffer that is made once. Quire's buffer is one of its I/O
 * buffers, which is what an application that reads much would take.
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { serveParent } from '../child.ts';
import { PAGE_BYTES } from '../corpus.ts';
import { openQuire, QUIRE } from '../quire.ts';
import { pathOfUnlinked } from './cold-file.ts';
import { type TieredStore, type TierPhase, TierWork } from './tier-work.ts';

export interface TierChildArgs {
  readonly store: 'quire' | 'pread';
  readonly folder: string;
  readonly pages: number;
  readonly budgetBytes: number;
  readonly readBytes: number;
  readonly seed: number;
}

/** Objects have headers, and the cleaner keeps segments free: room for the data and a quarter more. */
const FILE_SHARE = 1.25;

interface Opened {
  readonly store: TieredStore;
  /** Counters, by name. */
  stats(): Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

await serveParent<TierChildArgs>(async (args) => {
  const { store, stats, close } = args.store === QUIRE ? await openRegion(args) : openPlainFile(args);
  const work = new TierWork(store, args.pages, args.readBytes, args.seed);
  work.fill();
  return {
    run(line) {
      const [phase, count, first] = line.split(' ');
      if (phase === 'path') return { path: pathOfUnlinked(args.folder) };
      if (phase === 'stats') return stats();
      return work.run(phase as TierPhase, Number(count), Number(first ?? 0));
    },
    finish: close,
  };
});

async function openRegion({ folder, pages, budgetBytes, readBytes }: TierChildArgs): Promise<Opened> {
  const dataBytes = pages * PAGE_BYTES;
  const tier = { tier: 'file', path: folder, size: Math.ceil(dataBytes * FILE_SHARE) };
  const quire = await openQuire({ budget: budgetBytes, swap: [{ tier: 'compressed' }, tier], threads: 'auto' });
  const region = quire.region({ size: dataBytes, name: 'tier' });
  const buffer = quire.ioBuffer(readBytes);
  const unit = buffer.subarray(0, 1024);
  const store: TieredStore = {
    buffer,
    write: (offset, bytes) => void region.write(offset, bytes),
    read: (offset, length) => void region.read(offset, length === unit.length ? unit : buffer),
  };
  return { store, stats: () => quire.stats(), close: () => quire.close() };
}

function openPlainFile({ folder, readBytes }: TierChildArgs): Opened {
  const path = `${folder}/plain`;
  const fd = openSync(path, 'wx+', 0o600);
  rmSync(path);
  const buffer = Buffer.alloc(readBytes);
  const store: TieredStore = {
    buffer,
    write: (offset, bytes) => void writeSync(fd, bytes, 0, bytes.length, offset),
    read: (offset, length) => void readSync(fd, buffer, 0, length, offset),
  };
  return { store, stats: () => ({}), close: () => Promise.resolve(closeSync(fd)) };
}
