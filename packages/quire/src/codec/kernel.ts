/**
 * The WebAssembly kernels: the only code of the core that touches bytes in bulk. One instance per thread and node, all
 * working in place on the node's shared memory. Addresses are byte offsets in that memory, passed as int32 bit patterns
 * (`pfn << 12`), so that no double is made for addresses above 2 GiB.
 */
export interface Kernel {
  /** zstd, where Node has it. Not a kernel of the module, but reached like one (daemons/node-zstd.ts). */
  readonly zstd: ZstdKernel | undefined;
  /**
   * LZ4 block format. Compresses `[src, src + length)` into `[dst, dst + capacity)`; `table` is 16 KiB of scratch, any
   * contents. `length` <= 65,536. Returns the compressed length in bytes, or 0 when the result would not fit
   * `capacity`. It gives up as soon as the bytes it found no match for fill the room, so where the result would just
   * fit, 0 is possible too.
   */
  compress(src: number, length: number, dst: number, capacity: number, table: number): number;
  /**
   * Decodes a whole block. Returns the bytes written (<= capacity) or -1 when the input is malformed. Whatever the
   * input says, nothing outside `[dst, dst + capacity)` is written, nothing outside `[src, src + length)` is read as
   * input, and it ends.
   */
  decompress(src: number, length: number, dst: number, capacity: number): number;
  /**
   * Decodes until at least `wanted` bytes are there, or the block ends. Same safety as `decompress`; may write up to
   * `capacity`. Trailing input is allowed (`length` may be the size of the slot holding the block). Returns bytes
   * written or -1.
   */
  decompressPartial(src: number, length: number, dst: number, wanted: number, capacity: number): number;
  /**
   * Reads bytes `from` to `end` of a page in the usual cases, with no lock: the protocol is in assembly/read-page.ts, what
   * it needs to know of the node in the words at `block` (vm/page-read.ts). `entryAt` is the byte of the page-table
   * entry, which may be any word of a leaf that is gone; the leaf was found under `generation`, which is at byte
   * `generationAt` (0: somewhere else). Returns how: 0 not, 1 from a frame, 2 in passing, 3 not yet: it is on file.
   */
  readPage(
    block: number,
    generationAt: number,
    generation: number,
    entryAt: number,
    from: number,
    end: number,
    bucket: number,
  ): number;
  /**
   * After a `readPage` that returned 3, with the same bytes and generation: the page's object lies at `object`, as far as the
   * parts go that have them. Copies the bytes to `target` and returns 1, or 0 when they are damaged or not the page's any more.
   */
  readParts(
    block: number,
    generationAt: number,
    generation: number,
    object: number,
    from: number,
    end: number,
    target: number,
  ): number;
  /**
   * Bytes `from` to `end` of the slot's raw page out of its object at `object` (swap/file-object.ts), which need be there as far
   * as the parts go that have them, to `target`. Returns 1, or 0 with nothing copied when one of them is damaged or the object
   * is none of a raw page. `table`, `scratch`: as for `crc32c`.
   */
  copyParts(
    slot: number,
    object: number,
    from: number,
    end: number,
    target: number,
    table: number,
    scratch: number,
  ): number;
  /**
   * The 32-bit word that fills `[src, src + length)` (length a multiple of 16), as an unsigned number; -1 when there is
   * none.
   */
  isSameFilled(src: number, length: number): number;
  copy(dst: number, src: number, length: number): void;
  fill(dst: number, byte: number, length: number): void;
  /**
   * CRC32C (Castagnoli) of the bytes, continuing from `seed` (0 to start). Unsigned. `table` holds the 8 KiB made by
   * crc32cInit, which many may use at once; `scratch` is 16 KiB of the caller's own, any contents, a multiple of 16.
   */
  crc32c(seed: number, src: number, length: number, table: number, scratch: number): number;
  crc32cInit(table: number): void;
  /** 1 when the two runs are equal, else 0. */
  equal(a: number, b: number, length: number): number;
  /** A hash of the bytes for hash maps (wyhash32), as an int32 bit pattern. Not for adversaries who know the seed. */
  hash32(src: number, length: number, seed: number): number;
}

/** Whole zstd frames. Addresses as for the kernels; bytes are copied before they are looked at, so they may change meanwhile. */
export interface ZstdKernel {
  /** Compresses `[src, src + length)` to `dst`. Returns the compressed length, 0 when that is more than `capacity`. */
  compress(src: number, length: number, dst: number, capacity: number, level: number): number;
  /**
   * Decodes a whole frame of exactly `capacity` bytes, there is no stopping early. Returns `capacity`, or -1 when the input
   * is anything else; `dst` is then untouched.
   */
  decompress(src: number, length: number, dst: number, capacity: number): number;
}
