/**
 * Pages that several entries name, in all schedules of small models: sharing against a writer with a pin and against a reader;
 * the writer of one side against readers of both; a fault that decodes without the lock against a discard and a clone that
 * takes the leaf; a compressing thread against the last writer.
 */
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
const NONE = 0;
const OLD = 10;
const NEW = 20;
const OTHER = 50;
const FROZEN = -100;

/* shareMappedLocked and clonePageLocked against pinResident: a writer that may go on without the lock. */
{
  const SOURCE = 1; // entries: 1 present, 2 swapped
  const CLONE = 2;
  const PIN = 3;
  const DATA = 4; // the frame; what a writer of the source gets afterwards is not modelled
  const COPY = 5;
  const PRESENT = 1;
  const SWAPPED = 2;
  const OWN = 3;

  interface Variant {
    /** A pinned page is copied, not shared. */
    readonly freezes: boolean;
  }

  function* cloner(variant: Variant): Steps {
    yield* lock(LOCK);
    if (!variant.freezes || (yield* compareExchange(PIN, 0, FROZEN)) === 0) {
      yield* store(SOURCE, SWAPPED);
      yield* store(CLONE, SWAPPED);
    } else {
      yield* store(COPY, yield* load(DATA));
      yield* store(CLONE, OWN);
    }
    yield* unlock(LOCK);
  }

  /** A later reader of the clone, twice: its bytes may not change. */
  function* reader(out: Results): Steps {
    const entry = yield* load(CLONE);
    if (entry === NONE) return;
    out['first'] = yield* load(entry === SWAPPED ? DATA : COPY);
    out['second'] = yield* load(entry === SWAPPED ? DATA : COPY);
  }

  function* writer(): Steps {
    if ((yield* load(SOURCE)) !== PRESENT) return;
    if ((yield* add(PIN, 1)) < 0) {
      yield* add(PIN, -1);
      return;
    }
    if ((yield* load(SOURCE)) === PRESENT) yield* store(DATA, NEW);
    yield* add(PIN, -1);
  }

  const model = (variant: Variant): Model => ({
    memory: [0, PRESENT, NONE, 0, OLD, 0],
    actors: [() => cloner(variant), writer, reader],
    outcome: (_memory, out) => {
      if (out['first'] === undefined) return 'no clone yet';
      return out['first'] === out['second'] ? 'the clone stands still' : 'the clone changes';
    },
  });

  test('who has a page pinned does not write what a clone shares', () => {
    checkOutcomes(model({ freezes: true }), ['no clone yet', 'the clone stands still']);
  });

  test('broken: a pinned page is shared', () => {
    checkBroken(model({ freezes: false }), 'the clone changes');
  });
}

/*
 * The source writes a page it shares with the clone; then the clone, alone now, writes it in place (rescueForLocked).
 * Readers of both found the frame earlier.
 */
{
  const SOURCE = 1; // entries: SLOT, or the number of a frame's word
  const CLONE = 2;
  const WORD = 3; // the slot's: FRAME, or 0
  const SEQUENCE = 4;
  const COUNT = 5;
  const VERSION = 6;
  const SHARED = 7; // data of the shared frame
  const FRESH = 8; // data of the source's new one
  const SLOT = 99;

  interface Variant {
    /** The frame goes to a writer only when no other entry names the slot. */
    readonly countsReferences: boolean;
    /** The new frame is filled before the entry names it. */
    readonly fillsFirst: boolean;
    /** endRescue: the version moves before the last one writes. */
    readonly bumpsVersion: boolean;
  }

  function* writer(variant: Variant, entry: number, value: number): Steps {
    yield* lock(LOCK);
    const isShared = (yield* load(COUNT)) > 1;
    if (isShared && variant.countsReferences) {
      if (variant.fillsFirst) yield* store(FRESH, yield* load(SHARED));
      yield* add(COUNT, -1);
      yield* store(entry, FRESH);
      if (!variant.fillsFirst) yield* store(FRESH, yield* load(SHARED));
      yield* unlock(LOCK);
      yield* store(FRESH, value);
      return;
    }
    yield* store(WORD, 0);
    yield* add(SEQUENCE, 1);
    if (variant.bumpsVersion) yield* add(VERSION, 1);
    yield* store(entry, SHARED);
    yield* unlock(LOCK);
    yield* store(SHARED, value);
  }

  function* bothWriters(variant: Variant): Steps {
    yield* writer(variant, SOURCE, NEW);
    yield* writer(variant, CLONE, OTHER);
  }

  /** openRead, openSwapped, openStorageFrame, closeRead. A present frame's version is not modelled: nobody unmaps. */
  function* reader(entry: number, name: string, out: Results): Steps {
    const pte = yield* load(entry);
    if (pte !== SLOT) {
      out[name] = yield* load(pte);
      return;
    }
    const sequence = yield* load(SEQUENCE);
    if ((yield* load(entry)) !== SLOT) return;
    if ((yield* load(WORD)) === 0) return;
    const version = yield* load(VERSION);
    if ((yield* load(WORD)) === 0 || (yield* load(SEQUENCE)) !== sequence) return;
    const value = yield* load(SHARED);
    if ((yield* load(VERSION)) === version) out[name] = value;
  }

  const model = (variant: Variant, entry: number, mayHold: readonly number[]): Model => ({
    memory: [0, SLOT, SLOT, SHARED, 0, 2, 0, OLD, 0],
    actors: [() => bothWriters(variant), (out) => reader(entry, 'value', out)],
    outcome: (_memory, out) => {
      const value = out['value'];
      if (value === undefined) return 'tried again';
      return mayHold.includes(value) ? `its own ${value}` : 'another’s bytes';
    },
  });
  const real: Variant = { countsReferences: true, fillsFirst: true, bumpsVersion: true };
  const ofSource = [OLD, NEW];
  const ofClone = [OLD, OTHER];

  test('each side reads its own bytes, whoever of them writes', () => {
    checkOutcomes(model(real, SOURCE, ofSource), ['tried again', `its own ${OLD}`, `its own ${NEW}`]);
    checkOutcomes(model(real, CLONE, ofClone), ['tried again', `its own ${OLD}`, `its own ${OTHER}`]);
  });

  test('broken: the first writer takes the frame, though the clone names it', () => {
    checkBroken(model({ ...real, countsReferences: false, bumpsVersion: false }, CLONE, ofClone), 'another’s bytes');
  });

  test('broken: the new frame is named before it is filled', () => {
    checkBroken(model({ ...real, fillsFirst: false }, SOURCE, ofSource), 'another’s bytes');
  });

  test('broken: the version stands while the last one writes what a reader of the other side has open', () => {
    checkBroken(model({ ...real, bumpsVersion: false }, SOURCE, ofSource), 'another’s bytes');
  });
}

/*
 * bringIn decodes without the lock. Meanwhile its region discards the chunk, and the leaf becomes that of a new clone of
 * the region which shares the slot: the same entry at the same place.
 */
{
  const DIRECTORY = 1; // of the faulting region: 1 names the leaf
  const GENERATION = 2;
  const ENTRY = 3; // in the leaf, whoever's it is
  const SEQUENCE = 4;
  const COUNT = 5;
  const OWNER = 6; // of the leaf
  const SLOT = 9;
  const FRAME = 8;
  const ME = 1;
  const CLONE = 2;

  interface Variant {
    readonly checksGeneration: boolean;
    readonly checksEntry: boolean;
    readonly checksSequence: boolean;
  }

  function* fault(variant: Variant, out: Results): Steps {
    yield* lock(LOCK);
    if ((yield* load(DIRECTORY)) === 0) {
      yield* unlock(LOCK);
      return;
    }
    const sequence = yield* load(SEQUENCE);
    const generation = yield* load(GENERATION);
    const entry = yield* load(ENTRY);
    yield* unlock(LOCK);
    if (entry !== SLOT) return;
    yield* lock(LOCK);
    const isSame =
      (!variant.checksGeneration || (yield* load(GENERATION)) === generation) &&
      (!variant.checksEntry || (yield* load(ENTRY)) === SLOT) &&
      (!variant.checksSequence || (yield* load(SEQUENCE)) === sequence);
    if (isSame) {
      out['owner'] = yield* load(OWNER);
      out['entry'] = yield* load(ENTRY);
      yield* store(ENTRY, FRAME);
      yield* add(COUNT, -1);
    }
    yield* unlock(LOCK);
  }

  function* discarder(): Steps {
    yield* lock(LOCK);
    if ((yield* load(ENTRY)) === SLOT && (yield* load(OWNER)) === ME) {
      yield* store(ENTRY, NONE);
      if ((yield* add(COUNT, -1)) === 1) yield* add(SEQUENCE, 1);
    }
    if ((yield* load(ENTRY)) === NONE) {
      yield* store(DIRECTORY, 0);
      yield* add(GENERATION, 1);
      yield* store(OWNER, NONE);
    }
    yield* unlock(LOCK);
  }

  /** cloneSome, of another region that names the slot: ensureLeafLocked gets the leaf that came free. */
  function* cloner(): Steps {
    yield* lock(LOCK);
    if ((yield* load(OWNER)) === NONE && (yield* load(COUNT)) > 0) {
      yield* store(OWNER, CLONE);
      yield* add(COUNT, 1);
      yield* store(ENTRY, SLOT);
    }
    yield* unlock(LOCK);
  }

  const model = (variant: Variant): Model => ({
    memory: [0, 1, 0, SLOT, 0, 2, ME],
    actors: [(out) => fault(variant, out), discarder, cloner],
    outcome: (_memory, out) => {
      if (out['owner'] === undefined) return 'not mapped';
      return out['owner'] === ME && out['entry'] === SLOT ? 'mapped' : 'mapped where it does not belong';
    },
  });
  const real: Variant = { checksGeneration: true, checksEntry: true, checksSequence: true };

  test('a page is brought in where it was looked up, though its slot lives on in a clone', () => {
    checkOutcomes(model(real), ['mapped', 'not mapped']);
  });

  test('broken: the slot alone does not tell that the leaf is still there', () => {
    checkBroken(model({ ...real, checksGeneration: false }), 'mapped where it does not belong');
  });

  test('broken: the entry is not looked at again', () => {
    checkBroken(
      model({ checksGeneration: false, checksEntry: false, checksSequence: true }),
      'mapped where it does not belong',
    );
  });
}

/* A clone of a page in flight, and the thread that compresses it; then both sides go, or the last one writes it. */
{
  const ENTRIES = [1, 2]; // SLOT, FRAME or NONE
  const COUNT = 3;
  const WORD = 4; // FRAME or OBJECT
  const KIND = 5;
  const VERSION = 6;
  const DATA = 7;
  const OBJECT_DATA = 8;
  const SLOT = 99;
  const FRAME = 1;
  const OBJECT = 2;
  const COMPRESSING = 3;
  const REGION = 4;

  interface Variant {
    /** clonePageLocked counts before it names; a broken one names alone. */
    readonly counts: boolean;
  }

  function* compressor(): Steps {
    const bytes = yield* load(DATA);
    yield* lock(LOCK);
    if ((yield* load(VERSION)) === 0 && (yield* load(KIND)) === COMPRESSING) {
      yield* store(OBJECT_DATA, bytes);
      yield* store(WORD, OBJECT);
      yield* add(VERSION, 1);
      yield* store(KIND, 0);
    }
    yield* unlock(LOCK);
  }

  function* cloner(variant: Variant): Steps {
    yield* lock(LOCK);
    const entry = yield* load(ENTRIES[0]);
    if (entry === SLOT) {
      if (variant.counts) yield* add(COUNT, 1);
      yield* store(ENTRIES[1], SLOT);
    }
    yield* unlock(LOCK);
  }

  /** The source's write: a fresh frame when the clone names the slot too, else the page is taken back. */
  function* writer(): Steps {
    yield* lock(LOCK);
    if ((yield* load(COUNT)) > 1) {
      yield* add(COUNT, -1);
      yield* store(ENTRIES[0], FRAME + 100);
    } else if ((yield* load(WORD)) === FRAME) {
      yield* store(COUNT, 0);
      yield* store(WORD, 0);
      yield* add(VERSION, 1);
      yield* store(KIND, REGION);
      yield* store(ENTRIES[0], FRAME);
      yield* store(DATA, NEW);
    } else {
      yield* store(COUNT, 0);
      yield* store(WORD, 0);
      yield* store(ENTRIES[0], FRAME + 100);
    }
    yield* unlock(LOCK);
  }

  const model = (variant: Variant): Model => ({
    memory: [0, SLOT, NONE, 1, FRAME, COMPRESSING, 0, OLD, 0],
    actors: [compressor, () => cloner(variant), writer],
    outcome: (memory) => {
      if (memory[ENTRIES[1]] !== SLOT) return 'cloned after the write';
      if (memory[WORD] === 0) return 'the clone names a free slot';
      const bytes = memory[memory[WORD] === FRAME ? DATA : OBJECT_DATA];
      return bytes === OLD ? 'the clone holds the page' : 'the clone holds what was written later';
    },
  });

  test('the clone of a page in flight holds it, published or not', () => {
    checkOutcomes(model({ counts: true }), ['cloned after the write', 'the clone holds the page']);
  });

  test('broken: a clone that is not counted loses its page to the writer', () => {
    checkBroken(model({ counts: false }), 'the clone names a free slot');
  });
}
