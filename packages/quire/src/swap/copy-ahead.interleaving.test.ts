/**
 * swap/copy-ahead.ts: a thread copies a mapped page that stays writable (beginCopiesLocked, compressBatch, isUnchanged, endCopyLocked) against a writer
 * (pinResident, else writeHereLocked and dropCleanCopyLocked), against a second copier, to which the slot is given anew, and against reclaim (unmapLocked).
 */
import { test } from 'node:test';
import {
  type Actor,
  add,
  compareExchange,
  load,
  lock,
  type Model,
  type Results,
  type Steps,
  store,
  unlock,
} from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const LOCK = 0;
const PIN = 1;
/** The frame's slot + 1, 0 none; there is only one slot. */
const SLOT = 2;
const SEQUENCE = 3;
/** What is behind the slot. */
const WORD = 4;
const DATA = 5; // two words
const COPY = 7; // two words
const FREE = 0;
const EMPTY = 1;
const OBJECT = 2;
const IN_FRAME = 3;
const FROZEN = -1000;
const OLD = 10;
const NEW = 20;

interface Variant {
  readonly begin: 'freezes' | 'looks at no pin';
  readonly endChecks: 'slot, sequence and word' | 'slot and word' | 'slot and sequence' | 'nothing';
}

const REAL: Variant = { begin: 'freezes', endChecks: 'slot, sequence and word' };

function* copier(variant: Variant): Steps {
  yield* lock(LOCK);
  if ((yield* load(SLOT)) !== 0 || !(yield* freeze(variant))) return yield* unlock(LOCK);
  yield* store(WORD, EMPTY);
  yield* store(SLOT, 1);
  const sequence = yield* load(SEQUENCE);
  if (variant.begin === 'freezes') yield* add(PIN, -FROZEN);
  yield* unlock(LOCK);
  const first = yield* load(DATA);
  const second = yield* load(DATA + 1);
  yield* lock(LOCK);
  if (yield* isUnchanged(variant, sequence)) {
    yield* store(COPY, first);
    yield* store(COPY + 1, second);
    yield* store(WORD, OBJECT);
  }
  yield* unlock(LOCK);
}

function* freeze(variant: Variant): Steps<boolean> {
  if (variant.begin !== 'freezes') return true;
  return (yield* compareExchange(PIN, 0, FROZEN)) === 0;
}

function* isUnchanged(variant: Variant, sequence: number): Steps<boolean> {
  if (variant.endChecks === 'nothing') return true;
  if ((yield* load(SLOT)) !== 1) return false;
  if (variant.endChecks !== 'slot and word' && (yield* load(SEQUENCE)) !== sequence) return false;
  return variant.endChecks === 'slot and sequence' || (yield* load(WORD)) === EMPTY;
}

function* writer(): Steps {
  if (!(yield* pinResident())) {
    yield* lock(LOCK);
    if ((yield* load(SLOT)) !== 0) {
      yield* store(WORD, FREE);
      yield* add(SEQUENCE, 1);
      yield* store(SLOT, 0);
    }
    yield* add(PIN, 1);
    yield* unlock(LOCK);
  }
  yield* store(DATA, NEW);
  yield* store(DATA + 1, NEW);
  yield* add(PIN, -1);
}

function* pinResident(): Steps<boolean> {
  if ((yield* add(PIN, 1)) >= 0 && (yield* load(SLOT)) === 0) return true;
  yield* add(PIN, -1);
  return false;
}

/** The page goes: at once when it has a copy, else in flight until a compressor takes it. */
function* reclaimer(out: Results): Steps {
  yield* lock(LOCK);
  if ((yield* compareExchange(PIN, 0, FROZEN)) === 0 && (yield* load(SLOT)) !== 0) {
    if ((yield* load(WORD)) === EMPTY) {
      yield* store(WORD, IN_FRAME);
      out['left'] = 1;
    }
  }
  yield* unlock(LOCK);
}

function model(...actors: Actor[]): Model {
  return {
    memory: [0, 0, 0, 0, FREE, OLD, OLD, 0, 0],
    actors,
    outcome: (memory, out) => {
      if (out['left'] === 1) return memory[WORD] === IN_FRAME ? 'in flight' : 'a page in flight is lost';
      if (memory[SLOT] === 0) return 'no copy';
      if (memory[WORD] === EMPTY) return 'no copy yet';
      const isSame = memory[COPY] === memory[DATA] && memory[COPY + 1] === memory[DATA + 1];
      return isSame ? 'the copy is the page' : 'the copy is another';
    },
  };
}

test('a copy that stays is the page, whatever the writer was doing', () => {
  checkOutcomes(
    model(() => copier(REAL), writer),
    ['the copy is the page', 'no copy'],
  );
});

test('also when the slot is given up and taken again meanwhile', () => {
  checkOutcomes(
    model(
      () => copier(REAL),
      writer,
      () => copier(REAL),
    ),
    ['the copy is the page', 'no copy'],
  );
});

test('a page that leaves meanwhile stays in flight', () => {
  checkOutcomes(
    model(() => copier(REAL), reclaimer),
    ['the copy is the page', 'in flight', 'no copy'],
  );
});

test('broken: the copy begins under a pin', () => {
  const variant: Variant = { ...REAL, begin: 'looks at no pin' };
  checkBroken(
    model(() => copier(variant), writer),
    'the copy is another',
  );
});

test('broken: the end does not look', () => {
  const variant: Variant = { ...REAL, endChecks: 'nothing' };
  checkBroken(
    model(
      () => copier(variant),
      writer,
      () => copier(variant),
    ),
    'the copy is another',
  );
});

test('broken: the end looks at slot and word, which come back', () => {
  const variant: Variant = { ...REAL, endChecks: 'slot and word' };
  checkBroken(
    model(
      () => copier(variant),
      writer,
      () => copier(variant),
    ),
    'the copy is another',
  );
});

test('broken: the end does not see that the page is in flight', () => {
  const variant: Variant = { ...REAL, endChecks: 'slot and sequence' };
  checkBroken(
    model(() => copier(variant), reclaimer),
    'a page in flight is lost',
  );
});
