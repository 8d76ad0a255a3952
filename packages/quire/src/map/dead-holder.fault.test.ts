/**
 * A thread dies at every moment of a growth, a clear and an eviction: what others find. A death is played by what memory was at that moment: the
 * thread finishes, memory is put back, and nobody uses the thread's view again.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALLOCATOR_LOCK, BUCKETS, COUNT, GROWTH_LOCK, STRIPE_LOCK, STRIPE_SEQUENCE, STRIPES } from './control.ts';
import type { PageMap } from './page-map.ts';
import { StripeLocks } from './stripe-locks.ts';
import { keyOf, patternBytes } from './testing/model-map.ts';
import { attachPlainMap, createPlainMap, type PlainMap } from './testing/plain-map.ts';

const DEAD = 1;
/** As many entries as 256 buckets hold before one is split. */
const FULL = 256 * 5;

function lostOnly(error: unknown): boolean {
  const { code, message } = error as { code?: string; message: string };
  assert.deepEqual([code, /died/.test(message)], ['ERR_QUIRE_FAILED', true], message);
  return true;
}

function contentOf(index: number): Uint8Array {
  return patternBytes(20 + (index % 30), index);
}

function put(map: PageMap, from: number, to: number): void {
  for (let index = from; index < to; index++) map.set(keyOf(`key ${index}`), contentOf(index), 0);
}

function buffersOf({ handle }: PlainMap): SharedArrayBuffer[] {
  const { memory } = handle.index;
  return [handle.control, memory.frames, memory.pool, handle.index.table, handle.heap.table, handle.meta.table];
}

function save(plain: PlainMap): Uint8Array[] {
  return buffersOf(plain).map((buffer) => new Uint8Array(buffer).slice());
}

function restore(plain: PlainMap, saved: readonly Uint8Array[]): void {
  for (const [index, buffer] of buffersOf(plain).entries()) new Uint8Array(buffer).set(saved[index]);
}

/** What the dead thread held, and how far it was. */
function stateOf({ control }: PlainMap): string {
  const mine = (word: number): number => ((control[word] & 0x7fff_ffff) === DEAD + 1 ? 1 : 0);
  let held = 0;
  let odd = 0;
  for (let stripe = 0; stripe < STRIPES; stripe++) {
    held += mine(STRIPE_LOCK + stripe);
    odd += control[STRIPE_SEQUENCE + stripe] & 1;
  }
  const some = (count: number): string => (count < 2 ? String(count) : count < STRIPES ? 'some' : 'all');
  return `growth ${mine(GROWTH_LOCK)}, stripes ${some(held)}, odd ${some(odd)}, allocator ${mine(ALLOCATOR_LOCK)}, buckets ${control[BUCKETS]}, ${control[COUNT] === 0 ? 'empty' : 'full'}`;
}

type Wrapped = 'load' | 'store' | 'add' | 'sub' | 'exchange' | 'compareExchange';
const WRAPPED: readonly Wrapped[] = ['load', 'store', 'add', 'sub', 'exchange', 'compareExchange'];

/** Runs `work` and looks at memory before each atomic operation of it. */
function watched(work: () => void, look: () => void): void {
  const table = Atomics as unknown as Record<string, (...values: unknown[]) => unknown>;
  const before = WRAPPED.map((name) => [name, table[name]] as const);
  let isLooking = false;
  for (const [name, plain] of before) {
    table[name] = (...values) => {
      if (!isLooking) {
        isLooking = true;
        look();
        isLooking = false;
      }
      return plain(...values);
    };
  }
  try {
    work();
  } finally {
    for (const [name, plain] of before) table[name] = plain;
  }
}

/** Memory as it was at the first moment of each state that the dead thread was in. */
function deathsOf(plain: PlainMap, work: () => void): Map<string, Uint8Array[]> {
  const deaths = new Map<string, Uint8Array[]>();
  watched(work, () => {
    const state = stateOf(plain);
    if (!deaths.has(state)) deaths.set(state, save(plain));
  });
  return deaths;
}

function survivorOf(plain: PlainMap, maxBytes?: number): PageMap {
  const options = { threadId: DEAD + 1, isThreadDead: (threadId: number) => threadId === DEAD };
  return attachPlainMap(plain.handle, maxBytes === undefined ? options : { ...options, maxBytes }).map;
}

function stripeOf(map: PageMap, index: number): number {
  return map.core.loadKey(keyOf(`key ${index}`)) & 63;
}

/** Reads or stores each key; those that are refused must say why. Returns the stripe of each of these. */
function refusals(map: PageMap, from: number, to: number, use: (key: Uint8Array, index: number) => void): number[] {
  const stripes: number[] = [];
  for (let index = from; index < to; index++) {
    try {
      use(keyOf(`key ${index}`), index);
    } catch (error) {
      lostOnly(error);
      stripes.push(stripeOf(map, index));
    }
  }
  return stripes;
}

function readAll(map: PageMap, count: number): number[] {
  return refusals(map, 0, count, (key, index) => assert.deepEqual(map.get(key), contentOf(index)));
}

function storeMore(map: PageMap, from: number, to: number): number[] {
  return refusals(map, from, to, (key, index) => {
    map.set(key, contentOf(index), 0);
    assert.deepEqual(map.get(key), contentOf(index));
  });
}

/** Every key of one stripe was refused, and no other. */
function expectOneStripe(map: PageMap, refused: readonly number[], from: number, to: number, state = ''): void {
  const stripe = refused[0];
  const all = Array.from({ length: to - from }, (_, at) => from + at).filter(
    (index) => stripeOf(map, index) === stripe,
  );
  assert.deepEqual(refused, new Array(all.length).fill(stripe), state);
}

function create(): PlainMap {
  const plain = createPlainMap(2000, { threadId: DEAD });
  put(plain.map, 0, FULL);
  return plain;
}

describe('a thread that dies', () => {
  it('while it splits a bucket: growth goes on, up to the stripe that it held', () => {
    const plain = create();
    const deaths = deathsOf(plain, () => put(plain.map, FULL, FULL + 12));
    const growing = [...deaths].filter(([state]) => state.startsWith('growth 1'));
    assert.ok(growing.length >= 7, [...deaths.keys()].join('\n'));
    for (const [state, saved] of growing) {
      restore(plain, saved);
      const map = survivorOf(plain);
      const before = map.buckets;
      const isWhole = state.includes('stripes 0');
      const canAllocate = state.includes('allocator 0');
      const added = storeMore(map, FULL + 100, FULL + 1600);
      if (isWhole) {
        assert.deepEqual([added, readAll(map, FULL)], [[], []], state);
        assert.ok(map.buckets > before + 200, `${state}: ${map.buckets} buckets`);
        assert.equal(map.findFault(), undefined, state);
        map.clear();
        assert.equal(map.count, 0);
      } else {
        if (canAllocate) expectOneStripe(map, added, FULL + 100, FULL + 1600, state);
        else assert.ok(added.length > 1000, `${state}: ${added.length} refused`);
        assert.ok(new Set(readAll(map, FULL)).size <= 1, state);
        assert.throws(() => map.clear(), lostOnly, state);
        assert.throws(() => map.findFault(), lostOnly, state);
        assert.deepEqual(storeMore(map, FULL + 100, FULL + 1600), added, `${state}: and they still are`);
      }
      assert.notEqual((plain.control[GROWTH_LOCK] & 0x7fff_ffff) - 1, DEAD, state);
    }
  });

  it('while it clears the map: the stripes that it held are refused, others are as before or empty', () => {
    const plain = create();
    const deaths = deathsOf(plain, () => plain.map.clear());
    assert.ok(deaths.size >= 9, [...deaths.keys()].join('\n'));
    for (const [state, saved] of deaths) {
      restore(plain, saved);
      const map = survivorOf(plain);
      // Of stripes that were not held yet, and of some that were: each of these costs a wait.
      const keys = Array.from({ length: FULL }, (_, index) => index).filter((index) =>
        [0, 1, 62, 63].includes(stripeOf(map, index)),
      );
      let found = 0;
      let refused = 0;
      for (const index of keys) {
        refused += refusals(map, index, index + 1, (key) => {
          const value = map.get(key);
          if (value === undefined) return;
          assert.deepEqual(value, contentOf(index));
          map.set(key, value, 0);
          found++;
        }).length;
      }
      assert.ok(found === 0 || found + refused === keys.length, `${state}: ${found} of ${keys.length}`);
      if (state.includes('stripes 0')) assert.equal(refused, 0, state);
      if (state.includes('odd all')) assert.equal(refused, keys.length, state);
    }
  });

  it('in a stripe: others evict and let expire what is elsewhere, and grow up to it', () => {
    const plain = createPlainMap(4000, { threadId: DEAD });
    put(plain.map, 0, FULL);
    plain.map.core.locks.lockStripe(40);
    const bounded = survivorOf(plain, plain.map.bytes + 1000);
    expectOneStripe(bounded, storeMore(bounded, FULL, 6 * FULL), FULL, 6 * FULL);
    assert.ok(bounded.count < 2 * FULL);
    assert.equal(bounded.reap(1000), 0);
    assert.ok(bounded.evict(5000) >= 5000);
    const map = survivorOf(plain);
    expectOneStripe(map, storeMore(map, 6 * FULL, 8 * FULL), 6 * FULL, 8 * FULL);
    assert.equal(map.buckets, 256 + 40, 'the next that would be split shares the stripe');
  });
});

describe('a growth lock whose holder died', () => {
  const locksOf = (control: Int32Array, threadId: number, dead: readonly number[] = [DEAD]) =>
    new StripeLocks(control, threadId, 1000, (id) => dead.includes(id));

  it('is taken over by one of those who wait for it or try often, and not while its holder lives', () => {
    for (const waits of [true, false]) {
      const control = new Int32Array(new SharedArrayBuffer(1024));
      locksOf(control, DEAD).lockGrowth();
      const living = locksOf(control, 2, []);
      for (let tries = 0; tries < 1000; tries++) assert.equal(living.tryLockGrowth(), false);
      const mine = locksOf(control, 3);
      if (waits) mine.lockGrowth();
      else {
        let tries = 1;
        while (tries < 1000 && !mine.tryLockGrowth()) tries++;
        assert.ok(tries > 1 && tries < 1000, `${tries} tries`);
      }
      assert.equal(mine.heldBy(3), true);
      assert.equal(living.tryLockGrowth(), false);
      mine.unlockGrowth();
      assert.equal(living.tryLockGrowth(), true);
    }
  });

  it('all stripes or none are locked when one of them is lost', () => {
    const control = new Int32Array(new SharedArrayBuffer(1024));
    locksOf(control, DEAD).lockStripe(7);
    const mine = locksOf(control, 2);
    for (let turn = 0; turn < 2; turn++) {
      assert.throws(() => mine.lockAll(), lostOnly);
      assert.equal(mine.heldBy(2), false);
    }
    assert.equal(mine.isStripeLost(7), true);
    assert.equal(mine.isStripeLost(8), false);
  });
});
