/**
 * `npm run simulate -- [--steps N] [--seed S] [--seconds T]`: episodes of the seeded simulator, one after the other,
 * until N steps are done or T seconds have passed. Without a seed a fresh one is drawn. A failure prints the command
 * that replays it; the exit status is then 1.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { numberArgument } from './number-argument.ts';
import { readArguments } from './read-arguments.ts';
import { runEpisode, SimulationFailure } from './simulation.ts';

const USAGE = 'usage: npm run simulate -- [--steps N] [--seed S] [--seconds T]';
const STEPS_DEFAULT = 200_000;
/** Long enough for a full memory and a used file, short enough to see many shapes. */
const EPISODE_STEPS = 10_000;

interface Settings {
  readonly steps: number;
  readonly seed: number;
  readonly seconds: number;
}

function readSettings(): Settings {
  const { values } = parseArgs({
    options: { steps: { type: 'string' }, seed: { type: 'string' }, seconds: { type: 'string' } },
  });
  const seconds = numberArgument('seconds', values.seconds, Number.POSITIVE_INFINITY);
  const stepsDefault = values.seconds === undefined ? STEPS_DEFAULT : Number.POSITIVE_INFINITY;
  return {
    steps: numberArgument('steps', values.steps, stepsDefault),
    seed: numberArgument('seed', values.seed, randomInt(2 ** 31)),
    seconds,
  };
}

async function main(settings: Settings): Promise<void> {
  const start = performance.now();
  let seed = settings.seed;
  let steps = 0;
  let nested = 0;
  let episodes = 0;
  console.log(`simulate: first seed ${seed}`);
  while (steps < settings.steps && performance.now() - start < settings.seconds * 1000) {
    const wanted = Math.min(EPISODE_STEPS, settings.steps - steps);
    const result = await runEpisodeOrReport(seed, wanted);
    if (result === undefined) return;
    steps += result.steps;
    nested += result.nested;
    episodes++;
    seed++;
  }
  const seconds = (performance.now() - start) / 1000;
  console.log(
    `simulate: ${steps} steps, ${nested} of them preemptions, ${episodes} episodes, ${seconds.toFixed(1)} s, ` +
      `${Math.round(steps / seconds)} steps/s, no failure`,
  );
}

async function runEpisodeOrReport(seed: number, steps: number) {
  try {
    const result = await runEpisode(seed, steps);
    console.log(
      `  seed ${seed}: ${result.steps} steps, trace ${result.hash.toString(16).padStart(8, '0')}: ${result.shape}`,
    );
    return result;
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    console.error(error);
    console.error(`replay: npm run -s simulate -- --seed ${seed} --steps ${steps}`);
    process.exitCode = 1;
    return undefined;
  }
}

await main(readArguments(USAGE, readSettings));
