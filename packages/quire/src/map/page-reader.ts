import { createPageView, type PageSpace, type PageView } from '../vm/page-space.ts';

/**
 * One page of a space, to read. Normally in place and optimistic: everything seen is hostile until `close` returns
 * true. A reader that is `steady` copies the page instead, which cannot fail: for a holder of the stripe lock (nobody
 * changes the bytes) whose page would not stay where it is for several tries.
 */
export class PageReader {
  private readonly space: PageSpace;
  private readonly live = createPageView();
  private readonly copy = createPageView();
  private isCopy = false;
  isSteady = false;
  /** What the last `open` gave. */
  view: PageView = this.live;

  constructor(space: PageSpace) {
    this.space = space;
  }

  /** Opens the page of byte `offset`; bytes up to `neededEnd` within the page will be read. */
  open(offset: number, neededEnd: number): PageView {
    if (this.isSteady) return this.openCopy(offset, neededEnd);
    this.isCopy = false;
    this.view = this.live;
    this.space.openRead(offset, neededEnd, this.live);
    return this.live;
  }

  /** True: what was read was really there. */
  close(): boolean {
    return this.isCopy || this.space.closeRead(this.live);
  }

  private openCopy(offset: number, neededEnd: number): PageView {
    if (this.copy.bytes.length === 0) {
      this.copy.words = new Int32Array(1024);
      this.copy.bytes = new Uint8Array(this.copy.words.buffer);
    }
    this.isCopy = true;
    this.view = this.copy;
    this.space.read(offset - (offset & 4095), this.copy.bytes, 0, neededEnd);
    return this.copy;
  }
}
