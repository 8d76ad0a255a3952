/**
 * Fresh arrays for values that are returned. A typed array with a buffer of its own costs about 600 ns more than a
 * view of a larger one, most of it the garbage collector's bookkeeping of outside memory. So arrays up to SMALL_BYTES
 * are cut from slabs, as Node's own Buffer pool does; a slab lives as long as one of its arrays.
 */
const SLAB_BYTES = 32 * 1024;
/** Above it the slab would be used up too fast to pay; what a kept array holds back stays below 16 times its size. */
const SMALL_BYTES = 4096;
/**
 * Views start at multiples of 16, like the values in the heap: copies between equally aligned bytes are twice as
 * fast.
 */
const ALIGN_MASK = 15;

let slab = new Uint8Array(0);
let used = 0;

/** `size` bytes of arbitrary contents: the caller overwrites all of them. */
export function freshBytes(size: number): Uint8Array {
  if (size > SMALL_BYTES) return new Uint8Array(size);
  if (used + size > slab.length) {
    slab = new Uint8Array(SLAB_BYTES);
    used = 0;
  }
  const bytes = slab.subarray(used, used + size);
  used = (used + size + ALIGN_MASK) & ~ALIGN_MASK;
  return bytes;
}
