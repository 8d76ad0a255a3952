/**
 * What a map should hold. A key has its value, and while changes are under way or ended in an error, other values it
 * may have. A read that overlaps changes in time may see any value of its window.
 */
import { Mismatch } from './page-model.ts';

export interface Entry {
  readonly value: Uint8Array;
  readonly expiresAtMs: number;
}

export type Held = Entry | undefined;

export interface MapRead {
  readonly key: string;
  readonly startMs: number;
  readonly seen: Held[];
}

export class MapModel {
  private readonly entries = new Map<string, Entry>();
  /** Keys whose last change ended in an error: what they may hold besides. */
  private readonly doubts = new Map<string, Held[]>();
  private readonly reads = new Set<MapRead>();
  private readonly scans = new Set<Set<string>>();
  /** A page of the map was lost: entries may be missing, but none may be wrong. */
  isDamaged = false;

  get size(): number {
    return this.entries.size;
  }

  beginRead(key: string, startMs: number): MapRead {
    const read = { key, startMs, seen: [this.entries.get(key), ...(this.doubts.get(key) ?? [])] };
    this.reads.add(read);
    return read;
  }

  dropRead(read: MapRead): void {
    this.reads.delete(read);
  }

  endRead(read: MapRead, value: Uint8Array | undefined, nowMs: number): void {
    this.dropRead(read);
    if (value === undefined && this.isDamaged) return;
    for (const held of read.seen) {
      // Time goes on during a read: what expires in it may be found or not.
      if (value === undefined && (held === undefined || isExpired(held, nowMs))) return;
      if (
        value !== undefined &&
        held !== undefined &&
        !isExpired(held, read.startMs) &&
        Buffer.compare(held.value, value) === 0
      )
        return;
    }
    const found = value === undefined ? 'nothing' : `${value.length} bytes`;
    const wanted = read.seen.map((held) =>
      held === undefined ? 'nothing' : `${held.value.length} bytes until ${held.expiresAtMs}`,
    );
    throw new Mismatch(`map key ${read.key}: found ${found}, expected ${wanted.join(' or ')} at ${nowMs}`);
  }

  /** A change of the key begins: whoever reads it meanwhile may see `next` already. */
  begin(key: string, next: Held): void {
    this.tell(key, next);
    const doubts = this.doubts.get(key);
    if (doubts === undefined) this.doubts.set(key, [next]);
    else doubts.push(next);
  }

  /** The change is done. */
  end(key: string, next: Held): void {
    this.doubts.delete(key);
    this.put(key, next);
  }

  /** It ended in an error that leaves all as it was (`isSure`), or that leaves one or the other. */
  fail(key: string, next: Held, isSure: boolean): void {
    if (!isSure) return;
    const doubts = this.doubts.get(key)?.filter((held) => held !== next) ?? [];
    if (doubts.length === 0) this.doubts.delete(key);
    else this.doubts.set(key, doubts);
  }

  /** The map said that it let go of this entry. */
  remove(key: string): void {
    this.doubts.delete(key);
    this.put(key, undefined);
  }

  /**
   * Any entry may go from now on until `settleRemovals` (eviction is under way): readers in between must not be
   * surprised.
   */
  mayLoseAny(): void {
    for (const read of this.reads) read.seen.push(undefined);
  }

  private put(key: string, next: Held): void {
    this.tell(key, next);
    if (next === undefined) this.entries.delete(key);
    else this.entries.set(key, next);
    if (next === undefined || next.expiresAtMs !== 0) for (const scan of this.scans) scan.delete(key);
  }

  private tell(key: string, next: Held): void {
    for (const read of this.reads) if (read.key === key) read.seen.push(next);
  }

  /** Keys that a scan which starts now must visit: those that stay all the time; the set shrinks by itself. */
  beginScan(): Set<string> {
    const must = new Set<string>();
    for (const [key, entry] of this.entries) if (entry.expiresAtMs === 0 && !this.doubts.has(key)) must.add(key);
    this.scans.add(must);
    return must;
  }

  endScan(must: Set<string>, seen: ReadonlySet<string>): void {
    this.scans.delete(must);
    if (this.isDamaged) return;
    for (const key of must)
      if (!seen.has(key)) throw new Mismatch(`map key ${key} was there all the time but not in the scan`);
  }

  keys(): Iterable<string> {
    return this.entries.keys();
  }

  valueOf(key: string): Held {
    return this.entries.get(key);
  }

  hasDoubts(): boolean {
    return this.doubts.size > 0 || this.isDamaged;
  }

  /** Everything is gone. */
  clear(): void {
    for (const key of [...this.entries.keys()]) this.put(key, undefined);
    this.doubts.clear();
  }
}

function isExpired(entry: Entry, nowMs: number): boolean {
  return entry.expiresAtMs !== 0 && entry.expiresAtMs <= nowMs;
}
