/** swap/demoter.ts: what was collected under the lock is written without it, and published if slot word and sequence are unchanged. */
import { test } from 'node:test';
import {
  add,
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
const SEQUENCE = 1;
const WORD = 2;
const OBJECT = 3;
const FILE = 4;
/** Page the slot belongs to. */
const PAGE = 5;
const IN_POOL = 3;
const ON_FILE = 4;
const OLD = 10;
const NEW = 20;

interface Variant {
  readonly checks: 'sequence' | 'word' | 'nothing';
  /** moveLocked: the new word is there before the old storage is released, which moves the sequence. */
  readonly attachesFirst: boolean;
}

const REAL: Variant = { checks: 'sequence', attachesFirst: true };

/** demote, writeOut, publishLocked. */
function* demoter(variant: Variant): Steps {
  yield* lock(LOCK);
  const word = yield* load(WORD);
  const sequence = yield* load(SEQUENCE);
  const bytes = yield* load(OBJECT);
  yield* unlock(LOCK);
  if (word !== IN_POOL) return;
  yield* store(FILE, bytes);
  yield* lock(LOCK);
  const isSame =
    variant.checks === 'nothing' ||
    ((variant.checks === 'word' || (yield* load(SEQUENCE)) === sequence) && (yield* load(WORD)) === word);
  if (isSame) {
    if (variant.attachesFirst) yield* store(WORD, ON_FILE);
    yield* add(SEQUENCE, 1);
    if (!variant.attachesFirst) yield* store(WORD, ON_FILE);
    yield* store(OBJECT, 0);
  }
  yield* unlock(LOCK);
}

/** The page is overwritten: its slot goes (dropSlotLocked); swap-out of another page takes slot and place. */
function* rewriter(): Steps {
  yield* lock(LOCK);
  yield* store(WORD, 0);
  yield* add(SEQUENCE, 1);
  yield* unlock(LOCK);
  yield* lock(LOCK);
  yield* store(OBJECT, NEW);
  yield* store(PAGE, 2);
  yield* add(SEQUENCE, 1);
  yield* store(WORD, IN_POOL);
  yield* unlock(LOCK);
}

/** A transient read of whatever page has the slot: openSwapped, readStorage. */
function* reader(out: Results): Steps {
  const page = yield* load(PAGE);
  const sequence = yield* load(SEQUENCE);
  if ((yield* load(PAGE)) !== page) return;
  const word = yield* load(WORD);
  if (word === 0) return;
  const value = yield* load(word);
  if ((yield* load(SEQUENCE)) !== sequence || (yield* load(PAGE)) !== page) return;
  if (value !== (page === 1 ? OLD : NEW)) out['wrong'] = 1;
}

function model(variant: Variant, reads: boolean): Model {
  return {
    memory: [0, 0, IN_POOL, OLD, 0, 1],
    actors: [() => demoter(variant), ...(reads ? [] : [rewriter]), ...(reads ? [reader] : [])],
    outcome: (memory, out) => {
      if (out['wrong'] === 1) return 'read another page';
      const value = memory[WORD] === ON_FILE ? memory[FILE] : memory[OBJECT];
      return value === (memory[PAGE] === 1 ? OLD : NEW) ? 'sound' : 'stale object published';
    },
  };
}

test('an object that was freed, or replaced by another of the same word, is not published', () => {
  checkOutcomes(model(REAL, false), ['sound']);
});

test('a reader beside the demoter sees the page in the pool or on file', () => {
  checkOutcomes(model(REAL, true), ['sound']);
});

test('broken: the old storage is released before the word leads elsewhere', () => {
  checkBroken(model({ ...REAL, attachesFirst: false }, true), 'read another page');
});

test('broken: the word alone comes back to the same value', () => {
  checkBroken(model({ ...REAL, checks: 'word' }, false), 'stale object published');
  checkBroken(model({ ...REAL, checks: 'nothing' }, false), 'stale object published');
});
