/** The value of the option `--name`, or `missing` when it was not given. Throws TypeError when it is no number ≥ 0. */
export function numberArgument(name: string, text: string | undefined, missing: number): number {
  if (text === undefined) return missing;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new TypeError(`--${name} must be a number ≥ 0, received '${text}'`);
  return value;
}
