/**
 * Work on a file, as cell-work.ts is on a region: cells at odd places of every length, each guarded by a lock of its
 * own, so that its version is exact while its pages are read in, written back, evicted and moved beneath it.
 */
import { readFileSync } from 'node:fs';
import type { Quire } from '../api/quire.ts';
import type { QuireFile } from '../api/quire-file.ts';
import { QuireError } from '../base/errors.ts';
import type { Random } from '../simulator/random.ts';
import { cellOffsets, lockWord, type SharedState, type StressPlan, unlockWord } from './plan.ts';
import { describeValue, type Values } from './values.ts';

/** Ids of the file's cells, apart from those of the region and the keys of the map. */
const FIRST_ID = 1_000_000;

export class FileCells {
  private readonly file: QuireFile;
  private readonly shared: SharedState;
  private readonly values: Values;
  private readonly random: Random;
  private readonly offsets: Float64Array;
  private readonly counts: Record<string, number>;
  private readonly cells: number;

  private constructor(
    file: QuireFile,
    plan: StressPlan,
    shared: SharedState,
    values: Values,
    random: Random,
    counts: Record<string, number>,
  ) {
    this.file = file;
    this.shared = shared;
    this.values = values;
    this.random = random;
    this.counts = counts;
    this.cells = plan.fileCells;
    this.offsets = cellOffsets(values, plan.fileCells, FIRST_ID);
    for (const name of ['file_reads', 'file_writes', 'file_pins', 'file_syncs']) counts[name] = 0;
  }

  static async open(
    quire: Quire,
    plan: StressPlan,
    shared: SharedState,
    values: Values,
    random: Random,
    counts: Record<string, number>,
  ): Promise<FileCells> {
    return new FileCells(await quire.openFile(plan.filePath, 'r+'), plan, shared, values, random, counts);
  }

  close(): Promise<void> {
    return this.file.close();
  }

  async step(): Promise<void> {
    if (this.random.chance(0.002)) {
      await this.file.sync();
      this.counts['file_syncs']++;
      return;
    }
    const cell = this.random.chance(0.5) ? this.random.below(this.cells / 10) : this.random.below(this.cells);
    lockWord(this.shared.fileLocks, cell);
    try {
      await this.act(cell, this.random.below(100));
    } finally {
      unlockWord(this.shared.fileLocks, cell);
    }
  }

  private async act(cell: number, dice: number): Promise<void> {
    if (dice < 40) this.read(cell);
    else if (dice < 65) this.write(cell);
    else if (dice < 80) await this.readAsync(cell);
    else if (dice < 92) await this.writeAsync(cell);
    else this.pin(cell);
  }

  read(cell: number): void {
    const bytes = new Uint8Array(this.lengthOf(cell));
    const count = this.file.readSync(bytes, 0, bytes.length, this.offsets[cell]);
    this.check(cell, bytes, count, 'readSync');
  }

  private async readAsync(cell: number): Promise<void> {
    const bytes = new Uint8Array(this.lengthOf(cell));
    const { bytesRead } = await this.file.read(bytes, 0, bytes.length, this.offsets[cell]);
    this.check(cell, bytes, bytesRead, 'read');
  }

  write(cell: number): void {
    const next = this.shared.fileVersions[cell] + 1;
    const bytes = this.values.make(FIRST_ID + cell, next, this.lengthOf(cell));
    this.wrote(cell, next, this.file.writeSync(bytes, 0, bytes.length, this.offsets[cell]));
  }

  private async writeAsync(cell: number): Promise<void> {
    const next = this.shared.fileVersions[cell] + 1;
    const bytes = this.values.make(FIRST_ID + cell, next, this.lengthOf(cell));
    this.wrote(cell, next, (await this.file.write(bytes, 0, bytes.length, this.offsets[cell])).bytesWritten);
  }

  private wrote(cell: number, version: number, count: number): void {
    if (count !== this.lengthOf(cell)) throw new Error(`file cell ${cell}: wrote ${count} of ${this.lengthOf(cell)}`);
    this.shared.fileVersions[cell] = version;
    this.counts['file_writes']++;
  }

  /** Looks at it in place while others' compaction would like to move it. A cell of several folios cannot be pinned. */
  private pin(cell: number): void {
    try {
      using pin = this.file.pin(this.offsets[cell], this.lengthOf(cell));
      this.check(cell, pin.bytes.slice(), pin.bytes.length, 'pin');
      this.counts['file_pins']++;
    } catch (error) {
      if (!(error instanceof QuireError) || error.code === 'ERR_QUIRE_FAILED') throw error;
      this.counts['pins_refused'] = (this.counts['pins_refused'] ?? 0) + 1;
    }
  }

  /** After a sync the system reads the same. */
  async checkDisk(path: string): Promise<void> {
    await this.file.sync();
    const disk = readFileSync(path);
    for (let cell = 0; cell < this.cells; cell++) {
      const bytes = disk.subarray(this.offsets[cell], this.offsets[cell + 1]);
      this.check(cell, bytes, bytes.length, 'disk');
    }
  }

  private lengthOf(cell: number): number {
    return this.offsets[cell + 1] - this.offsets[cell];
  }

  private check(cell: number, bytes: Uint8Array, count: number, how: string): void {
    const version = this.shared.fileVersions[cell];
    const expected = this.values.make(FIRST_ID + cell, version, bytes.length);
    this.counts['file_reads']++;
    if (count === bytes.length && Buffer.compare(bytes, expected) === 0) return;
    const at = bytes.findIndex((byte, i) => byte !== expected[i]);
    throw new Error(
      `file cell ${cell} (${how} of ${count}, offset ${this.offsets[cell]}) differs at byte ${at}: ` +
        `expected version ${version}, found ${describeValue(bytes)}`,
    );
  }
}
