/**
 * Inline commands: a line of words as one types it in telnet. The rules are those of Redis' `sdssplitargs`: words between blanks;
 * "double quotes" with \n \r \t \b \a \\ \" and \xHH; 'single quotes' with \' alone; a closing quote must end its word. A zero byte ends the line,
 * as it ends a C string (Redis itself never sees the end of such a line and waits).
 */
const SINGLE = 39;
const DOUBLE = 34;
const BACKSLASH = 92;

/** The words of `line[start, end)`, undefined when its quotes do not balance. */
export function splitInline(line: Uint8Array, start: number, end: number): Uint8Array[] | undefined {
  const words: Uint8Array[] = [];
  const nul = line.subarray(start, end).indexOf(0);
  const last = nul < 0 ? end : start + nul;
  let at = start;
  for (;;) {
    while (at < last && isBlank(line[at])) at++;
    if (at >= last) return words;
    const word: number[] = [];
    at = readWord(line, at, last, word);
    if (at < 0) return undefined;
    words.push(Uint8Array.from(word));
  }
}

/** Reads one word into `word`; returns where it ended, -1 when its quotes do not balance. */
function readWord(line: Uint8Array, start: number, end: number, word: number[]): number {
  let at = start;
  while (at < end) {
    const byte = line[at];
    if (byte === DOUBLE || byte === SINGLE) {
      at = byte === DOUBLE ? readDouble(line, at + 1, end, word) : readSingle(line, at + 1, end, word);
      if (at < 0) return -1;
      return at < end && !isBlank(line[at]) ? -1 : at;
    }
    if (byte === 10 || byte === 13 || byte === 9 || byte === 32) return at;
    word.push(byte);
    at++;
  }
  return at;
}

function readDouble(line: Uint8Array, start: number, end: number, word: number[]): number {
  let at = start;
  while (at < end) {
    const byte = line[at];
    if (byte === DOUBLE) return at + 1;
    if (byte !== BACKSLASH || at + 1 >= end) {
      word.push(byte);
      at++;
      continue;
    }
    const hex = at + 3 < end && line[at + 1] === 120 ? hexPair(line[at + 2], line[at + 3]) : -1;
    word.push(hex >= 0 ? hex : unescaped(line[at + 1]));
    at += hex >= 0 ? 4 : 2;
  }
  return -1;
}

function readSingle(line: Uint8Array, start: number, end: number, word: number[]): number {
  let at = start;
  while (at < end) {
    const byte = line[at];
    if (byte === SINGLE) return at + 1;
    const isEscaped = byte === BACKSLASH && at + 1 < end && line[at + 1] === SINGLE;
    word.push(isEscaped ? SINGLE : byte);
    at += isEscaped ? 2 : 1;
  }
  return -1;
}

function unescaped(byte: number): number {
  switch (byte) {
    case 110:
      return 10;
    case 114:
      return 13;
    case 116:
      return 9;
    case 98:
      return 8;
    case 97:
      return 7;
    default:
      return byte;
  }
}

function hexPair(high: number, low: number): number {
  const text = String.fromCharCode(high, low);
  return /^[0-9a-fA-F]{2}$/.test(text) ? Number.parseInt(text, 16) : -1;
}

/** C's isspace. */
function isBlank(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}
