/**
 * Signed 64-bit integers as Redis reads them (`string2ll`): no sign but '-', no leading zero, no blank, nothing behind. Almost every
 * integer a client sends is safe in a double; the others come back as bigint.
 */
export const INT64_MAX = 9223372036854775807n;
export const INT64_MIN = -9223372036854775808n;

/** Longest text of a 64-bit integer: '-9223372036854775808'. */
export const INT64_TEXT_BYTES_MAX = 20;
/** 15 digits are below 2^53 whatever they are. */
const SAFE_DIGITS = 15;

const ZERO = 48;
const MINUS = 45;

/** The integer in `bytes[start, end)`, undefined when there is none. */
export function parseInt64(bytes: Uint8Array, start = 0, end = bytes.length): number | bigint | undefined {
  let at = start;
  if (at >= end || end - at > INT64_TEXT_BYTES_MAX) return undefined;
  const isNegative = bytes[at] === MINUS;
  if (isNegative) at++;
  const digits = end - at;
  if (digits === 0) return undefined;
  if (bytes[at] === ZERO) return digits === 1 && !isNegative ? 0 : undefined;
  if (digits > SAFE_DIGITS) return parseWide(bytes, at, end, isNegative);
  let value = 0;
  for (; at < end; at++) {
    const digit = bytes[at] - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return isNegative ? -value : value;
}

function parseWide(bytes: Uint8Array, start: number, end: number, isNegative: boolean): number | bigint | undefined {
  let text = isNegative ? '-' : '';
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte < ZERO || byte > ZERO + 9) return undefined;
    text += String.fromCharCode(byte);
  }
  const value = BigInt(text);
  if (value > INT64_MAX || value < INT64_MIN) return undefined;
  return narrow(value);
}

/** A number where it is safe, the bigint itself where not. */
export function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
