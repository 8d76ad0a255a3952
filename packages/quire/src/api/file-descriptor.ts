/** What `openFile` asks of the system: the arguments checked, a descriptor, and whether it is a file at all. */
import { type BigIntStats, fstat, type Stats } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { invalidArg, outOfRange, QuireError } from '../base/errors.ts';
import { checkOptions, type OptionNames } from '../base/options.ts';
import { checkGroupName } from './arguments.ts';
import type { Descriptors } from './descriptors.ts';
import { fileError, isSystemError } from './file-error.ts';
import { accessFor, type FileAccess } from './file-flags.ts';

export interface OpenFileOptions {
  /** Permission bits of a file that is made, less the process' umask. Default 0o666. */
  readonly mode?: number;
  /**
   * Group that the file's pages are charged to (`quire.group`). Default 'default'. A file that is open in any thread keeps
   * its own.
   */
  readonly group?: string;
}

const OPEN_FILE_OPTIONS: OptionNames<OpenFileOptions> = { mode: true, group: true };

const MODE_DEFAULT = 0o666;
const MODE_MAX = 0o7777;

const fstatAsync = promisify(fstat) as (fd: number, options: { bigint: boolean }) => Promise<Stats | BigIntStats>;

export interface OpenRequest {
  readonly path: string | Buffer;
  /** The path as text, for messages. */
  readonly shown: string;
  readonly access: FileAccess;
  readonly mode: number;
  readonly group: string;
}

/** Checks the arguments of `Quire.openFile`. */
export function openRequest(path: unknown, flags: unknown, options: unknown): OpenRequest {
  if (!(typeof path === 'string' || path instanceof URL || path instanceof Uint8Array) || String(path) === '') {
    throw invalidArg('path', 'a string, a Buffer or a file URL', path);
  }
  const access = accessFor(flags);
  const checked = options === undefined ? {} : checkOptions<OpenFileOptions>('options', options, OPEN_FILE_OPTIONS);
  const { mode = MODE_DEFAULT, group } = checked;
  if (!Number.isInteger(mode)) throw invalidArg('mode', 'an integer', mode);
  if (mode < 0 || mode > MODE_MAX) throw outOfRange('mode', `0…0o${MODE_MAX.toString(8)}`, mode);
  const plain = path instanceof URL ? plainPath(path) : typeof path === 'string' ? path : Buffer.from(path);
  const shown = String(plain);
  if (shown.includes('\0')) throw invalidArg('path', 'a path without null bytes', shown);
  return { path: plain, shown, access, mode, group: checkGroupName(group) };
}

function plainPath(url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw Object.assign(invalidArg('path', 'a file URL', url.href), { cause: error });
  }
}

/** The descriptor of a regular file. Throws ERR_QUIRE_IO, ERR_QUIRE_UNSUPPORTED. */
export async function openRegular(
  descriptors: Descriptors,
  request: OpenRequest,
): Promise<{ readonly fd: number; readonly name: string }> {
  const fd = await openOrThrow(descriptors, request);
  try {
    const stats = (await fstatAsync(fd, { bigint: true })) as BigIntStats;
    if (!stats.isFile())
      throw notRegular(request.shown, stats.isDirectory() ? 'a directory' : 'a device, pipe or socket');
    return { fd, name: `file:${stats.dev}:${stats.ino}` };
  } catch (error) {
    await descriptors.close(fd);
    throw fileError(request.shown, 'open', error);
  }
}

async function openOrThrow(descriptors: Descriptors, request: OpenRequest): Promise<number> {
  try {
    return await descriptors.open(request.path, request.access.openFlags, request.mode);
  } catch (error) {
    if (isSystemError(error) && error.code === 'EISDIR') throw notRegular(request.shown, 'a directory', error);
    throw fileError(request.shown, 'open', error);
  }
}

function notRegular(path: string, what: string, cause?: unknown): QuireError {
  return new QuireError('ERR_QUIRE_UNSUPPORTED', `'${path}' is ${what}, not a regular file`, { cause });
}
