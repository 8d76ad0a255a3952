import { assert } from '../base/assert.ts';
import { createPageView, type PageSpace, type PageView } from '../vm/page-space.ts';

/** One page of a space, pinned to write. Reused by its thread; `release` may be called whether or not it is held. */
export class PagePin {
  readonly space: PageSpace;
  readonly view: PageView = createPageView();
  isHeld = false;

  constructor(space: PageSpace) {
    this.space = space;
  }

  /** Throws ERR_QUIRE_SWAP_FULL, then nothing is held. */
  hold(offset: number): void {
    assert(!this.isHeld, 'pin is free');
    this.space.openWrite(offset, this.view);
    this.isHeld = true;
  }

  release(): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.space.closeWrite(this.view);
  }

  /** Index in `view.words` of the word at byte `offset` of the space (its page being this one). */
  wordAt(offset: number): number {
    return this.view.word + ((offset & 4095) >> 2);
  }
}
