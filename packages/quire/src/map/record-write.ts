import type { PageSpace } from '../vm/page-space.ts';
import { HEADER_WORDS, type KeyFrame } from './key-frame.ts';
import type { PagePin } from './page-pin.ts';
import { valueStart } from './record.ts';
import { GRANULE_BYTES } from './run-meta.ts';
import { isExtentClass } from './size-class.ts';

/** Fills the header words of the frame (see record.ts). */
export function frameHeader(
  frame: KeyFrame,
  classId: number,
  kind: number,
  valueLength: number,
  expiresAtMs: number,
): void {
  const words = frame.words;
  words[0] = frame.length | (kind << 16) | (classId << 24);
  words[1] = valueLength;
  words[2] = (expiresAtMs % WORD) | 0;
  words[3] = Math.floor(expiresAtMs / WORD);
}

/**
 * Writes a record that nothing links to yet: the framed header and key, `gap` zeros, then `source`. May fail with
 * ERR_QUIRE_SWAP_FULL half way; the caller frees the place.
 */
export function writeRecord(
  heap: PageSpace,
  pin: PagePin,
  location: number,
  frame: KeyFrame,
  gap: number,
  source: Uint8Array,
): void {
  const offset = location * GRANULE_BYTES;
  const head = valueStart(frame.length);
  const within = offset & 4095;
  if (within + head + gap + source.length <= 4096) {
    pin.hold(offset);
    writeInPage(pin, within, frame, gap, source);
    pin.release();
    return;
  }
  heap.write(offset, frame.bytes, 0, head);
  // The pages of a new extent are zeros already.
  if (gap > 0 && !isExtentClass(frame.words[0] >>> 24)) writeZeros(heap, offset + head, gap);
  if (source.length > 0) heap.write(offset + head + gap, source, 0, source.length);
}

function writeInPage(pin: PagePin, within: number, frame: KeyFrame, gap: number, source: Uint8Array): void {
  const { words, bytes, byte } = pin.view;
  const word = pin.view.word + (within >> 2);
  const count = valueStart(frame.length) >> 2;
  for (let index = 0; index < count; index++) words[word + index] = frame.words[index];
  const start = byte + within + (count << 2);
  if (gap > 0) bytes.fill(0, start, start + gap);
  if (source.length > 0) bytes.set(source, start + gap);
}

/** Rewrites the header of a record whose first page is pinned. */
export function writeHeader(pin: PagePin, location: number, frame: KeyFrame): void {
  const word = pin.wordAt(location * GRANULE_BYTES);
  for (let index = 0; index < HEADER_WORDS; index++) pin.view.words[word + index] = frame.words[index];
}

/**
 * Writes `length` zeros through `write`: unlike `discard` this cannot meet a page that has to be split into kept and
 * dropped bytes.
 */
export function writeZeros(heap: PageSpace, offset: number, length: number): void {
  for (let done = 0; done < length; done += ZEROS.length) {
    heap.write(offset + done, ZEROS, 0, Math.min(ZEROS.length, length - done));
  }
}

const ZEROS = new Uint8Array(16_384);
const WORD = 0x1_0000_0000;
