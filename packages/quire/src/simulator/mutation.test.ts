/** The simulator can fail: each of these breaks the core in one way, and must be noticed within a bounded number of steps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegionSpace } from '../vm/region-space.ts';
import { runEpisode, SimulationFailure } from './simulation.ts';
import { breakAtomics, inFrameArray, isGeneration, isGroupCount, isSequence, oneIn } from './testing/broken-core.ts';

const FIRST_SEED = 401;
/** The rarest of these shows in one episode of thirty: 200 in a row without it would be chance of one in a thousand. */
const EPISODES_MAX = 200;
const EPISODE_STEPS = 10_000;

const PIN_ARRAY = 1;
const VERSION_ARRAY = 2;
const SLOT_ARRAY = 6;

async function findsWithin(mend: () => void): Promise<void> {
  try {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + EPISODES_MAX; seed++) {
      try {
        await runEpisode(seed, EPISODE_STEPS);
      } catch (error) {
        assert.ok(error instanceof SimulationFailure, String(error));
        return;
      }
    }
  } finally {
    mend();
  }
  assert.fail(`not noticed in ${EPISODES_MAX} episodes of ${EPISODE_STEPS} steps`);
}

test('found: the sequence of a slot does not move', async () => {
  await findsWithin(breakAtomics('add', (at) => isSequence(at)));
});

test('found: the version of a frame does not move', async () => {
  await findsWithin(breakAtomics('add', (at, _value, geometry) => inFrameArray(VERSION_ARRAY, at, geometry)));
});

test('found: the generation of a region does not move', async () => {
  await findsWithin(breakAtomics('add', (at) => isGeneration(at)));
});

test('found: one unpin in 200 is lost', async () => {
  const now = oneIn(200);
  await findsWithin(breakAtomics('sub', (at, _value, geometry) => inFrameArray(PIN_ARRAY, at, geometry) && now()));
});

test('found: a dropped clean copy stays noted in the frame', async () => {
  await findsWithin(
    breakAtomics('store', (at, value, geometry) => value === 0 && inFrameArray(SLOT_ARRAY, at, geometry)),
  );
});

test('found: one store in 1,000 to a page table or slot table is lost', async () => {
  const now = oneIn(1000);
  await findsWithin(breakAtomics('store', (at, _value, geometry) => at >= geometry.firstFree * 1024 && now()));
});

test('found: one in 500 pages or slots that a group gives back stays charged', async () => {
  const now = oneIn(500);
  await findsWithin(breakAtomics('sub', (at) => isGroupCount(at) && now()));
});

test('found: every optimistic read counts as true', async () => {
  const { closeRead } = RegionSpace.prototype;
  RegionSpace.prototype.closeRead = () => true;
  await findsWithin(() => {
    RegionSpace.prototype.closeRead = closeRead;
  });
});
