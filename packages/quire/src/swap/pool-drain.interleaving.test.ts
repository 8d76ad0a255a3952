/**
 * swap/pool-drain.ts: the pool is emptied beside a promotion that stores an object in it, and beside a daemon that still works at
 * a drain that was called off.
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
const STATE = 1;
/** H_POOL_DRAIN: 10 · serial + outcome. */
const DRAIN = 2;
/** Objects in the pool. */
const POOL = 3;
/** The second drain has begun. */
const IS_SECOND = 4;
const OFF = 0;
const ON = 1;
const DRAINING = 2;
const NEW = 4;
const DONE = 3;
const FIRST = 10;
const SECOND = 20;

interface Variant {
  /** storeInPoolLocked's callers look at the state under the lock. */
  readonly looksUnderLock: boolean;
  /** startPoolDrain takes the lock between state and DRAIN. */
  readonly passesLock: boolean;
  readonly reports: 'to its serial' | 'to whatever is NEW' | 'always';
}
const REAL: Variant = { looksUnderLock: true, passesLock: true, reports: 'to its serial' };

/** Waits until the word is as wanted, in one step. */
function* until(at: number, isWanted: (value: number) => boolean): Steps<number> {
  return yield { isReady: (memory) => isWanted(memory[at]), run: (memory) => memory[at], text: `until ${at}` };
}

/** promoteObject. */
function* promoter(variant: Variant): Steps {
  const early = yield* load(STATE);
  if (early !== ON) return;
  yield* lock(LOCK);
  const state = variant.looksUnderLock ? yield* load(STATE) : early;
  if (state === ON) yield* add(POOL, 1);
  yield* unlock(LOCK);
}

function* start(variant: Variant, serial: number): Steps {
  yield* store(STATE, DRAINING);
  if (variant.passesLock) {
    yield* lock(LOCK);
    yield* unlock(LOCK);
  }
  yield* store(DRAIN, serial + NEW);
}

function isDone(drain: number): boolean {
  return drain % 10 === DONE;
}

function* owner(variant: Variant, out: Results): Steps {
  yield* start(variant, FIRST);
  yield* until(DRAIN, isDone);
  yield* store(STATE, OFF);
  out['left'] = yield* load(POOL);
}

/** The first drain is called off at once; while the tier is on, an object comes into the pool. */
function* hesitantOwner(variant: Variant, out: Results): Steps {
  yield* start(variant, FIRST);
  yield* store(STATE, ON);
  yield* add(POOL, 1);
  yield* start(variant, variant.reports === 'to whatever is NEW' ? FIRST : SECOND);
  yield* store(IS_SECOND, 1);
  yield* until(DRAIN, isDone);
  out['left'] = yield* load(POOL);
}

/** PoolDrainer.step, once a drain has begun; nothing when the second is done. */
function* daemon(variant: Variant): Steps {
  const before = yield* until(DRAIN, (drain) => drain % 10 === NEW || drain === SECOND + DONE);
  if (isDone(before)) return;
  // reclaimer.demote: without the lock when it finds nothing.
  if ((yield* load(POOL)) > 0) {
    yield* lock(LOCK);
    yield* store(POOL, 0);
    yield* unlock(LOCK);
  }
  const serial = before - NEW;
  if (variant.reports === 'always') yield* store(DRAIN, serial + DONE);
  else yield* compareExchange(DRAIN, before, serial + DONE);
}

function besidePromoter(variant: Variant): Model {
  return {
    memory: [0, ON, FIRST + DONE, 0, 0],
    actors: [(out) => owner(variant, out), () => daemon(variant), () => promoter(variant)],
    outcome: (_memory, out) => (out['left'] === 0 ? 'empty' : 'an object came after the drain had looked'),
  };
}

function besideCalledOff(variant: Variant): Model {
  return {
    memory: [0, ON, DONE, 0, 0],
    actors: [(out) => hesitantOwner(variant, out), () => daemon(variant), () => lateDaemon(variant)],
    outcome: (_memory, out) => (out['left'] === 0 ? 'empty' : 'told to be empty by the drain before'),
  };
}

/** The daemon's next step, which finds the second drain. */
function* lateDaemon(variant: Variant): Steps {
  yield* until(IS_SECOND, (isSet) => isSet === 1);
  yield* daemon(variant);
}

test('what a promotion stores is there before the drain looks, or not stored', () => {
  checkOutcomes(besidePromoter(REAL), ['empty']);
});

test('broken: the drain begins while a promotion that saw ON has the lock', () => {
  checkBroken(besidePromoter({ ...REAL, passesLock: false }), 'an object came after the drain had looked');
});

test('broken: the promotion looked at the state before it had the lock', () => {
  checkBroken(besidePromoter({ ...REAL, looksUnderLock: false }), 'an object came after the drain had looked');
});

test('the report of a drain that was called off is none of the next', () => {
  checkOutcomes(besideCalledOff(REAL), ['empty']);
});

test('broken: a late daemon reports all the same', () => {
  checkBroken(besideCalledOff({ ...REAL, reports: 'always' }), 'told to be empty by the drain before');
});

test('broken: both drains begin with the same word', () => {
  checkBroken(besideCalledOff({ ...REAL, reports: 'to whatever is NEW' }), 'told to be empty by the drain before');
});
