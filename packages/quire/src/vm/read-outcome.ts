/** How the read of a swapped page ended. Codes, since hot paths do not throw; `readError` makes the error of one. */
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';

export const READ_OK = 0;
/** The slot changed under the reader: look at the page table again. */
export const READ_RETRY = 1;
export const READ_CORRUPT = 2;
export const READ_IO = 3;

/** What the device last threw on this thread, for the `cause` of the error that follows. */
export const lastIo: { cause: unknown } = { cause: undefined };

/** The error for a READ_ code other than OK and RETRY. */
export function readError(node: Node, outcome: number): QuireError {
  if (outcome === READ_IO) {
    return new QuireError('ERR_QUIRE_IO', 'a page could not be read back from the file tier', { cause: lastIo.cause });
  }
  node.counters[C.file_corrupt]++;
  return new QuireError('ERR_QUIRE_CORRUPT', 'a page failed its check when it was read back');
}
