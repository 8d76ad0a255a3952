/** Options of SET and GETEX, and moments in time: which may stand together, and what a given time means. As in Redis' t_string.c. */
import { CommandError, failNotInteger, failSyntax } from '../reply-error.ts';
import { INT64_MAX } from '../resp/integer.ts';
import type { Request } from '../resp/request.ts';

export type TimeUnit = 'EX' | 'PX' | 'EXAT' | 'PXAT';

export interface SetOptions {
  isIfAbsent: boolean;
  isIfPresent: boolean;
  isGet: boolean;
  isKeepTtl: boolean;
  isPersist: boolean;
  unit: TimeUnit | undefined;
  /** The argument that holds the time, where `unit` is given. */
  timeIndex: number;
}

/** Reads the options from argument `first` on. Throws a syntax error for any that does not belong there. */
export function parseSetOptions(request: Request, first: number, command: 'set' | 'getex'): SetOptions {
  const options: SetOptions = {
    isIfAbsent: false,
    isIfPresent: false,
    isGet: false,
    isKeepTtl: false,
    isPersist: false,
    unit: undefined,
    timeIndex: 0,
  };
  for (let i = first; i < request.count; i++) {
    const word = request.length(i) <= 7 ? request.upper(i) : '';
    const isKnown = command === 'set' ? applySetWord(options, word) : applyGetexWord(options, word);
    if (isKnown) continue;
    const unit = timeUnit(word);
    const isConflict = options.isKeepTtl || options.isPersist || (options.unit !== undefined && options.unit !== unit);
    if (unit === undefined || isConflict || i + 1 >= request.count) failSyntax();
    options.unit = unit;
    options.timeIndex = ++i;
  }
  return options;
}

function applySetWord(options: SetOptions, word: string): boolean {
  if (word === 'NX' && !options.isIfPresent) options.isIfAbsent = true;
  else if (word === 'XX' && !options.isIfAbsent) options.isIfPresent = true;
  else if (word === 'GET') options.isGet = true;
  else if (word === 'KEEPTTL' && options.unit === undefined) options.isKeepTtl = true;
  else return false;
  return true;
}

function applyGetexWord(options: SetOptions, word: string): boolean {
  if (word !== 'PERSIST' || options.unit !== undefined) return false;
  options.isPersist = true;
  return true;
}

function timeUnit(word: string): TimeUnit | undefined {
  return word === 'EX' || word === 'PX' || word === 'EXAT' || word === 'PXAT' ? word : undefined;
}

/** The moment the options name, ms since 1970; 0 when they name none. Throws for what is no integer or no moment to come. */
export function deadline(
  request: Request,
  options: Pick<SetOptions, 'unit' | 'timeIndex'>,
  command: string,
  nowMs: number,
): number {
  const { unit } = options;
  if (unit === undefined) return 0;
  const given = request.int64(options.timeIndex);
  if (given === undefined) failNotInteger();
  if (given <= 0) failExpireTime(command);
  const isSeconds = unit === 'EX' || unit === 'EXAT';
  return toMoment(given, isSeconds, unit === 'EX' || unit === 'PX' ? nowMs : 0, command);
}

/** `given` seconds or milliseconds after `baseMs`, in ms. Throws when a signed 64-bit integer could not hold it. */
export function toMoment(given: number | bigint, isSeconds: boolean, baseMs: number, command: string): number {
  if (typeof given === 'number' && Math.abs(given) < 1e11) return (isSeconds ? given * 1000 : given) + baseMs;
  const wide = BigInt(given);
  const limit = INT64_MAX / 1000n;
  if (isSeconds && (wide > limit || wide < -limit)) failExpireTime(command);
  const moment = (isSeconds ? wide * 1000n : wide) + BigInt(baseMs);
  if (moment > INT64_MAX) failExpireTime(command);
  const number = Number(moment);
  return Math.max(Math.min(number, EXPIRY_MS_MAX), -EXPIRY_MS_MAX);
}

/** Latest moment a map keeps: 48 bits, the year 10,889. Later ones are kept as this one. */
const EXPIRY_MS_MAX = 2 ** 48 - 1;

export function isPast(expiresAtMs: number, nowMs: number): boolean {
  return expiresAtMs <= nowMs;
}

function failExpireTime(command: string): never {
  throw new CommandError(`ERR invalid expire time in '${command}' command`);
}
