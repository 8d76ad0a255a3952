/** Sleep and wake-up of daemons: runDaemons and Kcompressd.step against ringPushLocked and wakeKcompressd; Kswapd.step against wakeKswapd. */
import { test } from 'node:test';
import {
  add,
  DEADLOCK,
  exchange,
  load,
  lock,
  type Model,
  notify,
  type Steps,
  store,
  unlock,
  wait,
} from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const LOCK = 0;
const EVENTS = 1;
const SLEEPERS = 2;
const WAKE = 3;
/** Pages in the ring; for kswapd, frames wanted. */
const RING = 4;
const DONE = 5;

interface Variant {
  /** runDaemons: the event word is read before the work is looked for. */
  readonly seesFirst: boolean;
  /** Kcompressd.step: the wake word is cleared before the second look. */
  readonly clearsBeforeLook: boolean;
  /** Node.wakeDaemons: the event is counted before the sleepers are. */
  readonly countsFirst: boolean;
}

const REAL: Variant = { seesFirst: true, clearsBeforeLook: true, countsFirst: true };

function* wakeDaemons(variant: Variant): Steps {
  if (!variant.countsFirst) {
    const sleepers = yield* load(SLEEPERS);
    yield* add(EVENTS, 1);
    if (sleepers > 0) yield* notify(EVENTS);
    return;
  }
  yield* add(EVENTS, 1);
  if ((yield* load(SLEEPERS)) > 0) yield* notify(EVENTS);
}

/** sortBatch: pushes under the lock, then wakeKcompressd. */
function* pusher(variant: Variant, pages: number): Steps {
  for (let i = 0; i < pages; i++) {
    yield* lock(LOCK);
    yield* add(RING, 1);
    yield* unlock(LOCK);
    if ((yield* exchange(WAKE, 1)) === 0) yield* wakeDaemons(variant);
  }
}

/** Kcompressd.step: true when it did something. */
function* step(variant: Variant): Steps<boolean> {
  if ((yield* load(RING)) === 0) {
    if (variant.clearsBeforeLook) yield* store(WAKE, 0);
    if ((yield* load(RING)) === 0) {
      if (!variant.clearsBeforeLook) yield* store(WAKE, 0);
      return false;
    }
  }
  yield* lock(LOCK);
  const taken = yield* exchange(RING, 0);
  yield* unlock(LOCK);
  yield* add(DONE, taken);
  return true;
}

/** runDaemons, until all pages are done. A wait here has no timeout. */
function* daemon(variant: Variant, pages: number): Steps {
  while ((yield* load(DONE)) < pages) {
    let seen = variant.seesFirst ? yield* load(EVENTS) : 0;
    if (yield* step(variant)) continue;
    if (!variant.seesFirst) seen = yield* load(EVENTS);
    yield* add(SLEEPERS, 1);
    yield* wait(EVENTS, seen);
    yield* add(SLEEPERS, -1);
  }
}

function model(variant: Variant, pages: number): Model {
  return {
    memory: [0, 0, 0, 0, 0, 0],
    actors: [() => daemon(variant, pages), () => pusher(variant, pages)],
    outcome: () => 'all done',
  };
}

test('no page waits in the ring of a sleeping daemon', () => {
  checkOutcomes(model(REAL, 1), ['all done']);
  checkOutcomes(model(REAL, 2), ['all done']);
});

test('broken: the event word is read after the look for work', () => {
  checkBroken(model({ ...REAL, seesFirst: false }, 1), DEADLOCK);
});

test('broken: the wake word is cleared after the last look', () => {
  checkBroken(model({ ...REAL, clearsBeforeLook: false }, 2), DEADLOCK);
});

test('broken: the sleepers are counted before the event is', () => {
  checkBroken(model({ ...REAL, countsFirst: false }, 1), DEADLOCK);
});

/*
 * kswapd clears its wake word when the marks are met, without a second look: an allocation in that moment may find the word set and count no event.
 * The next allocation below the mark rings again, and the runner's timeout looks anyway, so sleeping too long is possible and harmless, as long as a
 * later allocation wakes it.
 */
const WANTED = RING;

function* allocator(allocations: number): Steps {
  for (let i = 0; i < allocations; i++) {
    yield* add(WANTED, 1);
    if ((yield* load(WAKE)) === 0 && (yield* exchange(WAKE, 1)) === 0) yield* wakeDaemons(REAL);
  }
  // One more after kswapd has gone to sleep or met the marks.
  yield* lock(LOCK);
  if ((yield* load(WAKE)) === 0 && (yield* exchange(WAKE, 1)) === 0) yield* wakeDaemons(REAL);
}

function* kswapd(rounds: number): Steps {
  for (let round = 0; round < rounds; round++) {
    const seen = yield* load(EVENTS);
    if ((yield* load(WAKE)) !== 0) {
      if ((yield* load(WANTED)) === 0) yield* store(WAKE, 0);
      else {
        yield* store(WANTED, 0);
        continue;
      }
    }
    yield* unlock(LOCK);
    yield* add(SLEEPERS, 1);
    yield* wait(EVENTS, seen);
    yield* add(SLEEPERS, -1);
  }
}

test('an allocation after kswapd went to sleep wakes it', () => {
  const rounds = 2;
  const kswapdModel: Model = {
    memory: [9, 0, 0, 1, 0, 0],
    actors: [() => kswapd(rounds), () => allocator(1)],
    outcome: () => 'woken',
  };
  checkOutcomes(kswapdModel, ['woken']);
});
