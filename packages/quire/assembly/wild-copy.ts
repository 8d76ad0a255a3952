/**
 * Copies in whole 16-byte steps, the workhorse of both LZ4 directions. "Wild" means that up to 15 bytes after `length` are read
 * and written as well: the caller has checked that they belong to the same two runs. One step is always done, which makes the
 * common case (at most 16 bytes) free of a branch that depends on the length.
 */
@inline
export function wildCopy16(dst: usize, src: usize, length: u32): void {
  v128.store(dst, v128.load(src));
  if (length > 16) {
    const end = dst + length;
    do {
      dst += 16;
      src += 16;
      v128.store(dst, v128.load(src));
    } while (<i32>(end - dst) > 16);
  }
}

/** Copies exactly `length` bytes, lowest address first, so that a run may repeat itself into what it has just written. */
export function copyBytesForward(dst: usize, src: usize, length: u32): void {
  for (let i: u32 = 0; i < length; i++) store<u8>(dst + i, load<u8>(src + i));
}
