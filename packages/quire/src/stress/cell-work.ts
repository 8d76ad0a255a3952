/** Work on the region. The holder of a cell's lock knows exactly what the cell must hold. */
import type { Quire } from '../api/quire.ts';
import type { Region } from '../api/region.ts';
import { QuireError } from '../base/errors.ts';
import type { Random } from '../simulator/random.ts';
import { cloneAndCheck } from './clone-work.ts';
import { cellOffsets, lockWord, type SharedState, type StressPlan, unlockWord } from './plan.ts';
import { describeValue, type Values } from './values.ts';

export class CellWork {
  private readonly region: Region;
  private readonly shared: SharedState;
  private readonly values: Values;
  private readonly random: Random;
  private readonly offsets: Float64Array;
  private readonly counts: Record<string, number>;
  private readonly cells: number;
  private readonly mayClone: boolean;

  constructor(
    quire: Quire,
    plan: StressPlan,
    shared: SharedState,
    values: Values,
    random: Random,
    counts: Record<string, number>,
  ) {
    this.region = quire.region({ name: 'cells', size: plan.regionBytes });
    this.shared = shared;
    this.values = values;
    this.random = random;
    this.counts = counts;
    this.cells = plan.cells;
    this.mayClone = plan.isVirtual;
    this.offsets = cellOffsets(values, plan.cells);
  }

  /** Something with a random cell; hot ones more often. */
  async step(): Promise<void> {
    const cell = this.random.chance(0.7) ? this.random.below(this.cells / 10) : this.random.below(this.cells);
    lockWord(this.shared.cellLocks, cell);
    try {
      await this.act(cell, this.random.below(100));
    } finally {
      unlockWord(this.shared.cellLocks, cell);
    }
  }

  private async act(cell: number, dice: number): Promise<void> {
    if (dice < 45) this.read(cell);
    else if (dice < 75) this.write(cell);
    else if (dice < 85) await this.readAsync(cell);
    else if (dice < 90) await this.writeAsync(cell);
    else if (dice < 99 || !this.mayClone) this.pin(cell);
    else this.clone(cell);
  }

  read(cell: number): void {
    const bytes = new Uint8Array(this.lengthOf(cell));
    this.region.read(this.offsets[cell], bytes);
    this.check(cell, bytes, 'read');
    this.counts['cell_reads']++;
  }

  private async readAsync(cell: number): Promise<void> {
    const bytes = new Uint8Array(this.lengthOf(cell));
    await this.region.readAsync(this.offsets[cell], bytes);
    this.check(cell, bytes, 'readAsync');
    this.counts['cell_reads']++;
  }

  /** The next version; some versions are "discarded". */
  write(cell: number): void {
    const next = this.shared.cellVersions[cell] + 1;
    const length = this.lengthOf(cell);
    if (this.values.isAbsent(cell, next)) this.region.discard(this.offsets[cell], length);
    else this.region.write(this.offsets[cell], this.values.make(cell, next, length));
    this.shared.cellVersions[cell] = next;
    this.counts['cell_writes']++;
  }

  private async writeAsync(cell: number): Promise<void> {
    const next = this.shared.cellVersions[cell] + 1;
    const length = this.lengthOf(cell);
    if (this.values.isAbsent(cell, next)) await this.region.discardAsync(this.offsets[cell], length);
    else await this.region.writeAsync(this.offsets[cell], this.values.make(cell, next, length));
    this.shared.cellVersions[cell] = next;
    this.counts['cell_writes']++;
  }

  /** Looks at the cell in place, and changes it in place. A block for it may be hard to find. */
  private pin(cell: number): void {
    const length = this.lengthOf(cell);
    if (Math.floor(this.offsets[cell] / 2 ** 21) !== Math.floor((this.offsets[cell] + length - 1) / 2 ** 21)) return;
    try {
      using pin = this.region.pin(this.offsets[cell], length);
      this.check(cell, pin.bytes.slice(), 'pin');
      let next = this.shared.cellVersions[cell] + 1;
      while (this.values.isAbsent(cell, next)) next++;
      pin.bytes.set(this.values.make(cell, next, length));
      this.shared.cellVersions[cell] = next;
      this.counts['cell_pins']++;
    } catch (error) {
      if (!(error instanceof QuireError) || error.code !== 'ERR_QUIRE_OUT_OF_MEMORY') throw error;
      this.counts['pins_refused']++;
    }
  }

  private clone(cell: number): void {
    const { region, values, random, offsets } = this;
    const check = (which: number, of: Region, how: string): void => {
      const bytes = new Uint8Array(this.lengthOf(which));
      of.read(offsets[which], bytes);
      this.check(which, bytes, how);
    };
    cloneAndCheck({ region, values, random, offsets, versions: this.shared.cellVersions, check }, cell);
    this.counts['cell_clones'] = (this.counts['cell_clones'] ?? 0) + 1;
  }

  private lengthOf(cell: number): number {
    return this.offsets[cell + 1] - this.offsets[cell];
  }

  private check(cell: number, bytes: Uint8Array, how: string): void {
    const version = this.shared.cellVersions[cell];
    const isAbsent = this.values.isAbsent(cell, version);
    const expected = isAbsent ? new Uint8Array(bytes.length) : this.values.make(cell, version, bytes.length);
    if (Buffer.compare(bytes, expected) === 0) return;
    const at = bytes.findIndex((byte, i) => byte !== expected[i]);
    throw new Error(
      `cell ${cell} (${how}, offset ${this.offsets[cell]}) differs at byte ${at}: expected version ${version}` +
        `${isAbsent ? ' (discarded)' : ''}, found ${describeValue(bytes)}`,
    );
  }
}
