/**
 * What each thread of the usemem run writes, after vm-scalability's `usemem -j 16`: every 16 bytes of its share one 64-bit
 * word, the word's index in the share. native/host-usemem.c writes the same.
 *
 * 16 and not usemem's own 8 bytes a step: a page of consecutive 64-bit numbers compresses to just about a half (LZ4: 1.99;
 * 1.80 in the frames of the pool), so twice the budget of them fits no budget, ours or zram's. At 16 it is a quarter (3.93).
 */
import { PAGE_BYTES } from '../corpus.ts';

export const STEP_BYTES = 16;
const WORDS_PER_PAGE = PAGE_BYTES / 8;
const STEP_WORDS = STEP_BYTES / 8;

export interface Share {
  readonly firstPage: number;
  readonly pages: number;
}

/** Pages of thread `index` of `threads`: all shares are of one size, what does not divide is left out. */
export function shareOf(pages: number, threads: number, index: number): Share {
  const each = Math.floor(pages / threads);
  return { firstPage: index * each, pages: each };
}

/** The region that a share lies in. */
export interface ShareStore {
  read(offset: number, target: Uint8Array): unknown;
  write(offset: number, bytes: Uint8Array): unknown;
}

/** Puts the words of page `page` of a share into `halves`, a page of zeros or of an earlier call. */
export function pageWords(page: number, halves: Uint32Array): void {
  const first = page * WORDS_PER_PAGE;
  for (let word = 0; word < WORDS_PER_PAGE; word += STEP_WORDS) halves[word * 2] = first + word;
}

export function writeShare(store: ShareStore, share: Share): void {
  const halves = new Uint32Array(PAGE_BYTES / 4);
  const bytes = new Uint8Array(halves.buffer);
  for (let page = 0; page < share.pages; page += 1) {
    pageWords(page, halves);
    store.write((share.firstPage + page) * PAGE_BYTES, bytes);
  }
}

/** Index of the first page of the share that is not as written, −1 when all are. */
export function verifyShare(store: ShareStore, share: Share): number {
  const expected = new Uint32Array(PAGE_BYTES / 4);
  const seen = new Uint32Array(PAGE_BYTES / 4);
  const bytes = new Uint8Array(seen.buffer);
  for (let page = 0; page < share.pages; page += 1) {
    pageWords(page, expected);
    store.read((share.firstPage + page) * PAGE_BYTES, bytes);
    for (let at = 0; at < seen.length; at += 1) if (seen[at] !== expected[at]) return page;
  }
  return -1;
}
