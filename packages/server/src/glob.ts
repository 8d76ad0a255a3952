/** Glob patterns as KEYS, SCAN and CONFIG GET take them: * ? [a-z] [^a] \x. A port of Redis' `stringmatchlen`, byte by byte. */
const STAR = 42;
const QUESTION = 63;
const BACKSLASH = 92;
const OPEN = 91;
const CLOSE = 93;
const CARET = 94;
const DASH = 45;

export class Glob {
  /** Matches everything: no need to look. */
  readonly isAll: boolean;
  private readonly pattern: Uint8Array;
  private readonly isFolded: boolean;

  constructor(pattern: Uint8Array | string, isCaseInsensitive = false) {
    const bytes = typeof pattern === 'string' ? Buffer.from(pattern, 'latin1') : Uint8Array.from(pattern);
    this.pattern = isCaseInsensitive ? bytes.map(lower) : bytes;
    this.isFolded = isCaseInsensitive;
    this.isAll = bytes.length === 1 && bytes[0] === STAR;
  }

  matches(text: Uint8Array | string): boolean {
    if (this.isAll) return true;
    const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
    return this.matchFrom(0, this.isFolded ? bytes.map(lower) : bytes);
  }

  /**
   * Walks pattern and text together; at a mismatch goes back to the last star and lets it take one byte more. Only the last star need be
   * remembered, so the work is bounded by their lengths' product whatever the pattern.
   */
  private matchFrom(patternStart: number, text: Uint8Array): boolean {
    const { pattern } = this;
    let p = patternStart;
    let t = 0;
    let starPattern = -1;
    let starText = 0;
    while (t < text.length) {
      if (p < pattern.length && pattern[p] === STAR) {
        starPattern = ++p;
        starText = t;
        continue;
      }
      const next = p < pattern.length ? this.matchOne(p, text[t]) : -1;
      if (next >= 0) {
        p = next;
        t++;
      } else if (starPattern >= 0) {
        p = starPattern;
        t = ++starText;
      } else {
        return false;
      }
    }
    while (p < pattern.length && pattern[p] === STAR) p++;
    return p === pattern.length;
  }

  /** Where the pattern goes on when the element at `p` takes `byte`, else -1. */
  private matchOne(p: number, byte: number): number {
    const { pattern } = this;
    if (pattern[p] === QUESTION) return p + 1;
    if (pattern[p] === OPEN) return this.matchClass(p + 1, byte);
    const at = pattern[p] === BACKSLASH && p + 1 < pattern.length ? p + 1 : p;
    return pattern[at] === byte ? at + 1 : -1;
  }

  /** A class without a closing bracket ends with the pattern, as in Redis. */
  private matchClass(start: number, byte: number): number {
    const { pattern } = this;
    const isNegated = pattern[start] === CARET;
    let p = isNegated ? start + 1 : start;
    let isIn = false;
    while (p < pattern.length && pattern[p] !== CLOSE) {
      if (pattern[p] === BACKSLASH && p + 1 < pattern.length) {
        isIn ||= pattern[p + 1] === byte;
        p += 2;
      } else if (p + 2 < pattern.length && pattern[p + 1] === DASH) {
        const from = Math.min(pattern[p], pattern[p + 2]);
        const to = Math.max(pattern[p], pattern[p + 2]);
        isIn ||= byte >= from && byte <= to;
        p += 3;
      } else {
        isIn ||= pattern[p] === byte;
        p++;
      }
    }
    if (isIn === isNegated) return -1;
    return p < pattern.length ? p + 1 : p;
  }
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}
