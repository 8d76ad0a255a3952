/** arena/node-lock.ts: acquire, acquireSlow, release, operation by operation. */
import { test } from 'node:test';
import {
  add,
  compareExchange,
  DEADLOCK,
  exchange,
  load,
  type Model,
  notify,
  type Results,
  type Steps,
  store,
  wait,
} from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const LOCK = 0;
const INSIDE = 1;
const CONTENDED = 0x100;

interface Variant {
  /** Of acquireSlow: taken as contended, because others may still sleep. */
  readonly takesContended: boolean;
  readonly notifies: boolean;
  readonly usesCompareExchange: boolean;
}

const REAL: Variant = { takesContended: true, notifies: true, usesCompareExchange: true };

function* acquire(me: number, variant: Variant): Steps {
  if (!variant.usesCompareExchange) {
    if ((yield* load(LOCK)) === 0) {
      yield* store(LOCK, me);
      return;
    }
  } else if ((yield* compareExchange(LOCK, 0, me)) === 0) return;
  // One spin stands for SPINS.
  if ((yield* load(LOCK)) === 0 && (yield* compareExchange(LOCK, 0, me)) === 0) return;
  for (;;) {
    const seen = yield* load(LOCK);
    if (seen === 0) {
      if ((yield* compareExchange(LOCK, 0, variant.takesContended ? me | CONTENDED : me)) === 0) return;
      continue;
    }
    const marked = seen | CONTENDED;
    if (seen !== marked && (yield* compareExchange(LOCK, seen, marked)) !== seen) continue;
    yield* wait(LOCK, marked);
  }
}

function* release(variant: Variant): Steps {
  const was = yield* exchange(LOCK, 0);
  if ((was & CONTENDED) !== 0 && variant.notifies) yield* notify(LOCK, 1);
}

function model(actors: number, variant: Variant): Model {
  const actor = (me: number) =>
    function* (out: Results): Steps {
      yield* acquire(me, variant);
      if ((yield* add(INSIDE, 1)) !== 0) out['overlap'] = 1;
      yield* add(INSIDE, -1);
      yield* release(variant);
    };
  return {
    memory: [0, 0],
    actors: Array.from({ length: actors }, (_, index) => actor(index + 1)),
    outcome: (memory, out) =>
      out['overlap'] === 1 ? 'two inside' : memory[LOCK] === 0 ? 'free at the end' : 'left locked',
  };
}

test('two and three threads: one at a time inside, nobody sleeps for ever', () => {
  checkOutcomes(model(2, REAL), ['free at the end']);
  checkOutcomes(model(3, REAL), ['free at the end']);
});

test('broken: taken from sleep as uncontended, the next sleeper is forgotten', () => {
  checkBroken(model(3, { ...REAL, takesContended: false }), DEADLOCK);
});

test('broken: a release that wakes nobody', () => {
  checkBroken(model(2, { ...REAL, notifies: false }), DEADLOCK);
});

test('broken: a load and a store in place of compare-exchange', () => {
  checkBroken(model(2, { ...REAL, usesCompareExchange: false }), 'two inside');
});
