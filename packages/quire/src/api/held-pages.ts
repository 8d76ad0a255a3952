/** What `pin` gives out: a view that ends with its release, however often that is called. */
import { QuireError } from '../base/errors.ts';

export class HeldPages implements Disposable {
  private view: Uint8Array | undefined;
  private readonly onRelease: () => void;

  constructor(bytes: Uint8Array, onRelease: () => void) {
    this.view = bytes;
    this.onRelease = onRelease;
  }

  get bytes(): Uint8Array {
    if (this.view === undefined) throw new QuireError('ERR_QUIRE_CLOSED', 'the pin was released');
    return this.view;
  }

  release(): void {
    if (this.view === undefined) return;
    this.onRelease(); // when it throws, the pages are still held, and it can be tried again
    this.view = undefined;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
