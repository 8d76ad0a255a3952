/** The options of `Quire.open` that are about files, checked once. Names and defaults are those of Linux' vm sysctls. */
import { invalidArg, outOfRange } from '../base/errors.ts';
import { checkOptions, type OptionNames } from '../base/options.ts';
import { MIB, parseBytes } from '../base/units.ts';
import { COMPACTION_POLICIES, type CompactionPolicy } from '../compaction/policy.ts';
import { DIRTY_LIMITS_DEFAULT } from '../page-cache/dirty-limits.ts';
import { READAHEAD_BYTES_DEFAULT } from '../page-cache/readahead.ts';

export type { CompactionPolicy };

export interface FileOptions {
  /** Per cent of the memory that may be dirty before writers have to help write it back. Default 20 (vm.dirty_ratio). */
  readonly dirtyRatio?: number;
  /** Per cent from which on the flusher writes back. Default 10 (vm.dirty_background_ratio). Less than `dirtyRatio`. */
  readonly dirtyBackgroundRatio?: number;
  /** Age from which on dirty bytes are written back. Default 30,000 (vm.dirty_expire_centisecs). */
  readonly dirtyExpireMs?: number;
  /** How often the flusher looks for them. Default 5,000 (vm.dirty_writeback_centisecs). */
  readonly dirtyWritebackMs?: number;
  /** Most that is read ahead of a sequential reader, bytes or '128KiB' (the default). 0: nothing. */
  readonly readaheadBytes?: number | string;
}

export interface ResolvedFileOptions {
  readonly dirtyRatio: number;
  readonly dirtyBackgroundRatio: number;
  readonly dirtyExpireMs: number;
  readonly dirtyWritebackMs: number;
  readonly readaheadBytes: number;
}

const FILE_OPTIONS: OptionNames<FileOptions> = {
  dirtyRatio: true,
  dirtyBackgroundRatio: true,
  dirtyExpireMs: true,
  dirtyWritebackMs: true,
  readaheadBytes: true,
};

/** 12 days: times are kept modulo 2^31 ms, and half of that must be told from its opposite. */
const MS_MAX = 2 ** 30;
const READAHEAD_BYTES_MAX = 64 * MIB;

/** Throws ERR_QUIRE_INVALID_ARG or ERR_QUIRE_RANGE. */
export function resolveFileOptions(files: unknown): ResolvedFileOptions {
  const options = checkOptions<FileOptions>('files', files ?? {}, FILE_OPTIONS);
  const dirtyRatio = integerOf('files.dirtyRatio', options.dirtyRatio, DIRTY_LIMITS_DEFAULT.dirtyRatio, 1, 100);
  // Half of it by default, as Linux' defaults are; a ratio of 1 has none below it but 0: the flusher is always at work.
  const background = integerOf(
    'files.dirtyBackgroundRatio',
    options.dirtyBackgroundRatio,
    Math.floor(dirtyRatio / 2),
    0,
    100,
  );
  if (background >= dirtyRatio) throw outOfRange('files.dirtyBackgroundRatio', `less than ${dirtyRatio}`, background);
  return {
    dirtyRatio,
    dirtyBackgroundRatio: background,
    dirtyExpireMs: integerOf(
      'files.dirtyExpireMs',
      options.dirtyExpireMs,
      DIRTY_LIMITS_DEFAULT.dirtyExpireMs,
      0,
      MS_MAX,
    ),
    dirtyWritebackMs: integerOf(
      'files.dirtyWritebackMs',
      options.dirtyWritebackMs,
      DIRTY_LIMITS_DEFAULT.dirtyWritebackMs,
      1,
      MS_MAX,
    ),
    readaheadBytes: readaheadOf(options.readaheadBytes),
  };
}

export function resolveCompaction(policy: unknown): CompactionPolicy {
  if (policy === undefined) return 'stocked';
  const found = COMPACTION_POLICIES.find((each) => each === policy);
  if (found === undefined) throw invalidArg('compaction', `one of '${COMPACTION_POLICIES.join("', '")}'`, policy);
  return found;
}

function readaheadOf(value: unknown): number {
  if (value === undefined) return READAHEAD_BYTES_DEFAULT;
  if (value === 0) return 0;
  const bytes = parseBytes(value);
  if (bytes === undefined) throw invalidArg('files.readaheadBytes', "a number of bytes, or text like '128KiB'", value);
  if (bytes > READAHEAD_BYTES_MAX) throw outOfRange('files.readaheadBytes', `at most ${READAHEAD_BYTES_MAX}`, bytes);
  return bytes;
}

function integerOf(name: string, value: unknown, fallback: number, least: number, most: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !Number.isInteger(value)) throw invalidArg(name, 'an integer', value);
  if (value < least || value > most) throw outOfRange(name, `${least}…${most}`, value);
  return value;
}
