/**
 * daemons/prefault.ts: a daemon touches a frame (beginBlock, step) that another thread takes, writes and gives back meanwhile, of which the daemon knows nothing.
 */
import { test } from 'node:test';
import {
  type Actor,
  compareExchange,
  load,
  lock,
  type Model,
  type Steps,
  store,
  unlock,
} from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const LOCK = 0;
/** The list of free blocks: the one frame there is, or none. */
const HEAD = 1;
/** The first word of the frame. */
const WORD = 2;
const FIRST = 7;
const LAST = 9;

type Touch = 'exchanges 0 for 0' | 'stores what it loaded' | 'stores 0';

function* toucher(touch: Touch): Steps {
  if ((yield* load(HEAD)) === 0) return;
  if (touch === 'exchanges 0 for 0') yield* compareExchange(WORD, 0, 0);
  else yield* store(WORD, touch === 'stores 0' ? 0 : yield* load(WORD));
}

function* user(): Steps {
  yield* lock(LOCK);
  yield* store(HEAD, 0);
  yield* unlock(LOCK);
  yield* store(WORD, FIRST);
  yield* store(WORD, 0); // also a word that a program makes 0
  yield* store(WORD, LAST);
}

function model(touch: Touch): Model {
  const actors: Actor[] = [() => toucher(touch), user];
  return {
    memory: [0, 1, 0],
    actors,
    outcome: (memory) => (memory[WORD] === LAST ? 'the bytes stay' : 'the bytes are lost'),
  };
}

test('a frame that is in use by the time it is touched keeps its bytes', () => {
  checkOutcomes(model('exchanges 0 for 0'), ['the bytes stay']);
});

test('broken: the touch stores what it loaded', () => {
  checkBroken(model('stores what it loaded'), 'the bytes are lost');
});

test('broken: the touch stores 0', () => {
  checkBroken(model('stores 0'), 'the bytes are lost');
});
