import { copyBytesForward, wildCopy16 } from './wild-copy';

/**
 * LZ4 block decoder. Two gears:
 * - fast, while 17 input bytes and 32 output bytes lie ahead: a sequence of at most 14 literals and 18 match bytes whose distance
 *   is at least 16 takes one 16-byte copy for the literals and one of 16 + 2 for the match, whatever their lengths;
 * - careful, one sequence at a time, for everything else: each length and distance is checked before a byte moves.
 * The fast gear leaves `ip` and `op` alone until its sequence is complete; the careful gear reads that sequence again from its
 * token and checks its own readings only, so a source that changes meanwhile cannot slip a value past a check.
 *
 * Bounds are kept as distances to the end (`inEnd - ip`), never negative, so a run may end at 4 GiB, where addresses wrap to 0.
 */
const MALFORMED: i32 = -1;
const FAST_IN: u32 = 18; // token, 14 literals, offset
const FAST_OUT: u32 = 32; // 14 literals, 18 match bytes
const MATCH_MIN: u32 = 4;

export function decompress(src: usize, length: u32, dst: usize, capacity: u32): i32 {
  return decode(src, length, dst, capacity, capacity, false);
}

export function decompressPartial(src: usize, length: u32, dst: usize, wanted: u32, capacity: u32): i32 {
  return decode(src, length, dst, min(wanted, capacity), capacity, true);
}

// @ts-ignore: decorator
@inline
function decode(src: usize, length: u32, dst: usize, wanted: u32, capacity: u32, isPartial: bool): i32 {
  const inEnd = src + length;
  const outEnd = dst + capacity;
  let ip = src;
  let op = dst;
  while (true) {
    // Fast gear.
    while (i32(<u32>(inEnd - ip) >= FAST_IN) & i32(<u32>(outEnd - op) >= FAST_OUT)) {
      if (isPartial && <u32>(op - dst) >= wanted) return <i32>(op - dst);
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

    // Careful gear: one sequence.
    if (isPartial && <u32>(op - dst) >= wanted) return <i32>(op - dst);
    if (ip == inEnd) return MALFORMED;
    const token: u32 = load<u8>(ip++);
    let literals = token >> 4;
    if (literals == 15) {
      let more: u32;
      do {
        if (ip == inEnd) return MALFORMED;
        more = load<u8>(ip++);
        literals += more;
      } while (more == 255);
    }
    if (isPartial) literals = min(literals, wanted - <u32>(op - dst));
    if (literals > <u32>(inEnd - ip) || literals > <u32>(outEnd - op)) return MALFORMED;
    copyLiterals(op, ip, literals, min(<u32>(inEnd - ip), <u32>(outEnd - op)));
    op += literals;
    ip += literals;
    if (isPartial && <u32>(op - dst) >= wanted) return <i32>(op - dst);
    if (ip == inEnd) return <i32>(op - dst);

    if (<u32>(inEnd - ip) < 2) return MALFORMED;
    const offset: u32 = load<u16>(ip);
    ip += 2;
    if (offset == 0 || offset > <u32>(op - dst)) return MALFORMED;
    let matchLength = token & 15;
    if (matchLength == 15) {
      let more: u32;
      do {
        if (ip == inEnd) return MALFORMED;
        more = load<u8>(ip++);
        matchLength += more;
      } while (more == 255);
    }
    matchLength += MATCH_MIN;
    if (isPartial) matchLength = min(matchLength, wanted - <u32>(op - dst));
    if (matchLength > <u32>(outEnd - op)) return MALFORMED;
    copyMatch(op, offset, matchLength, <u32>(outEnd - op));
    op += matchLength;
  }
  return MALFORMED;
}

@inline
function copyLiterals(op: usize, ip: usize, literals: u32, room: u32): void {
  if (room >= literals + 16) wildCopy16(op, ip, literals);
  else copyBytesForward(op, ip, literals);
}

@inline
function copyMatch(op: usize, offset: u32, length: u32, room: u32): void {
  if (room < length + 16) copyBytesForward(op, op - offset, length);
  else if (offset >= 16) wildCopy16(op, op - offset, length);
  else repeatPattern(op, offset, length);
}

/** A match that overlaps itself, distance below 16: the bytes before `op` repeat. Stores whole periods, 16 bytes at a time. */
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
