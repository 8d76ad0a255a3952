/**
 * daemons/reaper.ts in all schedules: the claim of a dead thread's slot (vm/thread-slot.ts), beside another burier and a new
 * thread to which the system gives the dead one's number; and the notes of pins (arena/pin-note.ts), with death at every step.
 */
import { test } from 'node:test';
import {
  add,
  compareExchange,
  load,
  type Model,
  type Results,
  type Steps,
  store,
} from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

/* The slot. Its dead thread has task 7 and began at 1; the new one has task 7 too, and begins at 2. */
const OWNER = 0;
const TASK = 1;
const START = 2;
/** What the system says: when the thread with number 7 began, 0: there is none. */
const SYSTEM = 3;

interface Claim {
  /** By compare-exchange. */
  readonly exchanges: boolean;
  /** Looks once more whether it is dead. */
  readonly looksAgain: boolean;
  /** A slot that is left says first that no task is in it. */
  readonly forgetsTaskFirst: boolean;
}

const REAL: Claim = { exchanges: true, looksAgain: true, forgetsTaskFirst: true };

/** `claimBurial`, and the end of the burial, `leaveSlot`. */
function* burier(claim: Claim, out: Results): Steps {
  const task = yield* load(TASK);
  if (task <= 0) return;
  if ((yield* load(SYSTEM)) === (yield* load(START))) return;
  if (claim.exchanges) {
    if ((yield* compareExchange(TASK, task, -task)) !== task) return;
  } else yield* store(TASK, -task);
  const start = yield* load(START);
  if (claim.looksAgain && (yield* load(SYSTEM)) === start) {
    yield* compareExchange(TASK, -task, task);
    return;
  }
  out[start === 2 ? 'the living' : 'the dead'] = (out[start === 2 ? 'the living' : 'the dead'] ?? 0) + 1;
  if (claim.forgetsTaskFirst) yield* store(TASK, 0);
  yield* store(OWNER, 0);
  if (!claim.forgetsTaskFirst) yield* store(TASK, 0);
}

/** A thread begins, and `takeSlot`. */
function* newcomer(out: Results): Steps {
  yield* store(SYSTEM, 2);
  if ((yield* compareExchange(OWNER, 0, 1)) !== 0) return;
  yield* store(START, 2);
  yield* store(TASK, 7);
  out['attached'] = 1;
}

function claimModel(claim: Claim): Model {
  return {
    memory: [1, 7, 1, 0],
    actors: [(out) => burier(claim, out), (out) => burier(claim, out), newcomer],
    outcome: (memory, out) => {
      if ((out['the living'] ?? 0) > 0) return 'a living thread is buried';
      if ((out['the dead'] ?? 0) > 1) return 'buried twice';
      if (out['attached'] === 1) return memory[TASK] === 7 ? 'buried, and taken anew' : 'a thread without its task';
      return 'buried';
    },
  };
}

test('one buries, and never a living thread', () => {
  checkOutcomes(claimModel(REAL), ['buried', 'buried, and taken anew']);
});

test('broken: the claim is a plain store', () => {
  checkBroken(claimModel({ ...REAL, exchanges: false }), 'buried twice');
});

test('broken: no second look after the claim', () => {
  checkBroken(claimModel({ ...REAL, looksAgain: false }), 'a living thread is buried');
});

test('broken: the slot is free before its task is forgotten', () => {
  checkBroken(claimModel({ ...REAL, forgetsTaskFirst: false }), 'a thread without its task');
});

/* One frame, pinned by a living thread all the time. */
const PINS = 0;
const NOTE = 1;
const KILLED = 2;
const ENDED = 3;

/** Runs the steps until it is killed, between any two of them. */
function* mortal(steps: readonly (() => Steps<unknown>)[]): Steps {
  for (const step of steps) {
    if ((yield* load(KILLED)) === 1) break;
    yield* step();
  }
  yield* store(ENDED, 1);
}

function* undertaker(): Steps {
  yield* store(KILLED, 1);
  if ((yield* load(ENDED)) === 0) return;
  const note = yield* load(NOTE);
  yield* store(NOTE, 0);
  if (note !== 0) yield* add(PINS, -1);
}

function pinModel(notesAfter: boolean): Model {
  const pin = (): Steps<unknown> => add(PINS, 1);
  const note = (): Steps<unknown> => store(NOTE, 1);
  const forget = (): Steps<unknown> => store(NOTE, 0);
  const unpin = (): Steps<unknown> => add(PINS, -1);
  return {
    memory: [1, 0, 0, 0],
    actors: [() => mortal(notesAfter ? [pin, note, forget, unpin] : [note, pin, unpin, forget]), undertaker],
    outcome: (memory) => (memory[PINS] < 1 ? 'the pin of another is gone' : 'the pin of another is there'),
  };
}

test('whenever a thread dies, no pin but its own is given back', () => {
  checkOutcomes(pinModel(true), ['the pin of another is there']);
});

test('broken: noted before the pin, forgotten after the unpin', () => {
  checkBroken(pinModel(false), 'the pin of another is gone');
});
