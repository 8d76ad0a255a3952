/**
 * CRC32C (Castagnoli, reflected polynomial 0x82F63B78), slicing by eight (Kounavis & Berry, "A Systematic Approach to
 * Building High Performance Software-based CRC Generators", 2005): eight tables of 256 words, 8 KiB, turn eight bytes
 * per step into eight independent loads. Table k maps a byte to its remainder after k further zero bytes.
 *
 * A step waits for the one before, so one run of bytes leaves the processor idle. Long runs are cut in four, whose
 * remainders are taken side by side and joined (Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using CRC32
 * Instruction", 2011):
 *
 *     crc(A B) = zeros(crc(A), |B|) ^ crc(B)       zeros(r, n): remainder r after n further zero bytes, linear in r
 *
 * Linear: the sum of what each set bit of r becomes, which are constants when n is.
 */
const POLYNOMIAL: u32 = 0x82f63b78;
const TABLE_BYTES: u32 = 1024;
/** Runs that are cut in four, and their quarters. */
const LONG: u32 = 1024;
const LONG_QUARTER: u32 = 256;
const SHORT: u32 = 256;
const SHORT_QUARTER: u32 = 64;

export function crc32cInit(table: usize): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >> 1) ^ (POLYNOMIAL & (0 - (remainder & 1)));
    store<u32>(table + (byte << 2), remainder);
  }
  for (let at: u32 = 0; at < 7 * TABLE_BYTES; at += 4) {
    const shorter = load<u32>(table + at);
    store<u32>(table + at + TABLE_BYTES, (shorter >> 8) ^ load<u32>(table + ((shorter & 255) << 2)));
  }
}

/** A double, because the result is unsigned and wasm's i32 reaches JavaScript signed. */
export function crc32c(seed: u32, src: usize, length: u32, table: usize): f64 {
  let crc = ~seed;
  while (length >= LONG) {
    let second: u32 = 0;
    let third: u32 = 0;
    let fourth: u32 = 0;
    const end = src + LONG_QUARTER;
    for (; src < end; src += 8) {
      crc = step(crc, src, table);
      second = step(second, src + LONG_QUARTER, table);
      third = step(third, src + 2 * LONG_QUARTER, table);
      fourth = step(fourth, src + 3 * LONG_QUARTER, table);
    }
    crc = zeros256(zeros256(zeros256(crc) ^ second) ^ third) ^ fourth;
    src += 3 * LONG_QUARTER;
    length -= LONG;
  }
  while (length >= SHORT) {
    let second: u32 = 0;
    let third: u32 = 0;
    let fourth: u32 = 0;
    const end = src + SHORT_QUARTER;
    for (; src < end; src += 8) {
      crc = step(crc, src, table);
      second = step(second, src + SHORT_QUARTER, table);
      third = step(third, src + 2 * SHORT_QUARTER, table);
      fourth = step(fourth, src + 3 * SHORT_QUARTER, table);
    }
    crc = zeros64(zeros64(zeros64(crc) ^ second) ^ third) ^ fourth;
    src += 3 * SHORT_QUARTER;
    length -= SHORT;
  }
  for (; length >= 8; length -= 8) {
    crc = step(crc, src, table);
    src += 8;
  }
  while (length > 0) {
    crc = (crc >> 8) ^ load<u32>(table + (((crc ^ load<u8>(src++)) & 255) << 2));
    length--;
  }
  return <f64>~crc;
}

/** Eight bytes. */
// @ts-ignore: decorator
@inline
function step(crc: u32, src: usize, table: usize): u32 {
  const low = load<u32>(src) ^ crc;
  const high = load<u32>(src, 4);
  return (
    load<u32>(table + ((low & 255) << 2), 7 * TABLE_BYTES) ^
    load<u32>(table + (((low >> 8) & 255) << 2), 6 * TABLE_BYTES) ^
    load<u32>(table + (((low >> 16) & 255) << 2), 5 * TABLE_BYTES) ^
    load<u32>(table + ((low >> 24) << 2), 4 * TABLE_BYTES) ^
    load<u32>(table + ((high & 255) << 2), 3 * TABLE_BYTES) ^
    load<u32>(table + (((high >> 8) & 255) << 2), 2 * TABLE_BYTES) ^
    load<u32>(table + (((high >> 16) & 255) << 2), TABLE_BYTES) ^
    load<u32>(table + ((high >> 24) << 2))
  );
}

/** What the set ones of four bits become. */
// @ts-ignore: decorator
@inline
function images(crc: v128, bits: v128, image: v128): v128 {
  return v128.and(i32x4.eq(v128.and(crc, bits), bits), image);
}

/** The remainder after 256 further zero bytes: the sum of those of its bits, four bits an operation. */
// @ts-ignore: decorator
@inline
function zeros256(crc: u32): u32 {
  const all = i32x4.splat(crc);
  let sum = i32x4.splat(0);
  sum = v128.xor(sum, images(all, i32x4(0x1, 0x2, 0x4, 0x8), i32x4(0xdcb17aa4, 0xbc8e83b9, 0x7cf17183, 0xf9e2e306)));
  sum = v128.xor(sum, images(all, i32x4(0x10, 0x20, 0x40, 0x80), i32x4(0xf629b0fd, 0xe9bf170b, 0xd69258e7, 0xa8c8c73f)));
  sum = v128.xor(sum, images(all, i32x4(0x100, 0x200, 0x400, 0x800), i32x4(0x547df88f, 0xa8fbf11e, 0x541b94cd, 0xa837299a)));
  sum = v128.xor(sum, images(all, i32x4(0x1000, 0x2000, 0x4000, 0x8000), i32x4(0x558225c5, 0xab044b8a, 0x53e4e1e5, 0xa7c9c3ca)));
  sum = v128.xor(sum, images(all, i32x4(0x10000, 0x20000, 0x40000, 0x80000), i32x4(0x4a7ff165, 0x94ffe2ca, 0x2c13b365, 0x582766ca)));
  sum = v128.xor(sum, images(all, i32x4(0x100000, 0x200000, 0x400000, 0x800000), i32x4(0xb04ecd94, 0x6571edd9, 0xcae3dbb2, 0x902bc195)));
  sum = v128.xor(sum, images(all, i32x4(0x1000000, 0x2000000, 0x4000000, 0x8000000), i32x4(0x25bbf5db, 0x4b77ebb6, 0x96efd76c, 0x2833d829)));
  sum = v128.xor(sum, images(all, i32x4(0x10000000, 0x20000000, 0x40000000, 0x80000000), i32x4(0x5067b052, 0xa0cf60a4, 0x4472b7b9, 0x88e56f72)));
  return i32x4.extract_lane(sum, 0) ^ i32x4.extract_lane(sum, 1) ^ i32x4.extract_lane(sum, 2) ^ i32x4.extract_lane(sum, 3);
}

/** The remainder after 64 further zero bytes: the sum of those of its bits, four bits an operation. */
// @ts-ignore: decorator
@inline
function zeros64(crc: u32): u32 {
  const all = i32x4.splat(crc);
  let sum = i32x4.splat(0);
  sum = v128.xor(sum, images(all, i32x4(0x1, 0x2, 0x4, 0x8), i32x4(0x740eef02, 0xe81dde04, 0xd5d7caf9, 0xae43e303)));
  sum = v128.xor(sum, images(all, i32x4(0x10, 0x20, 0x40, 0x80), i32x4(0x596bb0f7, 0xb2d761ee, 0x6042b52d, 0xc0856a5a)));
  sum = v128.xor(sum, images(all, i32x4(0x100, 0x200, 0x400, 0x800), i32x4(0x84e6a245, 0x0c21327b, 0x184264f6, 0x3084c9ec)));
  sum = v128.xor(sum, images(all, i32x4(0x1000, 0x2000, 0x4000, 0x8000), i32x4(0x610993d8, 0xc21327b0, 0x81ca3991, 0x067805d3)));
  sum = v128.xor(sum, images(all, i32x4(0x10000, 0x20000, 0x40000, 0x80000), i32x4(0x0cf00ba6, 0x19e0174c, 0x33c02e98, 0x67805d30)));
  sum = v128.xor(sum, images(all, i32x4(0x100000, 0x200000, 0x400000, 0x800000), i32x4(0xcf00ba60, 0x9bed0231, 0x32367293, 0x646ce526)));
  sum = v128.xor(sum, images(all, i32x4(0x1000000, 0x2000000, 0x4000000, 0x8000000), i32x4(0xc8d9ca4c, 0x945fe269, 0x2d53b223, 0x5aa76446)));
  sum = v128.xor(sum, images(all, i32x4(0x10000000, 0x20000000, 0x40000000, 0x80000000), i32x4(0xb54ec88c, 0x6f71e7e9, 0xdee3cfd2, 0xb82be955)));
  return i32x4.extract_lane(sum, 0) ^ i32x4.extract_lane(sum, 1) ^ i32x4.extract_lane(sum, 2) ^ i32x4.extract_lane(sum, 3);
}
