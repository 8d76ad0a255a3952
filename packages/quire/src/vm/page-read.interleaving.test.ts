/**
 * The kernel `readPage` (assembly/read-page.ts) and its caller `RegionSpace.readAtOnce`, load by load, against everything that takes a page or its storage
 * away. vm/page-read-order.test.ts holds the loads of the model against those that the kernel makes.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  add,
  explore,
  load,
  lock,
  type Model,
  type Results,
  type Steps,
  store,
  unlock,
} from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';
import * as M from './testing/page-read-model.ts';

/** What is read: contents of the page are numbered in the order in which it had them; `OTHER` is what other pages hold. */
const OLD = 10;
const NEW = 20;
const OTHER = 50;
const LOCK = 0;
/** Oldest content a read that begins now may find, and newest. Each change of the page moves NEWEST before and OLDEST after. */
const OLDEST = M.PLACES_END;
const NEWEST = M.PLACES_END + 1;
const WORDS = M.PLACES_END + 2;

function* reader(variant: M.Variant, out: Results): Steps {
  const oldest = yield* load(OLDEST);
  const read = yield* M.readAtOnce(variant);
  if (read === undefined) return;
  const newest = yield* load(NEWEST);
  out['read'] = read.every((part) => part === OTHER)
    ? 3
    : read.some((part) => part === OTHER || part === 0)
      ? 2
      : read.every((part) => part >= oldest && part <= newest)
        ? 1
        : 4;
}

const OUTCOMES = ['left to openRead', 'this page', 'bytes of another page', 'another page', 'this page as it was'];

/* What others do. All of it under the lock; where a page's old place is used again, by any page. */

function* use(frame: number): Steps {
  yield* store(M.bytesOf(frame), OTHER);
  yield* store(M.bytesOf(frame) + 1, OTHER);
}

/** Page in frame 0: unmapLocked, compressed, publishObjectLocked at place 0; its frame is another's then. */
function* evict(): Steps {
  yield* lock(LOCK);
  yield* add(M.SEQUENCE, 1);
  yield* store(M.WORD, M.wordOfFrame(0));
  yield* store(M.ENTRY, M.SWAPPED);
  yield* add(M.VERSIONS, 1);
  yield* unlock(LOCK);
  yield* lock(LOCK);
  yield* writeObject(0, OLD);
  yield* store(M.WORD, M.wordOfObject(0));
  yield* add(M.VERSIONS, 1);
  yield* unlock(LOCK);
  yield* use(0);
}

function* writeObject(place: number, content: number): Steps {
  yield* store(M.headerOf(place), M.STRADDLES);
  yield* store(M.firstOf(place), content);
  yield* store(M.nextOf(place), M.tailAt(place));
  yield* store(M.tailAt(place), content);
}

/** moveRegionLocked: the page goes to frame 1, and frame 0 is another's. */
function* moveFrame(): Steps {
  yield* lock(LOCK);
  yield* store(M.bytesOf(1), yield* load(M.bytesOf(0)));
  yield* store(M.bytesOf(1) + 1, yield* load(M.bytesOf(0) + 1));
  yield* store(M.ENTRY, M.entryOf(1));
  yield* add(M.VERSIONS, 1);
  yield* unlock(LOCK);
  yield* use(0);
}

/** unmapPresentLocked; another page has the frame; then this one is written again, in frame 1. */
function* discardResident(): Steps {
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* store(M.ENTRY, 0);
  yield* add(M.VERSIONS, 1);
  yield* unlock(LOCK);
  yield* use(0);
  yield* store(M.bytesOf(1), NEW);
  yield* store(M.bytesOf(1) + 1, NEW);
  yield* store(M.ENTRY, M.entryOf(1));
  yield* store(OLDEST, NEW);
}

/** detachLeafLocked or freeLeafLocked: the leaf becomes another region's, whose entry there names frame 1. */
function* freeLeaf(): Steps {
  yield* store(M.GENERATION, 1);
  yield* store(M.ENTRY, M.entryOf(1));
}

/** fillFresh of a page at place 0: slot and object go, the page is in frame 0. Then another page is stored where it was, in its slot. */
function* rewrite(variant: WriterVariant): Steps {
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* freeSlot(variant);
  yield* store(M.headerOf(0), M.FREE);
  yield* store(M.ENTRY, M.entryOf(0));
  yield* store(OLDEST, NEW);
  yield* unlock(LOCK);
  yield* storeInSlot(variant, OTHER);
}

function* freeSlot(variant: WriterVariant): Steps {
  yield* store(M.WORD, 0);
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
}

/** allocSlotLocked and publishObjectLocked. */
function* storeInSlot(variant: WriterVariant, content: number): Steps {
  yield* lock(LOCK);
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* writeObject(0, content);
  yield* store(M.WORD, M.wordOfObject(0));
  yield* unlock(LOCK);
}

/** unmapSwappedLocked; then the page is written anew and goes out to the slot and the place that it had. */
function* discardAndRewrite(variant: WriterVariant): Steps {
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* store(M.ENTRY, 0);
  yield* freeSlot(variant);
  yield* store(M.headerOf(0), M.FREE);
  yield* unlock(LOCK);
  yield* storeInSlot(variant, NEW);
  yield* store(M.ENTRY, M.SWAPPED);
  yield* store(OLDEST, NEW);
}

/** The last slot of its cluster is discarded: the table's memory is anything's, here with a word that names another page's object. */
function* freeTable(variant: WriterVariant): Steps {
  yield* store(NEWEST, NEW);
  yield* lock(LOCK);
  yield* store(M.ENTRY, 0);
  yield* freeSlot(variant);
  yield* store(M.TABLE, 0);
  yield* unlock(LOCK);
  yield* writeObject(1, OTHER);
  yield* store(M.WORD, M.wordOfObject(1));
  yield* store(OLDEST, NEW);
}

/** moveObjectLocked of the pool's compactor: the page's object goes to place 1, and place 0 is another's. */
function* moveObject(variant: WriterVariant): Steps {
  yield* lock(LOCK);
  yield* writeObject(1, OLD);
  yield* store(M.WORD, M.wordOfObject(1));
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* unlock(LOCK);
  yield* writeObject(0, OTHER);
}

/** moveZsFrameLocked of the frame that the object's second part lies in: the word stays, the chain changes. */
function* moveTail(variant: WriterVariant): Steps {
  yield* lock(LOCK);
  yield* store(M.tailAt(1), yield* load(M.tailAt(0)));
  yield* store(M.nextOf(0), M.tailAt(1));
  if (variant.movesSequence) yield* add(M.SEQUENCE, 1);
  yield* unlock(LOCK);
  yield* store(M.tailAt(0), OTHER);
}

interface WriterVariant {
  readonly movesSequence: boolean;
}

const SOUND: WriterVariant = { movesSequence: true };

function model(isResident: boolean, variant: M.Variant, ...writers: (() => Steps)[]): Model {
  const memory = Array.from({ length: WORDS }, () => 0);
  memory[OLDEST] = OLD;
  memory[NEWEST] = OLD;
  M.fillMemory(memory, isResident, OLD);
  // A stored page that is written anew is so in frame 0; frame 1 is another page's until it is taken.
  if (!isResident) memory.fill(NEW, M.bytesOf(0), M.bytesOf(1));
  memory.fill(OTHER, M.bytesOf(1), M.bytesOf(2));
  return {
    memory,
    actors: [(out) => reader(variant, out), ...writers],
    outcome: (_memory, out) => OUTCOMES[out['read'] ?? 0],
  };
}

const RESIDENT = [evict, moveFrame, discardResident, freeLeaf];
/** After each of these another page's bytes lie where the page's were. */
const TAKING = [rewrite, freeTable, moveObject, moveTail];
const STORED = [...TAKING, discardAndRewrite];
const ENDS = ['left to openRead', 'this page'];

function checkUnsound(broken: Model): void {
  const found = [...explore(broken).outcomes.keys()];
  assert.ok(
    found.some((name) => !ENDS.includes(name)),
    found.join(),
  );
}

describe('readPage in all schedules', () => {
  it('gives this page or nothing while a page leaves its frame', () => {
    for (const writer of RESIDENT) checkOutcomes(model(true, M.REAL, writer), ENDS);
    checkOutcomes(model(true, M.REAL, evict, freeLeaf), ENDS);
  });

  it('gives this page or nothing while its slot or its object is taken away', () => {
    for (const writer of STORED)
      checkOutcomes(
        model(false, M.REAL, () => writer(SOUND)),
        ENDS,
      );
  });

  it('gives this page or nothing when it goes out twice: to a slot, and on to another place', () => {
    const both = function* (): Steps {
      yield* evict();
      yield* moveObject(SOUND);
    };
    checkOutcomes(model(true, M.REAL, both), ENDS);
  });

  it('broken: nothing is looked at after the bytes', () => {
    const variant: M.Variant = { ...M.REAL, closing: 'none' };
    for (const writer of [evict, moveFrame, discardResident]) checkBroken(model(true, variant, writer), 'another page');
    for (const writer of TAKING) checkUnsound(model(false, variant, () => writer(SOUND)));
  });

  it('broken: looked at before the bytes are copied', () => {
    const variant: M.Variant = { ...M.REAL, closing: 'early' };
    checkBroken(model(true, variant, moveFrame), 'another page');
    checkBroken(
      model(false, variant, () => rewrite(SOUND)),
      'another page',
    );
  });

  it("broken: the slot's word is looked at for its sequence", () => {
    const variant: M.Variant = { ...M.REAL, closing: 'word' };
    checkBroken(
      model(false, variant, () => rewrite(SOUND)),
      'another page',
    );
    checkBroken(
      model(false, variant, () => moveTail(SOUND)),
      'bytes of another page',
    );
  });

  it('broken: the entry is not looked at again', () => {
    const variant: M.Variant = { ...M.REAL, looksAgain: false };
    checkBroken(model(true, variant, moveFrame), 'another page');
    checkBroken(
      model(false, variant, () => rewrite(SOUND)),
      'another page',
    );
  });

  it('broken: the generation is not looked at: the leaf is of another region', () => {
    checkBroken(model(true, { ...M.REAL, looksAtGeneration: false }, freeLeaf), 'another page');
  });

  it('broken: who takes storage away does not move the sequence', () => {
    for (const writer of TAKING) checkUnsound(model(false, M.REAL, () => writer({ movesSequence: false })));
  });
});
