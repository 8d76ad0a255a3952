/** Options of `Quire.open`, checked once and turned into plain numbers. */
import { availableParallelism, tmpdir, totalmem } from 'node:os';
import { DEVICES_MAX } from '../arena/layout.ts';
import { invalidArg, outOfRange, QuireError } from '../base/errors.ts';
import { checkOptions, type OptionNames } from '../base/options.ts';
import { formatBytes, MIB, parseBytes } from '../base/units.ts';
import type { CompactionPolicy } from '../compaction/policy.ts';
import { RECLAIM_POLICIES, type ReclaimPolicyName } from '../reclaim/policy.ts';
import type { IncompressiblePolicy } from '../swap/incompressible.ts';
import { type CodecOptions, type Codecs, checkCodec, codecsOf } from './codec-options.ts';
import { type FileOptions, type ResolvedFileOptions, resolveCompaction, resolveFileOptions } from './file-options.ts';
import { type PressureTrigger, resolveTriggers } from './pressure-watch.ts';

/**
 * Pages kept in memory, compressed. `codec` (default 'lz4') is for new pages. zstd makes them a third smaller than LZ4 does
 * and takes several times as long, in and out.
 */
export interface CompressedTierOptions extends CodecOptions {
  readonly tier: 'compressed';
  /**
   * Pages that do not get smaller: 'keep' (default) them in their frames until they are demoted, 'demote' them to the file
   * tier at once, where there is one, or 'activate' them, so that reclaim looks for others.
   */
  readonly incompressible?: IncompressiblePolicy;
}

/**
 * Pages on disk. They are written as the compressed tier has them; with `codec: 'zstd'` they are compressed again on the
 * way: what goes there has been idle. That holds for all files from when one that asks for it is added.
 */
export interface FileTierOptions extends CodecOptions {
  readonly tier: 'file';
  /**
   * A file that does not exist yet, or a folder; default: the operating system's folder for temporary files. The file
   * is unlinked at once.
   */
  readonly path?: string;
  /**
   * Bytes, or '8GiB'. At most 64 GiB for each 4 GiB of budget, over all files; each counts in whole 256 MiB. Default: four times
   * the budget, or what is left of that.
   */
  readonly size?: number | string;
  /**
   * 0 … 32,767: the file with the highest is filled first, files with the same one take turns, as of swapon(8). Default:
   * below all those that have one, in the order they are given or added.
   */
  readonly priority?: number;
}

export type TierOptions = CompressedTierOptions | FileTierOptions;

export interface QuireOptions {
  /** Bytes, '512MiB', or '40%' of what the container allows. Everything counts: pages, compressed bytes, tables. */
  readonly budget: number | string;
  /** Where pages go that do not fit, first to last. Default: the compressed tier with lz4. `[]`: none. */
  readonly swap?: readonly TierOptions[];
  /**
   * Daemon threads: 'auto' (default) = min(cores − 1, 4); 0 = everything in the calling thread; 1 = kswapd, which
   * compresses what it reclaims; n = kswapd and n − 1 threads of kcompressd, which compress for it.
   */
  readonly threads?: number | 'auto';
  /** Writeback and readahead of files. */
  readonly files?: FileOptions;
  /**
   * Who makes room for large folios, and when. Default 'stocked': a daemon keeps free blocks in stock, callers never
   * compact. The others are the policies of Linux and of its patches, to compare with.
   */
  readonly compaction?: CompactionPolicy;
  /** When the event 'pressure' comes. Default: 150 ms of `some`, or 75 ms of `full`, within a second. `[]`: never. */
  readonly pressure?: readonly PressureTrigger[];
  /**
   * Default true. False, to compare with and for nothing else: page tables name storage themselves, without the layer of
   * slots between them. Then there are no clean copies; a file tier, `swapon`, `swapoff`, `region.clone` and `swapLimit` of
   * groups are ERR_QUIRE_UNSUPPORTED. Experimental.
   */
  readonly virtual?: boolean;
  /**
   * Which page is given up when memory is short. 'active-inactive' (default): two lists, as Linux has them. 's3-fifo': a
   * small queue that filters what is used once, and a main one (Yang et al., SOSP 2023).
   */
  readonly reclaim?: ReclaimPolicyName;
}

export interface ResolvedFileTier {
  readonly path: string;
  readonly bytes: number;
  /** Nobody asked for just so much: it may be less. */
  readonly isDefaultSize: boolean;
  /** Undefined: after all those that are there. */
  readonly priority: number | undefined;
}

export interface ResolvedOptions extends Codecs {
  readonly budgetBytes: number;
  readonly compressed: boolean;
  readonly swapFiles: readonly ResolvedFileTier[];
  readonly threads: number;
  readonly files: ResolvedFileOptions;
  readonly compaction: CompactionPolicy;
  readonly pressure: readonly PressureTrigger[];
  readonly virtual: boolean;
  readonly reclaim: ReclaimPolicyName;
}

const QUIRE_OPTIONS: OptionNames<QuireOptions> = {
  budget: true,
  swap: true,
  threads: true,
  files: true,
  compaction: true,
  pressure: true,
  virtual: true,
  reclaim: true,
};
const COMPRESSED_OPTIONS: OptionNames<CompressedTierOptions> = {
  tier: true,
  codec: true,
  level: true,
  incompressible: true,
};
const FILE_TIER_OPTIONS: OptionNames<FileTierOptions> = {
  tier: true,
  path: true,
  size: true,
  priority: true,
  codec: true,
  level: true,
};

/** Static tables, a few thread areas and a working set: less than this holds nothing useful. */
export const BUDGET_BYTES_MIN = 8 * MIB;
export const BUDGET_BYTES_MAX = 2 ** 37;
const THREADS_OPTION_MAX = 16;
const PRIORITY_MAX = 32_767;

/** What this process may use: the container's limit if there is one, else the machine's memory. */
export function allowedBytes(): number {
  // Typed as always present; absent before Node 19.6 and 0 or huge where no limit is set.
  const constrained = process.constrainedMemory?.() ?? 0;
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem();
}

/** Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE or ERR_QUIRE_UNSUPPORTED. */
export function resolveOptions(options: QuireOptions): ResolvedOptions {
  checkOptions('options', options, QUIRE_OPTIONS);
  const budgetBytes = resolveBudget(options.budget);
  const tiers = resolveTiers(options.swap, budgetBytes);
  return {
    budgetBytes,
    ...tiers,
    threads: resolveThreads(options.threads),
    files: resolveFileOptions(options.files),
    compaction: resolveCompaction(options.compaction),
    pressure: resolveTriggers(options.pressure),
    virtual: resolveVirtual(options.virtual, tiers.swapFiles.length > 0),
    reclaim: resolveReclaim(options.reclaim),
  };
}

function resolveVirtual(virtual: unknown, hasFile: boolean): boolean {
  if (virtual === undefined || virtual === true) return true;
  if (virtual !== false) throw invalidArg('virtual', 'a boolean', virtual);
  if (hasFile) throw new QuireError('ERR_QUIRE_UNSUPPORTED', 'a file tier needs the option virtual: true');
  return false;
}

function resolveReclaim(policy: unknown): ReclaimPolicyName {
  if (policy === undefined) return RECLAIM_POLICIES[0];
  const found = RECLAIM_POLICIES.find((each) => each === policy);
  if (found === undefined) throw invalidArg('reclaim', `one of '${RECLAIM_POLICIES.join("', '")}'`, policy);
  return found;
}

function resolveBudget(budget: unknown): number {
  const allowed = allowedBytes();
  const bytes = parseBytes(budget, allowed);
  if (bytes === undefined) throw invalidArg('budget', "a number of bytes, or text like '512MiB' or '40%'", budget);
  if (bytes < BUDGET_BYTES_MIN) throw outOfRange('budget', `at least ${formatBytes(BUDGET_BYTES_MIN)}`, bytes);
  if (bytes > BUDGET_BYTES_MAX) throw outOfRange('budget', `at most ${formatBytes(BUDGET_BYTES_MAX)}`, bytes);
  if (bytes > allowed) {
    const message = `budget of ${formatBytes(bytes)} is larger than the ${formatBytes(allowed)} this process may use`;
    throw new QuireError('ERR_QUIRE_RANGE', message);
  }
  return bytes;
}

type ResolvedTiers = Pick<ResolvedOptions, 'compressed' | 'swapFiles' | keyof Codecs>;

function resolveTiers(swap: unknown, budgetBytes: number): ResolvedTiers {
  if (swap === undefined) return { compressed: true, swapFiles: [], ...codecsOf([]) };
  if (!Array.isArray(swap)) throw invalidArg('swap', 'an array of tiers', swap);
  let compressed = false;
  const swapFiles: ResolvedFileTier[] = [];
  for (const tier of swap as TierOptions[]) {
    const resolved = resolveTier(tier, budgetBytes);
    if (resolved !== 'compressed') swapFiles.push(resolved);
    else if (compressed || swapFiles.length > 0)
      throw invalidArg('swap', 'one compressed tier, before any file tier', resolved);
    else compressed = true;
  }
  if (swapFiles.length > DEVICES_MAX) throw outOfRange('file tiers', `at most ${DEVICES_MAX}`, swapFiles.length);
  return { compressed, swapFiles, ...codecsOf(swap as TierOptions[]) };
}

/** Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE or ERR_QUIRE_UNSUPPORTED. */
export function resolveTier(tier: TierOptions, budgetBytes: number): 'compressed' | ResolvedFileTier {
  if (typeof tier !== 'object' || tier === null) throw invalidArg('tier', 'a tier object', tier);
  if (tier.tier !== 'compressed' && tier.tier !== 'file')
    throw invalidArg('tier', "'compressed' or 'file'", (tier as { tier: unknown }).tier);
  if (tier.tier === 'compressed') checkOptions<CompressedTierOptions>('compressed tier', tier, COMPRESSED_OPTIONS);
  else checkOptions<FileTierOptions>('file tier', tier, FILE_TIER_OPTIONS);
  checkCodec(tier);
  return tier.tier === 'file' ? resolveFileTier(tier, budgetBytes) : 'compressed';
}

function resolveFileTier(tier: FileTierOptions, budgetBytes: number): ResolvedFileTier {
  if (tier.path !== undefined && (typeof tier.path !== 'string' || tier.path === ''))
    throw invalidArg('path', 'a path', tier.path);
  const bytes = tier.size === undefined ? budgetBytes * 4 : parseBytes(tier.size);
  if (bytes === undefined) throw invalidArg('size', "a number of bytes, or text like '8GiB'", tier.size);
  if (bytes < MIB) throw outOfRange('size', 'at least 1 MiB', bytes);
  return {
    path: tier.path ?? tmpdir(),
    bytes,
    isDefaultSize: tier.size === undefined,
    priority: resolvePriority(tier.priority),
  };
}

function resolvePriority(priority: unknown): number | undefined {
  if (priority === undefined) return undefined;
  if (typeof priority !== 'number' || !Number.isInteger(priority)) throw invalidArg('priority', 'an integer', priority);
  if (priority < 0 || priority > PRIORITY_MAX) throw outOfRange('priority', `0…${PRIORITY_MAX}`, priority);
  return priority;
}

function resolveThreads(threads: unknown): number {
  if (threads === undefined || threads === 'auto') return Math.max(0, Math.min(availableParallelism() - 1, 4));
  if (typeof threads !== 'number' || !Number.isInteger(threads))
    throw invalidArg('threads', "'auto' or an integer", threads);
  if (threads < 0 || threads > THREADS_OPTION_MAX) throw outOfRange('threads', `0…${THREADS_OPTION_MAX}`, threads);
  return threads;
}

/** kswapd first, and of kcompressd as many as are left. */
export function daemonThreads(threads: number): { kswapd: number; kcompressd: number } {
  return { kswapd: Math.min(threads, 1), kcompressd: Math.max(threads - 1, 0) };
}
