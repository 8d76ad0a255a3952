/** The server's store on Quire: one instance, one byte map a database, made when the database is first used. */
import {
  type ByteMap,
  formatBytes,
  type PressureLine,
  Quire,
  type QuireOptions,
  type TierOptions,
  type TierStats,
} from 'quire';
import type { Store } from './store.ts';

export interface QuireStoreOptions {
  /** Bytes. */
  budget: number;
  /** Bytes of the file tier; 0 for none. */
  swapSize: number;
  /** A file that does not exist yet, or a folder; undefined = the system's folder for temporary files. */
  swapFile: string | undefined;
  threads: number | 'auto';
}

export class QuireStore implements Store {
  readonly budget: number;
  private readonly quire: Quire;
  private ioBytes = 0;
  private readonly maps = new Map<number, ByteMap>();

  private constructor(quire: Quire, budget: number) {
    this.quire = quire;
    this.budget = budget;
  }

  /** Rejects with what `Quire.open` throws: ERR_QUIRE_RANGE for a budget larger than the container, ERR_QUIRE_IO for a bad swap file. */
  static async open(options: QuireStoreOptions): Promise<QuireStore> {
    const swap: TierOptions[] = [{ tier: 'compressed', codec: 'lz4' }];
    if (options.swapSize > 0) {
      const path = options.swapFile === undefined ? {} : { path: options.swapFile };
      swap.push({ tier: 'file', size: options.swapSize, ...path });
    }
    const open: QuireOptions = { budget: options.budget, swap, threads: options.threads };
    return new QuireStore(await Quire.open(open), options.budget);
  }

  database(index: number): ByteMap {
    const known = this.maps.get(index);
    if (known !== undefined) return known;
    const made = this.quire.byteMap({ name: `db${index}` });
    this.maps.set(index, made);
    return made;
  }

  /** Some of the budget, for the buffers every request goes through; none when that would be more than a 64th of it. */
  ioBuffer(bytes: number): Uint8Array | undefined {
    if (this.ioBytes + bytes > this.budget / 64) return undefined;
    this.ioBytes += bytes;
    return this.quire.ioBuffer(bytes);
  }

  memoryUsed(): number {
    return this.quire.stats().used_bytes;
  }

  /**
   * The instance's gauges and counters that are single numbers, the pages of each group, a line for each tier that is there now,
   * and stalls as /proc/pressure/memory has them: per cent with two decimals, whole microseconds.
   */
  stats(): Record<string, number | string> {
    const stats = this.quire.stats();
    const numbers = Object.entries(stats).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
    const groups = Object.entries(stats.groups).map(([name, pages]) => [`group_pages_${name}`, pages]);
    const tiers = stats.tiers.map((tier) => [`tier_${tier.name}`, tierLine(tier)]);
    const { some, full } = stats.pressure;
    return Object.fromEntries([
      ...numbers,
      ...groups,
      ...tiers,
      ['psi_some', psiLine(some)],
      ['psi_full', psiLine(full)],
    ]);
  }

  close(): Promise<void> {
    return this.quire.close();
  }
}

function tierLine({ state, size, used, live, pages, priority, readErrors, writeErrors, error }: TierStats): string {
  const rank =
    priority === undefined ? '' : `,priority=${priority},read_errors=${readErrors},write_errors=${writeErrors}`;
  const reason = error === undefined ? '' : `,error=${error}`;
  return `state=${state},size=${size},used=${used},live=${live},pages=${pages}${rank}${reason}`;
}

function psiLine({ avg10, avg60, avg300, totalUs }: PressureLine): string {
  const [ten, sixty, threeHundred] = [avg10, avg60, avg300].map((share) => share.toFixed(2));
  return `avg10=${ten},avg60=${sixty},avg300=${threeHundred},total=${Math.floor(totalUs)}`;
}

/** 'compressed (lz4), file of 1 GiB in /tmp (unlinked)'. */
export function describeTiers(options: QuireStoreOptions, temporaryFolder: string): string {
  const compressed = 'compressed (lz4)';
  if (options.swapSize === 0) return compressed;
  return `${compressed}, file of ${formatBytes(options.swapSize)} in ${options.swapFile ?? temporaryFolder} (unlinked)`;
}
