/**
 * errseq_t (lib/errseq.c): the last writeback error of a file in one word, so that everyone who has the file open hears of
 * it once.
 *
 *    31 … 13     12      11 … 0
 *    count       seen    error number
 *
 * `set` counts only when somebody has seen the error that stands there: errors nobody asked for are one. Each handle keeps
 * the word as it was when it was opened or last asked; a word that is another has news for it. A handle opened while an
 * error stands unseen keeps 0 instead, and so is told: an error must not be lost because nobody had the file open.
 *
 *    handle A   sample 0                     check → EIO          check → none
 *    word       0 ──set EIO──► 1·EIO ──────► 1·EIO·seen ──set──► 2·ENOSPC
 *    handle B   sample 0                                          check → ENOSPC (the later one is what it hears)
 */
import { assert } from '../base/assert.ts';

const ERRNO_MAX = 0xfff;
const SEEN = 0x1000;
const COUNT_ONE = 0x2000;

/** Notes an error. `errno` is positive. */
export function setError(words: Int32Array, at: number, errno: number): void {
  assert(Number.isInteger(errno) && errno > 0 && errno <= ERRNO_MAX, 'error number', errno);
  for (;;) {
    const old = Atomics.load(words, at);
    const counted = (old & SEEN) === 0 ? old : (old + COUNT_ONE) | 0;
    const next = (counted & ~(ERRNO_MAX | SEEN)) | errno;
    if (next === old || Atomics.compareExchange(words, at, old, next) === old) return;
  }
}

/** What a handle that is being opened keeps. */
export function sampleErrors(words: Int32Array, at: number): number {
  const now = Atomics.load(words, at);
  return (now & SEEN) === 0 ? 0 : now;
}

/** What one handle knows; `since` moves when it is told. */
export interface ErrorCursor {
  since: number;
}

/** Number of the error that the handle was not told of yet, 0 when there is none. It is then told. */
export function checkAndAdvance(words: Int32Array, at: number, cursor: ErrorCursor): number {
  const old = Atomics.load(words, at);
  if (old === cursor.since) return 0;
  const seen = old | SEEN;
  // When another error comes in between, this handle is told of the one it found, and finds the other next time.
  if (seen !== old) Atomics.compareExchange(words, at, old, seen);
  cursor.since = seen;
  return seen & ERRNO_MAX;
}
