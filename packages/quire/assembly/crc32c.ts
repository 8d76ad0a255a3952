/**
 * CRC32C (Castagnoli, reflected polynomial 0x82F63B78), in two ways.
 *
 * Short runs: slicing by eight (Kounavis & Berry, "A Systematic Approach to Building High Performance Software-based CRC
 * Generators", 2005). Eight tables of 256 words, 8 KiB, turn eight bytes per step into eight independent loads. Table k maps a
 * byte to its remainder after k further zero bytes.
 *
 * Long runs: sparse multiples of the polynomial, as in Chorba (Russell, "A Novel CRC32 Implementation", 2024), for another
 * polynomial and in vectors. Where a multiple has few terms, x^D + x^a + x^b + … + 1, a byte may be taken out of the message
 * and added to those D − a, D − b, … D bytes behind it, and the remainder stays (squared three times, P(x)^8 = P(x^8): exponents
 * of bits become those of bytes). What is taken out at each place, from the first on, is
 *
 *     v[i] = data[i] ^ v[i − lag] ^ v[i − lag'] ^ …         0 where there is no v
 *
 * and what is left over at the end is as long as the longest lag. All lags are longer than a vector, so that sixteen bytes are
 * one step, of loads and exclusive ors alone, and long enough that a step seldom waits for the one whose result it loads.
 *
 *     1   v of the message but the last 272 bytes, by x^266 + x^143 + x^121 + x^88 + x^71 + 1
 *     2   what that leaves of those 272, less 112, by x^104 + x^57 + x^53 + x^49 + x^19 + x^14 + x^4 + 1
 *     3   what that leaves, 112 bytes, by the tables: two halves side by side, and joined (Gopal et al., "Fast CRC Computation
 *         for iSCSI Polynomial Using CRC32 Instruction", 2011)
 *
 *             crc(A B) = zeros(crc(A), |B|) ^ crc(B)       zeros(r, n): remainder r after n further zero bytes, linear in r
 *
 * The multiples were searched for: there is none with fewer terms below 5,000 bytes, and of those with six below 300 this
 * one's shortest lag is among the longest. v, the last bytes and zeros before and behind both are in the caller's scratch memory.
 */
const POLYNOMIAL: u32 = 0x82f63b78;
const TABLE_BYTES: u32 = 1024;
/** Shorter runs gain nothing. */
const LONG_MIN: u32 = 512;
/** Longest piece that fits the scratch memory, of 16 KiB. */
const LONG_MAX: u32 = 8192;
/** What the first multiple leaves: its longest lag, in whole vectors. */
const WIDE: u32 = 272;
/** What the second one leaves. */
const NARROW: u32 = 112;
const HALF: u32 = NARROW / 2;
/** In the scratch memory: zeros · v · zeros from 0 on; zeros · w · zeros and the last bytes from here on. */
const NARROW_AT: u32 = LONG_MAX + WIDE + WIDE;
const LAST_AT: u32 = NARROW_AT + NARROW + WIDE;

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
export function crc32c(seed: u32, src: usize, length: u32, table: usize, scratch: usize): f64 {
  return <f64>remainder(seed, src, length, table, scratch);
}

export function remainder(seed: u32, src: usize, length: u32, table: usize, scratch: usize): u32 {
  let crc = ~seed;
  while (length >= LONG_MIN) {
    const piece = min(length, LONG_MAX) & ~15;
    crc = long(crc, src, piece, table, scratch);
    src += piece;
    length -= piece;
  }
  for (; length >= 8; length -= 8) {
    crc = step(crc, src, table);
    src += 8;
  }
  while (length > 0) {
    crc = (crc >> 8) ^ load<u32>(table + (((crc ^ load<u8>(src++)) & 255) << 2));
    length--;
  }
  return ~crc;
}

/** `length` is a multiple of 16 between LONG_MIN and LONG_MAX. The remainder so far is added to the first bytes. */
function long(crc: u32, src: usize, length: u32, table: usize, scratch: usize): u32 {
  let v = scratch;
  const end = src + length - WIDE;
  zero(v, WIDE);
  v128.store(v, v128.xor(v128.load(src), i32x4(crc, 0, 0, 0)), WIDE);
  for (src += 16, v += 16; src < end; src += 16, v += 16) {
    v128.store(v, v128.xor(v128.load(src), wide(v)), WIDE);
  }
  zero(v + WIDE, WIDE);
  const w = scratch + NARROW_AT;
  zero(w, NARROW);
  let at: u32 = 0;
  for (; at < WIDE - NARROW; at += 16) {
    v128.store(w + at, v128.xor(v128.xor(v128.load(src + at), wide(v + at)), narrow(w + at)), NARROW);
  }
  zero(w + WIDE, NARROW);
  const last = scratch + LAST_AT;
  for (; at < WIDE; at += 16) {
    v128.store(last + at, v128.xor(v128.xor(v128.load(src + at), wide(v + at)), narrow(w + at)));
  }
  const half = last + WIDE - NARROW;
  let first: u32 = 0;
  let second: u32 = 0;
  for (at = 0; at < HALF; at += 8) {
    first = step(first, half + at, table);
    second = step(second, half + HALF + at, table);
  }
  return zeros56(first) ^ second;
}

/** Sixteen bytes of what comes from v: what is stored WIDE behind `v` is added to. Lags 123, 145, 178, 195, 266. */
// @ts-ignore: decorator
@inline
function wide(v: usize): v128 {
  const near = v128.xor(v128.load(v, WIDE - 123), v128.load(v, WIDE - 145));
  const far = v128.xor(v128.load(v, WIDE - 178), v128.load(v, WIDE - 195));
  return v128.xor(v128.xor(near, far), v128.load(v, WIDE - 266));
}

/** As `wide`, NARROW behind `w`. Lags 47, 51, 55, 85, 90, 100, 104. */
// @ts-ignore: decorator
@inline
function narrow(w: usize): v128 {
  const near = v128.xor(v128.load(w, NARROW - 47), v128.load(w, NARROW - 51));
  const middle = v128.xor(v128.load(w, NARROW - 55), v128.load(w, NARROW - 85));
  const far = v128.xor(v128.load(w, NARROW - 90), v128.load(w, NARROW - 100));
  return v128.xor(v128.xor(near, middle), v128.xor(far, v128.load(w, NARROW - 104)));
}

// @ts-ignore: decorator
@inline
function zero(at: usize, bytes: u32): void {
  for (let i: u32 = 0; i < bytes; i += 16) v128.store(at + i, i32x4.splat(0));
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

/** The remainder after 56 further zero bytes: the sum of those of its bits, four bits an operation. */
// @ts-ignore: decorator
@inline
function zeros56(crc: u32): u32 {
  const all = i32x4.splat(crc);
  let sum = i32x4.splat(0);
  sum = v128.xor(sum, images(all, i32x4(0x1, 0x2, 0x4, 0x8), i32x4(0x9e4addf8, 0x3979cd01, 0x72f39a02, 0xe5e73404)));
  sum = v128.xor(sum, images(all, i32x4(0x10, 0x20, 0x40, 0x80), i32x4(0xce221ef9, 0x99a84b03, 0x36bce0f7, 0x6d79c1ee)));
  sum = v128.xor(sum, images(all, i32x4(0x100, 0x200, 0x400, 0x800), i32x4(0xdaf383dc, 0xb00b7149, 0x65fa9463, 0xcbf528c6)));
  sum = v128.xor(sum, images(all, i32x4(0x1000, 0x2000, 0x4000, 0x8000), i32x4(0x9206277d, 0x21e0380b, 0x43c07016, 0x8780e02c)));
  sum = v128.xor(sum, images(all, i32x4(0x10000, 0x20000, 0x40000, 0x80000), i32x4(0x0aedb6a9, 0x15db6d52, 0x2bb6daa4, 0x576db548)));
  sum = v128.xor(sum, images(all, i32x4(0x100000, 0x200000, 0x400000, 0x800000), i32x4(0xaedb6a90, 0x585aa3d1, 0xb0b547a2, 0x6486f9b5)));
  sum = v128.xor(sum, images(all, i32x4(0x1000000, 0x2000000, 0x4000000, 0x8000000), i32x4(0xc90df36a, 0x97f79025, 0x2a0356bb, 0x5406ad76)));
  sum = v128.xor(sum, images(all, i32x4(0x10000000, 0x20000000, 0x40000000, 0x80000000), i32x4(0xa80d5aec, 0x55f6c329, 0xabed8652, 0x52377a55)));
  return i32x4.extract_lane(sum, 0) ^ i32x4.extract_lane(sum, 1) ^ i32x4.extract_lane(sum, 2) ^ i32x4.extract_lane(sum, 3);
}
