import { invalidArg, outOfRange } from '../base/errors.ts';
import { KEEP_EXPIRY } from './byte-map.ts';
import { CONTROL_WORDS } from './control.ts';
import { KEY_BYTES_MAX } from './key-frame.ts';
import type { DisposeBytes, MapSpaces } from './map-core.ts';
import { VALUE_BYTES_MAX } from './record.ts';

/** What a thread brings to a PageMap; all may be left out. */
export interface PageMapOptions {
  /** Unique among the threads of the map; 0..2^30. Default 0. Use `worker_threads.threadId`. */
  readonly threadId?: number;
  /** Evict when the records take more bytes than this. Default: no limit. */
  readonly maxBytes?: number;
  /**
   * Whether reads count in favour of an entry when the map evicts. Default true; without eviction, false saves up to
   * 3 stores per entry.
   */
  readonly countsUses?: boolean;
  /**
   * Called for each entry that leaves, with copies, no lock held. Copying costs: leave it out when it is not needed.
   */
  readonly dispose?: DisposeBytes;
  readonly now?: () => number;
  /** 0..1, for the seed and `randomKey`. */
  readonly random?: () => number;
  /** Hash seed of a new map; random by default, so that nobody can choose colliding keys. */
  readonly seed?: number;
  /** How long a lock may be waited for before ERR_QUIRE_FAILED. Default 10,000. */
  readonly lockWaitMsMax?: number;
  /** Whether the thread with this `threadId` has ended; asked about the holder of a lock. Default: nobody can tell. */
  readonly isThreadDead?: (threadId: number) => boolean;
  /**
   * Throws when what the map lives in is gone. Called where no page is looked at; the page spaces check for
   * themselves.
   */
  readonly checkAlive?: () => void;
}

export function checkShape(spaces: MapSpaces, control: Int32Array, options: PageMapOptions): void {
  if (!(control instanceof Int32Array) || control.length < CONTROL_WORDS) {
    throw invalidArg('control', `an Int32Array of ${CONTROL_WORDS} words`, control);
  }
  for (const name of ['index', 'heap', 'meta'] as const) {
    const size = spaces[name].size;
    if (!(size >= SPACE_BYTES_MIN)) throw outOfRange(`${name} size`, `at least ${SPACE_BYTES_MIN}`, size);
  }
  const { threadId, maxBytes } = options;
  if (threadId !== undefined && !(Number.isInteger(threadId) && threadId >= 0 && threadId < 2 ** 30)) {
    throw invalidArg('threadId', 'an integer of 0..2^30', threadId);
  }
  if (maxBytes !== undefined && !(maxBytes > 0)) throw invalidArg('maxBytes', 'a positive number of bytes', maxBytes);
}

export function checkKey(key: Uint8Array): void {
  if (key.length > KEY_BYTES_MAX) throw outOfRange('key length', `at most ${KEY_BYTES_MAX}`, key.length);
}

export function checkCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value)) throw invalidArg(name, 'a safe integer', value);
  if (value < 0) throw outOfRange(name, 'at least 0', value);
}

export function checkValueLength(length: number): void {
  if (length > VALUE_BYTES_MAX) throw outOfRange('value length', `at most ${VALUE_BYTES_MAX}`, length);
}

export function checkExpiry(expiresAtMs: number): void {
  if (expiresAtMs === 0 || expiresAtMs === KEEP_EXPIRY) return;
  if (!Number.isSafeInteger(expiresAtMs))
    throw invalidArg('expiresAtMs', 'a whole number of milliseconds', expiresAtMs);
  if (expiresAtMs < 0 || expiresAtMs >= EXPIRY_MS_END) throw outOfRange('expiresAtMs', '0..2^48 - 1', expiresAtMs);
}

/** Room for the first buckets below and one page of overflow above. */
const SPACE_BYTES_MIN = 131_072;
/** 48 bits in the record header: the year 10,889. */
const EXPIRY_MS_END = 2 ** 48;
