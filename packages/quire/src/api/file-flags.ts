/** Flags of `openFile`, as Node's `fs.open` reads them. Numbers and the synchronous modes ('rs+', 'as') are not for a cache. */
import { constants } from 'node:fs';
import { invalidArg } from '../base/errors.ts';

export type FileFlags = 'r' | 'r+' | 'w' | 'w+' | 'wx' | 'wx+' | 'a' | 'a+' | 'ax' | 'ax+';

export interface FileAccess {
  readonly reads: boolean;
  readonly writes: boolean;
  /** Every write goes to the end of the file. */
  readonly appends: boolean;
  /** The file is emptied when it is opened. */
  readonly truncates: boolean;
  /**
   * For `open(2)`. A handle that writes reads too, for a block that is written in part needs its other bytes. Neither
   * O_TRUNC nor O_APPEND: the file is cut off and appended to in the cache, which others may have open; O_APPEND would
   * send every page that is written back to the end. O_NONBLOCK keeps a fifo from blocking before it is refused.
   */
  readonly openFlags: number;
}

const { O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

function access(reads: boolean, writes: boolean, appends: boolean, truncates: boolean, flags: number): FileAccess {
  return { reads, writes, appends, truncates, openFlags: flags | O_NONBLOCK };
}

const ACCESS = new Map<string, FileAccess>([
  ['r', access(true, false, false, false, O_RDONLY)],
  ['r+', access(true, true, false, false, O_RDWR)],
  ['w', access(false, true, false, true, O_RDWR | O_CREAT)],
  ['w+', access(true, true, false, true, O_RDWR | O_CREAT)],
  ['wx', access(false, true, false, false, O_RDWR | O_CREAT | O_EXCL)],
  ['wx+', access(true, true, false, false, O_RDWR | O_CREAT | O_EXCL)],
  ['a', access(false, true, true, false, O_RDWR | O_CREAT)],
  ['a+', access(true, true, true, false, O_RDWR | O_CREAT)],
  ['ax', access(false, true, true, false, O_RDWR | O_CREAT | O_EXCL)],
  ['ax+', access(true, true, true, false, O_RDWR | O_CREAT | O_EXCL)],
]);

/** Throws ERR_QUIRE_INVALID_ARG. */
export function accessFor(flags: unknown): FileAccess {
  const found = typeof flags === 'string' ? ACCESS.get(flags) : undefined;
  if (found === undefined) throw invalidArg('flags', `one of '${[...ACCESS.keys()].join("', '")}'`, flags);
  return found;
}
