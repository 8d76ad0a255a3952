/** Error numbers of the file system, as a word of shared memory holds them: Linux' numbers on every system. */
import { QuireError } from './errors.ts';

const NUMBERS: Readonly<Record<string, number>> = {
  EPERM: 1,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  ENODEV: 19,
  EINVAL: 22,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  ETIMEDOUT: 110,
  ESTALE: 116,
  EDQUOT: 122,
};

const NAMES = new Map(Object.entries(NUMBERS).map(([name, number]) => [number, name]));

/** Number of an error that the system threw, that of EIO for one without a number of its own; 0 when it is none of the system's. */
export function errnoOf(error: unknown): number {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return 0;
  return NUMBERS[code] ?? NUMBERS['EIO'];
}

/** 'ENOSPC' of 28. */
export function errorName(errno: number): string {
  return NAMES.get(errno) ?? 'EIO';
}

/** An error as the system's own would be: with its `code`, `errno` and `syscall`. */
export function systemError(errno: number, syscall: string, what: string): NodeJS.ErrnoException {
  const code = errorName(errno);
  return Object.assign(new Error(`${code}: ${what}`), { code, errno: -errno, syscall });
}

/** ERR_QUIRE_IO for an error of writeback; its cause has `code`, `errno` and `syscall` as the system's own would. */
export function writebackError(errno: number): QuireError {
  const cause = systemError(errno, 'writev', 'the file could not be written back');
  return new QuireError('ERR_QUIRE_IO', `writeback failed: ${cause.code}`, { cause });
}
