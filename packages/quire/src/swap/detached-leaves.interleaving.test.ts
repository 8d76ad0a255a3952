/** A leaf that is detached, and freed later, against writers that pin its pages and readers that look twice. */
import { test } from 'node:test';
import {
  add,
  compareExchange,
  DEADLOCK,
  load,
  lock,
  type Model,
  notify,
  type Results,
  type Steps,
  store,
  unlock,
  wait,
} from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const LOCK = 0;
const DIRECTORY = 1;
const GENERATION = 2;
const ENTRY = 3; // of the one page of the leaf
const PIN = 4;
const DATA = 5; // the first word of its frame
const DONE = 6; // the discard has returned
const RING = 7; // the leaf waits to be freed

const LEAF = 100;
const BUSY = -1;
const NONE = 0;
const PRESENT = 1;
const FROZEN = -1000;
const OLD = 10;
const NEW = 20;
const ZEROS = 0;
const OTHERS = 50; // the frame, or the leaf, belongs to somebody else

interface Variant {
  /** What the directory says while the pin is looked at. */
  readonly hides: 'busy' | 'none' | 'not at all';
  readonly movesGeneration: 'before the pin' | 'after the pin' | 'never';
  readonly looksAtPin: boolean;
  readonly writerChecksGeneration: boolean;
  readonly freezes: boolean;
}

const REAL: Variant = {
  hides: 'busy',
  movesGeneration: 'before the pin',
  looksAtPin: true,
  writerChecksGeneration: true,
  freezes: true,
};

/** findLeaf. */
function* findLeaf(): Steps<number> {
  let leaf = yield* load(DIRECTORY);
  while (leaf === BUSY) {
    yield* lock(LOCK);
    yield* unlock(LOCK);
    leaf = yield* load(DIRECTORY);
  }
  return leaf;
}

/** detachLeafLocked, and, when a page is pinned, what the discard does instead: it zeroes it where it is. */
function* discarder(variant: Variant): Steps {
  yield* lock(LOCK);
  if (variant.hides !== 'not at all') yield* store(DIRECTORY, variant.hides === 'busy' ? BUSY : NONE);
  if (variant.movesGeneration === 'before the pin') yield* add(GENERATION, 1);
  const isPinned = variant.looksAtPin && (yield* load(PIN)) !== 0;
  if (variant.movesGeneration === 'after the pin') yield* add(GENERATION, 1);
  yield* store(DIRECTORY, isPinned ? LEAF : NONE);
  yield* store(RING, isPinned ? 0 : 1);
  yield* unlock(LOCK);
  if (isPinned) {
    yield* lock(LOCK);
    if ((yield* compareExchange(PIN, 0, FROZEN)) === 0) yield* store(ENTRY, NONE);
    else yield* store(DATA, ZEROS);
    yield* unlock(LOCK);
  }
  yield* store(DONE, 1);
}

/** freeDetachedSome: the frame and the leaf are somebody else's afterwards. */
function* freer(variant: Variant): Steps {
  yield* lock(LOCK);
  const isMine = (yield* load(RING)) === 1;
  if (isMine && !variant.freezes) yield* store(PIN, FROZEN);
  if (isMine && (!variant.freezes || (yield* compareExchange(PIN, 0, FROZEN)) === 0)) {
    yield* store(RING, 0);
    yield* store(DATA, OTHERS);
    yield* store(ENTRY, OTHERS);
  }
  yield* unlock(LOCK);
}

/** RegionSpace.pinResident, then one store and the unpin. */
function* writer(variant: Variant, out: Results): Steps {
  const generation = yield* load(GENERATION);
  if ((yield* findLeaf()) === NONE) return;
  if ((yield* load(ENTRY)) !== PRESENT) return;
  if ((yield* add(PIN, 1)) < 0) {
    yield* add(PIN, -1);
    return;
  }
  const isSame = (yield* load(ENTRY)) === PRESENT;
  if (!isSame || (variant.writerChecksGeneration && (yield* load(GENERATION)) !== generation)) {
    yield* add(PIN, -1);
    return;
  }
  out['wroteAfter'] = yield* load(DONE);
  yield* store(DATA, NEW);
  out['wrote'] = 1;
  yield* add(PIN, -1);
}

const writing = (variant: Variant): Model => ({
  memory: [0, LEAF, 0, PRESENT, 0, OLD, 0, 0],
  actors: [(out) => writer(variant, out), () => discarder(variant), () => freer(variant)],
  outcome: (memory, out) => {
    if (memory[ENTRY] === OTHERS && memory[DATA] !== OTHERS) return 'write into another page';
    if (out['wroteAfter'] === 1 && memory[DIRECTORY] === NONE) return 'write lost';
    if (memory[PIN] !== 0 && memory[PIN] !== FROZEN) return 'pin left';
    return out['wrote'] === 1 ? 'written' : 'discarded first';
  },
});

test('a writer keeps the page it pinned, or finds that it is gone', () => {
  checkOutcomes(writing(REAL), ['written', 'discarded first']);
});

test('broken: the pin is not looked at, or the generation moves too late or never, or the writer does not look at it', () => {
  checkBroken(writing({ ...REAL, looksAtPin: false }), 'write lost');
  checkBroken(writing({ ...REAL, movesGeneration: 'after the pin' }), 'write lost');
  checkBroken(writing({ ...REAL, movesGeneration: 'never' }), 'write lost');
  checkBroken(writing({ ...REAL, writerChecksGeneration: false }), 'write lost');
});

test('broken: pages of the leaf are freed as if nobody could touch their pins any more', () => {
  checkBroken(writing({ ...REAL, freezes: false }), 'pin left');
});

/** RegionSpace.openRead with its TLB: two reads in a row. */
function* reader(out: Results): Steps {
  const tlb = { generation: -1, leaf: NONE };
  for (let i = 0; i < 2; i++) out[`read${i}`] = yield* readOnce(tlb);
}

function* readOnce(tlb: { generation: number; leaf: number }): Steps<number> {
  for (;;) {
    const generation = yield* load(GENERATION);
    if (generation !== tlb.generation) {
      tlb.generation = generation;
      tlb.leaf = NONE;
    }
    if (tlb.leaf === NONE) tlb.leaf = yield* findLeaf();
    if (tlb.leaf === NONE) return ZEROS;
    const entry = yield* load(ENTRY);
    if (entry === PRESENT) {
      const data = yield* load(DATA);
      if ((yield* load(ENTRY)) === PRESENT && (yield* load(GENERATION)) === generation) return data;
    } else if ((yield* load(GENERATION)) === generation) return entry;
  }
}

/** Pins the page before the discard begins, writes nothing, and unpins. */
function* holder(): Steps {
  yield* add(PIN, -1);
}

const reading = (variant: Variant, isPinned: boolean): Model => ({
  memory: [0, LEAF, 0, PRESENT, isPinned ? 1 : 0, OLD, 0, 0],
  actors: isPinned
    ? [reader, () => discarder(variant), holder]
    : [reader, () => discarder(variant), () => freer(variant)],
  outcome: (_memory, { read0, read1 }) => {
    if (read0 === OTHERS || read1 === OTHERS) return 'another page';
    if (read0 === ZEROS && read1 === OLD) return 'zeros, then the old bytes';
    return `${read0 === OLD ? 'old' : 'zeros'}, ${read1 === OLD ? 'old' : 'zeros'}`;
  },
});

const IN_ORDER = ['old, old', 'old, zeros', 'zeros, zeros'];

test('a reader sees the old bytes, then zeros, whether the page was pinned or not', () => {
  checkOutcomes(reading(REAL, false), IN_ORDER);
  checkOutcomes(reading(REAL, true), IN_ORDER);
});

test('broken: the directory says none while the pin is looked at', () => {
  checkBroken(reading({ ...REAL, hides: 'none' }, true), 'zeros, then the old bytes');
});

test('broken: the leaf can be found while the generation moves, so the new one is remembered with it', () => {
  checkBroken(reading({ ...REAL, hides: 'not at all' }, false), 'another page');
  checkBroken(reading({ ...REAL, movesGeneration: 'never' }, false), 'another page');
});

/* kswapd leaves the ring to threads that are at it, and is woken by each that ends (beginDetaching, endDetaching). */
{
  const EVENTS = 1;
  const SLEEPERS = 2;
  const FLAGS = 3; // of two threads
  const WAITING = 5; // leaves in the ring
  const THREADS = [0, 1];

  /** A discard that leaves a leaf behind. */
  function* caller(thread: number, wakesFirst: boolean): Steps {
    yield* store(FLAGS + thread, 1);
    yield* lock(LOCK);
    yield* add(WAITING, 1);
    yield* unlock(LOCK);
    if (!wakesFirst) yield* store(FLAGS + thread, 0);
    if ((yield* load(WAITING)) > 0) {
      yield* add(EVENTS, 1);
      if ((yield* load(SLEEPERS)) > 0) yield* notify(EVENTS);
    }
    if (wakesFirst) yield* store(FLAGS + thread, 0);
  }

  /** runOnEvents with Kswapd.step; a wait here has no timeout. Ends when the discards have, and nothing waits. */
  function* kswapd(leaves: number, out: Results): Steps {
    for (let freed = 0; freed < leaves; ) {
      const seen = yield* load(EVENTS);
      let isAlone = (yield* load(WAITING)) > 0;
      for (const thread of THREADS) isAlone &&= (yield* load(FLAGS + thread)) === 0;
      if (isAlone) {
        yield* lock(LOCK);
        const waiting = yield* load(WAITING);
        yield* store(WAITING, 0);
        yield* unlock(LOCK);
        freed += waiting;
        out['freed'] = freed;
        continue;
      }
      yield* add(SLEEPERS, 1);
      yield* wait(EVENTS, seen);
      yield* add(SLEEPERS, -1);
    }
  }

  const standingBack = (wakesFirst: boolean): Model => ({
    memory: [0, 0, 0, 0, 0, 0],
    actors: [...THREADS.map((thread) => () => caller(thread, wakesFirst)), (out) => kswapd(THREADS.length, out)],
    outcome: (_memory, out) => `${out['freed']} freed`,
  });

  test('every leaf is freed by kswapd, whoever of two callers ends last', () => {
    checkOutcomes(standingBack(false), ['2 freed']);
  });

  test('broken: the event comes before the caller says that it has ended, and kswapd sleeps on', () => {
    checkBroken(standingBack(true), DEADLOCK);
  });
}
