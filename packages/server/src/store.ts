/** What the server stands on: numbered byte maps that share one budget. `quire-store.ts` opens the real one. */
import type { ByteMap } from 'quire';

export interface Store {
  /** The map of database `index`, made on first use. */
  database(index: number): ByteMap;
  /** Bytes of the budget in use. */
  memoryUsed(): number;
  /** Bytes. */
  readonly budget: number;
  /** Memory of the store's own to read into and write from, faster than any other; undefined when it has none to spare. */
  ioBuffer?(bytes: number): Uint8Array | undefined;
  /** Counters for INFO's `quire` section, and lines of several figures. */
  stats(): Record<string, number | string>;
  close(): Promise<void>;
}
