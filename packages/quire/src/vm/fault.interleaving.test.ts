/** vm/fault.ts: fillFresh, which works outside the lock, against a discard that frees the leaf, and the leaf's next use by another region. */
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
const DIRECTORY = 1;
const GENERATION = 2;
/** The entry, in the leaf: of whoever owns the leaf. */
const ENTRY = 3;
const OWNER = 4;
const NONE = 0;
const FRAME = 9;
const ME = 1;
const OTHER = 2;

interface Variant {
  readonly checksGeneration: boolean;
  readonly checksEntry: boolean;
}

/** faultWrite until fillFresh: true when the frame was mapped. */
function* fault(variant: Variant, out: Results): Steps {
  yield* lock(LOCK);
  if ((yield* load(DIRECTORY)) === 0) {
    yield* store(DIRECTORY, 1);
    yield* store(OWNER, ME);
    yield* store(ENTRY, NONE);
  }
  const before = yield* load(ENTRY);
  const generation = yield* load(GENERATION);
  yield* unlock(LOCK);
  if (before !== NONE) return;
  yield* lock(LOCK);
  const isSame =
    (!variant.checksGeneration || (yield* load(GENERATION)) === generation) &&
    (!variant.checksEntry || (yield* load(ENTRY)) === before);
  if (isSame) {
    out['overwrote'] = (yield* load(ENTRY)) === NONE ? 0 : 1;
    out['owner'] = yield* load(OWNER);
    yield* store(ENTRY, FRAME);
  }
  yield* unlock(LOCK);
}

/** discardInChunk frees the leaf; ensureLeafLocked of another region gets it, empty. */
function* discarder(): Steps {
  yield* lock(LOCK);
  if ((yield* load(ENTRY)) === NONE) {
    yield* store(DIRECTORY, 0);
    yield* add(GENERATION, 1);
    yield* store(OWNER, OTHER);
  }
  yield* unlock(LOCK);
}

function model(variant: Variant, faults: number, discards: boolean): Model {
  return {
    memory: [0, 1, 0, NONE, ME],
    actors: [
      ...Array.from({ length: faults }, (_, index) => (out: Results) => faultOf(variant, out, index)),
      ...(discards ? [discarder] : []),
    ],
    outcome: (_memory, out) => {
      for (let index = 0; index < faults; index++) {
        if (out[`owner${index}`] === OTHER) return 'mapped into another region';
        if (out[`overwrote${index}`] === 1) return 'a page replaced unseen';
      }
      return 'sound';
    },
  };
}

function* faultOf(variant: Variant, out: Results, index: number): Steps {
  const own: Results = {};
  yield* fault(variant, own);
  for (const [name, value] of Object.entries(own)) out[`${name}${index}`] = value;
}

test('a page is mapped where it was looked up, and by one fault only', () => {
  checkOutcomes(model({ checksGeneration: true, checksEntry: true }, 1, true), ['sound']);
  checkOutcomes(model({ checksGeneration: true, checksEntry: true }, 2, true), ['sound']);
});

test('broken: the generation is not looked at: an empty entry is like any other', () => {
  checkBroken(model({ checksGeneration: false, checksEntry: true }, 1, true), 'mapped into another region');
});

test('broken: the entry is not looked at again', () => {
  checkBroken(model({ checksGeneration: true, checksEntry: false }, 2, false), 'a page replaced unseen');
});
