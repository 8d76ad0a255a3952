/** How the read of a swapped page ended. Codes, since hot paths do not throw; `readError` makes the error of one. */
import type { Node } from '../arena/node.ts';
import { C } from '../base/counters.ts';
import { QuireError } from '../base/errors.ts';

export const READ_OK = 0;
/** The slot changed under the reader: look at the page table again. */
export const READ_RETRY = 1;
export const READ_CORRUPT = 2;
export const READ_IO = 3;
/** The object would have to be read from the device, and this thread must not wait (vm/no-wait.ts). */
export const READ_WAIT = 4;

/** Thrown through a synchronous operation that an async call tried: the object to fetch before it is tried again. */
export class WouldWait extends Error {
  override readonly name = 'WouldWait';
  readonly node: Node;
  readonly wanted: WantedObject;

  constructor(node: Node, wanted: WantedObject) {
    super('a page has to be read from the file tier first');
    this.node = node;
    this.wanted = wanted;
  }
}

/** As `WouldWait`, from an operation that is out of memory: the cleaner of the file tier may make room, once it can read `segment`. */
export class WouldClean extends Error {
  override readonly name = 'WouldClean';
  readonly node: Node;
  readonly segment: number;

  constructor(node: Node, segment: number) {
    super('a segment has to be read from the file tier first');
    this.node = node;
    this.segment = segment;
  }
}

/**
 * Called where reclaim has failed, before that is counted or told: throws WouldClean when only the cleaner was wanting, in an
 * async call.
 */
export function passOnCleaning(nodes: readonly Node[]): void {
  for (const node of nodes) {
    const { ahead } = node;
    if (ahead.noWait && ahead.cleanWanted >= 0) throw new WouldClean(node, ahead.cleanWanted);
  }
}

/** An object on file, as a reader found it: `sequence` is the slot's, loaded before its word. */
export interface WantedObject {
  readonly slot: number;
  readonly granule: number;
  readonly sequence: number;
  /** Word index of the page's entry when the pages behind it are likely to be next, else 0. */
  readonly entry: number;
  /** Outcome of the touch that found it there (vm/refault.ts). */
  readonly touch: number;
}

/** What the last READ_WAIT of this thread was about. */
export const lastWanted: { value: WantedObject } = { value: { slot: 0, granule: 0, sequence: 0, entry: 0, touch: 0 } };

/** What the device last threw on this thread, for the `cause` of the error that follows. */
export const lastIo: { cause: unknown } = { cause: undefined };

/** The error for a READ_ code other than OK and RETRY. */
export function readError(node: Node, outcome: number): Error {
  if (outcome === READ_WAIT) return new WouldWait(node, lastWanted.value);
  if (outcome === READ_IO) {
    return new QuireError('ERR_QUIRE_IO', 'a page could not be read back from the file tier', { cause: lastIo.cause });
  }
  node.counters[C.file_corrupt]++;
  return new QuireError('ERR_QUIRE_CORRUPT', 'a page failed its check when it was read back');
}
