/** page-cache/errseq.ts: setError against checkAndAdvance of two handles. Every error that is set is told to both of them, and nothing twice. */
import { test } from 'node:test';
import { compareExchange, load, type Model, type Results, type Steps, store } from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const WORD = 0;
/** How many were set in all. */
const SETS = 1;
const EIO = 5;
const SEEN = 0x1000;
const COUNT_ONE = 0x2000;

interface Variant {
  /** check marks the error as seen. */
  readonly marks: boolean;
  /** set repeats itself when the word moved under it. */
  readonly repeats: boolean;
}

const REAL: Variant = { marks: true, repeats: true };

function* set(variant: Variant): Steps {
  for (;;) {
    const old = yield* load(WORD);
    const counted = (old & SEEN) === 0 ? old : old + COUNT_ONE;
    const next = (counted & ~(0xfff | SEEN)) | EIO;
    if (next === old) break;
    if ((yield* compareExchange(WORD, old, next)) === old || !variant.repeats) break;
  }
  yield* store(SETS, 1);
}

/** One check; returns whether the handle was told. */
function* check(variant: Variant, cursor: { since: number }): Steps<number> {
  const old = yield* load(WORD);
  if (old === cursor.since) return 0;
  const seen = variant.marks ? old | SEEN : old;
  if (seen !== old) yield* compareExchange(WORD, old, seen);
  cursor.since = seen;
  return 1;
}

/** One check at any moment, one when the error stands, one more. */
function* handle(variant: Variant, out: Results, name: string): Steps {
  const cursor = { since: 0 };
  let told = yield* check(variant, cursor);
  yield* untilSet();
  told += yield* check(variant, cursor);
  told += yield* check(variant, cursor);
  out[name] = told;
}

function* untilSet(): Steps {
  yield { isReady: (memory) => memory[SETS] === 1, run: () => 0, text: 'wait for the error' };
}

function oneError(variant: Variant): Model {
  return {
    memory: [0, 0],
    actors: [() => set(variant), (out) => handle(variant, out, 'a'), (out) => handle(variant, out, 'b')],
    outcome: (_memory, out) => `a ${out['a']}, b ${out['b']}`,
  };
}

test('each handle is told, and not twice of the same', () => {
  checkOutcomes(oneError(REAL), ['a 1, b 1']);
});

/** A handle was told of the first error, then the same error comes again. */
function secondError(variant: Variant): Model {
  return {
    memory: [0, 0],
    actors: [
      function* () {
        yield* set(variant);
      },
      function* (out) {
        const cursor = { since: 0 };
        yield* untilSet();
        out['first'] = yield* check(variant, cursor);
        yield* set(variant);
        out['second'] = yield* check(variant, cursor);
      },
      function* (out) {
        const cursor = { since: 0 };
        yield* untilSet();
        out['other'] = yield* check(variant, cursor);
      },
    ],
    outcome: (_memory, out) =>
      out['first'] === 1 && out['second'] === 1 && out['other'] === 1 ? 'both told' : 'second error lost',
  };
}

test('an error that comes after the same one was seen is news', () => {
  checkOutcomes(secondError(REAL), ['both told']);
});

test('broken: nobody says that it has been seen', () => {
  checkBroken(secondError({ ...REAL, marks: false }), 'second error lost');
});

/** A check marks the error that stands while another is being set: the handle that marked it must hear of the other. */
function overtaken(variant: Variant): Model {
  return {
    memory: [EIO | SEEN, 0],
    actors: [
      () => set(variant),
      function* (out) {
        // The word is new to this handle; its check moves nothing, as the error has been seen.
        const cursor = { since: EIO | SEEN };
        out['early'] = yield* check(variant, cursor);
        yield* untilSet();
        out['late'] = yield* check(variant, cursor);
      },
      () => set(variant),
      function* () {
        yield* check(variant, { since: 0 });
      },
    ],
    outcome: (_memory, out) => (out['early'] + out['late'] > 0 ? 'told' : 'error lost'),
  };
}

test('two errors at once, and checks in between', () => {
  checkOutcomes(overtaken(REAL), ['told']);
});

/** Two different errors were set and one check ran; the last error that stands must be one nobody was told of, or told. */
function unseenOvertaken(variant: Variant): Model {
  return {
    memory: [7, 0],
    actors: [
      () => set(variant),
      function* (out) {
        const cursor = { since: 0 };
        yield* check(variant, cursor);
        yield* untilSet();
        yield* check(variant, cursor);
        out['known'] = cursor.since & 0xfff;
      },
    ],
    outcome: (_memory, out) => (out['known'] === EIO ? 'told of the last' : 'last error lost'),
  };
}

test('an error that replaces another one while that is being reported', () => {
  checkOutcomes(unseenOvertaken(REAL), ['told of the last']);
});

test('broken: set gives up when a check overtakes it', () => {
  checkBroken(unseenOvertaken({ ...REAL, repeats: false }), 'last error lost');
});
