/**
 * `npm run crash -- [--kills N] [--seed S]`: writers that acknowledge each sync, killed with SIGKILL at random moments,
 * two at a time. Every acknowledged byte must be in the file. A failure prints the command that runs the same plan
 * again and leaves the files where they are; the exit status is then 1.
 */
import { randomInt } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readArguments } from '../simulator/read-arguments.ts';
import { createFiles, runRound } from './rounds.ts';

const USAGE = 'usage: npm run crash -- [--kills N] [--seed S]';
const LANES = 2;
/** Rounds on the same files before a lane begins anew with empty ones. */
const ROUNDS_A_DIRECTORY = 25;

interface Totals {
  kills: number;
  syncs: number;
  steps: number;
  failures: number;
}

async function runLane(lane: number, kills: number, seed: number, directory: string, totals: Totals): Promise<void> {
  for (let done = 0; done < kills && totals.failures === 0; done++) {
    const home = join(directory, `${lane}-${Math.floor(done / ROUNDS_A_DIRECTORY)}`);
    const round = 1 + (done % ROUNDS_A_DIRECTORY);
    const laneSeed = seed + lane * 1_000_003 + Math.floor(done / ROUNDS_A_DIRECTORY);
    if (round === 1) {
      mkdirSync(home);
      createFiles(home);
    }
    const result = await runRound({ directory: home, seed: laneSeed, round });
    totals.kills++;
    totals.syncs += result.syncs;
    totals.steps += result.steps;
    totals.failures += result.failures.length;
    for (const failure of result.failures)
      console.error(`FAILED lane ${lane}, kill ${done + 1}: ${failure}\n  ${home}`);
  }
}

const { kills, seed } = readArguments(USAGE, () => {
  const { values } = parseArgs({ options: { kills: { type: 'string' }, seed: { type: 'string' } } });
  const kills = Number(values.kills ?? 200);
  const seed = Number(values.seed ?? randomInt(2 ** 31));
  if (!Number.isSafeInteger(kills) || kills < 1 || !Number.isSafeInteger(seed))
    throw new TypeError('--kills or --seed is not a number');
  return { kills, seed };
});
console.log(`crash: seed ${seed}, ${kills} kills`);
const start = performance.now();
const directory = mkdtempSync(join(tmpdir(), 'quire-crash-'));
const totals: Totals = { kills: 0, syncs: 0, steps: 0, failures: 0 };
await Promise.all(
  Array.from({ length: LANES }, (_, lane) =>
    runLane(lane, Math.floor((kills + lane) / LANES), seed, directory, totals),
  ),
);
const summary = `${totals.kills} kills, ${totals.syncs} acknowledged syncs, ${totals.steps} steps`;
console.log(`crash: ${summary}, ${((performance.now() - start) / 1000).toFixed(1)} s`);
if (totals.failures > 0) {
  console.error(`again: npm run -s crash -- --kills ${kills} --seed ${seed}`);
  process.exitCode = 1;
} else {
  rmSync(directory, { recursive: true, force: true });
  console.log('crash: every acknowledged byte was there');
}
