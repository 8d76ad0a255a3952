import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  add,
  DEADLOCK,
  explore,
  load,
  lock,
  type Model,
  notify,
  type Steps,
  store,
  unlock,
  wait,
} from './testing/explore.ts';
import { checkBroken, checkOutcomes } from './testing/outcomes.ts';

function* addByHand(at: number): Steps {
  const seen = yield* load(at);
  yield* store(at, seen + 1);
}

function counting(body: () => Steps, actors: number): Model {
  return {
    memory: [0, 0],
    actors: Array.from({ length: actors }, () => body),
    outcome: (memory) => String(memory[0]),
  };
}

test('explore finds the lost update of a load and a store, and none with add', () => {
  checkOutcomes(
    counting(() => addByHand(0), 3),
    ['1', '2', '3'],
  );
  checkOutcomes(
    counting(function* () {
      yield* add(0, 1);
    }, 3),
    ['3'],
  );
});

test('explore visits every order: 4 stores by 2 actors end in all values they can', () => {
  const writer = (base: number) =>
    function* (): Steps {
      yield* store(0, base);
      yield* store(0, base + 1);
    };
  checkOutcomes({ memory: [0], actors: [writer(1), writer(3)], outcome: (memory) => String(memory[0]) }, ['2', '4']);
});

test('a lock keeps updates apart, and two locks in different order end in DEADLOCK', () => {
  checkOutcomes(
    counting(function* () {
      yield* lock(1);
      yield* addByHand(0);
      yield* unlock(1);
    }, 3),
    ['3'],
  );
  const both = (first: number, second: number) =>
    function* (): Steps {
      yield* lock(first);
      yield* lock(second);
      yield* unlock(second);
      yield* unlock(first);
    };
  const model: Model = { memory: [0, 0], actors: [both(0, 1), both(1, 0)], outcome: () => 'done' };
  checkOutcomes(model, ['done', DEADLOCK]);
});

test('a wait sleeps while the word is as expected, and a notify that comes too early is lost', () => {
  const sleeper = function* (): Steps {
    yield* wait(0, 0);
  };
  const setter = function* (): Steps {
    yield* store(0, 1);
    yield* notify(0);
  };
  checkOutcomes({ memory: [0], actors: [sleeper, setter], outcome: () => 'woken' }, ['woken']);
  const forgetful = function* (): Steps {
    yield* notify(0);
    yield* store(0, 1);
  };
  checkBroken({ memory: [0], actors: [sleeper, forgetful], outcome: () => 'woken' }, DEADLOCK);
});

test('a forbidden outcome is reported with its schedule', () => {
  const model = counting(() => addByHand(0), 2);
  assert.throws(() => checkOutcomes(model, ['2']), /FORBIDDEN outcome '1'[\s\S]*load 0 → 0/);
  assert.equal(explore(model).outcomes.get('2')?.length, 4);
});
