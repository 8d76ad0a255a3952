/**
 * vm/file-ahead.ts: a thread reads the object of a page ahead (note, readAhead) and shows it later (findAhead), while the page is written and its
 * slot and the same place of the file are used again, and while the cleaner moves it away and the place is used by another page.
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
const WORD = 2;
const PLACE = 3;
const NEXT_PLACE = 4;
/** What the page holds, told by whoever writes it. */
const TRUTH = 5;
const OLD = 10;
const NEW = 20;

interface Variant {
  readonly notes: 'before' | 'after';
  /** findAhead compares the sequence noted with the one that the reader loaded. */
  readonly comparesSequence: boolean;
  /** The new use of a place waits for the sequence to move (releaseStorageLocked). */
  readonly bumpsFirst: boolean;
}
const REAL: Variant = { notes: 'before', comparesSequence: true, bumpsFirst: true };

function* reader(variant: Variant, out: Results): Steps {
  // The read ahead, for a page before this one.
  let noted = yield* load(SEQUENCE);
  if ((yield* load(WORD)) !== PLACE) return;
  const kept = yield* load(PLACE);
  if (variant.notes === 'after') noted = yield* load(SEQUENCE);
  // The page's own turn, as openSwapped does it.
  const before = yield* load(TRUTH);
  const sequence = yield* load(SEQUENCE);
  if ((yield* load(WORD)) !== PLACE) return;
  if (variant.comparesSequence && noted !== sequence) return;
  if ((yield* load(SEQUENCE)) !== sequence) return;
  if (kept !== before && kept !== (yield* load(TRUTH))) out['stale'] = 1;
  else out['shown'] = 1;
}

/** The page is written, goes out again, and its object lies where the old one was, behind the same slot. */
function* rewriter(variant: Variant): Steps {
  yield* lock(LOCK);
  yield* store(WORD, 0);
  if (variant.bumpsFirst) yield* add(SEQUENCE, 1);
  yield* store(TRUTH, NEW);
  yield* unlock(LOCK);
  yield* store(PLACE, NEW);
  yield* lock(LOCK);
  yield* store(WORD, PLACE);
  if (!variant.bumpsFirst) yield* add(SEQUENCE, 1);
  yield* unlock(LOCK);
}

/** The cleaner moves the object; its place is another page's, then this one's again, changed. */
function* mover(variant: Variant): Steps {
  yield* store(NEXT_PLACE, yield* load(PLACE));
  yield* lock(LOCK);
  yield* store(WORD, NEXT_PLACE);
  if (variant.bumpsFirst) yield* add(SEQUENCE, 1);
  yield* unlock(LOCK);
  yield* store(PLACE, NEW);
  if (!variant.bumpsFirst) yield* add(SEQUENCE, 1);
  yield* lock(LOCK);
  yield* store(TRUTH, NEW);
  yield* store(WORD, PLACE);
  yield* unlock(LOCK);
}

function model(variant: Variant, writer: (variant: Variant) => Steps): Model {
  return {
    memory: [0, 0, PLACE, OLD, 0, OLD],
    actors: [(out) => reader(variant, out), () => writer(variant)],
    outcome: (_memory, out) => (out['stale'] === 1 ? 'stale page shown' : out['shown'] === 1 ? 'shown' : 'read again'),
  };
}

test('what was read ahead is shown as long as it is the page, and not when the page was written since', () => {
  checkOutcomes(model(REAL, rewriter), ['shown', 'read again']);
});

test('nor when its object moved, and the place has other bytes', () => {
  checkOutcomes(model(REAL, mover), ['shown', 'read again']);
});

test('broken: the sequence is noted after the read', () => {
  checkBroken(model({ ...REAL, notes: 'after' }, rewriter), 'stale page shown');
});

test('broken: slot and place alone are compared', () => {
  checkBroken(model({ ...REAL, comparesSequence: false }, rewriter), 'stale page shown');
});

test('broken: the sequence moves after the place is used again', () => {
  checkBroken(model({ ...REAL, bumpsFirst: false }, rewriter), 'stale page shown');
});
