/** daemons/file-device.ts: a descriptor is closed only when no thread can use its number, which is soon another file's. */
import { test } from 'node:test';
import { add, load, type Model, type Results, type Steps, store } from '../interleaving/testing/explore.ts';
import { checkBroken, checkOutcomes } from '../interleaving/testing/outcomes.ts';

const FD = 0;
const USERS = 1;
/** What descriptor 5 names: the swap file, nothing, another file. */
const NAMED = 2;
const SWAP_FILE = 1;
const CLOSED = 2;
const OTHER_FILE = 3;

interface Variant {
  /** The user announces itself before it takes the descriptor. */
  readonly announcesFirst: boolean;
  /** The closer takes the descriptor away before it looks for users. */
  readonly takesFirst: boolean;
}

const REAL: Variant = { announcesFirst: true, takesFirst: true };

/** FileDevice.read: the system call looks up what the number names. */
function* user(variant: Variant, out: Results): Steps {
  if (variant.announcesFirst) yield* add(USERS, 1);
  const fd = yield* load(FD);
  if (!variant.announcesFirst) yield* add(USERS, 1);
  if (fd !== 0) {
    const named = yield* load(NAMED);
    if (named === CLOSED) out['bad descriptor'] = 1;
    if (named === OTHER_FILE) out['another file'] = 1;
  }
  yield* add(USERS, -1);
}

/** takeOut and closeRetired; then somebody opens a file and gets the number. */
function* closer(variant: Variant, out: Results): Steps {
  if (variant.takesFirst) yield* store(FD, 0);
  const users = yield* load(USERS);
  if (!variant.takesFirst) yield* store(FD, 0);
  if (users !== 0) return;
  out['closed'] = 1;
  yield* store(NAMED, CLOSED);
  yield* store(NAMED, OTHER_FILE);
}

function model(variant: Variant): Model {
  return {
    memory: [5, 0, SWAP_FILE],
    actors: [(out) => user(variant, out), (out) => user(variant, out), (out) => closer(variant, out)],
    outcome: (_memory, out) => {
      if (out['bad descriptor'] === 1 || out['another file'] === 1) return 'a file that is not ours';
      return out['closed'] === 1 ? 'closed' : 'closed later';
    },
  };
}

test('a descriptor that a thread has in hand stays open', () => {
  checkOutcomes(model(REAL), ['closed', 'closed later']);
});

test('broken: the descriptor is taken before that is announced', () => {
  checkBroken(model({ ...REAL, announcesFirst: false }), 'a file that is not ours');
});

test('broken: users are counted while the descriptor can still be taken', () => {
  checkBroken(model({ ...REAL, takesFirst: false }), 'a file that is not ours');
});
