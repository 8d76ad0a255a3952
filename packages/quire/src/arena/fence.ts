/**
 * The closing load of an optimistic read: "is the word still what it was before I copied?" It must not pass the copy.
 * An ordinary sequentially consistent load may, on weakly ordered machines: an ARM64 load-acquire does not wait for
 * plain loads before it. An atomic read-modify-write does. x86 never reorders a load with an older load, and V8 does
 * not move plain accesses over an atomic one, so there the cheap form is enough.
 */
export const LOADS_STAY_IN_ORDER = process.arch === 'x64' || process.arch === 'ia32';

/**
 * The store that tells readers "this is going away" must be seen before any later store that spoils what they read. On
 * weakly ordered machines a single atomic read-modify-write lets plain stores after it overtake its own store; a
 * second one on the same word cannot be done before the first, and nothing passes the load half of the second.
 */
export function announce(words: Int32Array, at: number): void {
  Atomics.add(words, at, 1);
  if (!LOADS_STAY_IN_ORDER) Atomics.or(words, at, 0);
}

/**
 * One of several announcements under one hold of a lock, on words that change under it alone; the last of them is `announce`,
 * and nothing is spoiled before that. In program order behind what was stored before it: on x86 any store is, elsewhere the
 * store half of a read-modify-write.
 */
export function announceInRow(words: Int32Array, at: number): void {
  if (LOADS_STAY_IN_ORDER) words[at] = (words[at] + 1) | 0;
  else Atomics.add(words, at, 1);
}

export function closingLoad(words: Int32Array, at: number): number {
  return LOADS_STAY_IN_ORDER ? Atomics.load(words, at) : Atomics.or(words, at, 0);
}
