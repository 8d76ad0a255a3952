/** A command's error reply, thrown: prefix and text as they go over the wire. The texts are those of Redis 7.0. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Throws `-ERR text`. */
export function fail(text: string): never {
  throw new CommandError(`ERR ${text}`);
}

export function failSyntax(): never {
  throw new CommandError('ERR syntax error');
}

export function failNotInteger(): never {
  throw new CommandError('ERR value is not an integer or out of range');
}
