/** `quire.group`: what regions, maps and files of one name take together, and how much of it they may. */
import * as L from '../arena/layout.ts';
import { invalidArg, outOfRange, QuireError } from '../base/errors.ts';
import { checkOptions, type OptionNames } from '../base/options.ts';
import { PAGE_BYTES, parseBytes } from '../base/units.ts';
import { DEFAULT_GROUP, groupAt } from '../reclaim/group.ts';
import { closeGroup, openGroup, setGroupLimits, shrinkGroup } from '../vm/group-limit.ts';
import type { Memory } from '../vm/memory.ts';

export interface GroupOptions {
  /**
   * Most bytes of pages in memory, or '64MiB', or '25%' of the budget; at least 64 KiB, rounded down to whole pages.
   * `Infinity`: no limit. What is left out stays as it is; a new group has no limit.
   */
  readonly limit?: number | string;
  /** Most bytes of pages swapped out, counted before compression; 0: none may go. As `limit`. */
  readonly swapLimit?: number | string;
}

const GROUP_OPTIONS: OptionNames<GroupOptions> = { limit: true, swapLimit: true };

export interface GroupStats {
  /** Pages in memory, those on their way out too, of regions, maps and files; and the most that they ever were. */
  readonly resident_bytes: number;
  readonly peak_bytes: number;
  /** Pages with a place in swap, counted before compression. A page in memory whose copy is kept there counts too. */
  readonly swapped_bytes: number;
  /** `Infinity` when there is none. */
  readonly limit_bytes: number;
  readonly swap_limit_bytes: number;
  /** Times that the limit made a thread reclaim pages of the group; of these, operations that failed; places in swap refused. */
  readonly limit_hits: number;
  readonly failures: number;
  readonly swap_refusals: number;
}

/** A group with less could not hold the pages that one operation on a map needs at once. */
const LIMIT_BYTES_MIN = 64 * 1024;
/** Counts are 31 bits of pages. */
const LIMIT_PAGES_MAX = 2 ** 31 - 1024;

/**
 * A group by its name. It is there, with its limits, while such an object or a region, map or file of the name is open in
 * any thread.
 *
 * At its limit the group gives up pages of its own before it gets others: a write reclaims first, and throws
 * ERR_QUIRE_OUT_OF_MEMORY with nothing changed when none can go; a read does without bringing the page in. Other groups
 * notice nothing. Exempt are 16 pages for writes to pages that exist, and pages of files that a pin gathers (Linux:
 * memory.max).
 */
export class Group implements Disposable {
  readonly name: string;
  private readonly memory: Memory;
  private readonly id: number;
  private readonly budgetBytes: number;
  private readonly forget: (group: Group) => void;
  private isClosed = false;

  /** Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE, ERR_QUIRE_OUT_OF_MEMORY (64 groups are in use). */
  constructor(
    memory: Memory,
    name: string,
    options: GroupOptions,
    budgetBytes: number,
    forget: (group: Group) => void,
  ) {
    const limits = limitsOf(options, budgetBytes);
    if (name === 'default' && (limits.pages !== undefined || limits.swapPages !== undefined)) {
      throw invalidArg('limits', "left out: group 'default' has none", options);
    }
    this.memory = memory;
    this.name = name;
    this.budgetBytes = budgetBytes;
    this.forget = forget;
    this.id = openGroup(memory, name);
    setGroupLimits(memory, this.id, limits.pages, limits.swapPages);
    if (limits.pages !== undefined) this.shrink();
  }

  /** Exact at any moment, over all threads. */
  stats(): GroupStats {
    this.checkOpen();
    this.memory.freeDetached();
    const { words } = this.memory.nodes[0];
    const at = groupAt(this.id);
    const load = (word: number): number => Atomics.load(words, at + word);
    return {
      resident_bytes: load(L.G_PAGES) * PAGE_BYTES,
      peak_bytes: load(L.G_PEAK_PAGES) * PAGE_BYTES,
      swapped_bytes: load(L.G_SWAP_PAGES) * PAGE_BYTES,
      limit_bytes: bytesOfLimit(load(L.G_LIMIT_PAGES)),
      swap_limit_bytes: bytesOfLimit(load(L.G_SWAP_LIMIT_PAGES)),
      limit_hits: load(L.G_REFUSED),
      failures: load(L.G_FAILED),
      swap_refusals: load(L.G_SWAP_REFUSED),
    };
  }

  /**
   * Other limits from now on, for all threads. When the group has more in memory than the new one allows, pages of it are
   * reclaimed before this returns, as far as they can go, also when only `swapLimit` is given; what is swapped out beyond
   * a new swap limit stays. True when the group is within its limit now. Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE,
   * ERR_QUIRE_CLOSED, ERR_QUIRE_UNSUPPORTED (a `swapLimit` with `virtual: false`: there are no slots).
   */
  setLimit(options: GroupOptions): boolean {
    this.checkOpen();
    const limits = limitsOf(options, this.budgetBytes);
    if (options.swapLimit !== undefined) checkSwapLimits(this.memory);
    if (this.id === DEFAULT_GROUP) throw invalidArg('limits', "left out: group 'default' has none", options);
    setGroupLimits(this.memory, this.id, limits.pages, limits.swapPages);
    return this.shrink();
  }

  /** Gives this object's hold of the group up; the limits hold on while a region, map or file of it is open. Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    closeGroup(this.memory, this.id);
    this.forget(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private shrink(): boolean {
    try {
      return shrinkGroup(this.memory, this.id);
    } catch (error) {
      throw this.memory.latch(error);
    }
  }

  private checkOpen(): void {
    if (this.isClosed) throw new QuireError('ERR_QUIRE_CLOSED', `group '${this.name}' is closed`);
    this.memory.checkAlive();
  }
}

/** Throws ERR_QUIRE_UNSUPPORTED in direct mode: swapped pages have no slots that could be counted. */
export function checkSwapLimits(memory: Memory): void {
  if (memory.nodes[0].isVirtual) return;
  throw new QuireError('ERR_QUIRE_UNSUPPORTED', 'a limit on swap slots needs the virtual layer');
}

/** Pages, `Infinity` for none, undefined for as it is. */
interface Limits {
  readonly pages: number | undefined;
  readonly swapPages: number | undefined;
}

function limitsOf(options: unknown, budgetBytes: number): Limits {
  const { limit, swapLimit } = checkOptions<GroupOptions>('options', options, GROUP_OPTIONS);
  return {
    pages: pagesOf('limit', limit, LIMIT_BYTES_MIN, budgetBytes),
    swapPages: pagesOf('swapLimit', swapLimit, 0, budgetBytes),
  };
}

function pagesOf(name: string, value: unknown, least: number, budgetBytes: number): number | undefined {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return value;
  const bytes = value === 0 ? 0 : parseBytes(value, budgetBytes);
  if (bytes === undefined) throw invalidArg(name, "a number of bytes, or text like '64MiB' or '25%'", value);
  if (bytes < least) throw outOfRange(name, `at least ${least}`, bytes);
  const pages = Math.floor(bytes / PAGE_BYTES);
  if (pages > LIMIT_PAGES_MAX) throw outOfRange(name, `at most ${LIMIT_PAGES_MAX * PAGE_BYTES}`, bytes);
  return pages;
}

function bytesOfLimit(word: number): number {
  return word === 0 ? Number.POSITIVE_INFINITY : (word - 1) * PAGE_BYTES;
}
