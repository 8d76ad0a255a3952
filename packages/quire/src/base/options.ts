/**
 * Objects of named options. A name that nobody knows is refused: a budget that is written `budgt` must not be left out in
 * silence. What is known is told by a record of the option type's keys, so that the compiler keeps the two in step.
 */
import { invalidArg, QuireError } from './errors.ts';

/** Every name of `T`, and no other. */
export type OptionNames<T> = { readonly [name in keyof Required<T>]: true };

/** `options` as what its names say it is. Throws ERR_QUIRE_INVALID_ARG for what is no object or has a name of its own that is unknown. */
export function checkOptions<T extends object>(what: string, options: unknown, names: OptionNames<T>): T {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw invalidArg(what, 'an object', options);
  for (const name of Object.keys(options)) if (!Object.hasOwn(names, name)) throw unknownOption(what, name, names);
  return options as T;
}

function unknownOption(what: string, name: string, names: object): QuireError {
  const known = Object.keys(names).join(', ');
  return new QuireError('ERR_QUIRE_INVALID_ARG', `${what} has no option '${name.slice(0, 40)}', only ${known}`);
}
