/**
 * Sleep and wake-up of daemons: runOnEvents and Kcompressd.step against ringPushLocked and Node.wakeCompressors, which wakes as many threads as it needs;
 * Kswapd.step against wakeKswapd.
 */
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
/** Pages in the ring, each of them a batch; for kswapd, frames wanted. */
const RING = 4;
const DONE = 5;

interface Variant {
  /** runOnEvents: the event word is read before the work is looked for. */
  readonly seesFirst: boolean;
  /** Node.wakeCompressors: the event is counted before the sleepers are. */
  readonly countsFirst: boolean;
  /** Node.wakeCompressors counts as awake who may be asleep: all threads but one that sleeps. */
  readonly countsSleepers: boolean;
}

const REAL: Variant = { seesFirst: true, countsFirst: true, countsSleepers: true };

/** `threads` compress in all. */
function* wakeCompressors(variant: Variant, threads: number): Steps {
  const batches = yield* load(RING);
  if (variant.countsFirst) yield* add(EVENTS, 1);
  const sleepers = yield* load(SLEEPERS);
  if (!variant.countsFirst) yield* add(EVENTS, 1);
  const awake = variant.countsSleepers ? threads - sleepers : threads - 1;
  const wanted = Math.min(sleepers, batches - awake);
  if (wanted > 0) yield* notify(EVENTS, wanted);
}

/** sortBatch: pushes under the lock, then wakeKcompressd. */
function* pusher(variant: Variant, pushes: readonly number[], threads: number): Steps {
  for (const pages of pushes) {
    yield* lock(LOCK);
    yield* add(RING, pages);
    yield* unlock(LOCK);
    yield* wakeCompressors(variant, threads);
  }
}

/** Kcompressd.step: true when it did something. */
function* step(): Steps<boolean> {
  if ((yield* load(RING)) === 0) return false;
  yield* lock(LOCK);
  if ((yield* load(RING)) > 0) {
    yield* add(RING, -1);
    yield* add(DONE, 1);
  }
  yield* unlock(LOCK);
  return true;
}

/** runOnEvents, until all pages are done; who finds that they are wakes all, as WorkerPool.close does. A wait here has no timeout. */
function* daemon(variant: Variant, pages: number): Steps {
  while ((yield* load(DONE)) < pages) {
    let seen = variant.seesFirst ? yield* load(EVENTS) : 0;
    if (yield* step()) continue;
    if (!variant.seesFirst) seen = yield* load(EVENTS);
    if ((yield* load(DONE)) >= pages) break;
    yield* add(SLEEPERS, 1);
    yield* wait(EVENTS, seen);
    yield* add(SLEEPERS, -1);
  }
  yield* add(EVENTS, 1);
  yield* notify(EVENTS);
}

function model(variant: Variant, pushes: readonly number[], threads: number): Model {
  const pages = pushes.reduce((sum, count) => sum + count, 0);
  const daemons = Array.from({ length: threads }, () => () => daemon(variant, pages));
  return {
    memory: [0, 0, 0, 0, 0, 0],
    actors: [...daemons, () => pusher(variant, pushes, threads)],
    outcome: () => 'all done',
  };
}

test('no page waits in the ring of a sleeping thread', () => {
  checkOutcomes(model(REAL, [1], 1), ['all done']);
  checkOutcomes(model(REAL, [1, 1], 1), ['all done']);
});

test('nor with two threads, of which only those that are needed are woken', () => {
  checkOutcomes(model(REAL, [1], 2), ['all done']);
  checkOutcomes(model(REAL, [2], 2), ['all done']);
});

test('broken: the event word is read after the look for work', () => {
  checkBroken(model({ ...REAL, seesFirst: false }, [1], 1), DEADLOCK);
});

test('broken: the sleepers are counted before the event is', () => {
  checkBroken(model({ ...REAL, countsFirst: false }, [1], 1), DEADLOCK);
});

test('broken: threads that sleep count as awake', () => {
  checkBroken(model({ ...REAL, countsSleepers: false }, [1], 2), DEADLOCK);
});

/** Node.wakeDaemons. */
function* wakeDaemons(): Steps {
  yield* add(EVENTS, 1);
  if ((yield* load(SLEEPERS)) > 0) yield* notify(EVENTS);
}

/*
 * kswapd clears its wake word when the marks are met, without a second look: an allocation in that moment may find the word set and count no event.
 * The next allocation below the mark rings again, and the runner's timeout looks anyway, so sleeping too long is possible and harmless, as long as a
 * later allocation wakes it.
 */
const WANTED = RING;

function* allocator(allocations: number): Steps {
  for (let i = 0; i < allocations; i++) {
    yield* add(WANTED, 1);
    if ((yield* load(WAKE)) === 0 && (yield* exchange(WAKE, 1)) === 0) yield* wakeDaemons();
  }
  // One more after kswapd has gone to sleep or met the marks.
  yield* lock(LOCK);
  if ((yield* load(WAKE)) === 0 && (yield* exchange(WAKE, 1)) === 0) yield* wakeDaemons();
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
