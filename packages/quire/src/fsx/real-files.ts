/**
 * The second layer: QuireFile on real files in a temporary folder, with daemon threads. Several operations are under
 * way at a time; those that change a file take turns, readers do not wait. After each sync the file is read through the
 * system and compared.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Quire } from '../api/quire.ts';
import type { QuireFile } from '../api/quire-file.ts';
import type { Region } from '../api/region.ts';
import { KIB, MIB } from '../base/units.ts';
import { Random } from '../simulator/random.ts';
import { type Change, describeDifference, FileModel } from './file-model.ts';
import { isCode, makeBytes } from './file-work.ts';

export interface RealResult {
  readonly operations: number;
  readonly syncs: number;
  readonly failure: string | undefined;
}

const BUDGET_BYTES = 12 * MIB;
/** Three files of up to 5 MiB and a region of 8 MiB: twice the budget. */
const FILES = 3;
const FILE_BYTES_MAX = 5 * MIB;
const REGION_BYTES = 8 * MIB;
const LENGTH_MAX = 400 * KIB;
const TOGETHER_MAX = 5;

interface RealFile {
  readonly path: string;
  readonly model: FileModel;
  /** Two that read and write, one that appends. */
  readonly handles: QuireFile[];
  appender: QuireFile;
  /** The last change begun; the next waits for it. */
  turn: Promise<void>;
}

export async function runRealFiles(options: { seed: number; seconds: number }): Promise<RealResult> {
  const directory = mkdtempSync(join(tmpdir(), 'quire-fsx-'));
  const work = new RealWork(new Random(options.seed));
  let failure: string | undefined;
  try {
    const quire = await Quire.open({ budget: BUDGET_BYTES, swap: [{ tier: 'compressed' }], threads: 1 });
    try {
      await work.run(quire, directory, options.seconds * 1000);
    } finally {
      await quire.close();
    }
    work.compareAll();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? `\n  cause: ${error.cause.stack}` : '';
    failure = `${error instanceof Error ? error.stack : String(error)}${cause}\n  last: ${work.last}`;
  }
  rmSync(directory, { recursive: true, force: true });
  return { operations: work.operations, syncs: work.syncs, failure };
}

class RealWork {
  operations = 0;
  syncs = 0;
  last = '';
  private readonly random: Random;
  private readonly files: RealFile[] = [];
  private quire: Quire | undefined;
  private region: Region | undefined;

  constructor(random: Random) {
    this.random = random;
  }

  async run(quire: Quire, directory: string, ms: number): Promise<void> {
    this.quire = quire;
    this.region = quire.region({ size: REGION_BYTES });
    for (let number = 0; number < FILES; number++) this.files.push(await this.create(join(directory, `${number}`)));
    const end = performance.now() + ms;
    while (performance.now() < end) {
      const count = this.random.between(1, TOGETHER_MAX);
      const results = await Promise.allSettled(Array.from({ length: count }, () => this.step()));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    }
    for (const file of this.files) {
      for (const handle of file.handles) await handle.close();
      await file.appender.close();
    }
  }

  compareAll(): void {
    for (const file of this.files) compare(file);
  }

  private async create(path: string): Promise<RealFile> {
    writeFileSync(path, '');
    const quire = this.quire as Quire;
    const handles = [await quire.openFile(path, 'r+'), await quire.openFile(path, 'r+')];
    const appender = await quire.openFile(path, 'a+');
    return { path, model: new FileModel(), handles, appender, turn: Promise.resolve() };
  }

  private step(): Promise<void> {
    const { random } = this;
    this.operations++;
    const file = random.pick(this.files);
    const slot = random.below(file.handles.length);
    const length = Math.max(1, Math.floor(LENGTH_MAX ** (random.next() / 2 ** 32)));
    const position = random.chance(0.2)
      ? Math.max(0, file.model.size - random.below(9000))
      : random.below(FILE_BYTES_MAX - length);
    const dice = random.below(100);
    this.last = `${dice} at ${position}, ${length} bytes, of ${file.path}`;
    if (dice < 38) return this.read(file, slot, position, length, dice);
    if (dice < 70) return this.inTurn(file, () => this.write(file, slot, position, length, dice));
    if (dice < 80) return this.inTurn(file, () => this.append(file, length));
    if (dice < 84) return this.inTurn(file, () => this.truncate(file, slot, position));
    if (dice < 90) return this.inTurn(file, () => this.sync(file, slot, dice));
    if (dice < 92) return this.inTurn(file, () => this.reopen(file, slot));
    return Promise.resolve(this.press());
  }

  private inTurn(file: RealFile, act: () => Promise<void>): Promise<void> {
    const done = file.turn.then(act);
    file.turn = done.catch(() => undefined);
    return done;
  }

  private async read(file: RealFile, slot: number, position: number, length: number, dice: number): Promise<void> {
    const window = file.model.openRead(position, length);
    const target = new Uint8Array(length);
    const half = length >> 1;
    let count: number;
    if (dice < 12) count = file.handles[slot].readSync(target, 0, length, position);
    else if (dice < 18)
      count = (await file.handles[slot].readv([target.subarray(0, half), target.subarray(half)], position)).bytesRead;
    else count = (await file.handles[slot].read(target, 0, length, position)).bytesRead;
    file.model.closeRead(window, target.subarray(0, count));
  }

  private async write(file: RealFile, slot: number, position: number, length: number, dice: number): Promise<void> {
    const bytes = makeBytes(this.random, length);
    const half = length >> 1;
    await this.change(file, { kind: 'write', position, bytes }, async () => {
      if (dice < 48) return file.handles[slot].writeSync(bytes, 0, length, position);
      if (dice < 54)
        return (await file.handles[slot].writev([bytes.subarray(0, half), bytes.subarray(half)], position))
          .bytesWritten;
      return (await file.handles[slot].write(bytes, 0, length, position)).bytesWritten;
    });
  }

  private async append(file: RealFile, length: number): Promise<void> {
    if (file.model.size + length > FILE_BYTES_MAX) return;
    const bytes = makeBytes(this.random, length);
    await this.change(
      file,
      { kind: 'write', position: file.model.size, bytes },
      async () => (await file.appender.write(bytes, 0, length)).bytesWritten,
    );
  }

  private truncate(file: RealFile, slot: number, size: number): Promise<void> {
    return this.change(file, { kind: 'truncate', size }, async () => {
      await file.handles[slot].truncate(size);
      return 1;
    });
  }

  private async change(file: RealFile, change: Change, make: () => Promise<number>): Promise<void> {
    file.model.announce(change);
    const done = await make();
    file.model.settle(done);
    if (change.kind === 'write' && done !== change.bytes.length)
      throw new Error(`write of ${change.bytes.length} wrote ${done}`);
  }

  private async sync(file: RealFile, slot: number, dice: number): Promise<void> {
    await (dice % 2 === 0 ? file.handles[slot].sync() : file.handles[slot].datasync());
    compare(file);
    this.syncs++;
  }

  /** Closes all three, so that the pages go, or just one. */
  private async reopen(file: RealFile, slot: number): Promise<void> {
    const quire = this.quire as Quire;
    if (this.random.chance(0.5)) {
      await file.handles[slot].close();
      file.handles[slot] = await quire.openFile(file.path, 'r+');
      return;
    }
    await file.appender.close();
    file.appender = await quire.openFile(file.path, 'a+');
  }

  private press(): void {
    const length = this.random.between(1, 64 * KIB);
    try {
      this.region?.fill(this.random.below(REGION_BYTES - length), length, this.random.below(256));
    } catch (error) {
      if (!isCode(error, 'ERR_QUIRE_SWAP_FULL') && !isCode(error, 'ERR_QUIRE_OUT_OF_MEMORY')) throw error;
    }
  }
}

function compare(file: RealFile): void {
  const { model, path } = file;
  const got = new Uint8Array(readFileSync(path));
  if (got.length !== model.size) throw new Error(`${path} has ${got.length} bytes, expected ${model.size}`);
  const expected = model.bytes.slice(0, model.size);
  if (Buffer.compare(got, expected) === 0) return;
  const at = got.findIndex((byte, i) => byte !== expected[i]);
  throw new Error(`${path} on disk: ${describeDifference(0, at, got, expected)}`);
}
