import type { PageSpace } from '../vm/page-space.ts';
import { freshBytes } from './fresh-bytes.ts';
import { HEADER_WORDS, type KeyFrame } from './key-frame.ts';
import type { PageReader } from './page-reader.ts';
import { GRANULE_BYTES } from './run-meta.ts';

/**
 * A record, at byte 16 × location of the heap. 16-byte granules, so the header never crosses a page.
 *
 * ```
 * w0  key bytes (16) | kind (8) | size class (8)
 * w1  value bytes (27 used)
 * w2  expiry, ms since 1970, low 32 bits          0 = never
 * w3  expiry, high 16 bits
 * +16 key, zero-padded to 8 bytes
 *     value, 8-aligned (copies between shared and private memory run twice as fast when both sides are)
 *     slack up to the class's capacity; its bytes are undefined
 * ```
 * The hash is not stored: tag and bucket of the index entry hold all 32 bits.
 */
export const HEADER_BYTES = 16;
/** 64 MiB. */
export const VALUE_BYTES_MAX = 0x400_0000;

export function valueStart(keyLength: number): number {
  return HEADER_BYTES + ((keyLength + 7) & ~7);
}

/** How `match` ended. */
export const RETRY = -1;
export const DIFFERENT = 0;
export const MATCH = 1;

/** Reads one record at a time: header and key in place, the value too when it ends in the record's first page. */
export class RecordReader {
  readonly heap: PageSpace;
  readonly reader: PageReader;
  private readonly keyBytes = new Uint8Array(65_536);
  location = 0;
  keyLength = 0;
  kind = 0;
  classId = 0;
  valueLength = 0;
  expiresAtMs = 0;
  private readableEnd = 0;
  /**
   * Length of the last value met: a swapped page is decoded no further than such a value needs, and again if this one
   * is longer.
   */
  private usualValueBytes = 0;

  constructor(heap: PageSpace, reader: PageReader) {
    this.heap = heap;
    this.reader = reader;
  }

  /**
   * Reads the header and compares the key. After MATCH the page is still open: `reader.close()` tells whether the
   * header is true. `isWhole`: the value will be read too, else the page is needed (decompressed, when it is behind a
   * slot) up to the key's end only.
   */
  match(location: number, frame: KeyFrame, isWhole: boolean): number {
    const offset = location * GRANULE_BYTES;
    if (offset >= this.heap.size) return RETRY;
    const within = offset & 4095;
    const keyEnd = within + HEADER_BYTES + frame.length;
    if (keyEnd > 4096) return this.matchAcross(location, frame);
    const wholeEnd = within + valueStart(frame.length) + this.usualValueBytes;
    this.openHeader(location, isWhole ? Math.min(4096, wholeEnd) : (keyEnd + 3) & ~3);
    if (this.keyLength === frame.length && isKeyAt(this.reader.view.words, this.keyWord(within), frame)) {
      this.usualValueBytes = this.valueLength & 4095;
      return MATCH;
    }
    return this.reader.close() ? DIFFERENT : RETRY;
  }

  /** Opens the record's first page and loads the header fields. */
  openHeader(location: number, neededEnd: number): void {
    const within = (location * GRANULE_BYTES) & 4095;
    const view = this.reader.open(location * GRANULE_BYTES, neededEnd);
    const word = view.word + (within >> 2);
    const words = view.words;
    const w0 = words[word];
    this.location = location;
    // A page in its frame is all there; one that was decoded for this reader is there as far as asked for.
    this.readableEnd = view.pfn >= 0 ? 4096 : neededEnd;
    this.keyLength = w0 & 0xffff;
    this.kind = (w0 >>> 16) & 0xff;
    this.classId = w0 >>> 24;
    this.valueLength = words[word + 1];
    const low = words[word + 2];
    const high = words[word + 3];
    this.expiresAtMs = (low | high) === 0 ? 0 : (high & 0xffff) * 0x1_0000_0000 + (low >>> 0);
  }

  /** Byte of the value's start in the record's page, -1 when not all of the value can be read there. */
  valueInPage(): number {
    const start = ((this.location * GRANULE_BYTES) & 4095) + valueStart(this.keyLength);
    return this.valueLength >= 0 && start + this.valueLength <= this.readableEnd ? start : -1;
  }

  /** Byte offset of the value in the heap. */
  valueOffset(): number {
    return this.location * GRANULE_BYTES + valueStart(this.keyLength);
  }

  /** A fresh copy of the record's key. The header has been loaded and found true. */
  copyKey(): Uint8Array {
    const key = new Uint8Array(this.keyLength);
    if (this.keyLength > 0) this.heap.read(this.location * GRANULE_BYTES + HEADER_BYTES, key, 0, this.keyLength);
    return key;
  }

  /** A fresh copy of the record's value. The header has been loaded and found true. */
  copyValue(): Uint8Array {
    const value = freshBytes(this.valueLength);
    if (this.valueLength > 0) this.heap.read(this.valueOffset(), value, 0, this.valueLength);
    return value;
  }

  private keyWord(within: number): number {
    return this.reader.view.word + ((within + HEADER_BYTES) >> 2);
  }

  private matchAcross(location: number, frame: KeyFrame): number {
    this.openHeader(location, ((location * GRANULE_BYTES) & 4095) + HEADER_BYTES);
    const isSameLength = this.keyLength === frame.length;
    if (!this.reader.close()) return RETRY;
    if (!isSameLength) return DIFFERENT;
    this.heap.read(location * GRANULE_BYTES + HEADER_BYTES, this.keyBytes, 0, frame.length);
    if (!isSameBytes(this.keyBytes, frame)) return DIFFERENT;
    this.openHeader(location, 4096);
    return MATCH;
  }
}

/**
 * The key's padding is zeros in both, so whole words are compared. A padding word that a page's end cuts off is never
 * compared.
 */
function isKeyAt(words: Int32Array, word: number, frame: KeyFrame): boolean {
  const own = frame.words;
  const count = (frame.length + 3) >> 2;
  for (let index = 0; index < count; index++) {
    if (words[word + index] !== own[HEADER_WORDS + index]) return false;
  }
  return true;
}

function isSameBytes(bytes: Uint8Array, frame: KeyFrame): boolean {
  const own = frame.bytes;
  for (let index = 0; index < frame.length; index++) {
    if (bytes[index] !== own[HEADER_BYTES + index]) return false;
  }
  return true;
}
