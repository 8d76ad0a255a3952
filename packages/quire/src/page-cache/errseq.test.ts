import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { errnoOf, writebackError } from '../base/error-number.ts';
import { checkAndAdvance, type ErrorCursor, sampleErrors, setError } from './errseq.ts';

const EIO = 5;
const ENOSPC = 28;

type Step =
  | { readonly kind: 'open' }
  | { readonly kind: 'set'; readonly errno: number }
  | { readonly kind: 'check'; readonly handle: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant({ kind: 'open' as const }),
  fc.record({ kind: fc.constant('set' as const), errno: fc.constantFrom(EIO, ENOSPC) }),
  fc.record({ kind: fc.constant('check' as const), handle: fc.nat(5) }),
);

/** What is promised, without words: who has news, and of which error. */
class PlainErrors {
  private last = 0;
  private isUnseen = false;
  private readonly hasNews: boolean[] = [];

  open(): void {
    this.hasNews.push(this.isUnseen);
  }

  set(errno: number): void {
    this.last = errno;
    this.isUnseen = true;
    this.hasNews.fill(true);
  }

  check(handle: number): number {
    if (this.hasNews[handle] !== true) return 0;
    this.hasNews[handle] = false;
    this.isUnseen = false;
    return this.last;
  }
}

describe('errseq', () => {
  it('tells every handle of every error once, as the plain model does', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const words = new Int32Array(3);
        const plain = new PlainErrors();
        const cursors: ErrorCursor[] = [];
        for (const each of steps) {
          if (each.kind === 'open') {
            cursors.push({ since: sampleErrors(words, 1) });
            plain.open();
          } else if (each.kind === 'set') {
            setError(words, 1, each.errno);
            plain.set(each.errno);
          } else if (each.handle < cursors.length) {
            assert.equal(checkAndAdvance(words, 1, cursors[each.handle]), plain.check(each.handle));
          }
        }
        assert.equal(words[0] + words[2], 0, 'one word');
      }),
      { numRuns: 500 },
    );
  });

  it('an error that nobody saw is reported to the next one who opens, once', () => {
    const words = new Int32Array(1);
    setError(words, 0, ENOSPC);
    const first = { since: sampleErrors(words, 0) };
    const second = { since: sampleErrors(words, 0) };
    assert.deepEqual([checkAndAdvance(words, 0, first), checkAndAdvance(words, 0, first)], [ENOSPC, 0]);
    const third = { since: sampleErrors(words, 0) };
    assert.equal(checkAndAdvance(words, 0, third), 0, 'it has been seen');
    assert.equal(checkAndAdvance(words, 0, second), ENOSPC);
  });

  it('counts only errors that were seen, and goes round', () => {
    const words = new Int32Array(1);
    setError(words, 0, EIO);
    setError(words, 0, EIO);
    assert.equal(words[0], EIO);
    const cursor = { since: 0 };
    for (let round = 0; round < 3; round++) {
      words[0] |= 0x7fffe000;
      assert.equal(checkAndAdvance(words, 0, cursor), EIO);
      setError(words, 0, EIO);
      assert.equal(checkAndAdvance(words, 0, cursor), EIO);
      assert.equal(checkAndAdvance(words, 0, cursor), 0);
    }
  });

  it('refuses what is no error number', () => {
    for (const errno of [0, -5, 4096, 1.5]) assert.throws(() => setError(new Int32Array(1), 0, errno), /error number/);
  });
});

describe('error numbers', () => {
  it('survive the word: the same code comes out', () => {
    for (const code of ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EFBIG', 'EBADF']) {
      const errno = errnoOf(Object.assign(new Error(code), { code }));
      const error = writebackError(errno);
      assert.equal(error.code, 'ERR_QUIRE_IO');
      assert.equal((error.cause as NodeJS.ErrnoException).code, code);
    }
  });

  it('a code without a number is EIO; what is no error of the system has none', () => {
    assert.equal(errnoOf(Object.assign(new Error('x'), { code: 'EWHATEVER' })), EIO);
    for (const other of [new Error('x'), undefined, 'EIO', Object.assign(new Error('x'), { code: 'ERR_X' })]) {
      assert.equal(errnoOf(other), 0);
    }
  });
});
