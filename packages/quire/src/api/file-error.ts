/** Errors of files: the system's become ERR_QUIRE_IO, with the path and what was tried in the message and the system's as `cause`. */
import { QuireError } from '../base/errors.ts';

/** Anything else passes as it is: `Memory.latch` has to see a broken invariant. */
export function fileError(path: string, doing: string, error: unknown): unknown {
  if (isSystemError(error)) return ioError(path, doing, error.message, error);
  if (!(error instanceof QuireError) || error.code !== 'ERR_QUIRE_IO') return error;
  // From below, where files have no names.
  const cause = error.cause ?? error;
  return ioError(path, doing, cause instanceof Error ? cause.message : error.message, cause);
}

function ioError(path: string, doing: string, reason: string, cause: unknown): QuireError {
  return new QuireError('ERR_QUIRE_IO', `cannot ${doing} '${path}': ${reason}`, { cause });
}

const SYSTEM_CODE = /^E[A-Z0-9]+$/;

export function isSystemError(error: unknown): error is NodeJS.ErrnoException & { readonly code: string } {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' && SYSTEM_CODE.test(code);
}
