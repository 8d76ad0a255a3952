/**
 * What a region looks like to the layers above (map, api): a sparse, byte-addressed space of 4 KiB pages, some
 * resident, some behind slots. Untouched pages read as zeros and cost nothing.
 *
 * Byte copies (`read`, `write`) are the simple way. `openRead` / `openWrite` give one page in place, for structures
 * that live in pages.
 */
export interface PageSpace {
  /** Size in bytes, a multiple of 4096. */
  readonly size: number;

  /**
   * Copies `length` bytes at `offset` to `target[targetOffset...]`. Never takes a page out of its tier on a first
   * touch (transient read).
   */
  read(offset: number, target: Uint8Array, targetOffset: number, length: number): void;
  /** All-or-nothing per page, in ascending order; throws ERR_QUIRE_SWAP_FULL when a page finds no room. */
  write(offset: number, source: Uint8Array, sourceOffset: number, length: number): void;
  /**
   * Pages wholly inside are given back and read as zeros; partial pages at the ends are zero-filled. Needs no memory
   * for whole pages.
   */
  discard(offset: number, length: number): void;

  /**
   * Optimistic read of the page holding byte `offset`: sets `view.words`, `view.bytes`, `view.byte` (index in `bytes`
   * of the PAGE's first byte) and `view.word` (index in `words` of the page's first word). Nothing is locked: what is
   * read may be torn or belong to another page, until `closeRead(view)` returns true. When it returns false, throw
   * away what was read and open again. Until closeRead, treat every value read as hostile (bound every loop and
   * index). Bytes before `offset`, and at and after `offset - offset % 4096 + neededEnd`, may be missing (parts of a page read
   * from a file, partial decompression): pass neededEnd = how far into the page (exclusive, 1..4096) you will read. One open read per view; a view belongs to
   * one thread.
   */
  openRead(offset: number, neededEnd: number, view: PageView): void;
  closeRead(view: PageView): boolean;

  /**
   * Copies `length` bytes from byte `from` of an open view's page to `target[targetOffset...]`: as `target.set`
   * would, but in the kernel's way when both lie in one memory, which is several times faster.
   */
  copyOut(view: PageView, from: number, target: Uint8Array, targetOffset: number, length: number): void;

  /**
   * Makes the page resident, private and dirty, and pins it: it stays where it is until `closeWrite(view)`. Throws
   * ERR_QUIRE_SWAP_FULL (page unchanged, not pinned). Hold at most 8 at a time per thread. Writers of the same bytes
   * order themselves by a lock of their own.
   */
  openWrite(offset: number, view: PageView): void;
  closeWrite(view: PageView): void;
}

/** One page seen in place. Reused by its owner; allocate once per thread and use. */
export interface PageView {
  words: Int32Array;
  bytes: Uint8Array;
  /** Index in `words` of the page's first word. */
  word: number;
  /** Index in `bytes` of the page's first byte. */
  byte: number;
  /** Private to the page space: what closeRead and closeWrite need. */
  pfn: number;
  version: number;
  node: number;
  /** Byte of the node's memory where its reader wants the whole page: what has to be decoded goes there. −1: to scratch memory. */
  place: number;
}

const NO_WORDS = new Int32Array(0);
const NO_BYTES = new Uint8Array(0);

/** An empty view, to be filled by `openRead` or `openWrite`. */
export function createPageView(): PageView {
  return { words: NO_WORDS, bytes: NO_BYTES, word: 0, byte: 0, pfn: -1, version: 0, node: 0, place: -1 };
}
