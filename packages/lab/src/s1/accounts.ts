/**
 * The pages of pgbench_accounts as `lab s1` keeps them: 8 KiB, a header with the page's number, 61 rows (what fits one
 * page of PostgreSQL at pgbench's row width) with the balance first.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';

export const ACCOUNT_PAGE_BYTES = 8192;
export const ROWS_PER_PAGE = 61;
const HEADER_WORDS = 16;
const ROW_WORDS = 33;
const PAGE_WORDS = ACCOUNT_PAGE_BYTES / 4;
const PAGES_PER_CALL = 128;

/** Index of a row's balance among the 32-bit words of its page. Word 0 is the page's number. */
export function balanceAt(row: number): number {
  return HEADER_WORDS + row * ROW_WORDS;
}

/** A file of `pages` pages, every balance 0. */
export function makeAccounts(path: string, pages: number): void {
  const words = new Int32Array(PAGE_WORDS * PAGES_PER_CALL);
  const file = openSync(path, 'w');
  try {
    for (let first = 0; first < pages; first += PAGES_PER_CALL) {
      const count = Math.min(PAGES_PER_CALL, pages - first);
      for (let page = 0; page < count; page += 1) words[page * PAGE_WORDS] = first + page;
      writeSync(file, new Uint8Array(words.buffer, 0, count * ACCOUNT_PAGE_BYTES), 0, count * ACCOUNT_PAGE_BYTES, null);
    }
  } finally {
    closeSync(file);
  }
}

/** Sum of all balances of a file, read through the host; NaN when a page has another's number. */
export function sumOfBalances(path: string): number {
  const words = new Int32Array(PAGE_WORDS * PAGES_PER_CALL);
  const bytes = new Uint8Array(words.buffer);
  const file = openSync(path, 'r');
  let sum = 0;
  try {
    for (let page = 0; ; ) {
      const pages = readSync(file, bytes, 0, bytes.length, null) / ACCOUNT_PAGE_BYTES;
      if (pages === 0) return sum;
      for (let inside = 0; inside < pages; inside += 1, page += 1) {
        if (words[inside * PAGE_WORDS] !== page) return Number.NaN;
        for (let row = 0; row < ROWS_PER_PAGE; row += 1) sum += words[inside * PAGE_WORDS + balanceAt(row)];
      }
    }
  } finally {
    closeSync(file);
  }
}
