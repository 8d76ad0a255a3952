import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { installPreemption } from './preemption.ts';
import { Random } from './random.ts';
import { drawShape } from './shape.ts';
import { runEpisode } from './simulation.ts';
import { breakAtomics, isGeneration } from './testing/broken-core.ts';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

test('a seed gives the same trace each time, and another seed another one', async () => {
  const seed = randomInt(2 ** 31);
  const first = await runEpisode(seed, 4000);
  const again = await runEpisode(seed, 4000);
  assert.deepEqual(again, first, `seed ${seed}`);
  assert.notEqual((await runEpisode(seed + 1, 4000)).hash, first.hash, `seed ${seed}`);
});

test('fresh seeds run without a failure', async () => {
  const seed = randomInt(2 ** 31);
  for (let i = 0; i < 12; i++) {
    const result = await runEpisode(seed + i, 5000);
    assert.ok(result.steps >= 5000, `seed ${seed + i}`);
  }
});

test('the seeds between them reach every tier, both node counts and every fault', () => {
  const shapes = Array.from({ length: 200 }, (_, seed) => drawShape(new Random(seed)));
  for (const wanted of [
    shapes.some((shape) => shape.nodes === 2),
    shapes.some((shape) => !shape.hasSwap),
    shapes.some((shape) => shape.hasSwap && shape.fileBytes === 0),
    shapes.some((shape) => shape.fileBytes > 0 && shape.faults.read > 0 && shape.faults.write > 0),
    shapes.some((shape) => shape.kcompressd === 0),
    shapes.some((shape) => shape.preemptEvery === 0),
    shapes.some((shape) => shape.hasMap),
  ]) {
    assert.ok(wanted);
  }
});

test('what is wrapped for preemption is put back', () => {
  const before = {
    ...Object.fromEntries(['load', 'store', 'add', 'wait'].map((name) => [name, Reflect.get(Atomics, name)])),
  };
  const restore = installPreemption(
    () => undefined,
    () => undefined,
  );
  assert.notEqual(Atomics.load, before['load']);
  restore();
  for (const [name, original] of Object.entries(before)) assert.equal(Reflect.get(Atomics, name), original, name);
});

test('a failure names its seed, and the same seed fails at the same step', async () => {
  const mend = breakAtomics('add', (at) => isGeneration(at));
  try {
    let failed: { seed: number; step: number } | undefined;
    for (let seed = 1; failed === undefined; seed++) {
      await runEpisode(seed, 10_000).catch((error: { seed: number; step: number }) => {
        failed = error;
      });
    }
    const { seed, step } = failed;
    await assert.rejects(runEpisode(seed, 10_000), { name: 'SimulationFailure', seed, step });
  } finally {
    mend();
  }
});

test('the command runs the steps it was asked for and refuses what is no number', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', timeout: 60_000 });
  const good = run('--steps', '1500', '--seed', '7');
  assert.equal(good.status, 0, good.stderr);
  assert.match(good.stdout, /first seed 7[\s\S]*1 episodes[\s\S]*no failure/);
  assert.equal(run('--steps', 'many').status, 1);
});
