/**
 * Three kinds of failure, never mixed (see docs/decisions.md):
 * an *outcome* (no frame, contended, full) is a return value inside the core; *misuse or environment* is a
 * `QuireError` with a stable code; a *broken invariant* is an assertion, after which the instance latches FAILED.
 */
export type QuireErrorCode =
  | 'ERR_QUIRE_OUT_OF_MEMORY'
  | 'ERR_QUIRE_SWAP_FULL'
  | 'ERR_QUIRE_RANGE'
  | 'ERR_QUIRE_INVALID_ARG'
  | 'ERR_QUIRE_CLOSED'
  | 'ERR_QUIRE_CORRUPT'
  | 'ERR_QUIRE_IO'
  | 'ERR_QUIRE_FAILED'
  | 'ERR_QUIRE_UNSUPPORTED';

/** Every error Quire raises on purpose. `code` is stable across versions; the message is not. */
export class QuireError extends Error {
  override readonly name = 'QuireError';
  readonly code: QuireErrorCode;

  constructor(code: QuireErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** A bad argument: wrong type, NaN, negative, not an integer. */
export function invalidArg(name: string, expected: string, received: unknown): QuireError {
  const shown = typeof received === 'string' ? `'${received.slice(0, 40)}'` : describe(received);
  return new QuireError('ERR_QUIRE_INVALID_ARG', `${name} must be ${expected}, received ${shown}`);
}

/** A well-formed argument that lies beyond an end. */
export function outOfRange(name: string, limit: string, received: number): QuireError {
  return new QuireError('ERR_QUIRE_RANGE', `${name} must be ${limit}, received ${received}`);
}

function describe(value: unknown): string {
  if (value === null || typeof value === 'number' || typeof value === 'boolean' || value === undefined) {
    return String(value);
  }
  return typeof value === 'object' ? `an instance of ${value.constructor?.name ?? 'Object'}` : typeof value;
}
