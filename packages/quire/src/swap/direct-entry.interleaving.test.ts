/** Direct mode: reading behind an entry without a lock, against whatever takes its word away (swap/direct-entry.ts). */
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
const ENTRY = 1;
const SEQUENCE = 2;
const PLACE = 3; // of two: an entry that is one of them leads there
const FRAME = 5;
const MAPPED = 100;
const BUSY = 101;
const OLD = 10;
const OTHER = 50;

interface Variant {
  /** freeDirectLocked stores ENTRY_BUSY. */
  readonly hides: boolean;
  /** The sequence moves when the entry no longer leads to the old place. */
  readonly bumps: boolean;
  /** The reader's second look at the entry, after the sequence. */
  readonly checksEntryAgain: boolean;
}

/** RegionSpace.openSwapped, readStorage. */
function* reader(variant: Variant, out: Results): Steps {
  const entry = yield* load(ENTRY);
  if (entry !== PLACE && entry !== PLACE + 1) return;
  const sequence = yield* load(SEQUENCE);
  if (variant.checksEntryAgain && (yield* load(ENTRY)) !== entry) return;
  const value = yield* load(entry);
  if ((yield* load(SEQUENCE)) === sequence) out['value'] = value;
}

/** mapSwappedLocked, fillFresh: the entry is freed, the storage released, the page mapped; its place is used again. */
function* mapper(variant: Variant): Steps {
  yield* lock(LOCK);
  if (variant.hides) yield* store(ENTRY, BUSY);
  if (variant.bumps) yield* add(SEQUENCE, 1);
  yield* store(ENTRY, MAPPED);
  yield* unlock(LOCK);
  yield* store(PLACE, OTHER);
}

/** unmapSwappedLocked: nothing is named first, then the storage goes, and another page swapped out takes its place. */
function* discarder(variant: Variant): Steps {
  yield* lock(LOCK);
  yield* store(ENTRY, 0);
  if (variant.bumps) yield* add(SEQUENCE, 1);
  yield* unlock(LOCK);
  yield* store(PLACE, OTHER);
}

/** The page comes in, goes out again to the other place, and its first place becomes another page's. */
function* comeAndGo(variant: Variant): Steps {
  yield* mapper(variant);
  yield* store(FRAME, OLD);
  yield* lock(LOCK);
  yield* store(PLACE + 1, OLD);
  yield* store(ENTRY, PLACE + 1);
  yield* unlock(LOCK);
}

/** moveObjectLocked: the entry is rewritten, the sequence moves, the old place is used again. */
function* mover(variant: Variant): Steps {
  yield* lock(LOCK);
  yield* store(PLACE + 1, yield* load(PLACE));
  yield* store(ENTRY, PLACE + 1);
  if (variant.bumps) yield* add(SEQUENCE, 1);
  yield* unlock(LOCK);
  yield* store(PLACE, OTHER);
}

const model = (variant: Variant, writer: (variant: Variant) => Steps): Model => ({
  memory: [0, PLACE, 0, OLD, 0, 0],
  actors: [(out) => reader(variant, out), () => writer(variant)],
  outcome: (_memory, out) =>
    out['value'] === undefined ? 'tried again' : out['value'] === OLD ? 'this page' : 'another page',
});

const real: Variant = { hides: true, bumps: true, checksEntryAgain: true };
const ENDS = ['this page', 'tried again'];

test('a read behind an entry gives the page or is tried again', () => {
  for (const writer of [mapper, discarder, comeAndGo, mover]) checkOutcomes(model(real, writer), ENDS);
});

test('broken: the entry still leads to the storage when its sequence has moved for the last time', () => {
  checkBroken(model({ ...real, hides: false }, mapper), 'another page');
});

test('broken: the sequence does not move after the entry was freed', () => {
  checkBroken(model({ ...real, bumps: false }, mapper), 'another page');
  checkBroken(model({ ...real, bumps: false }, mover), 'another page');
});

test('broken: the sequence is of the time after the page has left', () => {
  checkBroken(model({ ...real, checksEntryAgain: false }, discarder), 'another page');
});
