/**
 * vm/unit-read.ts: a thread keeps a decoded unit and shows page 1 of it later (beginUnit, endUnit, readDecoded), while page 1 is given up and comes to
 * be stored at the same place again. Page 0 stands for the one that the unit was decoded for.
 */
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
/** Word of page 1's slot. */
const WORD = 2;
/** Page 1's bytes in the object at the one place there is. */
const PLACE = 3;
/** What page 1 holds, told by whoever writes it. */
const TRUTH = 4;
const IN_FRAME = 1;
const IN_PLACE = 3;
const OLD = 10;
const NEW = 20;

interface Variant {
  readonly notes: 'before' | 'after';
  /** beginUnit looks whether the slot names the object. */
  readonly looksAtWord: boolean;
}

const REAL: Variant = { notes: 'before', looksAtWord: true };

/** Decodes the unit for page 0, then reads page 1 as openSwapped does. */
function* reader(variant: Variant, out: Results): Steps {
  let noted = yield* load(SEQUENCE);
  let isValid = !variant.looksAtWord || (yield* load(WORD)) === IN_PLACE;
  const decoded = yield* load(PLACE);
  if (variant.notes === 'after') {
    noted = yield* load(SEQUENCE);
    isValid = (yield* load(WORD)) === IN_PLACE;
  }
  const before = yield* load(TRUTH);
  const sequence = yield* load(SEQUENCE);
  if ((yield* load(WORD)) !== IN_PLACE) return;
  if (!isValid || noted !== sequence) return;
  if ((yield* load(SEQUENCE)) !== sequence) return;
  if (decoded !== before && decoded !== (yield* load(TRUTH))) out['stale'] = 1;
}

/** dropSlotLocked and what follows: the page is written, goes out again, and its object lies where the old one was. */
function* rewriter(): Steps {
  yield* lock(LOCK);
  yield* store(WORD, 0);
  yield* add(SEQUENCE, 1);
  yield* store(TRUTH, NEW);
  yield* unlock(LOCK);
  yield* lock(LOCK);
  yield* add(SEQUENCE, 1);
  yield* store(WORD, IN_FRAME);
  yield* unlock(LOCK);
  yield* lock(LOCK);
  yield* store(PLACE, NEW);
  yield* store(WORD, IN_PLACE);
  yield* unlock(LOCK);
}

/** Page 1 is in flight by itself while the place holds an older unit without it; then a new unit takes the place. */
function* publisher(): Steps {
  yield* lock(LOCK);
  yield* store(PLACE, NEW);
  yield* store(WORD, IN_PLACE);
  yield* unlock(LOCK);
}

function model(variant: Variant, inFlight: boolean): Model {
  return {
    memory: inFlight ? [0, 0, IN_FRAME, OLD, NEW] : [0, 0, IN_PLACE, OLD, OLD],
    actors: [(out) => reader(variant, out), inFlight ? publisher : rewriter],
    outcome: (_memory, out) => (out['stale'] === 1 ? 'stale page shown' : 'sound'),
  };
}

test('a page that was written since is not shown from what was decoded', () => {
  checkOutcomes(model(REAL, false), ['sound']);
});

test('nor one that was not in the unit when that was decoded', () => {
  checkOutcomes(model(REAL, true), ['sound']);
});

test('broken: the sequence is noted after the object was read', () => {
  checkBroken(model({ ...REAL, notes: 'after' }, false), 'stale page shown');
});

test('broken: the sequence alone is noted, which does not move when a page in flight is published', () => {
  checkBroken(model({ ...REAL, looksAtWord: false }, true), 'stale page shown');
});
