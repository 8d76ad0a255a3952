/** A region that presses on the memory: pages are stamped, written again, read and given back while files are at work. */
import { PAGE_BYTES } from '../base/units.ts';
import type { Random } from '../simulator/random.ts';
import type { Memory } from '../vm/memory.ts';
import { RegionSpace } from '../vm/region-space.ts';
import { chunksFor, closeRegion, openRegion } from '../vm/region-table.ts';
import type { FileThread } from './world.ts';

const NAME = 'region:ballast';

export class Ballast {
  private readonly pages: number;
  /** Stamp of each page, 0: never written or given back. */
  private readonly stamps: Int32Array;
  private readonly bytes = new Uint8Array(PAGE_BYTES);
  private readonly words = new Int32Array(this.bytes.buffer);
  private next = 1;

  constructor(pages: number) {
    this.pages = pages;
    this.stamps = new Int32Array(pages);
  }

  open(memory: Memory): RegionSpace {
    const size = Math.max(1, this.pages) * PAGE_BYTES;
    return new RegionSpace(memory, openRegion(memory, NAME, chunksFor(size)).region, size);
  }

  close(thread: FileThread): void {
    closeRegion(thread.memory, thread.ballast.region);
  }

  /** Works on a run of pages; throws what the region throws. */
  step(thread: FileThread, random: Random): void {
    const first = random.below(this.pages);
    const count = Math.min(this.pages - first, 1 + random.below(random.chance(0.2) ? 64 : 8));
    const dice = random.below(10);
    for (let page = first; page < first + count; page++) {
      if (dice < 6) this.write(thread.ballast, page, random);
      else if (dice < 8) this.check(thread.ballast, page);
      else this.discard(thread.ballast, page);
    }
  }

  /** Gives a quarter back. */
  discardSome(thread: FileThread, random: Random): void {
    const first = random.below(this.pages + 1);
    const end = Math.min(this.pages, first + (this.pages >> 2));
    for (let page = first; page < end; page++) this.discard(thread.ballast, page);
  }

  checkAll(thread: FileThread): void {
    for (let page = 0; page < this.pages; page++) this.check(thread.ballast, page);
  }

  private write(space: RegionSpace, page: number, random: Random): void {
    const stamp = this.next++;
    this.fill(stamp);
    // Half of the pages do not compress.
    if (random.chance(0.5)) this.noise(stamp);
    space.write(page * PAGE_BYTES, this.bytes, 0, PAGE_BYTES);
    this.stamps[page] = this.words[1] === stamp ? stamp : -stamp;
  }

  private check(space: RegionSpace, page: number): void {
    const stamp = this.stamps[page];
    const got = new Uint8Array(PAGE_BYTES);
    space.read(page * PAGE_BYTES, got, 0, PAGE_BYTES);
    if (stamp === 0) this.bytes.fill(0);
    else if (stamp > 0) this.fill(stamp);
    else this.noise(-stamp);
    if (Buffer.compare(got, this.bytes) !== 0) throw new Error(`page ${page} of the region is not what was written`);
  }

  private discard(space: RegionSpace, page: number): void {
    space.discard(page * PAGE_BYTES, PAGE_BYTES);
    this.stamps[page] = 0;
  }

  private fill(stamp: number): void {
    this.words.fill(stamp & 0xff);
    this.words[0] = stamp;
    this.words[1] = stamp;
  }

  private noise(stamp: number): void {
    let state = Math.imul(stamp, 0x9e37_79b1) | 1;
    for (let at = 0; at < this.words.length; at++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      this.words[at] = state;
    }
    this.words[1] = ~stamp;
  }
}
