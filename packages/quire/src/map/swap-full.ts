import { QuireError } from '../base/errors.ts';

/**
 * Whether an operation failed because no tier has room: the one failure that optional work (a split, a trim, a bump)
 * swallows.
 */
export function isSwapFull(error: unknown): boolean {
  return error instanceof QuireError && error.code === 'ERR_QUIRE_SWAP_FULL';
}
