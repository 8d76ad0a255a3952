/** Checks of public arguments. One call a public method; the messages are built only when something is wrong. */
import { invalidArg, outOfRange } from '../base/errors.ts';

/**
 * Offset and length inside `size`. Throws ERR_QUIRE_INVALID_ARG (not an integer ≥ 0) or ERR_QUIRE_RANGE (beyond the
 * end).
 */
export function checkSpan(offset: number, length: number, size: number): void {
  if (
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= size
  )
    return;
  throwSpan(offset, length, size);
}

function throwSpan(offset: unknown, length: unknown, size: number): never {
  if (!Number.isSafeInteger(offset) || (offset as number) < 0) throw invalidArg('offset', 'an integer ≥ 0', offset);
  if (!Number.isSafeInteger(length) || (length as number) < 0) throw invalidArg('length', 'an integer ≥ 0', length);
  throw outOfRange('offset + length', `at most ${size}`, (offset as number) + (length as number));
}

/** A Uint8Array (Buffers included). Throws ERR_QUIRE_INVALID_ARG. */
export function checkBytes(name: string, value: unknown): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw invalidArg(name, 'a Uint8Array', value);
}
