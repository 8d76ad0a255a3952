/**
 * swap/swap-out.ts: a thread compresses a page outside the lock and publishes (claimLocked, compressBatch, isClaimed, publishObjectLocked) while a
 * writer takes the page back (rescueLocked), and reclaim takes it out again and claims it a second time; or while the page is discarded (cancelLocked) and its
 * frame becomes another's.
 */
import { test } from 'node:test';
import { add, load, lock, type Model, type Steps, store, unlock } from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const LOCK = 0;
const KIND = 1;
const VERSION = 2;
const DATA = 3;
/** What is behind the slot: the frame itself, or an object. */
const WORD = 4;
const OBJECT = 5;
const MAPPED = 1;
const QUEUED = 2;
const COMPRESSING = 3;
const FREE = 4;
const IN_FRAME = 1;
const IN_OBJECT = 2;
const OLD = 10;
const NEW = 20;

interface Variant {
  readonly publishChecks: 'version and kind' | 'kind' | 'nothing';
  readonly rescueMovesVersion: boolean;
}

const REAL: Variant = { publishChecks: 'version and kind', rescueMovesVersion: true };

function* compressor(variant: Variant): Steps {
  yield* lock(LOCK);
  if ((yield* load(KIND)) !== QUEUED) return yield* unlock(LOCK);
  yield* store(KIND, COMPRESSING);
  const version = yield* load(VERSION);
  yield* unlock(LOCK);
  const packed = yield* load(DATA);
  yield* lock(LOCK);
  if (yield* isClaimed(variant, version)) {
    yield* store(OBJECT, packed);
    yield* store(WORD, IN_OBJECT);
    yield* add(VERSION, 1);
    yield* store(KIND, FREE);
  }
  yield* unlock(LOCK);
}

function* isClaimed(variant: Variant, version: number): Steps<boolean> {
  if (variant.publishChecks === 'nothing') return true;
  if (variant.publishChecks === 'version and kind' && (yield* load(VERSION)) !== version) return false;
  return (yield* load(KIND)) === COMPRESSING;
}

/** writeHereLocked: rescue of a page in flight, or a new frame with the object's bytes; then the write. */
function* writer(variant: Variant): Steps {
  yield* lock(LOCK);
  if ((yield* load(WORD)) === IN_FRAME) {
    if (variant.rescueMovesVersion) yield* add(VERSION, 1);
  } else yield* store(DATA, yield* load(OBJECT));
  yield* store(WORD, 0);
  yield* store(KIND, MAPPED);
  yield* store(DATA, NEW);
  yield* unlock(LOCK);
}

/** isolateLocked: the page is taken out again, and waits for any compressor. */
function* isolator(): Steps {
  yield* lock(LOCK);
  if ((yield* load(KIND)) === MAPPED) {
    yield* add(VERSION, 1);
    yield* store(WORD, IN_FRAME);
    yield* store(KIND, QUEUED);
  }
  yield* unlock(LOCK);
}

function* isolateAndCompress(variant: Variant): Steps {
  yield* isolator();
  yield* compressor(variant);
}

function model(variant: Variant, ...others: (() => Steps)[]): Model {
  return {
    memory: [0, QUEUED, 0, OLD, IN_FRAME, 0],
    actors: [() => compressor(variant), () => writer(variant), ...others],
    outcome: (memory) => {
      const content = memory[WORD] === IN_OBJECT ? memory[OBJECT] : memory[DATA];
      if (memory[KIND] === FREE && memory[WORD] !== IN_OBJECT) return 'frame freed under its page';
      return content === NEW ? 'written' : 'write lost';
    },
  };
}

test('a page that is rescued and written keeps the write, whatever the compressor was doing', () => {
  checkOutcomes(model(REAL), ['written']);
});

test('also when it goes out again meanwhile and two threads compress it', () => {
  checkOutcomes(
    model(REAL, () => isolateAndCompress(REAL)),
    ['written'],
  );
});

test('broken: publish does not look', () => {
  checkBroken(model({ ...REAL, publishChecks: 'nothing' }), 'write lost');
});

test('broken: publish looks at the kind only, which comes back to COMPRESSING', () => {
  const variant: Variant = { ...REAL, publishChecks: 'kind' };
  checkBroken(
    model(variant, () => isolateAndCompress(variant)),
    'write lost',
  );
});

/** discardRange: cancelLocked of a page in flight, or the object goes; then the frame, if it is free, is somebody else's page. */
function* discarder(): Steps {
  yield* lock(LOCK);
  if ((yield* load(WORD)) === IN_FRAME) {
    yield* add(VERSION, 1);
    yield* store(KIND, FREE);
  }
  yield* store(WORD, 0);
  yield* unlock(LOCK);
  yield* lock(LOCK);
  yield* store(KIND, MAPPED);
  yield* store(DATA, NEW);
  yield* unlock(LOCK);
}

function discardModel(variant: Variant, ...others: (() => Steps)[]): Model {
  return {
    memory: [0, QUEUED, 0, OLD, IN_FRAME, 0],
    actors: [() => compressor(variant), discarder, ...others],
    outcome: (memory) => {
      if (memory[WORD] === IN_OBJECT)
        return memory[OBJECT] === NEW ? 'the new page is out' : 'the discarded page is back';
      return memory[KIND] === FREE ? 'frame freed under its page' : 'the new page is there';
    },
  };
}

test('a page that is discarded stays so, and its frame is the next page’s', () => {
  checkOutcomes(discardModel(REAL), ['the new page is there']);
});

test('also when the next page goes out and is compressed by another thread', () => {
  checkOutcomes(
    discardModel(REAL, () => isolateAndCompress(REAL)),
    ['the new page is there', 'the new page is out'],
  );
});

test('broken: publish does not look whether the page was discarded', () => {
  checkBroken(discardModel({ ...REAL, publishChecks: 'nothing' }), 'the discarded page is back');
});

test('broken: publish takes another page’s claim for its own', () => {
  const variant: Variant = { ...REAL, publishChecks: 'kind' };
  checkBroken(
    discardModel(variant, () => isolateAndCompress(variant)),
    'the discarded page is back',
  );
});
