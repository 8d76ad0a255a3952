/**
 * Clones of the region, made while everybody writes it. One cell is locked by this thread and must be exact; each byte of any
 * other must be that of a version between the one before the clone was made and the one that was being written after. A
 * clone is then changed, cloned and closed, which the region must not notice.
 */
import type { Region } from '../api/region.ts';
import type { Random } from '../simulator/random.ts';
import type { Values } from './values.ts';

/** Of those that nobody locked, how many are looked at. */
const CELLS_CHECKED = 40;

export interface CellView {
  readonly region: Region;
  readonly values: Values;
  readonly random: Random;
  readonly versions: Int32Array;
  readonly offsets: Float64Array;
  /** Throws when `region` does not hold the last version of the cell, whose lock is held. */
  check(cell: number, region: Region, how: string): void;
}

/** The caller holds the lock of `held`. */
export function cloneAndCheck(view: CellView, held: number): void {
  const { region, random, versions } = view;
  const before = versions.slice();
  using clone = region.clone();
  const after = versions.slice();
  view.check(held, clone, 'clone');
  const cells = Array.from({ length: CELLS_CHECKED }, () => random.below(before.length));
  for (const cell of cells) if (cell !== held) checkBetween(view, clone, cell, before[cell], after[cell]);
  using second = clone.clone();
  scribble(view, clone, held);
  view.check(held, region, 'after its clone was written');
  view.check(held, second, 'clone of a clone');
  second.discard(view.offsets[held], view.offsets[held + 1] - view.offsets[held]);
  view.check(held, region, 'after a clone of its clone was discarded');
}

/** Other bytes over the cell, and over what lies around it. */
function scribble({ values, random, offsets }: CellView, clone: Region, cell: number): void {
  const length = Math.min(clone.size - offsets[cell], offsets[cell + 1] - offsets[cell] + 5000);
  const bytes = values.make(cell, 1 << 20, Math.min(length, 200_000));
  clone.write(offsets[cell], bytes);
  const got = new Uint8Array(bytes.length);
  clone.read(offsets[cell], got);
  if (Buffer.compare(got, bytes) !== 0) throw new Error(`cell ${cell}: a clone does not hold what was written to it`);
  clone.fill(random.below(clone.size - 9000), 9000, random.below(256));
}

function checkBetween(view: CellView, clone: Region, cell: number, first: number, last: number): void {
  const { values, offsets } = view;
  const length = offsets[cell + 1] - offsets[cell];
  const got = new Uint8Array(length);
  clone.read(offsets[cell], got);
  // Being written when the clone was made; some versions that would be absent are left out (CellWork.pin).
  let end = last + 1;
  while (values.isAbsent(cell, end)) end++;
  const known: Uint8Array[] = [];
  for (let version = first; version <= end; version++) {
    known.push(values.isAbsent(cell, version) ? new Uint8Array(length) : values.make(cell, version, length));
  }
  if (known.some((bytes) => Buffer.compare(bytes, got) === 0)) return;
  const at = got.findIndex((byte, i) => known.every((bytes) => bytes[i] !== byte));
  if (at < 0) return;
  throw new Error(`cell ${cell} of a clone, byte ${at}: found ${got[at]}, of no version from ${first} to ${end}`);
}
