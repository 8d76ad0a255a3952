/**
 * Assertions stay on in production (TigerBeetle). They take values, not a template string: building a message on a
 * hot path costs about ten times the check. The latch lives with the instance: whoever catches an `AssertionError`
 * sets FAILED.
 */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws when `condition` is false. `a` and `b` are the values to show; pass numbers, never a built string. */
export function assert(condition: boolean, what: string, a?: number, b?: number): asserts condition {
  if (!condition) fail(what, a, b);
}

function fail(what: string, a: number | undefined, b: number | undefined): never {
  const values = a === undefined ? '' : b === undefined ? ` (${a})` : ` (${a}, ${b})`;
  throw new AssertionError(`broken invariant: ${what}${values}`);
}
