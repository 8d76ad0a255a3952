/**
 * LZ4 block format read as the specification (lz4/doc/lz4_Block_format.md) words it, one byte at a time: the yardstick
 * for the kernel's decoder, and the judge of the end-of-block rules that its encoder must follow.
 */
export interface Sequence {
  literals: number;
  /** Where the match starts in the output, its distance and length; a distance of 0 marks the last sequence. */
  at: number;
  offset: number;
  length: number;
}

export interface ModelResult {
  /** True when the block ended cleanly or `wanted` bytes were there before anything was wrong. */
  ok: boolean;
  bytes: number[];
  sequences: Sequence[];
}

const BAD = -1;

/** Decodes until `wanted` bytes are there (then stops, cutting the run short), or the block ends, or breaks a rule. */
export function decodeModel(block: Uint8Array, capacity: number, wanted = Number.POSITIVE_INFINITY): ModelResult {
  const bytes: number[] = [];
  const sequences: Sequence[] = [];
  const target = Math.min(wanted, wanted === Number.POSITIVE_INFINITY ? wanted : capacity);
  const result = (ok: boolean): ModelResult => ({ ok, bytes, sequences });
  let at = 0;

  const readCount = (nibble: number): number => {
    if (nibble < 15) return nibble;
    let count = 15;
    while (at < block.length) {
      const more = block[at++];
      count += more;
      if (more !== 255) return count;
    }
    return BAD;
  };

  while (bytes.length < target) {
    if (at >= block.length) return result(false);
    const token = block[at++];
    let literals = readCount(token >> 4);
    if (literals === BAD) return result(false);
    literals = Math.min(literals, target - bytes.length);
    if (at + literals > block.length || bytes.length + literals > capacity) return result(false);
    for (let i = 0; i < literals; i++) bytes.push(block[at++]);
    if (bytes.length >= target) return result(true);
    if (at === block.length) {
      sequences.push({ literals, at: bytes.length, offset: 0, length: 0 });
      return result(true);
    }
    if (at + 2 > block.length) return result(false);
    const offset = block[at] | (block[at + 1] << 8);
    at += 2;
    if (offset === 0 || offset > bytes.length) return result(false);
    const count = readCount(token & 15);
    if (count === BAD) return result(false);
    const length = Math.min(count + 4, target - bytes.length);
    if (bytes.length + length > capacity) return result(false);
    sequences.push({ literals, at: bytes.length, offset, length });
    for (let i = 0; i < length; i++) bytes.push(bytes[bytes.length - offset]);
  }
  return result(true);
}

/** The rules a decoder may rely on: the last 5 bytes are literals, and no match starts in the last 12. */
export function breaksEndRules(result: ModelResult): boolean {
  const { bytes, sequences } = result;
  const last = sequences[sequences.length - 1];
  if (last.offset !== 0) return true;
  if (sequences.length === 1) return false;
  const match = sequences[sequences.length - 2];
  return last.literals < 5 || match.at > bytes.length - 12;
}
