/**
 * The 32-bit word that fills the run, or -1. `length` is a multiple of 16. Most pages differ in their first 16 bytes,
 * so those are looked at alone; then 64 bytes a turn. The result is a double because it holds both an unsigned word and
 * -1.
 */
export function isSameFilled(src: usize, length: u32): f64 {
  if (length < 16) return -1;
  const word = load<u32>(src);
  const pattern = i32x4.splat(word);
  if (v128.any_true(v128.xor(v128.load(src), pattern))) return -1;
  src += 16;
  length -= 16;
  while (length >= 64) {
    const low = v128.or(v128.xor(v128.load(src), pattern), v128.xor(v128.load(src, 16), pattern));
    const high = v128.or(v128.xor(v128.load(src, 32), pattern), v128.xor(v128.load(src, 48), pattern));
    if (v128.any_true(v128.or(low, high))) return -1;
    src += 64;
    length -= 64;
  }
  while (length >= 16) {
    if (v128.any_true(v128.xor(v128.load(src), pattern))) return -1;
    src += 16;
    length -= 16;
  }
  return <f64>word;
}
