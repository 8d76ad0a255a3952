/**
 * CRC32C (Castagnoli, reflected polynomial 0x82F63B78), slicing by eight (Kounavis & Berry, "A Systematic Approach to
 * Building High Performance Software-based CRC Generators", 2005): eight tables of 256 words, 8 KiB, turn eight bytes
 * per step into eight independent loads. Table k maps a byte to its remainder after k further zero bytes.
 */
const POLYNOMIAL: u32 = 0x82f63b78;
const TABLE_BYTES: u32 = 1024;

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
  while (length >= 8) {
    const low = load<u32>(src) ^ crc;
    const high = load<u32>(src, 4);
    crc =
      load<u32>(table + ((low & 255) << 2), 7 * TABLE_BYTES) ^
      load<u32>(table + (((low >> 8) & 255) << 2), 6 * TABLE_BYTES) ^
      load<u32>(table + (((low >> 16) & 255) << 2), 5 * TABLE_BYTES) ^
      load<u32>(table + ((low >> 24) << 2), 4 * TABLE_BYTES) ^
      load<u32>(table + ((high & 255) << 2), 3 * TABLE_BYTES) ^
      load<u32>(table + (((high >> 8) & 255) << 2), 2 * TABLE_BYTES) ^
      load<u32>(table + (((high >> 16) & 255) << 2), TABLE_BYTES) ^
      load<u32>(table + ((high >> 24) << 2));
    src += 8;
    length -= 8;
  }
  while (length > 0) {
    crc = (crc >> 8) ^ load<u32>(table + (((crc ^ load<u8>(src++)) & 255) << 2));
    length--;
  }
  return <f64>~crc;
}
