/** page-alloc/page-charge.ts: charges of several threads at a limit, against each other, an uncharge and a lower limit. */
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

const PAGES = 0;
/** The limit + 1, as in the group slot. */
const LIMIT = 1;

interface Variant {
  /** 'exchange': load, compare, exchange. 'store': a store in its place. 'undo': add first, take back what is too much. */
  readonly how: 'exchange' | 'store' | 'undo';
}

const REAL: Variant = { how: 'exchange' };

/** tryCount. */
function* charge(variant: Variant, amount: number): Steps<number> {
  const limit = yield* load(LIMIT);
  if (variant.how === 'undo') {
    if ((yield* add(PAGES, amount)) + amount <= limit - 1) return 1;
    yield* add(PAGES, -amount);
    return 0;
  }
  for (;;) {
    const used = yield* load(PAGES);
    if (used + amount > limit - 1) return 0;
    if (variant.how === 'store') {
      yield* store(PAGES, used + amount);
      return 1;
    }
    if ((yield* compareExchange(PAGES, used, used + amount)) === used) return 1;
  }
}

function* charger(variant: Variant, amount: number, out: Results, name: string): Steps {
  out[name] = yield* charge(variant, amount);
}

/** Two threads want the last page, of two that are allowed. */
function lastPage(variant: Variant): Model {
  return {
    memory: [1, 3],
    actors: [(out) => charger(variant, 1, out, 'a'), (out) => charger(variant, 1, out, 'b')],
    outcome: (memory, out) => `${out['a'] + out['b']} got it, ${memory[PAGES]} charged`,
  };
}

test('one of two threads gets the last page', () => {
  checkOutcomes(lastPage(REAL), ['1 got it, 2 charged']);
});

test('broken: the count is stored, not exchanged', () => {
  checkBroken(lastPage({ how: 'store' }), '2 got it, 2 charged');
});

/** Who asks for more than there is does not keep another from what there is. */
function tooMuch(variant: Variant): Model {
  return {
    memory: [1, 3],
    actors: [(out) => charger(variant, 2, out, 'greedy'), (out) => charger(variant, 1, out, 'modest')],
    outcome: (memory, out) => `greedy ${out['greedy']}, modest ${out['modest']}, ${memory[PAGES]} charged`,
  };
}

test('a charge is refused only for what is charged', () => {
  checkOutcomes(tooMuch(REAL), ['greedy 0, modest 1, 2 charged']);
});

test('broken: the charge is added before it is looked at', () => {
  checkBroken(tooMuch({ how: 'undo' }), 'greedy 0, modest 0, 1 charged');
});

/** A page is given back meanwhile. */
function givenBack(variant: Variant, pages: number): Model {
  return {
    memory: [pages, 3],
    actors: [
      (out) => charger(variant, 1, out, 'a'),
      function* () {
        yield* add(PAGES, -1);
      },
    ],
    outcome: (memory, out) => (memory[PAGES] === pages - 1 + out['a'] ? 'exact' : 'wrong'),
  };
}

test('a charge and an uncharge leave the exact count', () => {
  checkOutcomes(givenBack(REAL, 1), ['exact']);
  checkOutcomes(givenBack(REAL, 2), ['exact']);
});

test('broken: a stored count forgets the uncharge', () => {
  checkBroken(givenBack({ how: 'store' }, 1), 'wrong');
});

/** A limit is lowered: the charge that began before may still count by the old one, the next goes by the new. */
function lowered(variant: Variant): Model {
  return {
    memory: [0, 3],
    actors: [
      function* (out) {
        out['first'] = yield* charge(variant, 2);
        out['second'] = yield* charge(variant, 1);
      },
      function* () {
        yield* store(LIMIT, 2);
      },
    ],
    outcome: (memory, out) => `${out['first']}${out['second']} ${memory[PAGES]}`,
  };
}

test('a lower limit holds for every charge that begins after it', () => {
  checkOutcomes(lowered(REAL), ['10 2', '01 1']);
});
