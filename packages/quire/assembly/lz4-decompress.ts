import { copy } from './copy';
import { wildCopy16 } from './wild-copy';

/**
 * LZ4 block decoder. Two gears:
 * - fast, while 18 input bytes and 32 output bytes lie ahead: a sequence of at most 14 literals and 18 match bytes
 *   whose distance is at least 16 takes one 16-byte copy for the literals and one of 16 + 2 for the match, whatever
 *   their lengths; a count with one further byte is taken as well, after a check that it leaves the same room (saves
 *   14 % of the time on text);
 * - careful, one sequence at a time, for everything else: each length and distance is checked before a byte moves.
 * The fast gear leaves `ip` and `op` alone until its sequence is complete; the careful gear reads that sequence again
 * from its token and checks its own readings only, so a source that changes meanwhile cannot slip a value past a check.
 *
 * Bounds are kept as distances to the end (`inEnd - ip`), never negative, so a run may end at 4 GiB, where addresses
 * wrap to 0.
 */
const MALFORMED: i32 = -1;
const FAST_IN: u32 = 18; // token, 14 literals, offset, one count byte
const FAST_OUT: u32 = 32; // 14 literals, 18 match bytes
const MATCH_MIN: u32 = 4;
const UNTERMINATED: u64 = 0xffffffffffffffff; // no pair: so high a count takes 16 MiB of input, and then it is wrong

export function decompress(src: usize, length: u32, dst: usize, capacity: u32): i32 {
  return decode(src, length, dst, capacity, capacity, false);
}

export function decompressPartial(src: usize, length: u32, dst: usize, wanted: u32, capacity: u32): i32 {
  return decode(src, length, dst, min(wanted, capacity), capacity, true);
}

@inline
function decode(src: usize, length: u32, dst: usize, wanted: u32, capacity: u32, isPartial: bool): i32 {
  const inEnd = src + length;
  const outEnd = dst + capacity;
  let ip = src;
  let op = dst;
  while (true) {
    const reached = decodeFast(ip, inEnd, op, dst, outEnd, wanted, isPartial);
    ip = first(reached);
    op = second(reached);
    if (isPartial && <u32>(op - dst) >= wanted) return <i32>(op - dst);

    // The careful gear: one sequence. 1. Literals.
    if (ip == inEnd) return MALFORMED;
    const token: u32 = load<u8>(ip++);
    let literals = token >> 4;
    if (literals == 15) {
      const read = readCount(ip, inEnd);
      if (read == UNTERMINATED) return MALFORMED;
      ip = first(read);
      literals = second(read);
    }
    if (isPartial) literals = min(literals, wanted - <u32>(op - dst));
    if (literals > <u32>(inEnd - ip) || literals > <u32>(outEnd - op)) return MALFORMED;
    copyLiterals(op, ip, literals, min(<u32>(inEnd - ip), <u32>(outEnd - op)));
    op += literals;
    ip += literals;
    if (isPartial && <u32>(op - dst) >= wanted) return <i32>(op - dst);
    if (ip == inEnd) return <i32>(op - dst);

    // 2. Match.
    if (<u32>(inEnd - ip) < 2) return MALFORMED;
    const offset: u32 = load<u16>(ip);
    ip += 2;
    if (offset == 0 || offset > <u32>(op - dst)) return MALFORMED;
    let matchLength = token & 15;
    if (matchLength == 15) {
      const read = readCount(ip, inEnd);
      if (read == UNTERMINATED) return MALFORMED;
      ip = first(read);
      matchLength = second(read);
    }
    matchLength += MATCH_MIN;
    if (isPartial) matchLength = min(matchLength, wanted - <u32>(op - dst));
    if (matchLength > <u32>(outEnd - op)) return MALFORMED;
    copyMatch(op, offset, matchLength, <u32>(outEnd - op));
    op += matchLength;
  }
  return MALFORMED;
}

/** The fast gear. Returns the pair (ip, op) before the first sequence that it leaves to the careful gear. */
@inline
function decodeFast(
  ip: usize,
  inEnd: usize,
  op: usize,
  dst: usize,
  outEnd: usize,
  wanted: u32,
  isPartial: bool,
): u64 {
  while (i32(<u32>(inEnd - ip) >= FAST_IN) & i32(<u32>(outEnd - op) >= FAST_OUT)) {
    if (isPartial && <u32>(op - dst) >= wanted) break;
    const token: u32 = load<u8>(ip);
    let literals = token >> 4;
    let from = ip + 1;
    if (literals < 15) {
      v128.store(op, v128.load(from));
    } else {
      const more: u32 = load<u8>(from++);
      literals += more;
      if (more == 255 || <u32>(inEnd - from) < literals + 16 || <u32>(outEnd - op) < literals + 18) break;
      wildCopy16(op, from, literals);
    }
    const literalsEnd = op + literals;
    from += literals;
    const offset: u32 = load<u16>(from);
    if (i32(offset < 16) | i32(offset > <u32>(literalsEnd - dst))) break;
    from += 2;
    const match = literalsEnd - offset;
    const matchCode = token & 15;
    v128.store(literalsEnd, v128.load(match));
    if (matchCode < 15) {
      store<u16>(literalsEnd, load<u16>(match, 16), 16);
      op = literalsEnd + matchCode + MATCH_MIN;
    } else {
      const more: u32 = load<u8>(from++);
      if (more == 255 || <u32>(outEnd - literalsEnd) < more + 19 + 16) break;
      wildCopy16(literalsEnd + 16, match + 16, more + 3);
      op = literalsEnd + more + 19;
    }
    ip = from;
  }
  return pair(ip, op);
}

/** A count whose four bits are full. Returns the pair (ip after it, count), or UNTERMINATED. */
function readCount(ip: usize, inEnd: usize): u64 {
  let count: u32 = 15;
  while (ip != inEnd) {
    const more: u32 = load<u8>(ip++);
    count += more;
    if (more != 255) return pair(ip, count);
  }
  return UNTERMINATED;
}

@inline
function pair(a: usize, b: usize): u64 {
  return (<u64>a << 32) | <u64>b;
}

@inline
function first(pair: u64): usize {
  return <usize>(pair >> 32);
}

@inline
function second(pair: u64): u32 {
  return <u32>pair;
}

@inline
function copyLiterals(op: usize, ip: usize, literals: u32, room: u32): void {
  if (room >= literals + 16) wildCopy16(op, ip, literals);
  else copy(op, ip, literals);
}

/** Close to the end of the output whole steps go as far as they may, single bytes the rest of the way. */
@inline
function copyMatch(op: usize, offset: u32, length: u32, room: u32): void {
  if (room >= length + 16) return copyMatchWild(op, offset, length);
  let done: u32 = 0;
  if (length >= 32) {
    done = (length - 16) & ~15;
    copyMatchWild(op, offset, done);
  }
  for (; done < length; done++) store<u8>(op + done, load<u8>(op + done - offset));
}

/** Writes at most 15 bytes more than `length`. */
function copyMatchWild(op: usize, offset: u32, length: u32): void {
  if (offset >= 16) wildCopy16(op, op - offset, length);
  else repeatPattern(op, offset, length);
}

/**
 * A match that overlaps itself, distance below 16: the bytes before `op` repeat. Stores whole periods, 16 bytes at a
 * time.
 */
function repeatPattern(op: usize, offset: u32, length: u32): void {
  const pattern = v128.swizzle(v128.load(op - offset), periodLanes(offset));
  const step = 16 - (16 % offset);
  const end = op + length;
  do {
    v128.store(op, pattern);
    op += step;
  } while (<i32>(end - op) > 0);
}

/** Lane i takes byte i mod period. */
function periodLanes(period: u32): v128 {
  switch (period) {
    case 1: return i8x16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    case 2: return i8x16(0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1);
    case 3: return i8x16(0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0);
    case 4: return i8x16(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
    case 5: return i8x16(0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0);
    case 6: return i8x16(0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3);
    case 7: return i8x16(0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1);
    case 8: return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
    case 9: return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 5, 6);
    case 10: return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5);
    case 11: return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4);
    case 12: return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3);
    case 13: return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2);
    case 14: return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 1);
    default: return i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0);
  }
}
