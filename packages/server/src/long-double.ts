/**
 * The 80-bit long double of x86-64, as far as INCRBYFLOAT needs it: Redis reads, adds and prints in that format ("%.17Lf" without
 * trailing zeros), and doubles would give other digits (10.5 + 0.1 is 10.6 there and 10.59999999999999964 in a double).
 *
 *   value = mantissa · 2^exponent, mantissa a bigint of at most 64 bits with its sign
 *
 * Reading and adding are exact in integers and then rounded to 64 bits, half to even, as the x87 does.
 */
export interface LongDouble {
  mantissa: bigint;
  exponent: number;
}

const MANTISSA_BITS = 64;
/** The least exponent of a mantissa's last bit: 2^-16445 is the smallest denormal. */
const EXPONENT_MIN = -16445;
/** The largest value is (2^64 - 1) · 2^16320. */
const EXPONENT_MAX = 16320;
const FRACTION_DIGITS = 17;
/** Longest text that is read (MAX_LONG_DOUBLE_CHARS). */
const TEXT_CHARS_MAX = 5 * 1024;

export const INFINITE: LongDouble = { mantissa: 1n, exponent: Number.POSITIVE_INFINITY };

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;
const HEX = /^([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d+))?$/;
const INFINITY_TEXT = /^[+-]?inf(?:inity)?$/i;

/** What C's strtold makes of the whole text; undefined when it does not take all of it, for nan, and for what over- or underflows. */
export function parseLong(text: string): LongDouble | undefined {
  if (text.length === 0 || text.length >= TEXT_CHARS_MAX) return undefined;
  if (INFINITY_TEXT.test(text)) return INFINITE;
  const decimal = DECIMAL.exec(text);
  if (decimal !== null) return fromParts(decimal, 10);
  const hex = HEX.exec(text);
  return hex === null ? undefined : fromParts(hex, 16);
}

function fromParts(parts: RegExpExecArray, base: 10 | 16): LongDouble | undefined {
  const whole = parts[2] ?? '';
  const fraction = parts[3] ?? '';
  if (whole.length + fraction.length === 0) return undefined;
  const digits = BigInt((base === 16 ? '0x' : '') + (whole + fraction || '0'));
  const signed = parts[1] === '-' ? -digits : digits;
  if (signed === 0n) return { mantissa: 0n, exponent: 0 };
  const power = Number(parts[4] ?? '0');
  if (base === 16) return finite(round(signed, 1n, power - 4 * fraction.length));
  const scale = power - fraction.length;
  const magnitude = scale + (whole + fraction).replace(/^0+/, '').length;
  if (magnitude > 5000 || magnitude < -5100) return undefined;
  return finite(scale >= 0 ? round(signed * 10n ** BigInt(scale), 1n, 0) : round(signed, 10n ** BigInt(-scale), 0));
}

function finite(value: LongDouble): LongDouble | undefined {
  return !isFiniteLong(value) || value.mantissa === 0n ? undefined : value;
}

export function addLong(a: LongDouble, b: LongDouble): LongDouble {
  if (!isFiniteLong(a) || !isFiniteLong(b)) return INFINITE;
  const exponent = Math.min(a.exponent, b.exponent);
  const sum = (a.mantissa << BigInt(a.exponent - exponent)) + (b.mantissa << BigInt(b.exponent - exponent));
  return round(sum, 1n, exponent);
}

export function isFiniteLong(value: LongDouble): boolean {
  return value.exponent !== Number.POSITIVE_INFINITY;
}

/** "%.17Lf" without trailing zeros and without a bare point. */
export function formatLong(value: LongDouble): string {
  const isNegative = value.mantissa < 0n;
  const magnitude = isNegative ? -value.mantissa : value.mantissa;
  const scaled = magnitude * 10n ** BigInt(FRACTION_DIGITS);
  const units =
    value.exponent >= 0 ? scaled << BigInt(value.exponent) : divideToEven(scaled, 1n << BigInt(-value.exponent));
  const digits = units.toString().padStart(FRACTION_DIGITS + 1, '0');
  const whole = digits.slice(0, -FRACTION_DIGITS);
  const fraction = digits.slice(-FRACTION_DIGITS).replace(/0+$/, '');
  const text = fraction === '' ? whole : `${whole}.${fraction}`;
  return isNegative && text !== '0' ? `-${text}` : text;
}

/** numerator / denominator · 2^exponent to the nearest long double. */
function round(numerator: bigint, denominator: bigint, exponent: number): LongDouble {
  if (numerator === 0n) return { mantissa: 0n, exponent: 0 };
  const isNegative = numerator < 0n;
  const magnitude = isNegative ? -numerator : numerator;
  let shift = MANTISSA_BITS - (bitLength(magnitude) - bitLength(denominator));
  shift = Math.min(shift, exponent - EXPONENT_MIN);
  let mantissa = scaledQuotient(magnitude, denominator, shift);
  if (bitLength(mantissa) > MANTISSA_BITS) {
    shift--;
    mantissa = scaledQuotient(magnitude, denominator, shift);
  }
  const result = exponent - shift;
  const carried = bitLength(mantissa) > MANTISSA_BITS;
  if (result + (carried ? 1 : 0) > EXPONENT_MAX) return INFINITE;
  return { mantissa: isNegative ? -mantissa : mantissa, exponent: result };
}

function scaledQuotient(numerator: bigint, denominator: bigint, shift: number): bigint {
  return shift >= 0
    ? divideToEven(numerator << BigInt(shift), denominator)
    : divideToEven(numerator, denominator << BigInt(-shift));
}

/** The nearest integer to the quotient of two positive integers, a half to the even one. */
function divideToEven(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = (numerator - quotient * denominator) * 2n;
  const isUp = twice > denominator || (twice === denominator && (quotient & 1n) === 1n);
  return isUp ? quotient + 1n : quotient;
}

function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(16).length * 4 - leadingZeros(value);
}

function leadingZeros(value: bigint): number {
  const top = Number.parseInt(value.toString(16)[0], 16);
  return Math.clz32(top) - 28;
}
