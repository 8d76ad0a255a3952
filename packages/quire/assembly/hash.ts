/**
 * A 32-bit hash for hash maps, not for adversaries: wyhash32 (Wang Yi, github.com/wangyi-fudan/wyhash, public domain).
 * State is two words; each step mixes eight bytes in with one 32 x 32 -> 64 bit product, which WebAssembly has as a
 * single instruction. Loads are unaligned and never leave the run.
 */
const MULTIPLIER_A: u32 = 0x53c5ca59;
const MULTIPLIER_B: u32 = 0x74743c1b;

/** Hash of `[src, src + length)`, as an int32 bit pattern: `>>> 0` makes it unsigned, a mask needs neither. */
export function hash32(src: usize, length: u32, seed: u32): u32 {
  let state: u64 = mix(seed, length);
  let rest = length;
  while (rest > 8) {
    state = mix(<u32>state ^ load<u32>(src), <u32>(state >> 32) ^ load<u32>(src, 4));
    src += 8;
    rest -= 8;
  }
  const last = lastWords(src, rest);
  state = mix(<u32>state ^ <u32>last, <u32>(state >> 32) ^ <u32>(last >> 32));
  state = mix(<u32>state, <u32>(state >> 32));
  return <u32>state ^ <u32>(state >> 32);
}

@inline
function mix(a: u32, b: u32): u64 {
  return <u64>(a ^ MULTIPLIER_A) * <u64>(b ^ MULTIPLIER_B);
}

/** The last 0 to 8 bytes as two words; overlapping loads take the place of a byte loop. */
@inline
function lastWords(src: usize, rest: u32): u64 {
  if (rest >= 4) return <u64>load<u32>(src) | (<u64>load<u32>(src + rest - 4) << 32);
  if (rest == 0) return 0;
  return (<u64>load<u8>(src) << 16) | (<u64>load<u8>(src + (rest >> 1)) << 8) | <u64>load<u8>(src + rest - 1);
}
