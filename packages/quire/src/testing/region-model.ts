/**
 * A region beside a plain copy of it: every read is compared, every store goes to both. Pages of the copy are never changed in place, so that a read that was begun
 * earlier can be compared with each content the page had meanwhile.
 */
import assert from 'node:assert/strict';
import { QuireError } from '../base/errors.ts';
import { CHUNK_BYTES, PAGE_BYTES } from '../base/units.ts';
import { readAsync } from '../vm/async-read.ts';
import type { Memory } from '../vm/memory.ts';
import { createPageView } from '../vm/page-space.ts';
import { type HeldRange, pinRange, unpinRange } from '../vm/pin-range.ts';
import type { RegionSpace } from '../vm/region-space.ts';

const ZEROS = new Uint8Array(PAGE_BYTES);

/** A pending async read: what each of its pages may turn out to be. */
interface PendingRead {
  readonly first: number;
  readonly versions: Uint8Array[][];
  readonly done: Promise<void>;
}

interface HeldPin {
  readonly held: HeldRange;
  readonly offset: number;
}

export class RegionModel {
  readonly space: RegionSpace;
  readonly pages: Map<number, Uint8Array>;
  /** How often the region said that everything is full. */
  fullCount = 0;
  private readonly memory: Memory;
  private readonly pending: PendingRead[];
  private readonly pins: HeldPin[];
  private readonly buffer = new Uint8Array(64 * PAGE_BYTES);
  private readonly view = createPageView();

  /** `twin`: the model of another thread over the same region; both then share one copy. */
  constructor(memory: Memory, space: RegionSpace, twin?: RegionModel) {
    this.memory = memory;
    this.space = space;
    this.pages = twin?.pages ?? new Map();
    this.pending = twin?.pending ?? [];
    this.pins = twin?.pins ?? [];
  }

  /** The model of a clone, which holds what this one holds now. */
  cloneFor(space: RegionSpace): RegionModel {
    const clone = new RegionModel(this.memory, space);
    for (const [page, content] of this.pages) clone.pages.set(page, content);
    return clone;
  }

  /** No read under way, no pin held: the region may be closed. */
  get isIdle(): boolean {
    return this.pending.length === 0 && this.pins.length === 0;
  }

  read(offset: number, length: number): void {
    const target = this.buffer.subarray(0, length);
    this.space.read(offset, target, 0, length);
    this.expect(offset, target);
  }

  /** The optimistic way, as the map reads: only the bytes before `neededEnd` may be looked at. */
  readInPlace(offset: number, neededEnd: number): void {
    const { view } = this;
    this.space.openRead(offset, neededEnd, view);
    const got = view.bytes.slice(view.byte, view.byte + neededEnd);
    assert.ok(this.space.closeRead(view), 'nobody else is at work: a read holds');
    this.expect(offset - (offset % PAGE_BYTES), got);
  }

  write(offset: number, bytes: Uint8Array): void {
    const stored = this.attempt(() => this.space.write(offset, bytes, 0, bytes.length));
    this.afterStore(offset, bytes, stored);
  }

  fill(offset: number, byte: number, length: number): void {
    const stored = this.attempt(() => this.space.fill(offset, byte, length));
    this.afterStore(offset, new Uint8Array(length).fill(byte), stored);
  }

  /** Writes in place, as the map does. */
  writeInPlace(offset: number, bytes: Uint8Array): void {
    const inPage = offset % PAGE_BYTES;
    const part = bytes.subarray(0, Math.min(bytes.length, PAGE_BYTES - inPage));
    const stored = this.attempt(() => {
      this.space.openWrite(offset, this.view);
      this.view.bytes.set(part, this.view.byte + inPage);
      this.space.closeWrite(this.view);
    });
    this.afterStore(offset, part, stored);
  }

  discard(offset: number, length: number): void {
    // Zeroing the ends of the range may need memory; what that leaves is told apart page by page.
    const stored = this.attempt(() => this.space.discard(offset, length));
    if (stored) this.remember(offset, new Uint8Array(length));
    else this.adopt(offset, new Uint8Array(length), false);
  }

  pin(offset: number, length: number): void {
    try {
      this.pins.push({ held: pinRange(this.memory, this.space, offset, length), offset });
    } catch (error) {
      const crosses = Math.floor(offset / CHUNK_BYTES) !== Math.floor((offset + length - 1) / CHUNK_BYTES);
      const expected = crosses ? ['ERR_QUIRE_RANGE'] : ['ERR_QUIRE_SWAP_FULL', 'ERR_QUIRE_OUT_OF_MEMORY'];
      if (!(error instanceof QuireError && expected.includes(error.code))) throw error;
    }
  }

  /** Writes through the newest pin. */
  writePinned(bytes: Uint8Array): void {
    const pin = this.pins.at(-1);
    if (pin === undefined) return;
    const part = bytes.subarray(0, pin.held.bytes.length);
    pin.held.bytes.set(part);
    this.remember(pin.offset, part);
  }

  /** Gives up the oldest pins until `keep` are left; what they show must be what the region holds. */
  unpin(keep: number): void {
    while (this.pins.length > keep) {
      const pin = this.pins.shift();
      if (pin === undefined) return;
      this.expect(pin.offset, pin.held.bytes);
      unpinRange(this.memory, pin.held);
    }
  }

  /** Starts a read that ends at some later `settle`, or earlier. */
  beginRead(offset: number, length: number): void {
    const target = new Uint8Array(length);
    const first = Math.floor(offset / PAGE_BYTES);
    const count = Math.floor((offset + length - 1) / PAGE_BYTES) - first + 1;
    const versions = Array.from({ length: count }, (_, i) => [this.pages.get(first + i) ?? ZEROS]);
    const read: PendingRead = {
      first,
      versions,
      done: readAsync(this.memory, this.space, offset, target, () => undefined).then(() => {
        this.pending.splice(this.pending.indexOf(read), 1);
        this.expectOneOf(offset, target, versions);
      }),
    };
    this.pending.push(read);
    // A failure shows when it is settled, not as an unhandled rejection.
    read.done.catch(() => undefined);
  }

  async settle(): Promise<void> {
    while (this.pending.length > 0) await this.pending[0].done;
  }

  /** Compares every page ever written. */
  readAll(): void {
    for (const page of this.pages.keys()) this.read(page * PAGE_BYTES, PAGE_BYTES);
  }

  /** True when it went well, false when everything was full. */
  private attempt(store: () => void): boolean {
    try {
      store();
      return true;
    } catch (error) {
      if (!(error instanceof QuireError) || error.code !== 'ERR_QUIRE_SWAP_FULL') throw error;
      this.fullCount++;
      return false;
    }
  }

  private afterStore(offset: number, bytes: Uint8Array, stored: boolean): void {
    if (stored) this.remember(offset, bytes);
    else this.adopt(offset, bytes, true);
  }

  private remember(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const page = Math.floor((offset + at) / PAGE_BYTES);
      const inPage = (offset + at) % PAGE_BYTES;
      const step = Math.min(PAGE_BYTES - inPage, bytes.length - at);
      const next = Uint8Array.from(this.pages.get(page) ?? ZEROS);
      next.set(bytes.subarray(at, at + step), inPage);
      this.replace(page, next);
      at += step;
    }
  }

  private replace(page: number, content: Uint8Array): void {
    this.pages.set(page, content);
    for (const read of this.pending) read.versions[page - read.first]?.push(content);
  }

  /** After a store that failed: each page is wholly as before or wholly as wanted, and with `ordered` none follows one that was left out. */
  private adopt(offset: number, bytes: Uint8Array, ordered: boolean): void {
    let leftOut = false;
    const got = new Uint8Array(PAGE_BYTES);
    for (let at = 0; at < bytes.length; ) {
      const inPage = (offset + at) % PAGE_BYTES;
      const start = offset + at - inPage;
      const step = Math.min(PAGE_BYTES - inPage, bytes.length - at);
      const before = this.pages.get(start / PAGE_BYTES) ?? ZEROS;
      const wanted = Uint8Array.from(before);
      wanted.set(bytes.subarray(at, at + step), inPage);
      this.space.read(start, got, 0, PAGE_BYTES);
      if (sameBytes(got, before)) leftOut = leftOut || !sameBytes(wanted, before);
      else {
        assert.ok(
          sameBytes(got, wanted),
          `page ${start / PAGE_BYTES} after a store that failed is neither old nor new`,
        );
        assert.ok(!(ordered && leftOut), `page ${start / PAGE_BYTES} was stored though one before it was not`);
        this.replace(start / PAGE_BYTES, wanted);
      }
      at += step;
    }
  }

  private expect(offset: number, got: Uint8Array): void {
    for (let at = 0; at < got.length; ) {
      const page = Math.floor((offset + at) / PAGE_BYTES);
      const inPage = (offset + at) % PAGE_BYTES;
      const step = Math.min(PAGE_BYTES - inPage, got.length - at);
      const wanted = (this.pages.get(page) ?? ZEROS).subarray(inPage, inPage + step);
      if (!sameBytes(got.subarray(at, at + step), wanted))
        assert.fail(`page ${page} from byte ${inPage}: ${step} bytes differ`);
      at += step;
    }
  }

  private expectOneOf(offset: number, got: Uint8Array, versions: Uint8Array[][]): void {
    const first = Math.floor(offset / PAGE_BYTES);
    for (let at = 0; at < got.length; ) {
      const page = Math.floor((offset + at) / PAGE_BYTES);
      const inPage = (offset + at) % PAGE_BYTES;
      const step = Math.min(PAGE_BYTES - inPage, got.length - at);
      const part = got.subarray(at, at + step);
      const known = versions[page - first].some((version) => sameBytes(part, version.subarray(inPage, inPage + step)));
      if (!known) assert.fail(`page ${page}: an async read gave bytes it never held`);
      at += step;
    }
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
