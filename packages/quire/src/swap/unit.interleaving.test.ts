/**
 * swap/unit.ts, swap/compressor.ts: a thread compresses a unit outside the lock and publishes it whole (claim, joinPages, publishUnitLocked), while one
 * of its pages is taken back and written (rescueLocked), goes out again by itself, and is claimed a second time. Two pages stand for four.
 */
import { test } from 'node:test';
import { add, load, lock, type Model, type Steps, store, unlock } from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const LOCK = 0;
/* By page, 0 and 1. */
const KIND = 1;
const VERSION = 3;
const DATA = 5;
const WORD = 7;
/** The page's bytes in the unit, and in an object of its own. */
const UNIT = 9;
const OBJECT = 11;
const PAGES = [0, 1];

const MAPPED = 1;
const QUEUED = 2;
const COMPRESSING = 3;
const FREE = 4;
const IN_FRAME = 1;
const IN_UNIT = 2;
const IN_OBJECT = 3;
const OLD = 10;
const NEW = 20;

interface Variant {
  /** What publish looks at: every page of the unit, or the first alone; its version, or its kind. */
  readonly looksAt: 'all' | 'first';
  readonly checks: 'version' | 'kind';
  /** Pages of a unit that came to nothing are queued again; else they are left as they are. */
  readonly requeues: boolean;
}

const REAL: Variant = { looksAt: 'all', checks: 'version', requeues: true };

function* claim(page: number): Steps<number> {
  yield* store(KIND + page, COMPRESSING);
  return yield* load(VERSION + page);
}

function* isClaimed(variant: Variant, page: number, version: number): Steps<boolean> {
  if (variant.checks === 'version' && (yield* load(VERSION + page)) !== version) return false;
  return (yield* load(KIND + page)) === COMPRESSING;
}

function* publish(page: number, place: number, packed: number, word: number): Steps {
  yield* store(place + page, packed);
  yield* store(WORD + page, word);
  yield* add(VERSION + page, 1);
  yield* store(KIND + page, FREE);
}

/** Compressor.run: the unit if both pages are queued, then what is left of it. */
function* compressor(variant: Variant): Steps {
  yield* lock(LOCK);
  const versions: number[] = [];
  for (const page of PAGES) if ((yield* load(KIND + page)) !== QUEUED) return yield* singles(variant, true);
  for (const page of PAGES) versions.push(yield* claim(page));
  yield* unlock(LOCK);
  const packed: number[] = [];
  for (const page of PAGES) packed.push(yield* load(DATA + page));
  yield* lock(LOCK);
  const claimed: boolean[] = [];
  for (const page of PAGES) claimed.push(yield* isClaimed(variant, page, versions[page]));
  if (claimed[0] && (variant.looksAt === 'first' || claimed[1])) {
    for (const page of PAGES) yield* publish(page, UNIT, packed[page], IN_UNIT);
    return yield* unlock(LOCK);
  }
  if (variant.requeues) for (const page of PAGES) if (claimed[page]) yield* store(KIND + page, QUEUED);
  yield* singles(variant, true);
}

/** Each page by itself. The lock is held on entry, not on return. */
function* singles(variant: Variant, isLocked: boolean): Steps {
  for (const page of PAGES) {
    if (page > 0 || !isLocked) yield* lock(LOCK);
    if ((yield* load(KIND + page)) !== QUEUED) {
      yield* unlock(LOCK);
      continue;
    }
    const version = yield* claim(page);
    yield* unlock(LOCK);
    const packed = yield* load(DATA + page);
    yield* lock(LOCK);
    if (yield* isClaimed(variant, page, version)) yield* publish(page, OBJECT, packed, IN_OBJECT);
    yield* unlock(LOCK);
  }
}

/** writeHereLocked, and the write: page 1 is rescued, or brought in from where it is. */
function* writer(): Steps {
  yield* lock(LOCK);
  const word = yield* load(WORD + 1);
  if (word === IN_FRAME) yield* add(VERSION + 1, 1);
  else yield* store(DATA + 1, yield* load((word === IN_UNIT ? UNIT : OBJECT) + 1));
  yield* store(WORD + 1, 0);
  yield* store(KIND + 1, MAPPED);
  yield* store(DATA + 1, NEW);
  yield* unlock(LOCK);
}

/** isolateLocked takes page 1 out again; whoever finds it queued may compress it. */
function* again(variant: Variant): Steps {
  yield* lock(LOCK);
  if ((yield* load(KIND + 1)) === MAPPED) {
    yield* add(VERSION + 1, 1);
    yield* store(WORD + 1, IN_FRAME);
    yield* store(KIND + 1, QUEUED);
  }
  yield* unlock(LOCK);
  yield* singles(variant, false);
}

function content(memory: Int32Array, page: number): number {
  const word = memory[WORD + page];
  if (word === IN_UNIT) return memory[UNIT + page];
  return word === IN_OBJECT ? memory[OBJECT + page] : memory[DATA + page];
}

function model(variant: Variant, ...others: (() => Steps)[]): Model {
  return {
    memory: [0, QUEUED, QUEUED, 0, 0, OLD, OLD, IN_FRAME, IN_FRAME, 0, 0, 0, 0],
    actors: [() => compressor(variant), writer, ...others],
    outcome: (memory) => {
      for (const page of PAGES)
        if (memory[KIND + page] === FREE && memory[WORD + page] === IN_FRAME) return 'frame freed under its page';
      if (memory[KIND] === COMPRESSING) return 'left in flight';
      return content(memory, 0) === OLD && content(memory, 1) === NEW ? 'sound' : 'write lost';
    },
  };
}

test('a page of a unit that is written keeps the write, and its neighbour goes out without it', () => {
  checkOutcomes(model(REAL), ['sound']);
});

test('also when it goes out again meanwhile', () => {
  checkOutcomes(
    model(REAL, () => again(REAL)),
    ['sound'],
  );
});

test('broken: publish looks at the first page of the unit alone', () => {
  checkBroken(model({ ...REAL, looksAt: 'first' }), 'write lost');
});

test('broken: publish looks at kinds, which come back to COMPRESSING', () => {
  const variant: Variant = { ...REAL, checks: 'kind' };
  checkBroken(
    model(variant, () => again(variant)),
    'write lost',
  );
});

test('broken: what is left of a unit is not queued again', () => {
  checkBroken(model({ ...REAL, requeues: false }), 'left in flight');
});
