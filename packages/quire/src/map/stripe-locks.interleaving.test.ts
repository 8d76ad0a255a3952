/** map/stripe-locks.ts: the sequence that readers validate with, the lock's sleep (futex mutex 2), and a growth lock whose holder died. */
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
const SEQUENCE = 1;
const FIRST = 2;
const SECOND = 3;
const WAITERS = -1000;

interface Variant {
  readonly opens: boolean;
  readonly closes: boolean;
  readonly readerChecksOdd: boolean;
  readonly readerValidates: boolean;
  readonly sleepsMarked: boolean;
}

const REAL: Variant = { opens: true, closes: true, readerChecksOdd: true, readerValidates: true, sleepsMarked: true };

/** lockStripe and wait; the sign bit is an offset here. */
function* lockStripe(me: number, variant: Variant): Steps {
  if ((yield* compareExchange(LOCK, 0, me)) === 0) return;
  for (;;) {
    const seen = yield* load(LOCK);
    if (seen === 0) {
      if ((yield* compareExchange(LOCK, 0, variant.sleepsMarked ? me + WAITERS : me)) === 0) return;
      continue;
    }
    const marked = seen < 0 ? seen : seen + WAITERS;
    if (seen < 0 || (yield* compareExchange(LOCK, seen, marked)) === seen) yield* wait(LOCK, marked);
  }
}

function* unlockStripe(): Steps {
  if ((yield* exchange(LOCK, 0)) < 0) yield* notify(LOCK, 1);
}

/** openStripe, two stores, closeStripe. */
function* writer(me: number, variant: Variant): Steps {
  yield* lockStripe(me, variant);
  if (variant.opens) yield* add(SEQUENCE, 1);
  yield* store(FIRST, me);
  yield* store(SECOND, me);
  if (variant.closes) yield* add(SEQUENCE, variant.opens ? 1 : 2);
  yield* unlockStripe();
}

/** MapRead.read, one attempt: sequence, reads, isUnchanged. */
function* reader(variant: Variant, out: Results): Steps {
  const start = yield* load(SEQUENCE);
  if (variant.readerChecksOdd && (start & 1) === 1) return;
  const first = yield* load(FIRST);
  const second = yield* load(SECOND);
  if (variant.readerValidates && (yield* load(SEQUENCE)) !== start) return;
  out['first'] = first;
  out['second'] = second;
}

function model(variant: Variant, writers: number): Model {
  return {
    memory: [0, 0, 0, 0],
    actors: [
      (out) => reader(variant, out),
      ...Array.from({ length: writers }, (_, index) => () => writer(index + 1, variant)),
    ],
    outcome: (memory, out) => {
      if (memory[LOCK] !== 0 || memory[FIRST] !== memory[SECOND]) return 'writers overlapped';
      if (out['first'] === undefined) return 'tried again';
      return out['first'] === out['second'] ? 'one state' : 'torn';
    },
  };
}

test('a reader sees one state of the stripe or tries again; writers do not overlap', () => {
  checkOutcomes(model(REAL, 1), ['one state', 'tried again']);
  checkOutcomes(model(REAL, 2), ['one state', 'tried again']);
});

test('three writers: none sleeps for ever', () => {
  const only: Model = {
    ...model(REAL, 3),
    actors: model(REAL, 3).actors.slice(1),
    outcome: (memory) => (memory[LOCK] === 0 ? 'free' : 'left locked'),
  };
  checkOutcomes(only, ['free']);
});

test('broken: no sequence before the change, or none after it', () => {
  checkBroken(model({ ...REAL, opens: false }, 1), 'torn');
  checkBroken(model({ ...REAL, closes: false, readerChecksOdd: false }, 2), 'torn');
});

test('broken: a reader that starts on an odd sequence, or does not look at it again', () => {
  checkBroken(model({ ...REAL, readerChecksOdd: false }, 1), 'torn');
  checkBroken(model({ ...REAL, readerValidates: false }, 1), 'torn');
});

test('broken: taken from sleep without the mark, the next sleeper is forgotten', () => {
  const variant = { ...REAL, sleepsMarked: false };
  checkBroken({ ...model(variant, 3), actors: model(variant, 3).actors.slice(1) }, DEADLOCK);
});

/* The holder of the growth lock is dead when all begins; an actor that tries again takes over, one that sleeps waits for the mark to be seen. */
{
  const DEAD = 9;
  const INSIDE = 1;
  const OVERLAP = 2;

  interface Takeover {
    /** Of the word that was found the holder's, and none else's, is replaced. */
    readonly compares: boolean;
    readonly keepsMark: boolean;
  }

  function* takeOver(me: number, { compares, keepsMark }: Takeover): Steps<boolean> {
    const seen = yield* load(LOCK);
    if (seen !== DEAD && seen !== DEAD + WAITERS) return false;
    const mine = seen < 0 && keepsMark ? me + WAITERS : me;
    if (compares) return (yield* compareExchange(LOCK, seen, mine)) === seen;
    yield* store(LOCK, mine);
    return true;
  }

  function* inside(): Steps {
    if ((yield* add(INSIDE, 1)) !== 0) yield* store(OVERLAP, 1);
    yield* add(INSIDE, -1);
    yield* unlockStripe();
  }

  /** tryLockGrowth, twice at the try that asks: the first may meet a sleeper that sets its mark. */
  function* trier(me: number, variant: Takeover): Steps {
    for (let turn = 0; turn < 2; turn++) {
      if ((yield* compareExchange(LOCK, 0, me)) !== 0 && !(yield* takeOver(me, variant))) continue;
      yield* inside();
      return;
    }
  }

  /** lockGrowth, asleep for less than it takes to ask. */
  function* waiter(me: number): Steps {
    yield* lockStripe(me, REAL);
    yield* inside();
  }

  const takeovers = (variant: Takeover, tries: number, waits: number): Model => ({
    memory: [DEAD, 0, 0, 0],
    actors: [
      ...Array.from({ length: tries }, (_, index) => () => trier(index + 1, variant)),
      ...Array.from({ length: waits }, (_, index) => () => waiter(tries + index + 1)),
    ],
    outcome: (memory) => (memory[OVERLAP] === 1 ? 'two holders' : memory[LOCK] === 0 ? 'free' : 'left locked'),
  });
  const real: Takeover = { compares: true, keepsMark: true };

  test('a lock of the dead is one living thread’s, and who slept on it is woken', () => {
    checkOutcomes(takeovers(real, 2, 1), ['free']);
    checkOutcomes(takeovers(real, 3, 0), ['free']);
    checkOutcomes(takeovers(real, 1, 2), ['free']);
  });

  test('broken: taken over without comparing, or without the mark of those who sleep', () => {
    checkBroken(takeovers({ ...real, compares: false }, 2, 0), 'two holders');
    checkBroken(takeovers({ ...real, keepsMark: false }, 1, 1), DEADLOCK);
  });
}
