/**
 * The key of the running operation, in the form a record has it: 4 header words, then the key as little-endian words,
 * padded with zeros to a multiple of 8 bytes. Hashing and framing are one pass; comparing with a record is then word
 * by word, and storing is one copy. One frame per thread and map; nothing is allocated per operation.
 *
 * The hash is MurmurHash3 x86_32 (Austin Appleby, public domain) with a random seed per map.
 */
export class KeyFrame {
  /** Header (4 words), then the key's words. */
  readonly words: Int32Array;
  /** The same memory, bytewise. */
  readonly bytes: Uint8Array;
  /** Bytes of the key. */
  length = 0;
  hash = 0;

  constructor() {
    this.words = new Int32Array(HEADER_WORDS + KEY_BYTES_MAX / 4 + 3);
    this.bytes = new Uint8Array(this.words.buffer);
  }

  /** Loads a key of at most KEY_BYTES_MAX bytes; returns its hash, an int32. */
  load(key: Uint8Array, seed: number): number {
    const length = key.length;
    const words = this.words;
    let hash = seed;
    let word = HEADER_WORDS;
    let at = 0;
    for (; at + 4 <= length; at += 4, word++) {
      const k = key[at] | (key[at + 1] << 8) | (key[at + 2] << 16) | (key[at + 3] << 24);
      words[word] = k;
      hash = Math.imul(rotate13(hash ^ scramble(k)), 5) + 0xe6546b64;
    }
    if (at < length) {
      let k = key[at];
      if (at + 1 < length) k |= key[at + 1] << 8;
      if (at + 2 < length) k |= key[at + 2] << 16;
      words[word++] = k;
      hash ^= scramble(k);
    }
    if ((word & 1) === 1) words[word] = 0;
    this.length = length;
    this.hash = avalanche(hash ^ length);
    return this.hash;
  }
}

export const HEADER_WORDS = 4;
/** 16 bits in the record header. */
export const KEY_BYTES_MAX = 65_535;

function scramble(k: number): number {
  const mixed = Math.imul(k, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

function rotate13(hash: number): number {
  return (hash << 13) | (hash >>> 19);
}

function avalanche(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
