/**
 * Promotion of an object from the file to the compressed tier (promoteObject) against the end of its slot's use, against the cleaner, which
 * moves it in the file, and against another thread that promotes the same object.
 */
import { test } from 'node:test';
import { add, load, lock, type Model, type Steps, store, unlock } from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const LOCK = 0;
const SEQUENCE = 1;
/** The slot's word: 0 free, FILE or FILE_NEXT a place in the file, POOL a place in the pool. */
const WORD = 2;
/** Bytes at the two places of the file and at two of the pool. */
const AT_FILE = 3;
const AT_FILE_NEXT = 4;
const AT_POOL = 5;
const AT_POOL_NEXT = 6;
/** Live objects at each of the two places of the file: what the segment words count. */
const LIVE = 7;
const LIVE_NEXT = 8;
/** Places of the pool in use. */
const POOL_USED = 9;
/** What the slot's page holds, told by whoever writes it. 0: no page has the slot. */
const TRUTH = 10;
const OLD = 10;
const NEW = 20;

interface Variant {
  /** promoteLocked looks at the sequence again. */
  readonly checksSequence: boolean;
  /** promoteLocked looks at the word again. */
  readonly checksWord: boolean;
  readonly notesSequence: 'before the word' | 'after the read';
  /** releaseStorageLocked moves the sequence. */
  readonly bumps: boolean;
}
const REAL: Variant = { checksSequence: true, checksWord: true, notesSequence: 'before the word', bumps: true };

function* promoter(variant: Variant): Steps {
  let sequence = yield* load(SEQUENCE);
  const word = yield* load(WORD);
  if (word !== AT_FILE && word !== AT_FILE_NEXT) return;
  const bytes = yield* load(word);
  if (variant.notesSequence === 'after the read') sequence = yield* load(SEQUENCE);
  yield* lock(LOCK);
  const isSame =
    (!variant.checksSequence || (yield* load(SEQUENCE)) === sequence) &&
    (!variant.checksWord || (yield* load(WORD)) === word);
  if (isSame) {
    const place = AT_POOL + (yield* add(POOL_USED, 1));
    yield* store(place, bytes);
    yield* store(WORD, place);
    if (variant.bumps) yield* add(SEQUENCE, 1);
    yield* add(word === AT_FILE ? LIVE : LIVE_NEXT, -1);
  }
  yield* unlock(LOCK);
}

/** A write gives the slot up (dropSlotLocked); then the slot and the same place of the file are another page's. */
function* reuser(): Steps {
  yield* lock(LOCK);
  const word = yield* load(WORD);
  yield* store(WORD, 0);
  yield* add(SEQUENCE, 1);
  yield* store(TRUTH, 0);
  if (word === AT_FILE) yield* add(LIVE, -1);
  else yield* add(POOL_USED, -1);
  yield* unlock(LOCK);
  if (word !== AT_FILE) return;
  yield* store(AT_FILE, NEW); // the demoter's write, at a place that is reserved to it
  yield* lock(LOCK);
  yield* store(TRUTH, NEW);
  yield* add(LIVE, 1);
  yield* add(SEQUENCE, 1);
  yield* store(WORD, AT_FILE);
  yield* unlock(LOCK);
}

/** FileCleaner.moveOut and repointLocked; afterwards the old place is written again. */
function* cleaner(): Steps {
  if ((yield* load(WORD)) !== AT_FILE) return;
  yield* store(AT_FILE_NEXT, yield* load(AT_FILE));
  yield* lock(LOCK);
  if ((yield* load(WORD)) === AT_FILE) {
    yield* add(LIVE_NEXT, 1);
    yield* store(WORD, AT_FILE_NEXT);
    yield* add(SEQUENCE, 1);
    if ((yield* add(LIVE, -1)) === 1) yield* store(AT_FILE, NEW);
  }
  yield* unlock(LOCK);
}

function model(variant: Variant, other: () => Steps): Model {
  return {
    memory: [0, 0, AT_FILE, OLD, 0, 0, 0, 1, 0, 0, OLD],
    actors: [() => promoter(variant), other],
    outcome: (memory) => {
      const word = memory[WORD];
      const inPool = word === AT_POOL || word === AT_POOL_NEXT ? 1 : 0;
      const live = [word === AT_FILE ? 1 : 0, word === AT_FILE_NEXT ? 1 : 0];
      if (memory[LIVE] !== live[0] || memory[LIVE_NEXT] !== live[1]) return 'segment miscounted';
      if (memory[POOL_USED] !== inPool) return 'object leaked';
      if (word !== 0 && memory[word] !== memory[TRUTH]) return 'another page';
      return word === 0 ? 'given up' : inPool === 1 ? 'in the pool' : 'on file';
    },
  };
}

test("promotion against the end of the slot's use, and its next", () => {
  checkOutcomes(model(REAL, reuser), ['given up', 'on file', 'in the pool']);
});

test('promotion against the cleaner: the page is where its word says, once', () => {
  checkOutcomes(model(REAL, cleaner), ['on file', 'in the pool']);
});

test('two promotions: one of them is done', () => {
  checkOutcomes(
    model(REAL, () => promoter(REAL)),
    ['in the pool'],
  );
});

test('broken: the word alone is looked at again, which comes back to the same value', () => {
  checkBroken(model({ ...REAL, checksSequence: false }, reuser), 'another page');
});

test('broken: the sequence is noted after the object was read', () => {
  checkBroken(model({ ...REAL, notesSequence: 'after the read' }, reuser), 'another page');
});

test('broken: a promotion does not move the sequence, and the word is not looked at: promoted twice', () => {
  const broken = { ...REAL, bumps: false, checksWord: false };
  checkBroken(
    model(broken, () => promoter(broken)),
    'segment miscounted',
  );
});

test('broken: nothing is looked at again while the cleaner moves the object', () => {
  checkBroken(model({ ...REAL, checksSequence: false, checksWord: false }, cleaner), 'segment miscounted');
});
