/** Reading behind a slot without a lock: RegionSpace.openSwapped, readStorage and openStorageFrame against free, reuse, move and rescue. */
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
const WORD = 3;
const OLD = 10;
const OTHER = 50;
const SLOT = 7;

/* A transient read: the object behind the slot goes, and another page's comes to the same place under the same word (ABA). */
{
  const PLACE = 4; // of two

  interface Variant {
    readonly validates: 'sequence' | 'word';
    readonly checksEntryAgain: boolean;
    /** When the sequence moves, of three moments: the word changes, the place is used again. */
    readonly bumps: 'before the word' | 'between' | 'after reuse';
    /** freeSlotLocked and allocSlotLocked both move the sequence. */
    readonly allocBumps: boolean;
    /** The entry names the slot until the slot is free: faultWrite (dropSlotLocked, then mapLocked), rescueLocked. */
    readonly entryLast: boolean;
  }

  function* reader(variant: Variant, out: Results): Steps {
    if ((yield* load(ENTRY)) !== SLOT) return;
    const sequence = yield* load(SEQUENCE);
    if (variant.checksEntryAgain && (yield* load(ENTRY)) !== SLOT) return;
    const word = yield* load(WORD);
    if (word === 0) return;
    const value = yield* load(word);
    const isTrue =
      variant.validates === 'sequence' ? (yield* load(SEQUENCE)) === sequence : (yield* load(WORD)) === word;
    if (isTrue) out['value'] = value;
  }

  /** The slot is freed (dropSlotLocked, freeSlotLocked), its page mapped or gone; swap-out of another page takes slot and place. */
  function* reuser(variant: Variant): Steps {
    yield* lock(LOCK);
    if (!variant.entryLast) yield* store(ENTRY, 0);
    if (variant.bumps === 'before the word') yield* add(SEQUENCE, 1);
    yield* store(WORD, 0);
    if (variant.bumps === 'between') yield* add(SEQUENCE, 1);
    if (variant.entryLast) yield* store(ENTRY, 0);
    yield* unlock(LOCK);
    yield* lock(LOCK);
    yield* store(PLACE, OTHER);
    if (variant.allocBumps) yield* add(SEQUENCE, 1);
    yield* store(WORD, PLACE);
    if (variant.bumps === 'after reuse') yield* add(SEQUENCE, 1);
    yield* unlock(LOCK);
  }

  /** moveObjectLocked (pool-compactor.ts), moveLocked (demoter.ts): the page goes to place 5, place 4 is used again by another slot. */
  function* mover(variant: Variant): Steps {
    yield* lock(LOCK);
    yield* store(PLACE + 1, yield* load(PLACE));
    if (variant.bumps === 'before the word') yield* add(SEQUENCE, 1);
    yield* store(WORD, PLACE + 1);
    if (variant.bumps === 'between') yield* add(SEQUENCE, 1);
    yield* unlock(LOCK);
    yield* store(PLACE, OTHER);
    if (variant.bumps === 'after reuse') yield* add(SEQUENCE, 1);
  }

  const model = (variant: Variant, writer: (variant: Variant) => Steps): Model => ({
    memory: [0, SLOT, 0, PLACE, OLD, 0],
    actors: [(out) => reader(variant, out), () => writer(variant)],
    outcome: (_memory, out) =>
      out['value'] === undefined ? 'tried again' : out['value'] === OLD ? 'this page' : 'another page',
  });
  const real: Variant = {
    validates: 'sequence',
    checksEntryAgain: true,
    bumps: 'between',
    allocBumps: true,
    entryLast: false,
  };
  const ENDS = ['this page', 'tried again'];

  test('a transient read gives the page or is tried again, when the slot is used anew and when the object moves', () => {
    checkOutcomes(model(real, reuser), ENDS);
    checkOutcomes(model({ ...real, entryLast: true }, reuser), ENDS);
    checkOutcomes(model(real, mover), ENDS);
  });

  test('broken: validated by the word, which comes back to the same value', () => {
    checkBroken(model({ ...real, validates: 'word' }, reuser), 'another page');
  });

  test('broken: the sequence is of the next use of the slot, when the entry is not looked at again', () => {
    checkBroken(model({ ...real, checksEntryAgain: false, allocBumps: false }, reuser), 'another page');
  });

  test('broken: the sequence moves while the word still leads to the old place', () => {
    checkBroken(model({ ...real, bumps: 'before the word' }, mover), 'another page');
    checkBroken(
      model({ ...real, bumps: 'before the word', allocBumps: false, entryLast: true }, reuser),
      'another page',
    );
  });

  test('broken: the sequence moves after the storage is used again', () => {
    checkBroken(model({ ...real, bumps: 'after reuse', allocBumps: false }, reuser), 'another page');
    checkBroken(model({ ...real, bumps: 'after reuse' }, mover), 'another page');
  });

  test('broken: a new use of a slot does not move the sequence, and the entry named the slot when it was freed', () => {
    checkBroken(model({ ...real, allocBumps: false, entryLast: true }, reuser), 'another page');
  });
}

/* A page in flight is read in its frame: openStorageFrame against rescue and the slot's next use for another frame. */
{
  const VERSIONS = 4; // of frames 4 and 5: word FRAME f names data at f + 2
  const DATA = 6;

  interface Variant {
    readonly checksSequence: boolean;
    readonly checksWordAgain: boolean;
    readonly allocBumps: boolean;
    /** endRescue: the slot is freed before the version moves. */
    readonly freesSlotFirst: boolean;
  }

  function* reader(variant: Variant, out: Results): Steps {
    if ((yield* load(ENTRY)) !== SLOT) return;
    const sequence = yield* load(SEQUENCE);
    if ((yield* load(ENTRY)) !== SLOT) return;
    const frame = yield* load(WORD);
    if (frame === 0) return;
    const version = yield* load(frame);
    if (variant.checksWordAgain && (yield* load(WORD)) !== frame) return;
    if (variant.checksSequence && (yield* load(SEQUENCE)) !== sequence) return;
    const value = yield* load(frame + 2);
    if ((yield* load(frame)) === version) out['value'] = value;
  }

  /** rescueLocked; then isolateLocked gives the slot to the page in the other frame. */
  function* rescuer(variant: Variant): Steps {
    yield* lock(LOCK);
    yield* add(VERSIONS, 1);
    yield* store(WORD, 0);
    yield* add(SEQUENCE, 1);
    yield* store(ENTRY, 1);
    yield* unlock(LOCK);
    yield* lock(LOCK);
    if (variant.allocBumps) yield* add(SEQUENCE, 1);
    yield* store(WORD, VERSIONS + 1);
    yield* add(VERSIONS + 1, 1);
    yield* unlock(LOCK);
  }

  /** cancelLocked: the page is discarded in flight, its frame is freed and used by another page. */
  function* canceller(variant: Variant): Steps {
    yield* lock(LOCK);
    yield* store(ENTRY, 0);
    if (!variant.freesSlotFirst) yield* add(VERSIONS, 1);
    yield* store(WORD, 0);
    yield* add(SEQUENCE, 1);
    if (variant.freesSlotFirst) yield* add(VERSIONS, 1);
    yield* unlock(LOCK);
    yield* store(DATA, OTHER);
  }

  /** publishObjectLocked: the frame is freed and used by another page. */
  function* publisher(): Steps {
    yield* lock(LOCK);
    yield* store(WORD, 0);
    yield* add(VERSIONS, 1);
    yield* store(DATA, OTHER);
    yield* unlock(LOCK);
  }

  const model = (variant: Variant, writer: (variant: Variant) => Steps): Model => ({
    memory: [0, SLOT, 0, VERSIONS, 0, 0, OLD, OTHER],
    actors: [(out) => reader(variant, out), () => writer(variant)],
    outcome: (_memory, out) =>
      out['value'] === undefined ? 'tried again' : out['value'] === OLD ? 'this page' : 'another page',
  });
  const real: Variant = { checksSequence: true, checksWordAgain: true, allocBumps: true, freesSlotFirst: true };

  test('a page in flight is read in its frame or tried again', () => {
    checkOutcomes(model(real, rescuer), ['this page', 'tried again']);
    checkOutcomes(model(real, publisher), ['this page', 'tried again']);
    checkOutcomes(model(real, canceller), ['this page', 'tried again']);
  });

  test('broken: without the sequence the slot may have become that of another page in flight', () => {
    checkBroken(model({ ...real, checksSequence: false }, rescuer), 'another page');
  });

  test('broken: the entry still named the slot when its sequence had moved for the last time', () => {
    checkBroken(model({ ...real, allocBumps: false }, rescuer), 'another page');
  });

  test('broken: the version moves while the slot still names the frame', () => {
    checkBroken(model({ ...real, freesSlotFirst: false }, canceller), 'another page');
  });

  test('broken: without the second look at the word the version may be that of the frame’s next use', () => {
    checkBroken(model({ ...real, checksWordAgain: false }, publisher), 'another page');
  });
}

/* Rows of two slots with a sequence word each: freeRowLocked with dropRowLocked, and a row set apart by beginLocked (swap/slot-row.ts). */
{
  const SLOTS = [0, 1];
  const ENTRIES = 1;
  const SEQUENCES = 3;
  const WORDS = 5;
  const PLACES = 7;

  interface Variant {
    /** freeRowLocked moves the sequence of each slot, or of the last alone. */
    readonly moves: 'each' | 'the last';
    /** dropRowLocked gives storage back when the sequences have moved, or slot by slot as the words change. */
    readonly givesBack: 'at the end' | 'with the word';
    /** beginLocked moves the sequence of each slot it sets apart. */
    readonly setsApart: 'each' | 'the first' | 'when it ends';
  }

  function* reader(i: number, out: Results): Steps {
    if ((yield* load(ENTRIES + i)) !== SLOT) return;
    const sequence = yield* load(SEQUENCES + i);
    if ((yield* load(ENTRIES + i)) !== SLOT) return;
    const word = yield* load(WORDS + i);
    if (word === 0) return;
    const value = yield* load(word);
    if ((yield* load(SEQUENCES + i)) === sequence) out['value'] = value;
  }

  /** unmapRowLocked; what was behind the slots belongs to others in the same hold. */
  function* discarder(variant: Variant): Steps {
    yield* lock(LOCK);
    for (const i of SLOTS) yield* store(ENTRIES + i, 0);
    for (const i of SLOTS) {
      yield* store(WORDS + i, 0);
      if (variant.givesBack === 'with the word') yield* store(PLACES + i, OTHER);
    }
    for (const i of SLOTS) if (variant.moves === 'each' || i === 1) yield* add(SEQUENCES + i, 1);
    for (const i of SLOTS) yield* store(PLACES + i, OTHER);
    yield* unlock(LOCK);
  }

  /** Both pages are mapped while their entries name the slots to the last; then allocInRowLocked hands the slots out for others. */
  function* taker(variant: Variant): Steps {
    yield* lock(LOCK);
    for (const i of SLOTS) {
      yield* store(WORDS + i, 0);
      yield* add(SEQUENCES + i, 1);
      yield* store(ENTRIES + i, 0);
    }
    yield* unlock(LOCK);
    yield* lock(LOCK);
    const early = variant.setsApart === 'each' ? SLOTS : variant.setsApart === 'the first' ? [0] : [];
    for (const i of early) yield* add(SEQUENCES + i, 1);
    for (const i of SLOTS) {
      yield* store(PLACES + i, OTHER);
      yield* store(WORDS + i, PLACES + i);
    }
    if (variant.setsApart === 'when it ends') for (const i of SLOTS) yield* add(SEQUENCES + i, 1);
    yield* unlock(LOCK);
  }

  const model = (variant: Variant, i: number, writer: (variant: Variant) => Steps): Model => ({
    memory: [0, SLOT, SLOT, 0, 0, PLACES, PLACES + 1, OLD, OLD],
    actors: [(out) => reader(i, out), () => writer(variant)],
    outcome: (_memory, out) =>
      out['value'] === undefined ? 'tried again' : out['value'] === OLD ? 'this page' : 'another page',
  });
  const real: Variant = { moves: 'each', givesBack: 'at the end', setsApart: 'each' };

  test('slots that go or come in a row: a reader of each has its page or tries again', () => {
    for (const i of SLOTS) {
      checkOutcomes(model(real, i, discarder), ['this page', 'tried again']);
      checkOutcomes(model(real, i, taker), ['this page', 'tried again']);
    }
  });

  test('broken: one sequence moves for a row, or storage goes before the sequences have moved', () => {
    checkBroken(model({ ...real, moves: 'the last' }, 0, discarder), 'another page');
    checkBroken(model({ ...real, givesBack: 'with the word' }, 0, discarder), 'another page');
  });

  test('broken: a row is set apart with the first sequence alone, or they move when its words are stored', () => {
    checkBroken(model({ ...real, setsApart: 'the first' }, 1, taker), 'another page');
    checkBroken(model({ ...real, setsApart: 'when it ends' }, 0, taker), 'another page');
  });
}
