/** Moving a page (migrateLocked) against those who use it without the node lock: all schedules. */
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
const OLD = 10;
const OTHER = 50;
const FROZEN = -1000;

/* A mapped page: moveRegionLocked against openRead/closeRead, and against a writer's pinResident. Frame 1 holds the page, frame 2 is private. */
{
  const ENTRY = 1; // names the frame
  const VERSION = 1; // + frame: words 2, 3
  const PIN = 3; // + frame: words 4, 5
  const DATA = 5; // + frame: words 6, 7
  const NEW = 20;

  interface Variant {
    readonly freezes: boolean;
    /** What comes first: the bytes into the new frame, or the entry that names it. */
    readonly copiesFirst: boolean;
    readonly bumps: 'after the entry' | 'before the entry' | 'after reuse';
    /** pinResident looks at the entry again. */
    readonly looksAgain: boolean;
  }
  const REAL: Variant = { freezes: true, copiesFirst: true, bumps: 'after the entry', looksAgain: true };

  /** migrateLocked, then the old frame's next use by another page, which is not frozen any more. */
  function* mover(variant: Variant): Steps {
    yield* lock(LOCK);
    if ((yield* load(ENTRY)) !== 1) {
      yield* unlock(LOCK);
      return;
    }
    if (variant.freezes && (yield* compareExchange(PIN + 1, 0, FROZEN)) !== 0) {
      yield* unlock(LOCK);
      return;
    }
    if (variant.copiesFirst) yield* store(DATA + 2, yield* load(DATA + 1));
    yield* add(PIN + 2, -FROZEN);
    if (variant.bumps === 'before the entry') yield* add(VERSION + 1, 1);
    yield* store(ENTRY, 2);
    if (!variant.copiesFirst) yield* store(DATA + 2, yield* load(DATA + 1));
    if (variant.bumps === 'after the entry') yield* add(VERSION + 1, 1);
    yield* store(DATA + 1, OTHER);
    if (variant.bumps === 'after reuse') yield* add(VERSION + 1, 1);
    if (variant.freezes) yield* add(PIN + 1, -FROZEN);
    yield* unlock(LOCK);
  }

  function* reader(out: Results): Steps {
    const frame = yield* load(ENTRY);
    const version = yield* load(VERSION + frame);
    if ((yield* load(ENTRY)) !== frame) return;
    const value = yield* load(DATA + frame);
    if ((yield* load(VERSION + frame)) === version) out['value'] = value;
  }

  /** pinResident and a store; the slow way is the lock (writeHereLocked). */
  function* writer(variant: Variant): Steps {
    const frame = yield* load(ENTRY);
    if ((yield* add(PIN + frame, 1)) >= 0) {
      if (!variant.looksAgain || (yield* load(ENTRY)) === frame) {
        yield* store(DATA + frame, NEW);
        yield* add(PIN + frame, -1);
        return;
      }
    }
    yield* add(PIN + frame, -1);
    yield* lock(LOCK);
    const now = yield* load(ENTRY);
    yield* add(PIN + now, 1);
    yield* unlock(LOCK);
    yield* store(DATA + now, NEW);
    yield* add(PIN + now, -1);
  }

  const memory = [0, 1, 0, 0, 0, FROZEN, OLD, 0];
  const reading = (variant: Variant): Model => ({
    memory,
    actors: [reader, () => mover(variant)],
    outcome: (_memory, out) =>
      out['value'] === undefined ? 'tried again' : out['value'] === OLD ? 'this page' : 'not this page',
  });
  const writing = (variant: Variant): Model => ({
    memory,
    actors: [() => writer(variant), () => mover(variant)],
    outcome: (words) => {
      if (words[PIN + 1] !== 0 && words[PIN + 1] !== FROZEN) return 'pins left behind';
      if (words[ENTRY] === 2 && words[DATA + 1] !== OTHER) return 'another page overwritten';
      return words[DATA + words[ENTRY]] === NEW ? 'written' : 'write lost';
    },
  });

  test('a read meets the page before or after its move, or is tried again', () => {
    checkOutcomes(reading(REAL), ['this page', 'tried again']);
  });

  test('a write is in the page, wherever the page is by then', () => {
    checkOutcomes(writing(REAL), ['written']);
  });

  test('broken: not frozen, so a write goes into the old frame', () => {
    checkBroken(writing({ ...REAL, freezes: false }), 'write lost');
    checkBroken(writing({ ...REAL, freezes: false }), 'another page overwritten');
  });

  test('broken: the writer does not look at the entry again after its pin', () => {
    checkBroken(writing({ ...REAL, looksAgain: false }), 'another page overwritten');
  });

  test('broken: the entry names the new frame before its bytes are there', () => {
    checkBroken(reading({ ...REAL, copiesFirst: false }), 'not this page');
  });

  test('broken: the version moves while the entry still names the old frame, or after that is used again', () => {
    checkBroken(reading({ ...REAL, bumps: 'before the entry' }), 'not this page');
    checkBroken(reading({ ...REAL, bumps: 'after reuse' }), 'not this page');
  });
}

/* A folio of two pages: moveFolioLocked against a reader that goes from one entry to the bytes of both pages. */
{
  const ENTRIES = 1; // words 1, 2: frame of each page; folio 10 = data words 5, 6, folio 20 = words 7, 8
  const VERSION = 3; // of the old head; the new one's is 4
  const DATA = 5;

  function* mover(bumps: 'last' | 'between the entries'): Steps {
    yield* lock(LOCK);
    yield* store(DATA + 2, yield* load(DATA));
    yield* store(DATA + 3, yield* load(DATA + 1));
    yield* store(ENTRIES, 20);
    if (bumps === 'between the entries') yield* add(VERSION, 1);
    yield* store(ENTRIES + 1, 21);
    if (bumps === 'last') yield* add(VERSION, 1);
    yield* store(DATA, OTHER);
    yield* store(DATA + 1, OTHER);
    yield* unlock(LOCK);
  }

  /** Opens by the entry of page `page`. */
  function* reader(page: number, out: Results): Steps {
    const frame = yield* load(ENTRIES + page);
    const head = frame - page;
    const versionAt = head === 10 ? VERSION : VERSION + 1;
    const version = yield* load(versionAt);
    if ((yield* load(ENTRIES + page)) !== frame) return;
    const at = head === 10 ? DATA : DATA + 2;
    const first = yield* load(at);
    const second = yield* load(at + 1);
    if ((yield* load(versionAt)) !== version) return;
    out['isTrue'] = first === OLD && second === OLD + 1 ? 1 : 0;
  }

  const model = (page: number, bumps: 'last' | 'between the entries'): Model => ({
    memory: [0, 10, 11, 0, 0, OLD, OLD + 1, 0, 0],
    actors: [(out) => reader(page, out), () => mover(bumps)],
    outcome: (_memory, out) =>
      out['isTrue'] === undefined ? 'tried again' : out['isTrue'] === 1 ? 'this folio' : 'not this folio',
  });

  test('one entry and the head’s version vouch for all pages of a folio', () => {
    for (const page of [0, 1]) checkOutcomes(model(page, 'last'), ['this folio', 'tried again']);
  });

  test('broken: the version moves before the last entry does', () => {
    checkBroken(model(1, 'between the entries'), 'not this folio');
  });
}

/* A frame of a zspage: moveZsFrameLocked against transient readers of an object that starts in it, and of one that only reaches into it. */
{
  const ENTRY = 1;
  const SEQUENCE = 2;
  const WORD = 3; // place where the object starts
  const CHAIN = 4; // place of its second part
  const SLOT = 7;
  type Part = 'start' | 'end';

  interface Variant {
    readonly bumps: 'after word and chain' | 'before' | 'starts only' | 'after reuse';
  }

  /** Parts of the object are at 10 and 20; the frame with one of them moves, that part to 30. */
  function* mover(moves: Part, variant: Variant): Steps {
    const from = moves === 'start' ? 10 : 20;
    yield* lock(LOCK);
    yield* store(30, yield* load(from));
    if (variant.bumps === 'before') yield* add(SEQUENCE, 1);
    yield* store(moves === 'start' ? WORD : CHAIN, 30);
    const isTold = variant.bumps === 'after word and chain' || (variant.bumps === 'starts only' && moves === 'start');
    if (isTold) yield* add(SEQUENCE, 1);
    yield* unlock(LOCK);
    yield* store(from, OTHER);
    if (variant.bumps === 'after reuse') yield* add(SEQUENCE, 1);
  }

  function* reader(out: Results): Steps {
    if ((yield* load(ENTRY)) !== SLOT) return;
    const sequence = yield* load(SEQUENCE);
    if ((yield* load(ENTRY)) !== SLOT) return;
    const start = yield* load(yield* load(WORD));
    const end = yield* load(yield* load(CHAIN));
    if ((yield* load(SEQUENCE)) !== sequence) return;
    out['isTrue'] = start === OLD && end === OLD + 1 ? 1 : 0;
  }

  const memory = new Array<number>(31).fill(0);
  memory[ENTRY] = SLOT;
  memory[WORD] = 10;
  memory[CHAIN] = 20;
  memory[10] = OLD;
  memory[20] = OLD + 1;
  const model = (moves: Part, variant: Variant): Model => ({
    memory,
    actors: [reader, () => mover(moves, variant)],
    outcome: (_memory, out) =>
      out['isTrue'] === undefined ? 'tried again' : out['isTrue'] === 1 ? 'the object' : 'not the object',
  });

  test('a transient read gives the object or is tried again, whichever of its frames moves', () => {
    for (const moves of ['start', 'end'] as const)
      checkOutcomes(model(moves, { bumps: 'after word and chain' }), ['the object', 'tried again']);
  });

  test('broken: only objects that start in the frame are told', () => {
    checkBroken(model('end', { bumps: 'starts only' }), 'not the object');
  });

  test('broken: the sequence moves before word and chain do, or after the old frame is used again', () => {
    for (const moves of ['start', 'end'] as const) {
      checkBroken(model(moves, { bumps: 'before' }), 'not the object');
      checkBroken(model(moves, { bumps: 'after reuse' }), 'not the object');
    }
  });
}

/* A raw page: moveRawLocked against openStorageFrame and closeRead. */
{
  const SEQUENCE = 1;
  const WORD = 2; // frame 1 or 2
  const VERSION = 2; // + frame: words 3, 4
  const DATA = 4; // + frame: words 5, 6

  function* mover(bumpsVersion: boolean): Steps {
    yield* lock(LOCK);
    yield* store(DATA + 2, yield* load(DATA + 1));
    yield* store(WORD, 2);
    yield* add(SEQUENCE, 1);
    if (bumpsVersion) yield* add(VERSION + 1, 1);
    yield* unlock(LOCK);
    yield* store(DATA + 1, OTHER);
  }

  function* reader(out: Results): Steps {
    const sequence = yield* load(SEQUENCE);
    const frame = yield* load(WORD);
    const version = yield* load(VERSION + frame);
    if ((yield* load(WORD)) !== frame) return;
    if ((yield* load(SEQUENCE)) !== sequence) return;
    const value = yield* load(DATA + frame);
    if ((yield* load(VERSION + frame)) === version) out['value'] = value;
  }

  const model = (bumpsVersion: boolean): Model => ({
    memory: [0, 0, 1, 0, 0, OLD, 0],
    actors: [reader, () => mover(bumpsVersion)],
    outcome: (_memory, out) =>
      out['value'] === undefined ? 'tried again' : out['value'] === OLD ? 'this page' : 'not this page',
  });

  test('a raw page is read where it lies, or again', () => {
    checkOutcomes(model(true), ['this page', 'tried again']);
  });

  test('broken: a raw page moves and the old frame’s version does not', () => {
    checkBroken(model(false), 'not this page');
  });
}
