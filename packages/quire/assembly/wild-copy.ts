/**
 * Copies in whole 16-byte steps, the workhorse of both LZ4 directions. "Wild" means that up to 15 bytes after `length`
 * are read and written as well: the caller has checked that they belong to the same two runs. One step is always done,
 * which makes the common case (at most 16 bytes) free of a branch that depends on the length.
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
