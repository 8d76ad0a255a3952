/** Predicates for assert.throws and assert.rejects: the stable code of a QuireError, whatever its message. */
import assert from 'node:assert/strict';
import { QuireError, type QuireErrorCode } from '../../base/errors.ts';

export function withCode(code: QuireErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof QuireError, `a QuireError was expected, got ${String(error)}`);
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.length > 10, 'a message that says something');
    return true;
  };
}

/** One row of a table of bad calls. `call` may return a promise. */
export interface BadCall {
  readonly what: string;
  readonly call: () => unknown;
  readonly code: QuireErrorCode;
}

/** Each call must fail with its code, thrown or rejected. */
export async function expectAll(calls: readonly BadCall[]): Promise<void> {
  for (const { what, call, code } of calls) {
    await assert.rejects(
      async () => {
        await call();
      },
      (error) => {
        try {
          return withCode(code)(error);
        } catch (mismatch) {
          assert.fail(`${what}: ${(mismatch as Error).message}`);
        }
      },
      `${what} was accepted`,
    );
  }
}

/** Things that are no number of bytes, no offset, no length. */
export const NOT_INTEGERS: readonly unknown[] = [
  undefined,
  null,
  Number.NaN,
  -1,
  0.5,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  '1',
  {},
  [],
  true,
  1n,
];
