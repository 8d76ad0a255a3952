/** Checks of public arguments. One call a public method; the messages are built only when something is wrong. */
import { GROUP_NAME_BYTES_MAX } from '../arena/layout.ts';
import { invalidArg, outOfRange } from '../base/errors.ts';
import { DEFAULT_GROUP_NAME } from '../reclaim/group-table.ts';

const NAME_BYTES_MAX = 120;

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

export function checkName(what: string, name: unknown, bytesMax = NAME_BYTES_MAX): string {
  if (typeof name !== 'string') throw invalidArg(what, 'a string', name);
  const bytes = Buffer.byteLength(name);
  if (bytes > bytesMax) throw outOfRange(`${what} length in bytes`, `at most ${bytesMax}`, bytes);
  return name;
}

/** Name of a group; the default group's when none is given. '' is none, and names no group either. */
export function checkGroupName(name: unknown): string {
  if (name === '') throw invalidArg('group', 'a name of at least one character', name);
  return checkName('group', name ?? DEFAULT_GROUP_NAME, GROUP_NAME_BYTES_MAX);
}
