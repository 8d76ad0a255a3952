import { copy } from './copy';
import { wildCopy16 } from './wild-copy';

/**
 * LZ4 block compressor (github.com/lz4/lz4, doc/lz4_Block_format.md), greedy, for inputs of at most 64 KiB.
 *
 *   sequence = token (literals:4 | match - 4:4) [literal count 255...] literals offset:u16 [match length 255...]
 *
 * The input is walked once. A table maps a hash of the next five bytes to the last position where it was seen, as a
 * 16-bit offset from `src`: with inputs of 64 KiB each position is a legal match distance, so neither age nor distance
 * needs a check, and an entry left at zero just means "try the first byte". The table is cleared on entry (V8 leaves the
 * module for it, and still takes a third of the time that a loop of stores takes). The farther
 * the last match lies behind, the longer the steps (one more byte every 64 misses): incompressible data is left fast.
 *
 * Bounds. Addresses are compared by signed difference, for a block may end at 4 GiB, where `src + length` wraps to 0.
 * All offsets come from positions, not from the bytes, so a source that changes meanwhile spoils the result but never
 * reaches outside.
 * - No match starts in the last 16 bytes (the format asks for 12): a 16-byte literal copy never reads past the end.
 * - No match covers the last 5 bytes (format).
 * - The search ends where the pending literals alone would exceed the room left. Only a match that then reached back
 *   over some of them could still have fitted.
 */
const HASH_PRIME: u64 = 889523592379; // LZ4's five-byte hash
const HASH_BITS: u64 = 13; // 16 KiB of u16: the scratch there is. 12 bits lose 0.2 % of ratio on 4 KiB and gain no time
const HASH_BITS_SHORT: u64 = 11;
const SHORT_INPUT: u32 = 1024; // up to here clearing 16 KiB would cost more than it finds
const SKIP_TRIGGER: u32 = 6; // one more byte per step after each 2^6 misses, as in LZ4
const MATCH_MIN: u32 = 4;
const TAIL_SEARCH: u32 = 16;
const TAIL_LITERALS: u32 = 5;

/**
 * Returns the compressed length in bytes, or 0 when it does not fit `capacity`. `table`: 16 KiB of scratch.
 */
export function compress(src: usize, length: u32, dst: usize, capacity: u32, table: usize): u32 {
  if (length <= TAIL_SEARCH) return lastLiterals(src, length, dst, dst, dst + capacity);
  const hashBits: u64 = length <= SHORT_INPUT ? HASH_BITS_SHORT : HASH_BITS;
  memory.fill(table, 0, 2 << <u32>hashBits);
  const shift = 64 - hashBits;
  const searchLimit = src + length - TAIL_SEARCH;
  const matchLimit = src + length - TAIL_LITERALS;
  const outEnd = dst + capacity;
  let anchor = src;
  let op = dst;
  let ip = src + 1;

  while (<i32>(searchLimit - ip) >= 0) {
    // 1. Search: the first position whose four bytes were seen before.
    const searchable = min<i32>(<i32>(searchLimit - anchor), <i32>(outEnd - op));
    const searchEnd = anchor + searchable;
    let misses: u32 = 1 << SKIP_TRIGGER;
    let match: usize = 0;
    while (true) {
      const word = load<u64>(ip);
      const entry = table + hashEntry(word, shift);
      match = src + <usize>load<u16>(entry);
      store<u16>(entry, <u16>(ip - src));
      if (load<u32>(match) == <u32>word) break;
      ip += misses++ >> SKIP_TRIGGER;
      if (<i32>(searchEnd - ip) < 0) break;
    }
    if (<i32>(searchEnd - ip) < 0) break;

    // 2. Extend the match to both sides. Five in six end within 16 bytes, found without a branch that depends on where.
    const unequal = i8x16.bitmask(i8x16.ne(v128.load(ip), v128.load(match)));
    const end = unequal != 0 ? min<usize>(ip + ctz(unequal), matchLimit) : matchEnd(ip + 16, match + 16, matchLimit);
    if (<u32>(match - src) >= 8) {
      const back = min<usize>(equalBefore(ip, match), ip - anchor);
      ip -= back;
      match -= back;
    }

    // 3. Emit.
    op = emitSequence(op, outEnd, anchor, ip, ip - match, <u32>(end - ip) - MATCH_MIN);
    if (op == 0) return 0;
    anchor = ip = end;
    if (<i32>(searchLimit - ip) < 0) break; // the next line would read past the end
    store<u16>(table + hashEntry(load<u64>(ip - 2), shift), <u16>(ip - 2 - src));
  }
  return lastLiterals(anchor, <u32>(src + length - anchor), op, dst, outEnd);
}

/** Byte offset in the table of the entry for the first five bytes of `word`. */
@inline
function hashEntry(word: u64, shift: u64): usize {
  return <usize>(((word << 24) * HASH_PRIME) >> shift) << 1;
}

/**
 * How many of the eight bytes before `ip` and `match` are equal, without a branch per byte. More are hardly ever equal.
 */
@inline
function equalBefore(ip: usize, match: usize): usize {
  return <usize>clz(load<u64>(ip - 8) ^ load<u64>(match - 8)) >> 3;
}

/** The end of the match, at most `limit`, of which everything before `ip` is known to be equal; `ip` may be past `limit`. */
@inline
function matchEnd(ip: usize, match: usize, limit: usize): usize {
  while (<i32>(limit - ip) >= 8) {
    const difference = load<u64>(ip) ^ load<u64>(match);
    if (difference != 0) return ip + (<usize>ctz(difference) >> 3);
    ip += 8;
    match += 8;
  }
  while (<i32>(limit - ip) > 0 && load<u8>(ip) == load<u8>(match)) {
    ip++;
    match++;
  }
  return <i32>(limit - ip) < 0 ? limit : ip;
}

/** Writes one sequence; returns the new output position or 0 when it does not fit. `matchCode`: match length - 4. */
@inline
function emitSequence(op: usize, outEnd: usize, anchor: usize, ip: usize, offset: usize, matchCode: u32): usize {
  const literals = <u32>(ip - anchor);
  const room = <u32>(outEnd - op);
  const isRoomy = room >= literals + (literals >> 7) + 24;
  if (!isRoomy && room < 3 + literals + extraBytes(literals)) return 0;
  const token = op++;
  if (literals >= 15) op = writeLength(op, literals - 15);
  if (isRoomy) wildCopy16(op, anchor, literals);
  else copy(op, anchor, literals);
  op += literals;
  store<u16>(op, <u16>offset);
  op += 2;
  store<u8>(token, (min<u32>(literals, 15) << 4) | min<u32>(matchCode, 15));
  if (matchCode >= 15) {
    if (<u32>(outEnd - op) < extraBytes(matchCode)) return 0;
    op = writeLength(op, matchCode - 15);
  }
  return op;
}

/** The last sequence: literals only. Returns the length of the whole block, or 0 when it does not fit. */
function lastLiterals(anchor: usize, literals: u32, op: usize, dst: usize, outEnd: usize): u32 {
  if (<u32>(outEnd - op) < 1 + literals + extraBytes(literals)) return 0;
  store<u8>(op++, min<u32>(literals, 15) << 4);
  if (literals >= 15) op = writeLength(op, literals - 15);
  copy(op, anchor, literals);
  return <u32>(op + literals - dst);
}

/** How many bytes follow the token for a count whose four bits in the token hold at most 15. */
@inline
function extraBytes(count: u32): u32 {
  return count < 15 ? 0 : (count - 15) / 255 + 1;
}

function writeLength(op: usize, rest: u32): usize {
  for (; rest >= 255; rest -= 255) store<u8>(op++, 255);
  store<u8>(op++, rest);
  return op;
}
