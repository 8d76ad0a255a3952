import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Random } from '../simulator/random.ts';
import { EpisodeFailure, runEpisode } from './episode.ts';
import { runRealFiles } from './real-files.ts';
import { drawShape } from './shape.ts';
import { World } from './world.ts';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));
const indicesTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

test('fresh seeds run without a failure', async () => {
  const seed = randomInt(2 ** 31);
  for (let i = 0; i < 12; i++) {
    const result = await runEpisode(seed + i, indicesTo(2000));
    assert.equal(result.operations, 2000, `seed ${seed + i}`);
  }
});

test('an episode is the same each time', async () => {
  const seed = randomInt(2 ** 31);
  assert.deepEqual(await runEpisode(seed, indicesTo(1500)), await runEpisode(seed, indicesTo(1500)), `seed ${seed}`);
});

test('operations can be left out', async () => {
  const seed = randomInt(2 ** 31);
  const some = indicesTo(2000).filter((index) => index % 3 !== 0);
  assert.equal((await runEpisode(seed, some)).operations, some.length, `seed ${seed}`);
});

test('the seeds between them reach every policy, both node counts and every fault', () => {
  const shapes = Array.from({ length: 300 }, (_, seed) => drawShape(new Random(seed)));
  assert.equal(new Set(shapes.map((shape) => shape.policy)).size, 6);
  for (const wanted of [
    shapes.some((shape) => shape.nodes === 2 && shape.faults.read > 0 && shape.faults.write > 0),
    shapes.some((shape) => shape.preemptEvery > 0 && shape.threads === 3),
    shapes.some((shape) => shape.baseBytes > 2 ** 32),
    shapes.some((shape) => !shape.hasSwap && shape.ballastPages > 0),
    shapes.some((shape) => shape.faults.short > 0 && shape.faults.slow > 0),
  ])
    assert.ok(wanted);
});

test('a failure says at which operation, and what is run again fails there again', async () => {
  const { checkCounts } = World.prototype;
  let calls = 0;
  World.prototype.checkCounts = function (this: World): void {
    if (++calls % 700 === 0) throw new Error('broken on purpose');
    checkCounts.call(this);
  };
  try {
    const failures: number[] = [];
    for (let run = 0; run < 2; run++) {
      calls = 0;
      await assert.rejects(runEpisode(5, indicesTo(1000)), (error) => {
        assert.ok(error instanceof EpisodeFailure);
        failures.push(error.index);
        return true;
      });
    }
    assert.ok(failures[0] > 0);
    assert.equal(failures[0], failures[1]);
  } finally {
    World.prototype.checkCounts = checkCounts;
  }
});

test('QuireFile on real files, with daemons', async () => {
  const seed = randomInt(2 ** 31);
  const result = await runRealFiles({ seed, seconds: 4 });
  assert.equal(result.failure, undefined, `seed ${seed}`);
  assert.ok(result.operations > 200 && result.syncs > 5, `${result.operations} operations, ${result.syncs} syncs`);
});

test('the command runs what it was asked for and refuses what is no number', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 60_000 });
  const good = run('--ops', '3000', '--seed', '7', '--real', '0');
  assert.equal(good.status, 0, good.stderr);
  assert.match(good.stdout, /first seed 7[\s\S]*no failure/);
  const some = run('--seed', '7', '--keep', '0-99,200');
  assert.match(some.stdout, /101 operations, no failure/);
  assert.equal(run('--ops', 'many').status, 1);
});
