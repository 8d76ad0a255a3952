/** Region: the public face of a sparse, swappable byte space. */
import { invalidArg, outOfRange, QuireError } from '../base/errors.ts';
import { checkOptions, type OptionNames } from '../base/options.ts';
import { PAGE_BYTES } from '../base/units.ts';
import { prefetchAsync, readAsync } from '../vm/async-read.ts';
import type { Memory } from '../vm/memory.ts';
import { inPiecesWithoutWaiting, withoutWaiting } from '../vm/no-wait.ts';
import { pinRange, unpinRange } from '../vm/pin-range.ts';
import type { RegionSpace } from '../vm/region-space.ts';
import { checkBytes, checkSpan } from './arguments.ts';
import { HeldPages } from './held-pages.ts';

/**
 * Pages of a region held in place. Writing to `bytes` writes the region. Dispose of it soon: what is pinned cannot be
 * reclaimed.
 */
export interface RegionPin extends Disposable {
  /** Zero-copy view, valid until the pin is released. */
  readonly bytes: Uint8Array;
  release(): void;
}

export interface CloneOptions {
  /** Name under which other threads open the clone. Default: a region of its own. At most 120 bytes of UTF-8. */
  readonly name?: string;
  /** Name under which the clone's memory is accounted. Default: that of the region. 1 to 31 bytes of UTF-8. */
  readonly group?: string;
}

const CLONE_OPTIONS: OptionNames<CloneOptions> = { name: true, group: true };

export interface RegionOwner {
  readonly memory: Memory;
  /** Makes and keeps a clone of one of its regions. */
  clone(region: Region, options: CloneOptions): Region;
  /** Called when the region is closed by its user. */
  forget(region: Region): void;
}

/**
 * A sparse byte space: any size up to 2^45 bytes, untouched pages cost nothing and read as zeros. Offsets and lengths
 * are bytes.
 *
 * Every method throws ERR_QUIRE_INVALID_ARG (wrong type, negative, NaN), ERR_QUIRE_RANGE (beyond the end),
 * ERR_QUIRE_CLOSED, ERR_QUIRE_FAILED (an invariant broke earlier). Those that read may throw ERR_QUIRE_IO or
 * ERR_QUIRE_CORRUPT for a page that the file tier cannot give back; what the target of a read holds then is not defined. Those
 * that store may throw ERR_QUIRE_SWAP_FULL.
 */
export class Region implements Disposable {
  readonly name: string;
  readonly size: number;
  readonly group: string;
  private readonly owner: RegionOwner;
  private readonly space: RegionSpace;
  private readonly pins = new Set<RegionPin>();
  private isClosed = false;

  constructor(owner: RegionOwner, space: RegionSpace, name: string, size: number, group: string) {
    this.owner = owner;
    this.space = space;
    this.name = name;
    this.size = size;
    this.group = group;
  }

  /** Fills `target` with the bytes at `offset`. */
  read(offset: number, target: Uint8Array): void {
    checkBytes('target', target);
    checkSpan(offset, target.length, this.size);
    this.checkOpen();
    try {
      this.space.read(offset, target, 0, target.length);
    } catch (error) {
      throw this.owner.memory.latch(error);
    }
  }

  /**
   * Stores `bytes` at `offset`. When it throws ERR_QUIRE_SWAP_FULL, the pages before the one that found no room are
   * written, the others are unchanged.
   */
  write(offset: number, bytes: Uint8Array): void {
    checkBytes('bytes', bytes);
    checkSpan(offset, bytes.length, this.size);
    this.checkOpen();
    try {
      this.space.write(offset, bytes, 0, bytes.length);
    } catch (error) {
      throw this.owner.memory.latch(error);
    }
  }

  /** Sets `length` bytes at `offset` to `byte` (0…255). */
  fill(offset: number, length: number, byte = 0): void {
    checkSpan(offset, length, this.size);
    if (!Number.isInteger(byte)) throw invalidArg('byte', 'an integer', byte);
    if (byte < 0 || byte > 255) throw outOfRange('byte', '0…255', byte);
    this.checkOpen();
    try {
      this.space.fill(offset, byte, length);
    } catch (error) {
      throw this.owner.memory.latch(error);
    }
  }

  /**
   * Gives the bytes back: they read as zeros, and whole pages free what they took. Where daemon threads run, those of whole
   * 2 MiB chunks are freed a little later, by kswapd, or by who needs the memory (as UNLINK of Redis); `stats()` shows them freed.
   */
  discard(offset: number, length: number): void {
    checkSpan(offset, length, this.size);
    this.checkOpen();
    try {
      this.space.discard(offset, length);
    } catch (error) {
      throw this.owner.memory.latch(error);
    }
  }

  /**
   * Holds `length` bytes at `offset` in place and gives them as one zero-copy view. At most 2 MiB, inside one
   * naturally aligned block of the next power of two. Throws ERR_QUIRE_OUT_OF_MEMORY when no contiguous block can be
   * had.
   */
  pin(offset: number, length: number): RegionPin {
    checkSpan(offset, length, this.size);
    if (length === 0) throw outOfRange('length', 'at least 1', 0);
    this.checkOpen();
    try {
      const held = pinRange(this.owner.memory, this.space, offset, length);
      const pin = new HeldPages(held.bytes, () => {
        unpinRange(this.owner.memory, held);
        this.pins.delete(pin);
      });
      this.pins.add(pin);
      return pin;
    } catch (error) {
      throw this.owner.memory.latch(error);
    }
  }

  /**
   * A region of the same size with the same bytes, of this moment: both are then changed independently. Only page tables
   * are copied, 5 to 9 bytes a page, and pages held by a pin; the two share what they hold, in whatever tier it is, page
   * by page until one of them writes it. So it works on a region larger than memory, and of a clone. Close them in any
   * order.
   *
   * What was written before the call is in the clone. What other threads write meanwhile is there or not, page by page.
   * Throws ERR_QUIRE_INVALID_ARG (also: a region of that name is open), ERR_QUIRE_OUT_OF_MEMORY (also: 512 files and
   * regions are open) or ERR_QUIRE_SWAP_FULL, and then nothing has changed. A write to a shared page takes room anew and
   * may throw ERR_QUIRE_SWAP_FULL where a write to one's own page would not. ERR_QUIRE_UNSUPPORTED with `virtual: false`. (After fork and its copy-on-write.)
   */
  clone(options: CloneOptions = {}): Region {
    this.checkOpen();
    const checked = checkOptions<CloneOptions>('options', options, CLONE_OPTIONS);
    try {
      return this.owner.clone(this, checked);
    } catch (error) {
      throw this.owner.memory.latch(error);
    }
  }

  /** As `read`; pages on disk are fetched without blocking the event loop. */
  async readAsync(offset: number, target: Uint8Array): Promise<void> {
    checkBytes('target', target);
    checkSpan(offset, target.length, this.size);
    this.checkOpen();
    try {
      await readAsync(this.owner.memory, this.space, offset, target, () => this.checkOpen());
    } catch (error) {
      throw this.owner.memory.latch(error);
    }
  }

  /** As `write`; pages on disk that are overwritten in part are fetched first, without blocking the event loop. */
  async writeAsync(offset: number, bytes: Uint8Array): Promise<void> {
    checkBytes('bytes', bytes);
    checkSpan(offset, bytes.length, this.size);
    await this.prefetchEnds(offset, bytes.length);
    await this.inPieces(offset, bytes.length, (at, length) =>
      this.write(at, bytes.subarray(at - offset, at - offset + length)),
    );
  }

  async fillAsync(offset: number, length: number, byte = 0): Promise<void> {
    checkSpan(offset, length, this.size);
    await this.prefetchEnds(offset, length);
    await this.inPieces(offset, length, (at, piece) => this.fill(at, piece, byte));
  }

  async discardAsync(offset: number, length: number): Promise<void> {
    checkSpan(offset, length, this.size);
    await this.prefetchEnds(offset, length);
    await this.withoutWaiting(() => this.discard(offset, length));
  }

  async pinAsync(offset: number, length: number): Promise<RegionPin> {
    checkSpan(offset, length, this.size);
    await this.prefetch(offset, length);
    return this.withoutWaiting(() => this.pin(offset, length));
  }

  /** Brings pages from the disk tier into memory, best effort, without blocking the event loop. */
  async prefetch(offset: number, length: number): Promise<void> {
    checkSpan(offset, length, this.size);
    this.checkOpen();
    try {
      await prefetchAsync(this.owner.memory, this.space, offset, length, () => this.checkOpen());
    } catch (error) {
      throw this.owner.memory.latch(error);
    }
  }

  private inPieces(offset: number, length: number, work: (at: number, length: number) => void): Promise<void> {
    return inPiecesWithoutWaiting(this.owner.memory, () => this.checkOpen(), offset, length, work);
  }

  /** What was prefetched may be gone again, or found no memory: `work` is tried until it need not wait for the disk. */
  private withoutWaiting<T>(work: () => T): Promise<T> {
    return withoutWaiting(this.owner.memory, () => this.checkOpen(), work);
  }

  /** Pages changed in part need their old bytes. Those overwritten whole do not, and may be unreadable. */
  private async prefetchEnds(offset: number, length: number): Promise<void> {
    const end = offset + length;
    const first = Math.floor(offset / PAGE_BYTES);
    const last = Math.floor((end - 1) / PAGE_BYTES);
    const endIsPart = end % PAGE_BYTES !== 0;
    if (length > 0 && (offset % PAGE_BYTES !== 0 || (endIsPart && first === last))) await this.prefetch(offset, 1);
    if (length > 0 && endIsPart && first !== last) await this.prefetch(end - 1, 1);
  }

  /**
   * Releases the pins of this object and its use of the region. The last user's close frees all its pages.
   * Idempotent.
   */
  close(): void {
    if (this.isClosed) return;
    for (const pin of this.pins) pin.release();
    this.isClosed = true;
    this.space.close();
    this.owner.forget(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The region's number, for the layers above. */
  get id(): number {
    return this.space.region;
  }

  private checkOpen(): void {
    if (this.isClosed) throw new QuireError('ERR_QUIRE_CLOSED', `region '${this.name}' is closed`);
    this.owner.memory.checkAlive();
  }
}
