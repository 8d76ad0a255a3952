/**
 * All schedules of a small concurrent program, in the manner of jcstress, but exhaustive. Actors are generators over one shared Int32Array: each
 * `yield` is one atomic operation, and between any two of them any other actor may run (sequential consistency, which is what Atomics give).
 *
 * The search is stateless: a schedule is replayed from the start. What an actor has in its locals follows from the results it was given, so two
 * schedules that agree in memory and in every actor's results go on alike, and the second is not followed. A schedule in which nobody can go on
 * before all are done has the outcome DEADLOCK: a wait has no timeout here, so a lost wake-up shows.
 */
export type Results = Record<string, number>;

export interface Step {
  /** False while the actor has to wait. */
  isReady(memory: Int32Array, actor: number, sleepers: Sleepers): boolean;
  run(memory: Int32Array, actor: number, sleepers: Sleepers): number;
  readonly text: string;
}

/** A block of steps: `const seen = yield* read(AT)` is `const seen = yield load(AT)`, typed. */
export type Steps<T = void> = Generator<Step, T, number>;
export type Actor = (out: Results) => Steps;

interface Sleepers {
  /** Word that an actor sleeps on, −1 none; by actor. */
  readonly word: number[];
  /** Woken, but not yet running again. */
  readonly woken: boolean[];
}

export interface Model {
  readonly memory: readonly number[];
  readonly actors: readonly Actor[];
  /** Names the outcome of a schedule that ended. */
  outcome(memory: Int32Array, out: Results): string;
}

export interface Exploration {
  /** A schedule for each outcome, one line a step. */
  readonly outcomes: Map<string, string[]>;
  readonly states: number;
}

export const DEADLOCK = 'DEADLOCK';
/** Far more than any of the models has: a loop that never ends shows here. */
const STEPS_MAX = 400;
const STATES_MAX = 3_000_000;

export function explore(model: Model): Exploration {
  const outcomes = new Map<string, string[]>();
  const visited = new Set<string>();
  const stack: number[][] = [[]];
  for (let schedule = stack.pop(); schedule !== undefined; schedule = stack.pop()) {
    const state = replay(model, schedule);
    if (visited.has(state.key)) continue;
    visited.add(state.key);
    if (visited.size > STATES_MAX) throw new Error('the model has too many states');
    if (state.ready.length === 0) {
      const name = state.isDone ? model.outcome(state.memory, state.out) : DEADLOCK;
      if (!outcomes.has(name)) outcomes.set(name, state.log());
      continue;
    }
    if (schedule.length >= STEPS_MAX) throw new Error(`a schedule does not end:\n${state.log().slice(-20).join('\n')}`);
    for (const actor of state.ready) stack.push([...schedule, actor]);
  }
  return { outcomes, states: visited.size };
}

interface State {
  readonly key: string;
  readonly ready: number[];
  readonly isDone: boolean;
  readonly memory: Int32Array;
  readonly out: Results;
  /** The schedule, told step by step. */
  log(): string[];
}

function replay(model: Model, schedule: readonly number[]): State {
  const memory = Int32Array.from(model.memory);
  const out: Results = {};
  const sleepers: Sleepers = { word: model.actors.map(() => -1), woken: model.actors.map(() => false) };
  const actors = model.actors.map((actor) => actor(out));
  const next: (Step | undefined)[] = actors.map((actor) => stepOf(actor.next(0)));
  const histories = model.actors.map(() => '');
  const taken: { readonly actor: number; readonly text: string; readonly result: number }[] = [];
  for (const actor of schedule) {
    const step = next[actor] as Step;
    const result = step.run(memory, actor, sleepers);
    taken.push({ actor, text: step.text, result });
    histories[actor] += `${result},`;
    // A step that puts the actor to sleep is finished when it is woken.
    if (sleepers.word[actor] === -1) next[actor] = stepOf(actors[actor].next(result));
  }
  const ready = next.flatMap((step, actor) => (step?.isReady(memory, actor, sleepers) === true ? [actor] : []));
  return {
    key: `${memory.join()}|${histories.join('|')}|${sleepers.word.join()}|${sleepers.woken.join()}`,
    ready,
    isDone: next.every((step) => step === undefined),
    memory,
    out,
    log: () =>
      taken.map(({ actor, text, result }) => `${'                    '.repeat(actor)}${actor}: ${text} → ${result}`),
  };
}

function stepOf(result: IteratorResult<Step, void>): Step | undefined {
  return result.done === true ? undefined : result.value;
}

const always = (): boolean => true;

export function* load(at: number): Steps<number> {
  return yield { isReady: always, run: (memory) => memory[at], text: `load ${at}` };
}

export function* store(at: number, value: number): Steps {
  yield { isReady: always, run: (memory) => (memory[at] = value), text: `store ${at} = ${value}` };
}

/** Returns the value before, as Atomics.add. */
export function* add(at: number, value: number): Steps<number> {
  return yield {
    isReady: always,
    run: (memory) => {
      memory[at] += value;
      return memory[at] - value;
    },
    text: `add ${at} + ${value}`,
  };
}

export function* exchange(at: number, value: number): Steps<number> {
  return yield {
    isReady: always,
    run: (memory) => {
      const before = memory[at];
      memory[at] = value;
      return before;
    },
    text: `exchange ${at} = ${value}`,
  };
}

export function* compareExchange(at: number, expected: number, value: number): Steps<number> {
  return yield {
    isReady: always,
    run: (memory) => {
      const before = memory[at];
      if (before === expected) memory[at] = value;
      return before;
    },
    text: `cas ${at}: ${expected} → ${value}`,
  };
}

/** Sleeps while the word is `value` and nobody notifies: Atomics.wait without a timeout. */
export function* wait(at: number, value: number): Steps {
  yield {
    isReady: (_memory, actor, sleepers) => sleepers.word[actor] === -1 || sleepers.woken[actor],
    run: (memory, actor, sleepers) => {
      if (sleepers.word[actor] === -1 && memory[at] === value) {
        sleepers.word[actor] = at;
        return 0;
      }
      sleepers.word[actor] = -1;
      sleepers.woken[actor] = false;
      return 1;
    },
    text: `wait ${at} while ${value}`,
  };
}

/** Wakes up to `count` sleepers. */
export function* notify(at: number, count = Number.POSITIVE_INFINITY): Steps {
  yield {
    isReady: always,
    run: (_memory, _actor, sleepers) => {
      let woken = 0;
      sleepers.word.forEach((word, actor) => {
        if (word !== at || sleepers.woken[actor] || woken >= count) return;
        sleepers.woken[actor] = true;
        woken++;
      });
      return woken;
    },
    text: `notify ${at}`,
  };
}

/** A lock taken as one step, for models whose subject is what happens under it. Others wait; those that do not ask for it run on. */
export function* lock(at: number): Steps {
  yield {
    isReady: (memory) => memory[at] === 0,
    run: (memory, actor) => (memory[at] = actor + 1),
    text: `lock ${at}`,
  };
}

export function* unlock(at: number): Steps {
  yield* store(at, 0);
}
