/** Reading without a lock: RegionSpace.openRead and closeRead against unmapping, reuse of frames and leaves, and clean copies. */
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

/* One frame: openRead of a present entry, closeRead; unmapPresentLocked or movePage, then mapLocked for another page. */
{
  const ENTRY = 1;
  const VERSION = 2;
  const DATA = 3; // two words
  const PRESENT = 1;

  interface Variant {
    readonly bumps: 'before the entry' | 'before reuse' | 'after reuse' | 'never';
    readonly checksEntryAgain: boolean;
  }

  function* reader(variant: Variant, out: Results): Steps {
    if ((yield* load(ENTRY)) !== PRESENT) return;
    const version = yield* load(VERSION);
    if (variant.checksEntryAgain && (yield* load(ENTRY)) !== PRESENT) return;
    const first = yield* load(DATA);
    const second = yield* load(DATA + 1);
    if ((yield* load(VERSION)) !== version) return;
    out['first'] = first;
    out['second'] = second;
  }

  function* unmapper(variant: Variant): Steps {
    yield* lock(LOCK);
    if (variant.bumps === 'before the entry') yield* add(VERSION, 1);
    yield* store(ENTRY, 0);
    if (variant.bumps === 'before reuse') yield* add(VERSION, 1);
    yield* store(DATA, OTHER);
    yield* store(DATA + 1, OTHER);
    if (variant.bumps === 'after reuse') yield* add(VERSION, 1);
    yield* unlock(LOCK);
  }

  const model = (variant: Variant): Model => ({
    memory: [0, PRESENT, 0, OLD, OLD],
    actors: [(out) => reader(variant, out), () => unmapper(variant)],
    outcome: (_memory, out) => {
      if (out['first'] === undefined) return 'tried again';
      return out['first'] === OLD && out['second'] === OLD ? 'this page' : 'bytes of another page';
    },
  });
  const real: Variant = { bumps: 'before reuse', checksEntryAgain: true };

  test('a read of a resident page gives its bytes or is tried again', () => {
    checkOutcomes(model(real), ['this page', 'tried again']);
  });

  test('broken: the version does not move, or too late, or while the entry still names the frame', () => {
    checkBroken(model({ ...real, bumps: 'before the entry' }), 'bytes of another page');
    checkBroken(model({ ...real, bumps: 'never' }), 'bytes of another page');
    checkBroken(model({ ...real, bumps: 'after reuse' }), 'bytes of another page');
  });

  test('broken: the version may be that of the next use, when the entry is not looked at again', () => {
    checkBroken(model({ ...real, checksEntryAgain: false }), 'bytes of another page');
  });
}

/* A leaf: leafOf with its TLB, twice, against discardInChunk and freeLeafLocked, and the leaf's next use by another region. */
{
  const DIRECTORY = 1;
  const GENERATION = 2;
  const LEAF = 3; // the entry of the page, in the leaf
  const LEAF_NUMBER = 7;
  const MINE = 100;
  const FOREIGN = 200;
  type Order = 'directory, generation, leaf' | 'generation, directory, leaf' | 'no generation';

  function* read(tlb: { generation: number; leaf: number }): Steps<number> {
    for (;;) {
      const generation = yield* load(GENERATION);
      if (generation !== tlb.generation) {
        tlb.generation = generation;
        tlb.leaf = 0;
      }
      if (tlb.leaf === 0) tlb.leaf = yield* load(DIRECTORY);
      if (tlb.leaf === 0) return 0;
      const entry = yield* load(LEAF);
      if ((yield* load(GENERATION)) === generation) return entry;
    }
  }

  /** readAtOnce and the kernel `readPage`: under the generation of the TLB, whatever the generation is by now. −1: not so. */
  function* readAtOnce(tlb: { generation: number; leaf: number }, closes: boolean): Steps<number> {
    if (tlb.leaf === 0) tlb.leaf = yield* load(DIRECTORY);
    if (tlb.leaf === 0 || (yield* load(GENERATION)) !== tlb.generation) return -1;
    const entry = yield* load(LEAF);
    return closes && (yield* load(GENERATION)) !== tlb.generation ? -1 : entry;
  }

  function* reader(out: Results, closes: boolean): Steps {
    const tlb = { generation: -1, leaf: 0 };
    for (let i = 0; i < 2; i++) {
      let entry = yield* readAtOnce(tlb, closes);
      if (entry < 0) entry = yield* read(tlb);
      if (entry === FOREIGN) out['foreign'] = 1;
    }
  }

  function* discarder(order: Order): Steps {
    yield* lock(LOCK);
    yield* store(LEAF, 0);
    if (order === 'generation, directory, leaf') yield* add(GENERATION, 1);
    yield* store(DIRECTORY, 0);
    if (order === 'directory, generation, leaf') yield* add(GENERATION, 1);
    yield* store(LEAF, FOREIGN);
    yield* unlock(LOCK);
  }

  const model = (order: Order, closes = true): Model => ({
    memory: [0, LEAF_NUMBER, 0, MINE],
    actors: [(out) => reader(out, closes), () => discarder(order)],
    outcome: (_memory, out) => (out['foreign'] === 1 ? 'entry of another region' : 'own entries'),
  });

  test('a leaf that was freed is not read, though its address is remembered', () => {
    checkOutcomes(model('directory, generation, leaf'), ['own entries']);
  });

  test('broken: the generation moves while the directory still has the leaf, so the new one is remembered with it', () => {
    checkBroken(model('generation, directory, leaf'), 'entry of another region');
    checkBroken(model('no generation'), 'entry of another region');
  });

  test('broken: the kernel looks at the generation before the entry only', () => {
    checkBroken(model('directory, generation, leaf', false), 'entry of another region');
  });
}

/* A clean copy: pinResident with its look at slotAt, writeHereLocked, isolateLocked of a page with a copy, faultRead that makes one. */
{
  const ENTRY = 1;
  const PIN = 2;
  const DATA = 3;
  const SLOT_AT = 4;
  const COPY = 5;
  const FROZEN = -1000;
  const PRESENT = 1;
  const NEW = 20;
  type Check = 'after the pin' | 'before the pin' | 'never';

  /** RegionSpace.pinResident; true when pinned. */
  function* pinResident(check: Check): Steps<boolean> {
    if (check === 'before the pin' && (yield* load(SLOT_AT)) !== 0) return false;
    if ((yield* load(ENTRY)) !== PRESENT) return false;
    if ((yield* add(PIN, 1)) < 0) {
      yield* add(PIN, -1);
      return false;
    }
    if ((yield* load(ENTRY)) === PRESENT && (check !== 'after the pin' || (yield* load(SLOT_AT)) === 0)) return true;
    yield* add(PIN, -1);
    return false;
  }

  function* writer(check: Check): Steps {
    if (!(yield* pinResident(check))) {
      // faultWrite: swapped in when it has to be, its copy dropped, pinned; all under the lock here.
      yield* lock(LOCK);
      if ((yield* load(ENTRY)) !== PRESENT) {
        yield* store(DATA, yield* load(COPY));
        yield* store(PIN, 0);
        yield* store(ENTRY, PRESENT);
      }
      yield* store(SLOT_AT, 0);
      yield* add(PIN, 1);
      yield* unlock(LOCK);
    }
    yield* store(DATA, NEW);
    yield* add(PIN, -1);
  }

  /** isolateLocked and what follows: with a copy the frame is simply freed, else its bytes become the copy. */
  function* swapOut(): Steps {
    yield* lock(LOCK);
    if ((yield* load(ENTRY)) === PRESENT && (yield* compareExchange(PIN, 0, FROZEN)) === 0) {
      if ((yield* load(SLOT_AT)) === 0) yield* store(COPY, yield* load(DATA));
      yield* store(SLOT_AT, 0);
      yield* store(ENTRY, 0);
    }
    yield* unlock(LOCK);
  }

  /** faultRead: the page comes back, into the same frame, and keeps its slot. */
  function* swapIn(): Steps {
    yield* lock(LOCK);
    if ((yield* load(ENTRY)) !== PRESENT) {
      yield* store(DATA, yield* load(COPY));
      yield* store(SLOT_AT, 1);
      yield* add(PIN, -FROZEN);
      yield* store(ENTRY, PRESENT);
    }
    yield* unlock(LOCK);
  }

  function* reclaimer(): Steps {
    yield* swapOut();
    yield* swapIn();
    yield* swapOut();
  }

  const model = (check: Check, hasCopy: boolean): Model => ({
    memory: [0, PRESENT, 0, OLD, hasCopy ? 1 : 0, hasCopy ? OLD : 0],
    actors: [() => writer(check), reclaimer],
    outcome: (memory) => ((memory[ENTRY] === PRESENT ? memory[DATA] : memory[COPY]) === NEW ? 'written' : 'write lost'),
  });

  test('a write drops the clean copy first, whenever the copy came to be', () => {
    checkOutcomes(model('after the pin', true), ['written']);
    checkOutcomes(model('after the pin', false), ['written']);
  });

  test('broken: the copy is not looked for, or before the pin holds the page', () => {
    checkBroken(model('never', true), 'write lost');
    checkBroken(model('before the pin', false), 'write lost');
  });
}
