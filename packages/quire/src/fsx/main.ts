/**
 * `npm run fsx -- [--ops N] [--seed S] [--real SECONDS] [--keep LIST]`: random operations on files, compared with plain
 * bytes. Episodes of the deterministic layer run in two processes until N operations are done; then QuireFile works
 * on real files, with daemons, for SECONDS. A failure prints the operations that are enough for it and the command that
 * replays them; the exit status is then 1. With `--seed` and `--keep` just these operations of that episode are run.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { numberArgument } from '../simulator/number-argument.ts';
import { readArguments } from '../simulator/read-arguments.ts';
import { EpisodeFailure, runEpisode } from './episode.ts';
import { runRealFiles } from './real-files.ts';
import { formatRanges, parseRanges, shrink } from './shrink.ts';

const USAGE = 'usage: npm run fsx -- [--ops N] [--seed S] [--real SECONDS] [--keep LIST]';
const OPERATIONS_DEFAULT = 1_000_000;
const REAL_SECONDS_DEFAULT = 10;
/** Long enough to fill a small memory many times, short enough to see many shapes. */
const EPISODE_OPERATIONS = 5000;
const SHRINK_MS_MAX = 60_000;

const { values, operations, seed, realSeconds } = readArguments(USAGE, () => {
  const { values } = parseArgs({
    options: {
      ops: { type: 'string' },
      seed: { type: 'string' },
      real: { type: 'string' },
      keep: { type: 'string' },
      /** Set in the processes this one starts. */
      part: { type: 'boolean' },
    },
  });
  return {
    values,
    operations: numberArgument('ops', values.ops, OPERATIONS_DEFAULT),
    seed: numberArgument('seed', values.seed, randomInt(2 ** 31)),
    realSeconds: numberArgument('real', values.real, REAL_SECONDS_DEFAULT),
  };
});

/** Episodes one after the other. False after a failure, which is reported. */
async function runEpisodes(): Promise<boolean> {
  const start = performance.now();
  let done = 0;
  let nested = 0;
  let refused = 0;
  let faulted = 0;
  let episodes = 0;
  for (; done < operations; episodes++) {
    const count = Math.min(EPISODE_OPERATIONS, operations - done);
    const result = await runOrReport(
      seed + episodes,
      Array.from({ length: count }, (_, index) => index),
    );
    if (result === undefined) return false;
    done += result.operations;
    nested += result.nested;
    refused += result.refused;
    faulted += result.faulted;
  }
  const seconds = (performance.now() - start) / 1000;
  console.log(
    `fsx: seeds ${seed}…${seed + episodes - 1}: ${done} operations, ${nested} more in the middle of others, ` +
      `${refused} refused for want of memory, ${faulted} met an injected error, ${seconds.toFixed(1)} s, no failure`,
  );
  return true;
}

async function runOrReport(episode: number, indices: readonly number[]) {
  try {
    return await runEpisode(episode, indices);
  } catch (error) {
    if (!(error instanceof EpisodeFailure)) throw error;
    console.error(error);
    console.error(`replay: npm run -s fsx -- --seed ${episode} --keep ${formatRanges(indices)}`);
    if (values.keep !== undefined) return undefined;
    const kept = await shrink(indices, (some) => fails(episode, some), SHRINK_MS_MAX);
    console.error(`${kept.length} operations are enough:`);
    console.error(`replay: npm run -s fsx -- --seed ${episode} --keep ${formatRanges(kept)}`);
    return undefined;
  }
}

async function fails(episode: number, indices: readonly number[]): Promise<boolean> {
  try {
    await runEpisode(episode, indices);
    return false;
  } catch {
    return true;
  }
}

/** The same command in processes of their own, each with its share and its seeds. */
async function runParts(): Promise<boolean> {
  const parts = Math.min(2, availableParallelism());
  const share = Math.ceil(operations / parts);
  const statuses = await Promise.all(
    Array.from({ length: parts }, (_, part) => {
      const first = seed + part * Math.ceil(share / EPISODE_OPERATIONS);
      const args = ['--part', '--ops', String(share), '--seed', String(first)];
      const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], { stdio: 'inherit' });
      return new Promise<number | null>((resolve) => child.on('exit', resolve));
    }),
  );
  return statuses.every((status) => status === 0);
}

async function main(): Promise<boolean> {
  if (values.keep !== undefined) {
    const result = await runOrReport(seed, parseRanges(values.keep));
    if (result !== undefined) console.log(`fsx: ${result.operations} operations, no failure (${result.shape})`);
    return result !== undefined;
  }
  if (values.part === true) return runEpisodes();
  console.log(`fsx: first seed ${seed}, ${operations} operations`);
  if (operations > 0 && !(await runParts())) return false;
  if (realSeconds === 0) return true;
  const real = await runRealFiles({ seed, seconds: realSeconds });
  if (real.failure !== undefined) {
    console.error(`FAILED on real files: ${real.failure}`);
    console.error(`again: npm run -s fsx -- --ops 0 --seed ${seed} --real ${realSeconds}`);
    return false;
  }
  console.log(`fsx: real files: ${real.operations} operations, ${real.syncs} syncs compared, no failure`);
  return true;
}

if (!(await main())) process.exitCode = 1;
