/** Sets `length` bytes to the low eight bits of `byte`. */
export function fill(dst: usize, byte: u32, length: u32): void {
  const pattern = i8x16.splat(<i8>byte);
  while (length >= 64) {
    v128.store(dst, pattern);
    v128.store(dst, pattern, 16);
    v128.store(dst, pattern, 32);
    v128.store(dst, pattern, 48);
    dst += 64;
    length -= 64;
  }
  while (length >= 16) {
    v128.store(dst, pattern);
    dst += 16;
    length -= 16;
  }
  while (length > 0) {
    store<u8>(dst++, <u8>byte);
    length--;
  }
}
