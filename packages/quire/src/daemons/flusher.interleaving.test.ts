/** Sleep and wake-up of the flusher: runFlusher and Flusher.step against wakeFlusher (swap/reclaimer.ts) and WorkerPool.close. */
import { test } from 'node:test';
import {
  DEADLOCK,
  exchange,
  load,
  type Model,
  notify,
  type Steps,
  store,
  wait,
} from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const WAKE = 0;
const WORK = 1;
const STOP = 2;

interface Variant {
  /** Flusher.step: the word is cleared before the look for work. */
  readonly clearsFirst: boolean;
  /** runFlusher: STOP is looked at again after the step. */
  readonly looksAgain: boolean;
  /** wakeFlusher: the work is made visible before the word is set. */
  readonly worksFirst: boolean;
}

const REAL: Variant = { clearsFirst: true, looksAgain: true, worksFirst: true };

function* wakeFlusher(): Steps {
  if ((yield* load(WAKE)) !== 0) return;
  if ((yield* exchange(WAKE, 1)) === 0) yield* notify(WAKE);
}

/** A writer, or sync, `times` over; then the pool closes, when all is done. */
function* waker(variant: Variant, times: number): Steps {
  for (let i = 0; i < times; i++) {
    if (variant.worksFirst) yield* exchange(WORK, 1);
    yield* wakeFlusher();
    if (!variant.worksFirst) yield* exchange(WORK, 1);
  }
  yield { isReady: (memory) => memory[WORK] === 0, run: () => 0, text: 'wait for the work' };
  yield* store(STOP, 1);
  yield* store(WAKE, 1);
  yield* notify(WAKE);
}

function* step(variant: Variant): Steps<boolean> {
  if (variant.clearsFirst) yield* store(WAKE, 0);
  const work = yield* exchange(WORK, 0);
  if (!variant.clearsFirst) yield* store(WAKE, 0);
  return work !== 0;
}

function* flusher(variant: Variant): Steps {
  while ((yield* load(STOP)) === 0) {
    if (yield* step(variant)) continue;
    if (!variant.looksAgain || (yield* load(STOP)) === 0) yield* wait(WAKE, 0);
  }
}

function model(variant: Variant, times: number): Model {
  return {
    memory: [0, 0, 0],
    actors: [() => flusher(variant), () => waker(variant, times)],
    outcome: () => 'all done',
  };
}

test('no work waits for a sleeping flusher, and it hears that it is to stop', () => {
  checkOutcomes(model(REAL, 1), ['all done']);
  checkOutcomes(model(REAL, 2), ['all done']);
});

test('broken: the word is cleared after the look', () => {
  checkBroken(model({ ...REAL, clearsFirst: false }, 2), DEADLOCK);
});

test('broken: the word is set before the work is there', () => {
  checkBroken(model({ ...REAL, worksFirst: false }, 1), DEADLOCK);
});

test('broken: STOP is not looked at after a step that may have cleared its wake-up', () => {
  checkBroken(model({ ...REAL, looksAgain: false }, 1), DEADLOCK);
});
