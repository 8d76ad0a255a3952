/** The exerciser can fail: each of these breaks the page cache in one way, and must be noticed within a bounded number of operations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as L from '../arena/layout.ts';
import { PAGE_WORDS } from '../base/units.ts';
import { breakAtomics, inFrameArray, isGeneration, oneIn } from '../simulator/testing/broken-core.ts';
import { EpisodeFailure, runEpisode } from './episode.ts';
import { World } from './world.ts';

const FIRST_SEED = 9000;
const EPISODES_MAX = 150;
const OPERATIONS = Array.from({ length: 1500 }, (_, index) => index);

const PIN_ARRAY = 1;
const VERSION_ARRAY = 2;

async function findsWithin(mend: () => void): Promise<void> {
  try {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + EPISODES_MAX; seed++) {
      try {
        await runEpisode(seed, OPERATIONS);
      } catch (error) {
        assert.ok(error instanceof EpisodeFailure, String(error));
        return;
      }
    }
  } finally {
    mend();
  }
  assert.fail(`not noticed in ${EPISODES_MAX} episodes of ${OPERATIONS.length} operations`);
}

type Operation = (array: Int32Array, at: number, value: number) => number;

/** Loses operations on words of an inode, which is seen through an array of its own. */
function breakInode(name: 'add' | 'or' | 'store', word: number, now: () => boolean = () => true): () => void {
  const table = Atomics as unknown as Record<string, Operation>;
  const whole = table[name];
  table[name] = (array, at, value) =>
    array.length === PAGE_WORDS && at === word && now() ? array[at] : whole(array, at, value);
  return () => {
    table[name] = whole;
  };
}

/** Loses operations on one kind of a leaf's bits; leaves are whole frames behind the static part. */
function breakBits(name: 'and' | 'or' | 'exchange', kindAt: number, now: () => boolean = () => true): () => void {
  const table = Atomics as unknown as Record<string, Operation>;
  const whole = table[name];
  table[name] = (array, at, value) => {
    const inFrame = at % PAGE_WORDS;
    const isBits = array.length > PAGE_WORDS && at > L.STATIC_WORDS && inFrame >= kindAt && inFrame < kindAt + 16;
    return isBits && now() ? array[at] : whole(array, at, value);
  };
  return () => {
    table[name] = whole;
  };
}

/** Breaks each instance that is made from now on. */
function breakWorlds(change: (world: World) => void): () => void {
  const { checkCounts } = World.prototype;
  const done = new WeakSet<World>();
  World.prototype.checkCounts = function (this: World): void {
    if (!done.has(this)) change(this);
    done.add(this);
    checkCounts.call(this);
  };
  return () => {
    World.prototype.checkCounts = checkCounts;
  };
}

test('found: the content sequence does not move, so old bytes are cached after newer ones', async () => {
  await findsWithin(breakInode('add', L.I_CONTENT_SEQ));
});

test('found: one dirty bit in 200 is not set', async () => {
  await findsWithin(breakBits('or', L.FL_DIRTY, oneIn(200)));
});

test('found: what could not be written is not dirty again', async () => {
  let hasFailed = false;
  const mendBits = breakBits('or', L.FL_DIRTY, () => {
    const isNow = hasFailed;
    hasFailed = false;
    return isNow;
  });
  const mendWorlds = breakWorlds((world) => {
    for (const file of world.disk.files) {
      const { onWriteError } = file;
      file.onWriteError = () => {
        hasFailed = true;
        onWriteError();
      };
    }
  });
  await findsWithin(() => {
    mendBits();
    mendWorlds();
  });
});

test('found: nothing is zeroed behind the end of the file', async () => {
  await findsWithin(
    breakWorlds((world) => {
      for (const thread of world.threads)
        for (const node of thread.logical.nodes) {
          const { fill } = node.kernel;
          node.kernel.fill = (start, byte, length) => {
            if (length % 4096 === 0) fill(start, byte, length);
          };
        }
    }),
  );
});

test('found: blocks stay uptodate when their page leaves', async () => {
  await findsWithin(breakBits('and', L.FL_UPTODATE));
});

test('found: the version of a frame does not move', async () => {
  await findsWithin(breakAtomics('add', (at, _value, geometry) => inFrameArray(VERSION_ARRAY, at, geometry)));
});

test('found: the generation of a file does not move', async () => {
  await findsWithin(breakAtomics('add', (at) => isGeneration(at)));
});

test('found: one unpin in 200 is lost', async () => {
  const now = oneIn(200);
  await findsWithin(breakAtomics('sub', (at, _value, geometry) => inFrameArray(PIN_ARRAY, at, geometry) && now()));
});

test('found: one size in 20 is half written', async () => {
  await findsWithin(breakInode('store', L.I_SIZE_LOW, oneIn(20)));
});

test('found: an error of writeback is not noted', async () => {
  const table = Atomics as unknown as { compareExchange(a: Int32Array, at: number, b: number, c: number): number };
  const whole = table.compareExchange;
  table.compareExchange = (array, at, before, after) =>
    array.length === PAGE_WORDS && at === L.I_ERRSEQ ? before : whole(array, at, before, after);
  await findsWithin(() => {
    table.compareExchange = whole;
  });
});
