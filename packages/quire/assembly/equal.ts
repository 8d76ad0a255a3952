/** 1 when the two runs hold the same bytes, else 0. */
export function equal(a: usize, b: usize, length: u32): u32 {
  while (length >= 64) {
    const low = v128.or(v128.xor(v128.load(a), v128.load(b)), v128.xor(v128.load(a, 16), v128.load(b, 16)));
    const high = v128.or(v128.xor(v128.load(a, 32), v128.load(b, 32)), v128.xor(v128.load(a, 48), v128.load(b, 48)));
    if (v128.any_true(v128.or(low, high))) return 0;
    a += 64;
    b += 64;
    length -= 64;
  }
  while (length >= 16) {
    if (v128.any_true(v128.xor(v128.load(a), v128.load(b)))) return 0;
    a += 16;
    b += 16;
    length -= 16;
  }
  if (length >= 8) {
    if (load<u64>(a) != load<u64>(b)) return 0;
    a += 8;
    b += 8;
    length -= 8;
  }
  while (length > 0) {
    if (load<u8>(a++) != load<u8>(b++)) return 0;
    length--;
  }
  return 1;
}
