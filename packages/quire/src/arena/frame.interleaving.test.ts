/**
 * The pin protocol of arena/frame.ts: RegionSpace.pinResident (tryPin, entry again, write, unpin) against isolateLocked and publish (freezeLocked, entry
 * changed, bytes taken, frame freed) and the next use of the frame (mapLocked).
 */
import { test } from 'node:test';
import {
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
const ENTRY = 1;
const PIN = 2;
const DATA = 3;
const OTHER_ENTRY = 4;
const FROZEN = -1000;
const PRESENT = 1;
const OLD = 10;
const NEW = 20;
const OTHER = 30;

interface Variant {
  readonly checksAgain: boolean;
  readonly freezesAtOnce: boolean;
  readonly thawsByAdd: boolean;
}

const REAL: Variant = { checksAgain: true, freezesAtOnce: true, thawsByAdd: true };

/** RegionSpace.pinResident and writeInPage; false: the fault path. */
function* write(variant: Variant): Steps<boolean> {
  if ((yield* load(ENTRY)) !== PRESENT) return false;
  if ((yield* add(PIN, 1)) < 0) {
    yield* add(PIN, -1);
    return false;
  }
  if (variant.checksAgain && (yield* load(ENTRY)) !== PRESENT) {
    yield* add(PIN, -1);
    return false;
  }
  yield* store(DATA, NEW);
  yield* add(PIN, -1);
  return true;
}

function* writer(variant: Variant, out: Results): Steps {
  out['wrote'] = (yield* write(variant)) ? 1 : 0;
}

function* freeze(variant: Variant): Steps<boolean> {
  if (variant.freezesAtOnce) return (yield* compareExchange(PIN, 0, FROZEN)) === 0;
  if ((yield* load(PIN)) !== 0) return false;
  yield* store(PIN, FROZEN);
  return true;
}

/** isolateLocked, publish and freeLocked; then another page gets the frame: mapLocked. */
function* reclaimer(variant: Variant, out: Results): Steps {
  yield* lock(LOCK);
  if (!(yield* freeze(variant))) {
    yield* unlock(LOCK);
    return;
  }
  yield* store(ENTRY, 0);
  out['saved'] = yield* load(DATA);
  yield* store(DATA, OTHER);
  if (variant.thawsByAdd) yield* add(PIN, -FROZEN);
  else yield* store(PIN, 0);
  yield* store(OTHER_ENTRY, PRESENT);
  yield* unlock(LOCK);
}

function model(variant: Variant, writers: number): Model {
  return {
    memory: [0, PRESENT, 0, OLD, 0],
    actors: [
      (out) => reclaimer(variant, out),
      ...Array.from({ length: writers }, () => (out: Results) => writer(variant, out)),
    ],
    outcome: (memory, out) => outcomeOf(memory, out, writers),
  };
}

function outcomeOf(memory: Int32Array, out: Results, writers: number): string {
  if (memory[PIN] !== 0) return 'a pin is lost';
  if (memory[OTHER_ENTRY] === PRESENT && memory[DATA] !== OTHER) return 'written into another page';
  if (writers > 1) return 'sound';
  if (out['wrote'] === 0) return 'goes the fault path';
  const content = memory[ENTRY] === PRESENT ? memory[DATA] : out['saved'];
  return content === NEW ? 'written' : 'write lost';
}

test('a write reaches the page or goes the fault path; never another page', () => {
  checkOutcomes(model(REAL, 1), ['written', 'goes the fault path']);
});

test('two writers and reclaim: pins add up, no frame is written after it left', () => {
  checkOutcomes(model(REAL, 2), ['sound']);
});

test('broken: the entry is not looked at again once the pin holds', () => {
  checkBroken(model({ ...REAL, checksAgain: false }, 1), 'written into another page');
});

test('broken: freezing in two steps', () => {
  checkBroken(model({ ...REAL, freezesAtOnce: false }, 1), 'a pin is lost');
});

test('broken: a thaw that stores, over a pin that is about to be undone', () => {
  checkBroken(model({ ...REAL, thawsByAdd: false }, 1), 'a pin is lost');
});
