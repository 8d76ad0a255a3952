/** swap/drainer.ts: a device is drained and removed beside a reader that decodes from it, and beside a demoter that writes to it. */
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
/** H_DEMOTE_BUSY. */
const BUSY = 1;
const SEQUENCE = 2;
/** Word of a slot that begins on the device; its value is the place. */
const WORD = 3;
/** Word of another, that begins in the pool. */
const OTHER = 4;
const STATE = 5;
const LIVE = 6;
const BATCH = 7;
/** Places: two on the device, two elsewhere. */
const HERE = 8;
const HERE_TOO = 9;
const ELSEWHERE = 10;
const POOL = 11;
const ON = 1;
const DRAINING = 2;
const FIRST = 50;
const SECOND = 60;
/** What later users of the device's numbers put there. */
const FOREIGN = 99;

interface Variant {
  /** Batches in flight to the device count when it is asked whether it is empty. */
  readonly seesBatches: boolean;
  /** The state is asked for under the lock that the batch is noted under. */
  readonly asksUnderLock: boolean;
  readonly attachesFirst: boolean;
}

const REAL: Variant = { seesBatches: true, asksUnderLock: true, attachesFirst: true };

/** startDrain, Drainer.step (none on a device that was empty from the start), isDrained, removeDevice. */
function* owner(variant: Variant, out: Results): Steps {
  yield* store(STATE, DRAINING);
  if ((yield* load(LIVE)) > 0) yield* drainStep(variant);
  yield* lock(LOCK);
  const isEmpty = (yield* load(LIVE)) === 0 && (!variant.seesBatches || (yield* load(BATCH)) === 0);
  yield* unlock(LOCK);
  if (!isEmpty) return;
  out['removed'] = 1;
  yield* store(HERE, FOREIGN);
  yield* store(HERE_TOO, FOREIGN);
}

function* drainStep(variant: Variant): Steps {
  yield* lock(BUSY);
  if ((yield* load(WORD)) === HERE) {
    const bytes = yield* load(HERE);
    yield* store(ELSEWHERE, bytes);
    yield* lock(LOCK);
    if ((yield* load(WORD)) === HERE) {
      if (variant.attachesFirst) yield* store(WORD, ELSEWHERE);
      yield* add(SEQUENCE, 1);
      if (!variant.attachesFirst) yield* store(WORD, ELSEWHERE);
      yield* add(LIVE, -1);
    }
    yield* unlock(LOCK);
  }
  yield* unlock(BUSY);
}

/** demote, writeBatch: to the device, if it is on. The node's only demoter. */
function* demoter(variant: Variant): Steps {
  yield* lock(BUSY);
  const bytes = yield* load(POOL);
  const early = yield* load(STATE);
  yield* lock(LOCK);
  const state = variant.asksUnderLock ? yield* load(STATE) : early;
  if (state === ON) yield* store(BATCH, HERE_TOO);
  yield* unlock(LOCK);
  if (state === ON) {
    yield* store(HERE_TOO, bytes);
    yield* lock(LOCK);
    yield* store(OTHER, HERE_TOO);
    yield* add(LIVE, 1);
    yield* store(BATCH, 0);
    yield* unlock(LOCK);
  }
  yield* unlock(BUSY);
}

/** A transient read, or the decoding part of a fault. */
function* reader(out: Results): Steps {
  const sequence = yield* load(SEQUENCE);
  const place = yield* load(WORD);
  const value = yield* load(place);
  if ((yield* load(SEQUENCE)) === sequence && value !== FIRST) out['wrong'] = 1;
}

function model(variant: Variant, beside: 'reader' | 'demoter' | 'both', isEmpty = false): Model {
  return {
    memory: isEmpty
      ? [0, 0, 0, ELSEWHERE, POOL, ON, 0, 0, 0, 0, FIRST, SECOND]
      : [0, 0, 0, HERE, POOL, ON, 1, 0, FIRST, 0, 0, SECOND],
    actors: [
      (out) => owner(variant, out),
      ...(beside === 'reader' ? [] : [() => demoter(variant)]),
      ...(beside === 'demoter' ? [] : [(out: Results) => reader(out)]),
    ],
    outcome: (memory, out) => {
      if (out['wrong'] === 1) return 'another page is read';
      if (memory[memory[WORD]] !== FIRST || memory[memory[OTHER]] !== SECOND) return 'a page is lost';
      return out['removed'] === 1 ? 'removed' : 'not empty yet';
    },
  };
}

test('a reader that decodes from the device sees the page, or sees that it must look again', () => {
  checkOutcomes(model(REAL, 'reader'), ['removed']);
});

test('a batch on its way to the device holds its removal up', () => {
  checkOutcomes(model(REAL, 'demoter'), ['removed', 'not empty yet']);
  checkOutcomes(model(REAL, 'demoter', true), ['removed', 'not empty yet']);
});

test('both', () => {
  checkOutcomes(model(REAL, 'both'), ['removed', 'not empty yet']);
});

test('broken: the sequence moves before the slot leads elsewhere', () => {
  checkBroken(model({ ...REAL, attachesFirst: false }, 'reader'), 'another page is read');
});

test('broken: a batch in flight is not seen, or begins on a state that was asked for too early', () => {
  checkBroken(model({ ...REAL, seesBatches: false }, 'demoter', true), 'a page is lost');
  checkBroken(model({ ...REAL, asksUnderLock: false }, 'demoter', true), 'a page is lost');
});
